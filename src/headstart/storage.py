"""Folders of files here or far away: a path, or an address such as s3://bucket/photos, read by pyarrow or fsspec."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from headstart.errors import UserError, first_line
from headstart.paths import expanded
from headstart.shared import replacing

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def is_address(data: Any) -> bool:
    """Whether this is text such as `s3://bucket/photos`, `gs://...` or `file:///photos`."""
    return isinstance(data, str) and _ADDRESS.match(data) is not None


@dataclass(frozen=True)
class Stored:
    """A file below a folder: its name relative to it, its bytes, and when it was written (nanoseconds, 0: unknown)."""

    name: str
    size: int
    written: int


@dataclass(frozen=True)
class Storage:
    """A folder by its path or address."""

    place: str

    @classmethod
    def of(cls, place: str | Path) -> Storage:
        """The folder; a path becomes absolute."""
        return cls(str(place).rstrip("/") if is_address(place) else str(expanded(place).absolute()))

    @property
    def local(self) -> Path | None:
        """Its path, where it has no address."""
        return None if is_address(self.place) else Path(self.place)

    def __str__(self) -> str:
        return self.place

    def files(self, *, deep: bool = False) -> Iterator[Stored]:
        """The files in it, with those of folders below where `deep`; none where there is no such folder."""
        from pyarrow.fs import FileSelector, FileType

        filesystem, root = opened(self.place)
        with _said(self.place):
            for info in filesystem.get_file_info(FileSelector(root, allow_not_found=True, recursive=deep)):
                if info.type == FileType.File:
                    yield Stored(info.path[len(root) :].lstrip("/"), info.size, info.mtime_ns or 0)

    def find(self, name: str) -> Stored | None:
        """A file in it; None where there is none of that name, or where that is a folder."""
        from pyarrow.fs import FileType

        filesystem, root = opened(self.place)
        with _said(self.place):
            info = filesystem.get_file_info(f"{root}/{name}")
        return Stored(name, info.size, info.mtime_ns or 0) if info.type == FileType.File else None

    def read(self, name: str) -> bytes:
        """The bytes of a file. Raises FileNotFoundError and other kinds of OSError."""
        if self.local is not None:
            return (self.local / name).read_bytes()
        with self.open(name) as file:
            return bytes(file.read())

    def open(self, name: str) -> Any:
        """A file of pyarrow to read from at any place in it; close it. Raises as `read` does."""
        filesystem, root = opened(self.place)
        return filesystem.open_input_file(f"{root}/{name}")

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole or not at all. Raises OSError, of a full disk with its place."""
        if self.local is not None:
            with replacing(self.local / name) as part:
                part.write_bytes(content)
            return
        filesystem, root = opened(self.place)
        filesystem.create_dir(root, recursive=True)
        with filesystem.open_output_stream(f"{root}/{name}") as file:  # there once it is closed
            file.write(content)

    def delete(self, name: str) -> None:
        """Remove a file."""
        filesystem, root = opened(self.place)
        filesystem.delete_file(f"{root}/{name}")


class _said:
    """What pyarrow says against an address, as a UserError."""

    def __init__(self, place: str) -> None:
        self.place = place

    def __enter__(self) -> None: ...

    def __exit__(self, _: Any, error: BaseException | None, __: Any) -> None:
        if isinstance(error, OSError):
            raise UserError(f"{self.place} cannot be read: {first_line(error)}.") from error


@lru_cache(maxsize=16)
def opened(place: str) -> tuple[Any, str]:
    """The file system of a path or address, and the path within it.

    pyarrow's own for s3, gs, hdfs and file; any other that fsspec knows by its package. Raises UserError for others.
    """
    from pyarrow import fs

    if not is_address(place):
        return fs.LocalFileSystem(), place
    try:
        found: tuple[Any, str] = fs.FileSystem.from_uri(place)
        return found
    except (ValueError, OSError) as refused:
        import fsspec

        try:
            filesystem, path = fsspec.core.url_to_fs(place)
        except (ValueError, ImportError) as error:
            told = first_line(refused if "not known" in str(error) else error)
            raise UserError(f"{place} cannot be opened: {told}.") from error
        return fs.PyFileSystem(fs.FSSpecHandler(filesystem)), path.rstrip("/")
