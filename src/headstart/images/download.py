"""Downloads that are whole or absent: checked, renamed into place, and a marker written last.

`NAME.part` -> checksum -> `NAME`; once a folder has all its files, `complete.json` (names and SHA-256) is written.
Its existence means the download completed.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from headstart.errors import DataError, Offline
from headstart.images.options import Progress

MARKER = "complete.json"
TIMEOUT_S = 30
MAX_DOWNLOAD = 2 * 2**30
MAX_EXPANDED = 8 * 2**30
MAX_MEMBERS = 200_000
_CHUNK = 2**20


@dataclass(frozen=True)
class Remote:
    """A published file: mirrors in order of trial, and its MD5 where the publisher or torchvision states one.

    Without a stated checksum the SHA-256 is recorded at the first download (in `complete.json`).
    """

    name: str
    urls: Sequence[str]
    md5: str | None = None


def cache_dir() -> Path:
    """HEADSTART_CACHE, or the platform's folder for caches, with `headstart` below it."""
    if own := os.environ.get("HEADSTART_CACHE"):
        return Path(own).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "headstart"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "headstart"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").expanduser() / "headstart"


def is_complete(folder: Path) -> bool:
    """Whether every file of this folder was downloaded."""
    return (folder / MARKER).is_file()


def fetch_all(files: Sequence[Remote], folder: Path, progress: Progress | None = None) -> None:
    """Download the files into `folder`, unpack archives beside them, write the marker last.

    Raises `Offline` when no mirror answers, `DataError` for a checksum that differs or an unsafe archive.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sums = {}
    for remote in files:
        path = folder / remote.name
        sums[remote.name] = _fetch(remote, path, progress)
        if path.name.endswith((".zip", ".tar.gz")):
            extract(path, folder)
            path.unlink()
    temporary = folder / f"{MARKER}.{os.getpid()}"
    temporary.write_text(json.dumps(sums, indent=1), encoding="utf-8")
    temporary.replace(folder / MARKER)


def _fetch(remote: Remote, path: Path, progress: Progress | None) -> str:
    """One file from the first mirror that gives it; its SHA-256."""
    from http.client import HTTPException

    reasons = []
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    for url in remote.urls:
        try:
            md5, sha256 = _copy(url, partial, progress)
        except (OSError, ValueError, HTTPException) as error:  # URLError is an OSError
            partial.unlink(missing_ok=True)
            reasons.append(f"{url}: {getattr(error, 'reason', None) or error}")
            continue
        if remote.md5 is not None and md5 != remote.md5:
            partial.unlink(missing_ok=True)
            raise DataError(f"{url} has changed: its MD5 is {md5}, expected {remote.md5}; it was not kept.")
        partial.replace(path)
        return sha256
    raise Offline(f"{remote.name} could not be downloaded ({'; '.join(reasons)}).")


def _copy(url: str, target: Path, progress: Progress | None) -> tuple[str, str]:
    """url -> file; (MD5, SHA-256)."""
    import urllib.request

    md5, sha256, done = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
    request = urllib.request.Request(url, headers={"User-Agent": "headstart"})
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response, target.open("wb") as file:
        total = int(response.headers.get("Content-Length") or 0)
        while piece := response.read(_CHUNK):
            file.write(piece)
            md5.update(piece)
            sha256.update(piece)
            done += len(piece)
            if done > MAX_DOWNLOAD:
                raise ValueError(f"more than {MAX_DOWNLOAD} bytes")
            if progress:
                progress(target.name.split(".")[0], done, total)
        if total and done < total:
            raise ValueError(f"only {done} of {total} bytes came")
    return md5.hexdigest(), sha256.hexdigest()


def extract(archive: Path, folder: Path, most: int = MAX_EXPANDED) -> None:
    """Unpack a zip or tar.gz: regular files only, below `folder` only, at most `most` bytes in all.

    Raises `DataError` for absolute names, '..', links, devices, and archives that expand beyond the bound.
    """
    import tarfile
    import zipfile

    try:
        if zipfile.is_zipfile(archive):
            _extract_zip(archive, folder, most)
        else:
            _extract_tar(archive, folder, most)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError, NotImplementedError) as error:
        raise DataError(f"{archive} cannot be unpacked: {error}.") from None


def _extract_zip(archive: Path, folder: Path, most: int) -> None:
    import zipfile

    with zipfile.ZipFile(archive) as zipped:
        members = zipped.infolist()
        _bounded(len(members), sum(m.file_size for m in members), most, archive)
        left = most
        for member in members:
            if (member.external_attr >> 16) & 0o170000 == 0o120000:
                raise DataError(f"{archive}: '{member.filename}' is a link; the archive is not trusted.")
            target = _inside(folder, member.filename, archive)
            if not member.is_dir():
                with zipped.open(member) as source:
                    left -= _write(source, target, left, archive)


def _extract_tar(archive: Path, folder: Path, most: int) -> None:
    import tarfile

    with tarfile.open(archive, "r:gz") as tar:
        left = most
        for number, member in enumerate(tar):
            _bounded(number, member.size, most, archive)
            target = _inside(folder, member.name, archive)
            if member.isdir():
                continue
            source = tar.extractfile(member) if member.isreg() else None
            if source is None:
                raise DataError(f"{archive}: '{member.name}' is a link or device; the archive is not trusted.")
            with source:
                left -= _write(source, target, left, archive)


def _bounded(members: int, size: int, most: int, archive: Path) -> None:
    if members > MAX_MEMBERS or size > most:
        raise DataError(f"{archive} expands to more than {most} bytes or {MAX_MEMBERS} files.")


def _inside(folder: Path, name: str, archive: Path) -> Path:
    """The place of a member below the folder."""
    pieces = PurePosixPath(name.replace("\\", "/"))
    if (
        pieces.is_absolute()
        or ".." in pieces.parts
        or ":" in name
        or (not pieces.parts and name not in ("", ".", "./"))
    ):
        raise DataError(f"{archive}: '{name}' would leave the folder; the archive is not trusted.")
    return folder.joinpath(*pieces.parts)


def _write(source: IO[bytes], target: Path, most: int, archive: Path) -> int:
    """Copy at most `most` bytes; the number written."""
    target.parent.mkdir(parents=True, exist_ok=True)
    done = 0
    with target.open("wb") as file:
        while piece := source.read(_CHUNK):
            done += len(piece)
            _bounded(0, done, most, archive)
            file.write(piece)
    return done
