"""A zip archive read in place: nothing is unpacked to disk, and no member is read before its size is bounded.

The table of an archive may say anything, so names are labels only, links are not followed, and what it announces is
checked against the limits, against the size of the archive (members that overlap) and against a ratio (bombs).
"""

from __future__ import annotations

import os
import stat
import struct
import threading
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_LZMA, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from headstart.errors import DataError, Refused
from headstart.images.decode import DEFAULT_LIMITS, Limits

MAX_RATIO, FREE_BYTES = 200, 16 * 2**20
"""A member over `FREE_BYTES` may expand this many times, as any packed file; pictures are packed already."""
MAX_MEMBERS = 2_000_000
MAX_NAME, MAX_DEPTH = 4096, 64
"""Characters of a member's name, as many as a file system takes, and the folders in it."""
_METHODS = {9: "Deflate64", ZIP_BZIP2: "BZIP2", ZIP_LZMA: "LZMA", 93: "Zstandard", 95: "XZ"}
_ENCRYPTED, _UTF8 = 0x1, 0x800  # bits of a member's flags
_DAMAGED = (
    BadZipFile, EOFError, IndexError, KeyError, NotImplementedError, OSError, OverflowError, RuntimeError, ValueError,
    struct.error, zlib.error,
)  # fmt: skip


@dataclass(frozen=True)
class Member:
    """A file inside a zip archive; `name` is what the archive's table calls it."""

    archive: Path
    name: str

    def read(self, limits: Limits = DEFAULT_LIMITS, most: int | None = None) -> bytes:
        """Its bytes, the first `most` where that is given. Raises `Refused` as `images.files.read_file` does."""
        try:
            zipped, lock = _opened(self.archive, *_version(self.archive))
            info = zipped.getinfo(self.name)
            check_member(info, limits)
            with lock:
                file = zipped.open(info)
            try:
                return file.read(limits.max_bytes + 1 if most is None else most)
            finally:
                with lock:
                    file.close()
        except Refused:
            raise
        except FileNotFoundError:
            raise Refused("missing-file", f"no archive {self.archive.name}") from None
        except _DAMAGED as error:
            reason = "truncated" if isinstance(error, EOFError) else "unreadable"
            raise Refused(reason, f"in the archive: {error or type(error).__name__}") from None


def members(archive: Path) -> list[tuple[ZipInfo, tuple[str, ...]]]:
    """Every file of an archive with the components of its name, in the order of the archive's table.

    A name that leads out of the archive keeps its '..', for the caller to refuse. Raises `DataError` for a file that is
    no zip archive, is encrypted, or has members that overlap.
    """
    try:
        zipped, _ = _opened(archive, *_version(archive))
    except _DAMAGED as error:
        raise DataError(f"{archive} cannot be read as a zip archive: {error or type(error).__name__}.") from None
    files = [info for info in zipped.infolist() if info.filename and info.filename[-1] not in "/\\"]
    if len(files) > MAX_MEMBERS:
        raise DataError(f"{archive} holds {len(files):,} files, over {MAX_MEMBERS:,}; unpack it and give the folder.")
    if locked := [info for info in files if info.flag_bits & _ENCRYPTED]:
        raise DataError(
            f"{archive} is encrypted ({len(locked):,} of {len(files):,} files): unpack it with its password, and give "
            "the folder."
        )
    if sum(info.compress_size for info in files) > archive.stat().st_size:
        raise DataError(f"{archive} has overlapping members, which no zip program writes; it is not trusted.")
    return [(info, tuple(p for p in _text(info).replace("\\", "/").split("/") if p not in ("", "."))) for info in files]


def leads_out(info: ZipInfo) -> bool:
    """Whether a member's name is absolute, has '..', or names a drive."""
    path = PurePosixPath(info.filename.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or ":" in info.filename.split("/", 1)[0][:2]


def check_member(info: ZipInfo, limits: Limits = DEFAULT_LIMITS) -> None:
    """Refuse, unread, what has an endless name, is no regular file, is packed unusually or announces too many bytes."""
    if len(info.filename) > MAX_NAME or info.filename.replace("\\", "/").count("/") > MAX_DEPTH:
        raise Refused("unreadable", f"in the archive: a name of over {MAX_NAME:,} characters or {MAX_DEPTH} folders")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise Refused("not-a-file", "a link in the archive" if kind == stat.S_IFLNK else "no regular file")
    if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        method = _METHODS.get(info.compress_type, f"the method {info.compress_type}")
        raise Refused(
            "unreadable", f"packed by {method}, which is not supported: unpack the archive and give the folder"
        )
    if info.file_size == 0:
        raise Refused("empty-file", "0 bytes")
    if info.file_size > limits.max_bytes:
        raise Refused("too-many-bytes", f"{info.file_size} bytes is over {limits.max_bytes}")
    if info.file_size > max(FREE_BYTES, MAX_RATIO * info.compress_size):
        raise Refused("too-many-bytes", f"{info.compress_size} bytes would expand to {info.file_size}")


def _text(info: ZipInfo) -> str:
    """The name as it was meant: UTF-8 that is not marked as such (archives of macOS) is read as UTF-8."""
    if info.flag_bits & _UTF8:
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.filename


def _version(archive: Path) -> tuple[int, int, int]:
    """What tells an archive from a later one at the same place; and the process, which must not share an open file."""
    status = archive.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError("not a regular file")
    return status.st_mtime_ns, status.st_size, os.getpid()


@lru_cache(maxsize=4)
def _opened(archive: Path, *_: int) -> tuple[ZipFile, threading.Lock]:
    """The archive, its table read once; the lock is for opening and closing members."""
    return ZipFile(archive), threading.Lock()
