"""External data of ONNX files: tensors whose values lie in other files, which are part of the network all the same.

The names of these files are found by a bounded walk through the protobuf messages that can hold a tensor. A file from
a stranger may name any path: only regular files in the folder of the `.onnx`, or below, are ever opened.
"""

from __future__ import annotations

import hashlib
import mmap
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from headstart import tensors
from headstart.errors import WeightsError

MAX_FIELDS = 1_000_000
"""Of all messages that are walked through; a large transformer has some 100,000."""
MAX_DEPTH = 60
MAX_TAG = 2**32 - 1
MAX_BYTES = 16 << 30
"""Of one external file."""
NESTED: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
"""onnx.proto: the fields by number that lead to a tensor's `external_data`."""
Rename = Callable[[str], str]
Pieces = list[memoryview | bytes]


def content(path: Path) -> str | None:
    """A sha256 of the network with its external data, whatever their files are called; None where it has none.

    Raises WeightsError for a file that is damaged or names data outside its folder.
    """
    sums: dict[str, str] = {}

    def digest(location: str) -> str:
        if location not in sums:
            sums[location] = tensors.sha256(inside(path, location))
        return sums[location]

    state = hashlib.sha256()
    for piece in _rewritten(path, digest) or ():
        state.update(piece)
    return state.hexdigest() if sums else None


def files(path: Path) -> set[Path]:
    """An `.onnx` and the files of its external data.

    Raises WeightsError for a file that is damaged, or names data outside its folder or that are not there.
    """
    found = {path}

    def kept(location: str) -> str:
        found.add(inside(path, location))
        return location

    _rewritten(path, kept)
    return found


def copy(path: Path, file: Path) -> None:
    """Copy an `.onnx` to `file`, and its external data beside that as `FILE.1.data`, ... Raises WeightsError."""
    names: dict[str, str] = {}

    def rename(location: str) -> str:
        return names.setdefault(location, f"{file.name}.{len(names) + 1}.data")

    pieces = _rewritten(path, rename)
    if pieces is None:
        shutil.copyfile(path, file)
        return
    with file.open("wb") as out:
        out.writelines(pieces)
    for location, name in names.items():
        shutil.copyfile(inside(path, location), file.with_name(name))


def inside(path: Path, location: str) -> Path:
    """The external file that an `.onnx` names, which must lie in its folder or below. Raises WeightsError."""
    folder, pure = path.resolve().parent, PurePosixPath(location)
    cure = "export the network again with its data next to the file"
    plain = location.isprintable() and "\\" not in location and ":" not in location and not location.startswith("*")
    if not pure.parts or not plain or pure.is_absolute() or ".." in pure.parts:
        raise WeightsError(
            f"{path} names external data at {location!r}, which is not a path inside its folder; {cure}."
        )
    file = (folder / pure).resolve()
    if not file.is_relative_to(folder):
        raise WeightsError(f"{path} names external data at {location!r}, which links out of its folder; {cure}.")
    if not file.is_file():
        raise WeightsError(f"{path} needs the external data '{location}', which is not next to it; copy that file too.")
    if file.stat().st_size > MAX_BYTES:
        raise WeightsError(f"{file} is over the limit of {MAX_BYTES:,} bytes for external data.")
    return file


def _rewritten(path: Path, rename: Rename) -> Pieces | None:
    """The file in pieces with every location renamed; None where it names none. Raises WeightsError."""
    if not path.stat().st_size:
        raise WeightsError(f"{path} cannot be read as an ONNX network: it is empty.")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        if mapped.find(b"location") < 0:  # the key of every location
            return None
    try:
        return _Walk(rename).message(memoryview(path.read_bytes()), "model", 0)
    except (ValueError, IndexError) as error:
        clause = str(error) if type(error) is ValueError else "it is damaged or truncated"
        raise WeightsError(f"{path} cannot be read as an ONNX network: {clause}.") from error


class _Walk:
    """A walk through one file that counts the fields it meets."""

    def __init__(self, rename: Rename) -> None:
        self.rename = rename
        self.left = MAX_FIELDS

    def message(self, view: memoryview, kind: str, depth: int) -> Pieces | None:
        """A message in pieces with its locations renamed; None where nothing in it changes."""
        if depth > MAX_DEPTH:
            raise ValueError(f"its parts are nested more than {MAX_DEPTH} deep")
        if kind == "entry":
            return self._entry(view)
        pieces: Pieces = []
        kept = 0
        for number, start, body, end in self._fields(view):
            if number not in NESTED[kind]:
                continue
            inner = self.message(view[body:end], NESTED[kind][number], depth + 1)
            if inner is not None:
                pieces += [view[kept:start], _head(number, sum(map(len, inner))), *inner]
                kept = end
        return [*pieces, view[kept:]] if pieces else None

    def _entry(self, view: memoryview) -> Pieces | None:
        """A key and its value; the last of each counts."""
        found = {number: bytes(view[body:end]) for number, _, body, end in self._fields(view)}
        if found.get(1) != b"location":
            return None
        value = self.rename(found.get(2, b"").decode()).encode()
        return [_head(1, 8), b"location", _head(2, len(value)), value]

    def _fields(self, view: memoryview) -> Iterator[tuple[int, int, int, int]]:
        """(number, start, start of the value, end) of each field that has a length."""
        at, size = 0, len(view)
        while at < size:
            self.left -= 1
            if self.left < 0:
                raise ValueError(f"it has more than {MAX_FIELDS:,} parts")
            start = at
            tag, at = _varint(view, at)
            if tag > MAX_TAG:  # other readers drop the bits above, and see another field
                raise ValueError("it is damaged")
            wire = tag & 7
            if wire == 0:
                _, at = _varint(view, at)
            elif wire in (1, 5):
                at += 8 if wire == 1 else 4
            elif wire == 2:
                length, body = _varint(view, at)
                at = body + length
            else:
                raise ValueError("it is damaged")
            if at > size:
                raise ValueError("it is damaged or truncated")
            if wire == 2:
                yield tag >> 3, start, body, at


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    """(number, where it ends)."""
    value = shift = 0
    while True:
        byte = view[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("it is damaged")


def _head(number: int, length: int) -> bytes:
    """What stands before a value of `length` bytes."""
    out = bytearray()
    for value in (number << 3 | 2, length):
        while value > 127:
            out.append(value & 127 | 128)
            value >>= 7
        out.append(value)
    return bytes(out)
