"""Files that other processes may read or write at the same time: one lock, and one way to replace a file.

`replacing` writes beside a file and moves the result into its place in one step, so that a reader, even one that has
the old file mapped, never sees a part of the new one. `locked` lets one process at a time make what several want.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO

WAIT_S = 600.0
"""After this long a holder of a lock is taken to be stuck, and the work is done without what it keeps."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
ASIDE = ".0.part"
"""How the name of a folder ends that was moved aside while a new one takes its place."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """The name of a part beside `path`, which replaces it when the block ends in order and is removed when it does not.

    The folder is made. Raises OSError; where the disk is full its `filename` is `path`.
    """
    part = path.with_name(f"{_stem(path)}{os.getpid()}.{threading.get_ident()}.part")
    try:
        with naming(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield part
            part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


@contextlib.contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """The same for a folder: an empty one beside it to be filled; an older one goes when the new one is complete."""
    with locked(folder):
        part = folder.with_name(f"{_stem(folder)}{os.getpid()}.{threading.get_ident()}.part")
        old = part.with_name(f"{_stem(folder)}{os.getpid()}.{threading.get_ident()}{ASIDE}")
        try:
            with naming(folder):
                part.mkdir(parents=True)
                yield part
                if folder.exists():
                    folder.replace(old)
                part.replace(folder)
        finally:
            for rest in (part, old):
                _clear(rest, folder)


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Whatever a library raises where the disk of `path` is full becomes an OSError that names `path`."""
    try:
        yield
    except Exception as error:
        if (number := full(error)) is None:
            raise
        raise OSError(number, os.strerror(number), str(path)) from error


def full(error: Exception) -> int | None:
    """The number of an error that says that a disk or a quota is full or a file too large; else None."""
    found = getattr(error, "errno", None)
    if found in FULL:
        return int(found)
    said = str(error)  # of libraries that are not written in Python
    return next((number for number in FULL if f"os error {number})" in said or os.strerror(number) in said), None)


@contextlib.contextmanager
def locked(path: Path, wait_s: float = WAIT_S) -> Iterator[bool]:
    """Hold the lock of `path`, a file `.NAME.lock` beside it, and give True; parts that killed processes left are gone.

    The file goes with the lock.

    False, and no lock, where the folder cannot be written, the system has no such locks, or another process holds it
    for `wait_s` seconds. The lock goes with its process, however that ends.
    """
    try:
        import fcntl
    except ImportError:  # Windows: files are still replaced in one step
        yield False
        return
    lock, until = path.with_name(f"{_stem(path)}lock"), time.monotonic() + wait_s
    file, held = None, False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        while file is None:
            file = lock.open("ab")
            held = _taken(partial(fcntl.flock, file, fcntl.LOCK_EX | fcntl.LOCK_NB), until)
            if held and not _is_at(file, lock):  # its holder has deleted it: others lock the next
                file.close()
                file = None
    except OSError:
        yield False
        return
    with file:
        if held:
            for part in path.parent.glob(f"{glob.escape(_stem(path))}[0-9]*.[0-9]*.part"):
                _clear(part, path)
        try:
            yield held
        finally:
            if held:
                remove(lock)


def remove(path: Path) -> None:
    """Delete a file or a folder, if the system lets it and another has not done so."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def _clear(part: Path, path: Path) -> None:
    """Remove a part of `path`; what was moved aside, where nothing has taken its place, goes back there instead."""
    if part.name.endswith(ASIDE) and not path.exists():
        with contextlib.suppress(OSError):
            part.replace(path)
    else:
        remove(part)


def room(path: Path) -> str:
    """`12.3 MB free`, of the disk that holds `path` or will hold it; empty where the system does not say."""
    with contextlib.suppress(OSError):
        return f" ({shutil.disk_usage(existing(path)).free / 1e6:,.1f} MB free)"
    return ""


def fullest() -> Path:
    """Of the folders that work is done in, the one on the disk with the least room: where a file has no name."""
    return min((Path(tempfile.gettempdir()), Path.cwd()), key=lambda place: shutil.disk_usage(place).free)


def existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    found = path.absolute()
    while not found.exists() and found != found.parent:
        found = found.parent
    return found


def check_writable(folder: Path) -> None:
    """Raise OSError if no file can be made in `folder`, or in the folder above it where it will be made."""
    place = existing(folder)
    if not place.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(place))
    try:
        with tempfile.NamedTemporaryFile(dir=place, prefix=".headstart-") as file:
            file.write(bytes(4096))
            file.flush()
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(place)) from error


def _is_at(file: IO[bytes], path: Path) -> bool:
    """Whether an open file is the one at this path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False


def _taken(take: Callable[[], None], until: float) -> bool:
    """Whether the lock could be taken by this time."""
    while True:
        try:
            take()
            return True
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.02)
        except OSError:  # a network disk without locks
            return False


def _stem(path: Path) -> str:
    """What the names of a file's lock and parts begin with; short enough for any file system."""
    name = path.name
    if len(name) > 60:
        name = name[:30] + hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    return f".{name}."
