"""Room for many rows: in memory, or in a mapped file where they are too many."""

from __future__ import annotations

import os
import tempfile
from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from headstart.paths import cache_dir

IN_MEMORY = 2 << 30
"""Bytes; a larger matrix is mapped, so that the system keeps of it what it has room for."""


def allocate(shape: tuple[int, int], dtype: DTypeLike, in_memory: int = IN_MEMORY) -> NDArray[Any]:
    """An uninitialised (n, d) matrix. A mapped file has no name: its space is free again when the process ends."""
    if prod(shape) * np.dtype(dtype).itemsize <= in_memory:
        return np.empty(shape, dtype=dtype)
    folder = cache_dir() / "scratch"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            if hasattr(os, "posix_fallocate"):  # a disk that fills up under a mapped file would end the process
                os.posix_fallocate(file.fileno(), 0, prod(shape) * np.dtype(dtype).itemsize)
            return np.memmap(file, dtype=dtype, mode="w+", shape=shape)
    except OSError:  # no disk: memory, as long as it lasts
        return np.empty(shape, dtype=dtype)
