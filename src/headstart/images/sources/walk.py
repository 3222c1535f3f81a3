"""Every file below a folder, once: links never loop, nothing is opened, what cannot be listed is named."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from headstart.errors import DataError
from headstart.images.archive import Member
from headstart.images.cures import LINK
from headstart.images.imageset import Refusal
from headstart.images.names import escape
from headstart.images.remote import Remote

Inode = tuple[int, int]
Parts = tuple[str, ...]
SKIPPED = frozenset({"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "@eadir"})


@dataclass
class Listing:
    """What `walk` found, as path components relative to the root: files, folders; and refusals of the rest.

    `at` is where a listed file is; `links` are the places of links out of the root that lead to folders.
    """

    at: Callable[[Parts], Path | Member | Remote]
    files: list[Parts] = field(default_factory=list)
    folders: list[Parts] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    links: list[Parts] = field(default_factory=list)


def walk(root: Path, follow_links: bool = False) -> Listing:
    """List a folder. Hidden files and the litter of desktops are skipped silently.

    Real folders and files come first; then each link, which is refused when it leads to something listed already
    (compared by inode), to nothing, or out of the root (unless `follow_links`). The root may be a link.
    Raises `DataError` when the root cannot be listed.
    """
    found = Listing(lambda parts: root.joinpath(*parts))
    visited: set[Inode] = set()
    links: deque[Parts] = deque()
    _real(root, (), visited, (found, links))
    if found.refused and not found.files and not found.folders and found.refused[0].name == ".":
        raise DataError(f"The folder {root} cannot be listed: {found.refused[0].detail}.")
    if links:
        _Links(root, follow_links, found, links, visited).resolve()
    found.files.sort(key=lambda parts: [os.fsencode(p) for p in parts])
    return found


def is_litter(name: str) -> bool:
    """Hidden files, and what desktops and their archives leave in folders."""
    return name.startswith(".") or name.casefold() in SKIPPED


def name_of(parts: Parts) -> str:
    """The stable name of a listed file: its components joined by '/', escaped."""
    return "/".join(map(escape, parts))


def _real(root: Path, start: Parts, visited: set[Inode], into: tuple[Listing, deque[Parts]]) -> None:
    """Everything below `start` that is reached without a link; links are put aside."""
    found, links = into
    stack = [start]
    while stack:
        at = stack.pop()
        folder = root.joinpath(*at)
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in visited:
                continue
            visited.add((status.st_dev, status.st_ino))
            entries = list(os.scandir(folder))
        except OSError as error:
            found.refused.append(Refusal(name_of(at) or ".", "unreadable", error.strerror or str(error)))
            continue
        for entry in entries:
            parts = (*at, entry.name)
            if is_litter(entry.name):
                continue
            if entry.is_symlink():
                links.append(parts)
            elif entry.is_dir():
                found.folders.append(parts)
                stack.append(parts)
            elif entry.is_file():
                found.files.append(parts)
            else:
                found.refused.append(Refusal(name_of(parts), "not-a-file", "a pipe, socket or device"))


@dataclass
class _Links:
    root: Path
    follow: bool
    found: Listing
    links: deque[Parts]
    folders: set[Inode]

    def resolve(self) -> None:
        """Take each link in turn, in the order of names; a followed folder may bring more links."""
        inside = self.root.resolve()
        files = {_inode((self.root.joinpath(*parts)).stat()) for parts in self.found.files}
        while self.links:
            self.links = deque(sorted(self.links))
            parts = self.links.popleft()
            path = self.root.joinpath(*parts)
            try:
                status, target = path.stat(), path.resolve()
            except (OSError, RuntimeError):  # RuntimeError: a chain of links that never ends (Python < 3.13)
                self._refuse(parts, "missing-file", "a link to nothing")
                continue
            if not self.follow and not target.is_relative_to(inside):
                self._refuse(parts, "outside-the-folder", LINK + escape(str(target)))
                if stat.S_ISDIR(status.st_mode):
                    self.found.links.append(parts)
            elif stat.S_ISDIR(status.st_mode):
                self._folder(parts, status)
            elif not stat.S_ISREG(status.st_mode):
                self._refuse(parts, "not-a-file", "a link to a pipe, socket or device")
            elif _inode(status) in files:
                self._refuse(parts, "same-file", "a link to a file that is listed already")
            else:
                files.add(_inode(status))
                self.found.files.append(parts)

    def _folder(self, parts: Parts, status: os.stat_result) -> None:
        if _inode(status) in self.folders:
            self._refuse(parts, "same-file", "a link to a folder that is listed already")
            return
        self.found.folders.append(parts)
        _real(self.root, parts, self.folders, (self.found, self.links))

    def _refuse(self, parts: Parts, reason: str, detail: str) -> None:
        self.found.refused.append(Refusal(name_of(parts), reason, detail))


def _inode(status: os.stat_result) -> Inode:
    return status.st_dev, status.st_ino
