"""The HDF5 file within a file of Keras, and how what is wrong with either is said.

A `.keras` file is a zip archive; it may come from a stranger, so no member may point out of it, and what is unpacked
is bounded.
"""

from __future__ import annotations

import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from headstart.errors import WeightsError

MAX_FILE = 4 << 30
"""Bytes of the weights within a `.keras` file, which may hold an optimiser's state of twice their size."""
MAX_RATIO = 20
"""Keras does not compress, and weights hardly can be."""
INNER = "model.weights.h5"


class Unusable(Exception):
    """One clause that says what is wrong with a file."""


DAMAGED = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, zipfile.BadZipFile)
"""What h5py and zipfile raise for files that are not what they should be."""


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """What goes wrong within is a WeightsError that names the file."""
    try:
        yield
    except (Unusable, *DAMAGED) as error:
        clause = str(error) if isinstance(error, Unusable) else "it is damaged, or of another format"
        raise WeightsError(f"{path} cannot be used as a weights file of Keras: {clause}.") from error


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The HDF5 file itself; that of a `.keras` file is unpacked into a temporary file that has no name."""
    if path.suffix.lower() != ".keras":
        with path.open("rb") as file:
            yield file
        return
    with zipfile.ZipFile(path) as archive, tempfile.TemporaryFile() as unpacked:
        with archive.open(_member(archive)) as packed:  # gives no more bytes than the table says
            shutil.copyfileobj(packed, unpacked)
        unpacked.seek(0)
        yield unpacked


def _member(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """The member with the weights, in an archive that has nothing in it that Keras does not write."""
    for info in archive.infolist():
        name = PurePosixPath(info.filename.replace("\\", "/"))
        if name.is_absolute() or ".." in name.parts or ":" in info.filename:
            raise Unusable(f"its member {info.filename!r} points out of the archive")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise Unusable(f"its member {info.filename!r} is a link")
    found = [info for info in archive.infolist() if info.filename == INNER]
    if len(found) != 1:
        raise Unusable(f"it holds {len(found)} members {INNER}, not one")
    if found[0].file_size > min(MAX_FILE, MAX_RATIO * found[0].compress_size):
        raise Unusable(f"its {INNER} would expand from {found[0].compress_size:,} to {found[0].file_size:,} bytes")
    return found[0]
