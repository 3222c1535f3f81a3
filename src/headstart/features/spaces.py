"""All spaces of the feature store: list, check, delete. What `headstart cache` shows."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lmdb

from headstart import documents
from headstart.errors import UnknownName, UserError
from headstart.features import room, soundness
from headstart.features.store import MAP_SIZES, holds


@dataclass(frozen=True)
class SpaceInfo:
    """One space on disk: its id, what it is, how many rows it holds, bytes on disk and last use (Unix seconds)."""

    id: str
    space: Mapping[str, Any]
    rows: int
    bytes: int
    used: float


def list_spaces(root: Path) -> Iterator[SpaceInfo]:
    """Every space under `root`, the most recently used first; an unreadable one counts 0 rows."""
    folders = [p for p in root.iterdir() if p.is_dir()] if root.is_dir() else []
    for folder in sorted(folders, key=room.last_used, reverse=True):
        space: Mapping[str, Any] = {}
        with contextlib.suppress(OSError, ValueError):
            space = documents.table(folder / "space.json")
        yield SpaceInfo(folder.name, space, _rows(folder), room.size_of(folder), room.last_used(folder))


def verify(root: Path, on_row: Callable[[], None] = lambda: None) -> Iterator[tuple[SpaceInfo, int]]:
    """Check every row of every space; yields each space with its number of bad rows (-1: the file is damaged)."""
    for info in list(list_spaces(root)):
        folder = root / info.id
        if not _whole(folder) or not soundness.walk(folder):
            yield info, -1
            continue
        yield info, _bad_rows(folder, on_row)


def whole_id(known: Sequence[str], wanted: str) -> str:
    """The one id that begins so. Raises UserError where none does, or several do; nothing begins every id."""
    found = [each for each in known if wanted and each.startswith(wanted)]
    if not found:
        raise UnknownName("space", wanted, [each[:8] for each in known])
    if len(found) > 1:
        several = ", ".join(each[:8] for each in found)
        raise UserError(f"'{wanted}' matches the ids of several spaces, {several}: give more of the id.")
    return found[0]


def clear(root: Path, ids: list[str] | None = None) -> int:
    """Delete the named spaces, or all; the number of bytes freed. Raises UserError as `whole_id` does."""
    freed, spaces = 0, list(list_spaces(root))
    named = None if ids is None else {whole_id([info.id for info in spaces], wanted) for wanted in ids}
    for info in spaces:
        if named is None or info.id in named:
            shutil.rmtree(root / info.id)
            freed += info.bytes
    return freed


def _bad_rows(folder: Path, on_row: Callable[[], None]) -> int:
    """The number of rows that are not what was stored, -1 where the file cannot be read."""
    bad, space = 0, bytes.fromhex(folder.name)
    try:
        with (
            lmdb.open(str(folder), readonly=True, lock=False, map_size=MAP_SIZES[0]) as env,
            env.begin(buffers=True) as txn,
        ):
            for key, value in txn.cursor():
                bad += not holds(space, bytes(key), value)
                on_row()
    except lmdb.Error:
        return -1
    return bad


def _whole(folder: Path) -> bool:
    data = folder / "data.mdb"
    return data.is_file() and soundness.long_enough(data)


def _rows(folder: Path) -> int:
    if not _whole(folder):
        return 0
    try:
        env = lmdb.open(str(folder), readonly=True, lock=False, map_size=MAP_SIZES[0])
    except lmdb.Error:
        return 0
    try:
        return int(env.stat()["entries"])
    finally:
        env.close()
