"""Room on disk: a limit on what the feature store takes, and compaction.

    features/limit.json    {"bytes": 20000000000}, where there is a limit

Over the limit, whole spaces go, the least recently used first: their rows can be computed again, and half a space
would be of little use. The limit is kept whenever an extraction ends; what that has used stays, so one set of pictures
whose features exceed the limit is still stored once.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Set
from pathlib import Path

import lmdb

from headstart import outputs, records
from headstart.errors import UserError
from headstart.features import soundness
from headstart.features.store import ENGINE, ENVIRONMENTS, MAP_SIZES
from headstart.shared import locked

LIMIT = "limit.json"
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
COMPACTING = "compacting-"


def bytes_in(text: str) -> int:
    """`20G`, `1.5 TB`, `500m` -> bytes, in units of 1,000. Raises UserError."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)B?\s*", text, re.IGNORECASE)
    if found is None:
        raise UserError(f"{text!r} is not a size: write 20G or 500M, for example, or `none` for no limit.")
    return int(float(found[1]) * UNITS[found[2].upper()])


def limit(root: Path) -> int | None:
    """The limit in bytes; None where there is none, or where it cannot be read."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        return int(json.loads((root / LIMIT).read_text())["bytes"])
    return None


def set_limit(root: Path, most: int | None) -> None:
    """Remember a limit, or that there is none."""
    if most is None:
        (root / LIMIT).unlink(missing_ok=True)
    else:
        outputs.make(root)
        records.write_json(root / LIMIT, {"bytes": most})


def keep_to_limit(root: Path, spared: Set[str] = frozenset()) -> list[tuple[str, int]]:
    """Drop the least recently used spaces until the rest is within the limit; the names that went, with their bytes.

    Spaces by a name in `spared`, and those that this process has open, stay.
    """
    most = limit(root)
    if most is None:
        return []
    folders = sorted(_folders(root), key=last_used)
    total, gone = sum(map(size_of, folders)), list[tuple[str, int]]()
    for folder in folders:
        if total <= most:
            break
        if folder.name in spared or ENVIRONMENTS.shared(folder):
            continue
        size = size_of(folder)
        with contextlib.suppress(OSError):  # another process has it open, on a system that minds
            shutil.rmtree(folder)
            gone.append((folder.name, size))
            total -= size
    return gone


def compact(root: Path) -> int:
    """Write every space anew without its free pages, and delete what was set aside as damaged; the bytes freed.

    A space that is in use here, or damaged, stays as it is.
    """
    before = sum(map(size_of, _folders(root)))
    for folder in _folders(root):
        for rest in (*folder.glob("*.damaged"), *folder.glob(f"{COMPACTING}*")):
            _remove(rest)
        with contextlib.suppress(OSError, lmdb.Error):
            _compact(folder)
    return before - sum(map(size_of, _folders(root)))


def _compact(folder: Path) -> None:
    used = last_used(folder)
    with locked(folder):
        if ENVIRONMENTS.shared(folder) or not soundness.is_sound(folder):
            return
        with tempfile.TemporaryDirectory(prefix=COMPACTING, dir=folder) as place:
            env = lmdb.open(str(folder), readonly=True, lock=False, map_size=MAP_SIZES[0], lib_version=ENGINE)
            with contextlib.closing(env):
                env.copy(place, compact=True)
            copy = Path(place) / "data.mdb"
            os.utime(copy, (used, used))
            if copy.stat().st_size < (folder / "data.mdb").stat().st_size:
                ENVIRONMENTS.settle(folder, copy)
    os.utime(folder / "sound.json", (used, used))  # it was not used now


def _remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _folders(root: Path) -> list[Path]:
    return [path for path in root.iterdir() if path.is_dir()] if root.is_dir() else []


def size_of(folder: Path) -> int:
    """The bytes of a space's files."""
    return sum(stat.st_size for stat in _stats(folder))


def last_used(folder: Path) -> float:
    """When a space was last closed, in Unix seconds; 0 where it is gone."""
    with contextlib.suppress(FileNotFoundError):
        return max((stat.st_mtime for stat in _stats(folder)), default=folder.stat().st_mtime)
    return 0.0


def _stats(folder: Path) -> Iterator[os.stat_result]:
    """What the system says of each file of a space; those that another process deletes meanwhile are passed over."""
    with contextlib.suppress(FileNotFoundError):
        for path in folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                yield path.stat()
