"""Room for many rows: in memory, or in a mapped file where they are too many."""

from __future__ import annotations

import os
import tempfile
from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from headstart.errors import WeightsError
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


class RowMatrix:
    """Rows (d,) of n pictures, put in place in any order; room is made when the first row tells d and the type."""

    def __init__(self, n: int) -> None:
        self.filled = np.zeros(n, dtype=bool)
        self._matrix: NDArray[Any] | None = None

    def place(self, i: int, row: NDArray[Any]) -> None:
        """Set row i. Raises WeightsError where it is of another length than those before."""
        if self._matrix is None:
            self._matrix = allocate((len(self.filled), len(row)), row.dtype)
        if len(row) != self._matrix.shape[1]:
            raise WeightsError(
                f"The network gives {len(row):,} features for one picture and {self._matrix.shape[1]:,} for another: "
                "choose a `layer` whose size does not depend on the picture."
            )
        self._matrix[i] = row
        self.filled[i] = True

    def repeat(self, i: int, origin: int) -> None:
        """Set row i to row `origin`, which is in place."""
        assert self._matrix is not None
        self.place(i, self._matrix[origin])

    def without_gaps(self) -> NDArray[Any]:
        """The m rows that are in place, (m, d), moved up over the gaps: no second matrix is needed."""
        assert self._matrix is not None
        kept = np.flatnonzero(self.filled)
        for target, origin in enumerate(kept):
            if target != origin:
                self._matrix[target] = self._matrix[origin]
        return self._matrix[: len(kept)]
