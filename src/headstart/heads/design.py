"""The matrix a linear head is solved on: standardised features, or when these outnumber the rows, an exact reduction.

With d > n every solution is W = Z' A, so only the Gram matrix Z Z' matters.  Its pivoted Cholesky factor L (n, r)
has the same inner products between rows; solving on L and mapping back is what METHODS 1 does with the thin SVD
(L = U S times a rotation), at a third of the Gram matrix's own cost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.heads.base import Features, row_blocks
from headstart.heads.scaler import Matrix, Scaler, standardised
from headstart.heads.softmax import Dense, Rows

EXACT_BYTES = 128 * 2**20  # up to here one float64 copy serves as both the fast and the exact rows
COLUMNS = 1024


@dataclass(frozen=True)
class Streamed:
    """Standardised rows computed from the raw features block by block in float64; nothing is kept."""

    parts: Sequence[Features]
    scaler: Scaler

    def times(self, W: Matrix) -> Matrix:
        """Z W (n, k)."""
        return np.concatenate([self.scaler.apply(X[rows]) @ W for X in self.parts for rows in row_blocks(X)])

    def transposed_times(self, R: Matrix) -> Matrix:
        """Z' R (d, k)."""
        out = np.zeros((self.parts[0].shape[1], R.shape[1]))
        start = 0
        for X in self.parts:
            for rows in row_blocks(X):
                block = self.scaler.apply(X[rows])
                out += block.T @ R[start : start + len(block)]
                start += len(block)
        return out

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
    rank = max(int(rank), 1)
    L = np.zeros((len(order), rank))
    for column in range(rank):
        L[order[column:], column] = factor[column:, column]
    del gram, factor
    leading = order[:rank]

    def unmap(W: Matrix) -> Matrix:
        alpha = np.zeros((len(order), W.shape[1]))
        alpha[leading] = solve_triangular(L[leading], W, lower=True, trans="T")
        return columns_of(parts, scaler, alpha)

    exact = Dense(L)
    fast = exact if L.nbytes <= EXACT_BYTES else Dense(L.astype(np.float32))
    return Design(fast, exact, rank, unmap)


def gram_matrix(parts: Sequence[Features], scaler: Scaler) -> Matrix:
    """Z Z' (n, n) float64, lower triangle, in Fortran order; features are standardised a few columns at a time."""
    from scipy.linalg.blas import dsyrk

    n, d = sum(map(len, parts)), parts[0].shape[1]
    gram = np.zeros((n, n), order="F")
    for start in range(0, d, COLUMNS):
        block = _columns(parts, scaler, slice(start, min(start + COLUMNS, d)))
        gram = dsyrk(1.0, block.T, beta=1.0, c=gram, trans=1, lower=1, overwrite_c=1)
    return gram


def columns_of(parts: Sequence[Features], scaler: Scaler, alpha: Matrix) -> Matrix:
    d = parts[0].shape[1]
    out = np.empty((d, alpha.shape[1]))
    for start in range(0, d, COLUMNS):
        columns = slice(start, min(start + COLUMNS, d))
        out[columns] = _columns(parts, scaler, columns).T @ alpha
    return out


def _columns(parts: Sequence[Features], scaler: Scaler, columns: slice) -> Matrix:
    return np.concatenate([scaler.columns(X, columns) for X in parts])
