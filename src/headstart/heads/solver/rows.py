"""The rows a linear head is solved on, known only through their products."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from headstart.heads.solver.blocks import BLOCK, map_rows

Matrix = NDArray[np.float64]


class Rows(Protocol):
    """A matrix Z (n, d) that is used only through these products."""

    def __len__(self) -> int: ...
    @property
    def width(self) -> int: ...  # noqa: D102
    def times(self, W: Matrix) -> Matrix: ...  # noqa: D102
    def transposed_times(self, R: Matrix) -> Matrix: ...  # noqa: D102
    def sample(self, indices: NDArray[np.intp]) -> NDArray[Any]: ...  # noqa: D102


@dataclass(frozen=True)
class Dense:
    """Rows held in memory as float32 (fast) or float64 (exact). `block` rows are a thread's work."""

    Z: NDArray[Any]
    block: int = BLOCK

    def __len__(self) -> int:
        return len(self.Z)

    @property
    def width(self) -> int:
        """Number of columns d."""
        return int(self.Z.shape[1])

    def _straight(self, lying: str) -> bool:
        """Whether a product with few columns is fastest as it stands: of float32 that lies so, by "rows" or "columns".
        All others are up to three times as fast with both sides turned."""
        lies = "rows" if self.Z.strides[0] >= self.Z.strides[1] else "columns"
        return self.Z.dtype == np.float32 and lies == lying

    def times(self, W: Matrix) -> Matrix:
        """Z W (n, k) as float64."""
        weights, straight = W.astype(self.Z.dtype, copy=False), self._straight("rows")
        out = np.empty((len(self.Z), W.shape[1]))

        def fill(rows: slice) -> None:
            out[rows] = self.Z[rows] @ weights if straight else (weights.T @ self.Z[rows].T).T

        map_rows(fill, len(self.Z), self.width, self.block)
        return out

    def transposed_times(self, R: Matrix) -> Matrix:
        """Z' R (d, k) as float64."""
        straight = self._straight("columns")

        def part(rows: slice) -> NDArray[Any]:
            these = R[rows].astype(self.Z.dtype, copy=False)
            product: NDArray[Any] = (
                self.Z[rows].T @ these if straight else (np.ascontiguousarray(these.T) @ self.Z[rows]).T
            )
            return product

        return sum(map_rows(part, len(self.Z), self.width, self.block), np.zeros((self.width, R.shape[1])))

    def sample(self, indices: NDArray[np.intp]) -> NDArray[Any]:
        """Some rows (m, d)."""
        return self.Z[indices]
