"""Reading files that may be anything: a pipe never blocks, a huge file is not read, a lost one has its verdict."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import IO

from headstart.errors import Refused
from headstart.images.decode import DEFAULT_LIMITS, Limits

_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def open_file(path: Path, limits: Limits = DEFAULT_LIMITS) -> IO[bytes]:
    """A regular file, opened; raises `Refused` for pipes, folders, missing, empty and oversized files."""
    try:
        descriptor = os.open(path, _FLAGS)  # O_NONBLOCK: opening a pipe without a writer returns at once
    except FileNotFoundError:
        raise Refused("missing-file", "no such file") from None
    except IsADirectoryError:
        raise Refused("not-a-file", "a folder") from None
    except (OSError, ValueError) as error:
        reason = "not-a-file" if os.path.isdir(path) else "unreadable"  # noqa: PTH112 (never raises)
        raise Refused(reason, getattr(error, "strerror", None) or str(error)) from None
    try:
        check_status(os.fstat(descriptor), limits)
    except Refused:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def check_status(status: os.stat_result, limits: Limits = DEFAULT_LIMITS) -> None:
    """Refuse what is not a regular file of 1 to `limits.max_bytes` bytes."""
    if not stat.S_ISREG(status.st_mode):
        raise Refused("not-a-file", _kind(status.st_mode))
    if status.st_size == 0:
        raise Refused("empty-file", "0 bytes")
    if status.st_size > limits.max_bytes:
        raise Refused("too-many-bytes", f"{status.st_size} bytes is over {limits.max_bytes}")


def read_file(path: Path, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """The bytes of a regular file; raises `Refused` as `open_file`."""
    try:
        with open_file(path, limits) as file:  # asking for all that is allowed would set that much memory aside
            content = os.read(file.fileno(), size := os.fstat(file.fileno()).st_size)
            return content if len(content) == size else content + file.read(limits.max_bytes + 1 - len(content))
    except OSError as error:
        raise Refused("unreadable", error.strerror or str(error)) from None


def peek(path: Path, n: int) -> bytes:
    """The first `n` bytes of a regular file; raises `Refused` as `open_file`."""
    with open_file(path) as file:
        return file.read(n)


def _kind(mode: int) -> str:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")
