"""Files of a table whose paths lead nowhere as they are written: found below the table's folder by their names.

People have tables of bare names or ids beside a folder of pictures (`img_7` for `train_images/img_7.png`), and paths
that were right on another machine.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path, PurePath, PurePosixPath

from headstart.images.formats import SUFFIXES
from headstart.images.names import escape, nfc
from headstart.images.sources.walk import is_litter
from headstart.phrases import joined, plural

DEEP, MANY = 4, 2_000_000
"""How many folders below the table's are looked into, and at how many files at the most."""
ENDINGS = SUFFIXES | {".heic", ".heif", ".avif"}
Parts = tuple[str, ...]


def found_by_name(folder: Path, names: Mapping[str, Path]) -> tuple[dict[str, Path], str]:
    """Files below `folder` by the names of a table, and a note; nothing where one file is there as it is written.

    `names` gives for each name the file that it means. A file is taken whose path ends as the name does, with any
    picture's ending where the name has none. Where several end so, all are taken from the one folder that serves
    most names; where two folders serve as many, none is.
    """
    if not names or any(os.path.lexists(file) for file in names.values()):
        return {}, ""
    files = _files(folder)
    ways = {name: found for name in names if (found := _ways(PurePosixPath(name).parts, files))}
    places = Counter(place for found in ways.values() for place in found)
    if any(len(found) > 1 for found in ways.values()):
        best, most = places.most_common(1)[0]
        if list(places.values()).count(most) > 1:
            return {}, ""
        ways = {name: {best: found[best]} for name, found in ways.items() if best in found}
    often = Counter(file for found in ways.values() for file in found.values())
    ways = {name: found for name, found in ways.items() if all(often[file] == 1 for file in found.values())}
    taken = {name: folder.joinpath(*file) for name, found in ways.items() for file in found.values()}
    used = [place for place, _ in Counter(place for found in ways.values() for place in found).most_common()]
    if not taken:
        return {}, ""
    where = joined([f"'{escape('/'.join(place))}/'" if place else "the table's folder" for place in used[:3]])
    where = where if len(used) <= 3 else f"{plural(len(used), 'folder')} below the table's"
    share = f"{len(taken):,} of {plural(len(names), 'picture')}"
    return taken, f"No picture is where the table says; {share} found by name in {where}."


def _files(folder: Path) -> dict[str, list[Parts]]:
    """Every picture below a folder as components, by its name and by its name without the ending."""
    found: dict[str, list[Parts]] = defaultdict(list)
    seen = 0
    for here, folders, files in os.walk(folder):
        at = Path(here).relative_to(folder).parts
        folders[:] = sorted(name for name in folders if not is_litter(name)) if len(at) < DEEP else []
        for name in files:
            if PurePath(name).suffix.lower() in ENDINGS and not is_litter(name):
                for key in {nfc(name), nfc(PurePath(name).stem)}:
                    found[key].append((*at, name))
        seen += len(files)
        if seen > MANY:
            break
    return found


def _ways(name: Parts, files: Mapping[str, list[Parts]]) -> dict[Parts, Parts]:
    """The files that end as a name does, as far as any does, by the folder that the rest of the name is below."""
    candidates = files.get(name[-1], []) if name else []
    most = max((_common(name, file) for file in candidates), default=0)
    nearest = [file for file in candidates if _common(name, file) == most]
    ways = {file[: len(file) - most]: file for file in nearest}
    return ways if len(ways) == len(nearest) else {}  # 7.jpg and 7.png in one folder


def _common(name: Parts, file: Parts) -> int:
    """How many components at the end are equal; the last is, perhaps but for its ending."""
    n = 1
    while n < min(len(name), len(file)) and name[-n - 1] == nfc(file[-n - 1]):
        n += 1
    return n
