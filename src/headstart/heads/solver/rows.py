"""The rows a linear head is solved on, known only through their products."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from headstart.heads.solver.blocks import map_rows

Matrix = NDArray[np.float64]


class Rows(Protocol):
    """A matrix Z (n, d) that is used only through these products."""

    @property
    def width(self) -> int: ...  # noqa: D102
    def times(self, W: Matrix) -> Matrix: ...  # noqa: D102
    def transposed_times(self, R: Matrix) -> Matrix: ...  # noqa: D102
    def sample(self, indices: NDArray[np.intp]) -> NDArray[Any]: ...  # noqa: D102


@dataclass(frozen=True)
class Dense:
    """Rows held in memory as float32 (fast) or float64 (exact)."""

    Z: NDArray[Any]

    @property
    def width(self) -> int:
        """Number of columns d."""
        return int(self.Z.shape[1])

    def times(self, W: Matrix) -> Matrix:
        """Z W (n, k) as float64."""
        weights = W.astype(self.Z.dtype, copy=False)
        out = np.empty((len(self.Z), W.shape[1]))

        def fill(rows: slice) -> None:
            out[rows] = self.Z[rows] @ weights

        map_rows(fill, *self.Z.shape)
        return out

    def transposed_times(self, R: Matrix) -> Matrix:
        """Z' R (d, k) as float64."""

        def part(rows: slice) -> NDArray[Any]:
            product: NDArray[Any] = np.ascontiguousarray(R[rows].T, dtype=self.Z.dtype) @ self.Z[rows]
            return product

        return sum(map_rows(part, *self.Z.shape), np.zeros((R.shape[1], self.Z.shape[1]))).T

    def sample(self, indices: NDArray[np.intp]) -> NDArray[Any]:
        """Some rows (m, d)."""
        return self.Z[indices]
