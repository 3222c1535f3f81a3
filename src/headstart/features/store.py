"""FeatureStore: features on disk under the content of the picture, so none is computed twice.

A store holds one *space*: all rows made by the same weights, preprocessing, layer, engine and precision. Each space is
an LMDB environment in a folder of its own, named by the hash of what makes the space, so a changed setting is another
folder and old ones can be listed and deleted.

    features/<space id>/space.json   what the space is, in words
    features/<space id>/data.mdb     key: 16 bytes, digest of the picture's content
                                     value: 4 bytes crc32(space id, key, row) + the row, little-endian: float32, or
                                     what the space says as `dtype`
    features/<space id>/sound.json   size and times of data.mdb when it was last closed in order

The checksum covers the space and the key, so a flipped bit, a row under the wrong key and a file moved in from another
space are all seen, and the row is computed again. Damage to the file's own structure is `soundness`'s business.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import queue
import struct
import threading
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import lmdb
import numpy as np

from headstart import records
from headstart.engines import Row
from headstart.features import soundness
from headstart.shared import locked, room

Waiting = tuple[bytes, Row] | threading.Event | None
"""What the writing thread is handed: a row under its key, someone who waits until all is written, or the end."""

COMMIT_ROWS = 512
COMMIT_SECONDS = 1.0
ENGINE = 0
"""The file format is that of LMDB 0.9, which every version of the library reads; lmdb 3 could write that of 1.0 too."""
BROKEN = "broken"
"""Marks a space in which a damaged page was met."""
DAMAGE = (
    lmdb.CorruptedError, lmdb.PageNotFoundError, lmdb.InvalidError, lmdb.PanicError, lmdb.VersionMismatchError,
    lmdb.CursorFullError, lmdb.PageFullError, lmdb.BadTxnError,
)  # fmt: skip
MAP_SIZES = (1 << 40, 1 << 36, 1 << 32)  # a sparse address range, not disk; smaller ones where the system limits it


def space_id(space: Mapping[str, Any]) -> str:
    """32 hexadecimal digits that change whenever any setting of the space does."""
    text = json.dumps(space, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@dataclass
class FeatureStore:
    """The rows of one space. Safe for several threads and processes; a failing disk ends storing, never the run.

    `problem` is None, or the sentence that says why rows are no longer stored. `corrupt` counts the rows whose checksum
    failed; they read as missing.
    """

    folder: Path
    identity: bytes
    env: Any
    writable: bool
    problem: str | None = None
    corrupt: int = 0
    dtype: str = "<f4"
    _queue: queue.SimpleQueue[Waiting] = field(default_factory=queue.SimpleQueue)
    _writer: threading.Thread | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def open(cls, root: Path, space: Mapping[str, Any]) -> FeatureStore:
        """Open the space under `root`, creating it; on any failure the store is empty and `problem` says why."""
        name = space_id(space)
        folder = root / name
        env, writable, problem = None, True, None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not (folder / "space.json").exists():
                records.write_json(folder / "space.json", space)
            with locked(folder):  # so that none opens what another is about to set aside
                problem = _set_aside_if_damaged(folder)
                env = ENVIRONMENTS.open(folder)
        except (OSError, lmdb.Error) as error:
            env, writable, problem = _read_only(folder, error)
        return cls(folder, bytes.fromhex(name), env, writable, problem, dtype=space.get("dtype", "<f4"))

    def get(self, key: bytes) -> Row | None:
        """The row stored under `key`, (d,), or None when it is missing or its checksum fails."""
        if self.env is None:
            return None
        try:
            with self.env.begin(buffers=True) as txn:
                value = txn.get(key)
                if value is None:
                    return None
                row = unpack(self.identity, key, value, self.dtype)
        except lmdb.Error as error:
            row = None
            self._damaged(error)
        if row is None:
            with self._lock:
                self.corrupt += 1
        return row

    def put(self, key: bytes, row: Row) -> None:
        """Hand one row to the writing thread; returns at once."""
        if self.env is None or not self.writable:
            return
        with self._lock:
            if self._writer is None:
                self._writer = threading.Thread(target=self._write, name="feature-store", daemon=True)
                self._writer.start()
        self._queue.put((key, row))

    def flush(self) -> None:
        """Write what is waiting, and mark the file as it then is as sound: a process killed later costs no check."""
        if self._writer is None:
            return
        written = threading.Event()
        self._queue.put(written)
        written.wait()
        ENVIRONMENTS.mark(self.folder)

    def close(self) -> None:
        """Write what is waiting, and mark the file as closed in order."""
        if self._writer is not None:
            self._queue.put(None)
            self._writer.join()
            self._writer = None
        if self.env is not None:
            ENVIRONMENTS.close(self.folder)
            self.env = None

    def __enter__(self) -> FeatureStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self) -> None:
        batch: list[tuple[bytes, bytes]] = []
        due = 0.0
        while True:
            item: Waiting | Literal["late"]
            try:
                item = self._queue.get(timeout=max(0.01, due - time.monotonic()) if batch else None)
            except queue.Empty:
                item = "late"
            if isinstance(item, tuple):
                if not batch:
                    due = time.monotonic() + COMMIT_SECONDS
                batch.append((item[0], _pack(self.identity, item[0], item[1], self.dtype)))
                if len(batch) < COMMIT_ROWS and time.monotonic() < due:
                    continue
            self._commit(batch)
            batch = []
            if isinstance(item, threading.Event):
                item.set()
            elif item is None:
                return

    def _commit(self, batch: list[tuple[bytes, bytes]]) -> None:
        if not batch or not self.writable:
            return
        try:
            with self.env.begin(write=True) as txn:
                for key, value in batch:
                    txn.put(key, value)
        except (OSError, lmdb.Error) as error:
            self.writable = False
            if not self._damaged(error):
                why = f"no more can be written to {self.folder.parent} ({error})"
                self.problem = f"Features are no longer stored: {why}{room(self.folder)}."

    def _damaged(self, error: Exception) -> bool:
        """Whether an error comes of a damaged page; then no more is stored, and the next to open the space begins anew.

        A row whose checksum fails is no such damage: it is computed again and replaced.
        """
        if not isinstance(error, DAMAGE):
            return False
        with self._lock:
            self.writable = False
            self.problem = f"The feature store {self.folder.name} is damaged ({error}); the next run starts a new one."
        with contextlib.suppress(OSError):
            (self.folder / BROKEN).touch()
        return True


def _pack(identity: bytes, key: bytes, row: Row, dtype: str) -> bytes:
    payload = np.ascontiguousarray(row, dtype=dtype).tobytes()
    return struct.pack("<I", _checksum(identity, key, payload)) + payload


def unpack(identity: bytes, key: bytes, value: memoryview, dtype: str) -> Row | None:
    """The row in a stored value, or None when its checksum does not fit the space and the key."""
    return np.frombuffer(value[4:].tobytes(), dtype=dtype) if holds(identity, key, value) else None


def holds(identity: bytes, key: bytes, value: memoryview) -> bool:
    """Whether the checksum of a stored value fits the space and the key."""
    return len(value) > 4 and bool(struct.unpack("<I", value[:4])[0] == _checksum(identity, key, value[4:]))


def _checksum(identity: bytes, key: bytes, payload: bytes | memoryview) -> int:
    return zlib.crc32(payload, zlib.crc32(key, zlib.crc32(identity)))


class _Environments:
    """The environments open in this process: LMDB allows each file once, so users of a folder share one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[tuple[int, Path], tuple[Any, int]] = {}

    def open(self, folder: Path) -> Any:
        """The environment of `folder`, opened for reading and writing."""
        with self._lock:
            key = (os.getpid(), folder.resolve())
            env, users = self._open.get(key, (None, 0))
            if env is None:
                env = _first_that_works(folder)
                env.reader_check()
            self._open[key] = (env, users + 1)
            return env

    def close(self, folder: Path) -> None:
        """Give the environment back; the last user closes it and leaves the mark of an orderly end."""
        with self._lock:
            key = (os.getpid(), folder.resolve())
            if key not in self._open:
                return
            env, users = self._open[key]
            if users > 1:
                self._open[key] = (env, users - 1)
                return
            del self._open[key]
            env.close()
            _mark_sound(folder)

    def mark(self, folder: Path) -> None:
        """Leave the mark of an orderly state while the environment stays open; where it has other users, they will."""
        with self._lock:
            if self._open.get((os.getpid(), folder.resolve()), (None, 0))[1] == 1:
                _mark_sound(folder)

    def settle(self, folder: Path, data: Path) -> None:
        """Put `data` in the place of the data file of a folder that nobody here has open, marked as sound.

        The lock goes with the old file: others that still have that open go on with both, and what they add is lost.
        """
        with self._lock:
            if self.shared(folder):
                raise BlockingIOError(f"{folder} is in use")
            data.replace(folder / "data.mdb")
            (folder / "lock.mdb").unlink(missing_ok=True)
            _mark_sound(folder)

    def shared(self, folder: Path) -> bool:
        """Whether this process has the folder open already."""
        return (os.getpid(), folder.resolve()) in self._open


ENVIRONMENTS = _Environments()


def _mark_sound(folder: Path) -> None:
    with contextlib.suppress(OSError):
        records.write_json(folder / "sound.json", soundness.mark(folder / "data.mdb"))


def _first_that_works(folder: Path) -> Any:
    for size in MAP_SIZES:
        try:
            return lmdb.open(str(folder), map_size=size, max_readers=512, lib_version=ENGINE)
        except (MemoryError, lmdb.MemoryError):
            continue
        except lmdb.Error as error:
            if size == MAP_SIZES[-1] or "memory" not in str(error).lower():
                raise
    raise OSError("no address space for the feature store")


def _read_only(folder: Path, error: Exception) -> tuple[Any, bool, str]:
    """An environment that can at least be read, if there is one."""
    problem = f"Features are not stored: {folder.parent} cannot be written ({error})."
    with contextlib.suppress(OSError, lmdb.Error):
        if (folder / "data.mdb").is_file() and not ENVIRONMENTS.shared(folder) and soundness.is_sound(folder):
            return (
                lmdb.open(str(folder), readonly=True, lock=False, map_size=1 << 36, lib_version=ENGINE),
                False,
                problem,
            )
    return None, False, problem


def _set_aside_if_damaged(folder: Path) -> str | None:
    """Rename a file whose structure is damaged, so that the space starts anew; the sentence to show, or None."""
    data, broken = folder / "data.mdb", folder / BROKEN
    if not data.exists() or data.stat().st_size == 0 or ENVIRONMENTS.shared(folder):
        return None
    if not broken.exists() and soundness.is_sound(folder):
        return None
    with contextlib.suppress(FileNotFoundError):  # another process may have done it a moment ago
        data.rename(folder / "data.mdb.damaged")
    for name in ("lock.mdb", "sound.json", BROKEN):
        (folder / name).unlink(missing_ok=True)
    return f"The feature store {folder.name} was damaged; it was set aside and its features are computed again."
