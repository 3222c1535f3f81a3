"""Safetensors files that may come from strangers: the header is bounded and checked before anything else is read."""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from headstart import documents

if TYPE_CHECKING:
    import torch

MAX_HEADER = 1 << 20
MAX_TENSORS = 20_000
MAX_NAME = 1000
BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "U16": 2, "I16": 2, "U32": 4, "I32": 4, "U64": 8, "I64": 8,
    "F16": 2, "BF16": 2, "F32": 4, "F64": 8,
}  # fmt: skip
"""The types that are read, with the bytes of a number."""


class Stored(NamedTuple):
    """A tensor as the header describes it; its numbers lie from `start` to `end` behind the header."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def header(path: Path, limit: int = MAX_HEADER) -> dict[str, Stored]:
    """What a safetensors file holds, by name; reads the header of at most `limit` bytes and no number.

    Types are among `BYTES`, and the tensors fill the file without a gap. Raises ValueError with one clause.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if length == 0 or 8 + length > size:
            raise ValueError("it is not a safetensors file, or it is truncated")
        if length > limit:
            raise ValueError(f"its header of {length:,} bytes is over the limit of {limit:,}")
        try:
            found = documents.parse(file.read(length))
        except ValueError as error:
            raise ValueError(f"its header cannot be used: {error}") from error
    if not isinstance(found, dict):
        raise ValueError("its header is not a table")
    found.pop("__metadata__", None)
    if len(found) > MAX_TENSORS:
        raise ValueError(f"it holds {len(found):,} tensors, over the limit of {MAX_TENSORS:,}")
    stored = {name: _stored(name, entry) for name, entry in found.items()}
    end = max((tensor.end for tensor in stored.values()), default=0)
    if 8 + length + end != size:
        raise ValueError(
            f"it should have {8 + length + end:,} bytes and has {size:,}: it is truncated, or something was appended"
        )
    _check_places(stored)
    return stored


def write(arrays: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Write arrays by name, with the rights of any new file: `save_file` lets its owner alone read it."""
    from safetensors.numpy import save

    path.write_bytes(save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))


def metadata(path: Path) -> dict[str, str]:
    """The texts that were written beside the tensors of a file whose `header` has been checked."""
    from safetensors import safe_open

    with safe_open(path, framework="np") as found:
        return dict(found.metadata() or {})


def arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a file by name, each in its own type but BF16; numbers are finite. Raises ValueError, OSError."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    for name, tensor in header(path).items():
        if tensor.dtype == "BF16":
            raise ValueError(f"its tensor {documents.shown(name)} has the type BF16, which no array here has")
    try:
        found: dict[str, NDArray[Any]] = load_file(path)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ValueError(str(error).rstrip(".")) from error
    for name, array in found.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"its tensor {documents.shown(name)} holds values that are not finite")
    return found


def state(path: Path, limit: int = MAX_HEADER) -> dict[str, torch.Tensor]:
    """The tensors of a file by name, on the CPU, each in its own type. Imports torch. Raises ValueError, OSError."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    header(path, limit)
    try:
        return dict(load_file(path))
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise ValueError(str(error).rstrip(".")) from error


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stored(name: str, entry: Any) -> Stored:
    told = documents.shown(name)
    if not name or len(name) > MAX_NAME:
        raise ValueError(f"the name of its tensor {told} is empty or has more than {MAX_NAME:,} characters")
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"its tensor {told} is not described by dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in BYTES:
        raise ValueError(
            f"its tensor {told} has the type {documents.shown(dtype)}; supported types are {', '.join(BYTES)}"
        )
    if not _counts(shape) or len(shape) > 8:
        raise ValueError(f"the shape of its tensor {told} is not a list of up to 8 sizes")
    if not _counts(offsets) or len(offsets) != 2:
        raise ValueError(f"the data_offsets of its tensor {told} are not two positions")
    if offsets[1] - offsets[0] != math.prod(shape) * BYTES[dtype]:
        raise ValueError(f"its tensor {told} does not have as many bytes as its shape and type say")
    return Stored(dtype, tuple(shape), *offsets)


def _counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 1 << 48 for value in values)


def _check_places(stored: dict[str, Stored]) -> None:
    place = 0
    for name, tensor in sorted(stored.items(), key=lambda item: (item[1].start, item[1].end)):
        if tensor.start != place:
            raise ValueError(f"its tensor {documents.shown(name)} does not begin where the one before it ends")
        place = tensor.end
