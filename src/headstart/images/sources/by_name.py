"""Files of a table whose paths lead nowhere as they are written: found below the table's folder by their names.

People have tables of bare names or ids beside a folder of pictures (`img_7` for `train_images/img_7.png`), and paths
that were right on another machine.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath, PurePosixPath

from headstart.errors import DataError
from headstart.images.formats import SUFFIXES
from headstart.images.names import escape, nfc
from headstart.images.sources.walk import is_litter
from headstart.phrases import joined, plural

DEEP, MANY = 4, 2_000_000
"""How many folders below the table's are looked into, and at how many files at the most."""
ENDINGS = SUFFIXES | {".heic", ".heif", ".avif"}
Parts = tuple[str, ...]


def found_by_name(table: Path, names: Mapping[str, Path]) -> tuple[dict[str, Path], str]:
    """Files below the table's folder by the names in it, and a note; nothing where a file is there as it is written.

    `names` gives for each name the file that it means. A file is taken whose path ends as the name does, the picture's
    ending and the case of its letters aside; one with the very name goes first. Raises `DataError` where several
    folders have such files: one may hold masks or thumbnails.
    """
    if not names or any(os.path.lexists(file) for file in names.values()):
        return {}, ""
    namesakes = Namesakes(table.parent)
    ways = {name: found for name in names if (found := namesakes.of(name))}
    if any(len(found) > 1 for found in ways.values()):
        places = Counter(file[:-1] for found in ways.values() for file in found)
        listed = [f"{_folder(place)} ({count:,})" for place, count in places.most_common(3)]
        raise DataError(
            f"{table}: no picture is where it says, and below its folder several have the same names, in "
            f"{joined(listed)}. Write the folder before each name, as {_example(ways)}."
        )
    often = Counter(file for found in ways.values() for file in found)
    taken = {name: table.parent.joinpath(*file) for name, (file,) in ways.items() if often[file] == 1}
    if not taken:
        return {}, ""
    used = [place for place, _ in Counter(file[:-1] for (file,) in ways.values()).most_common()]
    where = joined([_folder(place) for place in used]) if len(used) <= 3 else f"{len(used)} folders below the table's"
    share = f"{len(taken):,} of {plural(len(names), 'picture')}"
    return taken, f"No picture is where the table says; {share} found by name in {where}."


def elsewhere(table: Path, missing: Iterable[str]) -> tuple[str, ...]:
    """A note on pictures that are missing, while files below the table's folder have their names."""
    namesakes = Namesakes(table.parent)
    found = [(name, files[0]) for name in missing if (files := namesakes.of(name))]
    if not found:
        return ()
    name, file = found[0]
    return (
        f"{plural(len(found), 'picture')} named in {escape(table.name)} {'is' if len(found) == 1 else 'are'} not where "
        f"it says, but files below its folder have these names, as '{escape(name)[:100]}' and "
        f"'{escape('/'.join(file))}': write their paths.",
    )


def _folder(place: Parts) -> str:
    return f"'{escape('/'.join(place))}/'" if place else "the table's folder"


def _example(ways: Mapping[str, list[Parts]]) -> str:
    return f"'{escape('/'.join(next(found for found in ways.values() if len(found) > 1)[0]))}'"


class Namesakes:
    """The pictures below a folder, to be asked for by name."""

    def __init__(self, folder: Path) -> None:
        self.files: dict[str, list[Parts]] = defaultdict(list)
        seen = 0
        for here, folders, files in os.walk(folder):
            at = Path(here).relative_to(folder).parts
            folders[:] = sorted(name for name in folders if not is_litter(name)) if len(at) < DEEP else []
            for name in sorted(files):
                if PurePath(name).suffix.lower() in ENDINGS and not is_litter(name):
                    self.files[_plain(name)].append((*at, name))
            seen += len(files)
            if seen > MANY:
                break

    def of(self, name: str) -> list[Parts]:
        """The files, as components, whose paths end as the name does, as far as any does."""
        parts = PurePosixPath(name).parts
        candidates = self.files.get(_plain(parts[-1]), []) if parts else []
        candidates = [file for file in candidates if nfc(file[-1]) == parts[-1]] or candidates
        most = max((_common(parts, file) for file in candidates), default=0)
        return [file for file in candidates if _common(parts, file) == most]


def _plain(name: str) -> str:
    """A file's name without the ending of a picture, in one form and case."""
    path = PurePath(name)
    return nfc(path.stem if path.suffix.lower() in ENDINGS else name).casefold()


def _common(name: Parts, file: Parts) -> int:
    """How many components at the end are equal; the last is, as `_plain` has it."""
    n = 1
    while n < min(len(name), len(file)) and name[-n - 1] == nfc(file[-n - 1]):
        n += 1
    return n
