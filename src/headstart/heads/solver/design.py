"""The matrix a linear head is solved on: standardised features, or when these outnumber the rows, an exact reduction.

With d > n every solution is W = Z' A, so only the Gram matrix Z Z' matters.  Its pivoted Cholesky factor L (n, r)
has the same inner products between rows; solving on L and mapping back is what Hastie and Tibshirani (2004) do
with the thin SVD (L = U S times a rotation), at a third of the Gram matrix's own cost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.heads.solver.blocks import Features, map_rows, row_blocks
from headstart.heads.solver.rows import Dense, Rows
from headstart.heads.solver.scaler import Matrix, Scaler, standardised
from headstart.threads import map_all, single_threaded_blas

EXACT_BYTES = 128 * 2**20  # up to here one float64 copy serves as both the fast and the exact rows
COLUMNS = 2048  # of features standardised at once
TILE = 512  # rows of the Gram matrix computed at once


@dataclass(frozen=True)
class Streamed:
    """Standardised rows computed from the raw features block by block in float64; nothing is kept."""

    parts: Sequence[Features]
    scaler: Scaler

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    @property
    def width(self) -> int:
        """Number of columns d."""
        return int(self.parts[0].shape[1])

    def _blocks(self) -> list[tuple[Features, slice, slice]]:
        """(features, rows in them, rows in the whole) that cover all parts in order."""
        starts = np.cumsum([0, *map(len, self.parts)])
        return [
            (X, rows, slice(start + rows.start, start + min(rows.stop, len(X))))
            for X, start in zip(self.parts, starts.tolist(), strict=False)
            for rows in row_blocks(X)
        ]

    def times(self, W: Matrix) -> Matrix:
        """Z W (n, k)."""
        return np.concatenate(map_all(lambda block: self.scaler.apply(block[0][block[1]]) @ W, self._blocks()))

    def transposed_times(self, R: Matrix) -> Matrix:
        """Z' R (d, k)."""

        def part(block: tuple[Features, slice, slice]) -> Matrix:
            X, rows, place = block
            product: Matrix = R[place].T @ self.scaler.apply(X[rows])
            return product

        return sum(map_all(part, self._blocks()), np.zeros((R.shape[1], self.parts[0].shape[1]))).T

    def sample(self, indices: NDArray[np.intp]) -> Matrix:
        """Some rows (m, d)."""
        ends = np.cumsum([len(X) for X in self.parts])
        part = np.searchsorted(ends, indices, side="right")
        starts = ends - [len(X) for X in self.parts]
        return np.stack([self.scaler.apply(self.parts[p][i - starts[p]]) for p, i in zip(part, indices, strict=True)])


@dataclass(frozen=True)
class Design:
    """Fast rows (n, width) for most of the work, exact rows for the end, and the way back to features."""

    fast: Dense
    exact: Rows
    width: int
    unmap: Callable[[Matrix], Matrix]  # (width, k) -> (d, k), for standardised features

    def split(self, n: int) -> tuple[Dense, Dense]:
        """Fast rows of the first n (train) and of the rest (validation)."""
        return Dense(self.fast.Z[:n]), Dense(self.fast.Z[n:])


def design_for(parts: Sequence[Features], scaler: Scaler) -> Design:
    """The smaller of the two exact forms for these feature matrices (n_i, d), train first."""
    n, d = sum(map(len, parts)), parts[0].shape[1]
    if d > n:
        return _reduced(parts, scaler)
    if n * d * 8 <= EXACT_BYTES:
        rows = Dense(standardised(parts, scaler, np.float64))
        return Design(rows, rows, d, lambda W: W)
    return Design(Dense(standardised(parts, scaler, np.float32)), Streamed(parts, scaler), d, lambda W: W)


def _reduced(parts: Sequence[Features], scaler: Scaler) -> Design:
    from scipy.linalg import solve_triangular
    from scipy.linalg.lapack import dpstrf

    gram = gram_matrix(parts, scaler)
    factor, pivots, rank, _ = dpstrf(gram, lower=1, overwrite_a=1)
    order = pivots - 1  # LAPACK counts from 1
    rank = int(rank)
    L = np.zeros((len(order), max(rank, 1)))  # of rows that are all alike nothing is left: one column of zeros
    for column in range(rank):
        L[order[column:], column] = factor[column:, column]
    del gram, factor
    leading = order[:rank]

    def unmap(W: Matrix) -> Matrix:
        alpha = np.zeros((len(order), W.shape[1]))
        if rank:
            alpha[leading] = solve_triangular(L[leading], W, lower=True, trans="T")
        return columns_of(parts, scaler, alpha)

    exact = Dense(L)
    fast = exact if L.nbytes <= EXACT_BYTES else Dense(L.astype(np.float32))
    return Design(fast, exact, L.shape[1], unmap)


def gram_matrix(parts: Sequence[Features], scaler: Scaler) -> Matrix:
    """Z Z' (n, n) float64, lower triangle (tiles on the diagonal are full), in Fortran order.

    Features are standardised a few columns at a time; tiles of rows are multiplied in threads.
    """
    n, d = sum(map(len, parts)), parts[0].shape[1]
    upper = np.zeros((n, n))  # in C order, the same bytes as the lower triangle in Fortran order
    tiles = [slice(start, start + TILE) for start in range(0, n, TILE)]
    for start in range(0, d, COLUMNS):
        Z = _columns(parts, scaler, slice(start, min(start + COLUMNS, d)))

        def add(rows: slice, Z: Matrix = Z) -> None:
            upper[rows, rows.start :] += Z[rows] @ Z[rows.start :].T

        with single_threaded_blas():
            map_all(add, tiles)
    return upper.T


def columns_of(parts: Sequence[Features], scaler: Scaler, alpha: Matrix) -> Matrix:
    """Z' alpha (d, k) for alpha (n, k), a few columns of Z at a time."""
    d = parts[0].shape[1]
    out = np.empty((d, alpha.shape[1]))
    for start in range(0, d, COLUMNS):
        columns = slice(start, min(start + COLUMNS, d))
        with single_threaded_blas():
            out[columns] = _columns(parts, scaler, columns).T @ alpha
    return out


def _columns(parts: Sequence[Features], scaler: Scaler, columns: slice) -> Matrix:
    """Some columns of Z (n, c), made in threads."""
    Z = np.empty((sum(map(len, parts)), columns.stop - columns.start))
    start = 0
    for X in parts:
        here = Z[start : start + len(X)]

        def fill(rows: slice, X: Features = X, here: Matrix = here) -> None:
            here[rows] = scaler.columns(X[rows], columns)

        map_rows(fill, len(here), here.shape[1], block=256)
        start += len(X)
    return Z
