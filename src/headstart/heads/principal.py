"""Rows in their principal axes, where whitening is a factor for each column and curvature is nearly diagonal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.heads.solver.curvature import Curvature, Operator
from headstart.heads.solver.rows import Matrix, Rows

WIDEST = 2048
"""Columns or rows up to which axes are computed: their cost grows with the third power."""
RANK = {"f4": 1e-6, "f8": 1e-10}
"""Axes with less than this share of the largest variance are left out: rounding made them."""


@dataclass(frozen=True, eq=False)
class Principal:
    """The axes (width, r) of rows around their mean (width,), and the variance (r,) along each."""

    mean: Matrix
    axes: Matrix
    variances: Matrix

    @classmethod
    def of(cls, rows: Matrix) -> Principal:
        """Of rows (n, width), float32 or float64, from the smaller of the two matrices of their products."""
        mean = rows.mean(axis=0)
        centred, n = rows - mean, len(rows)
        wide = centred.shape[1] > n
        squares, vectors = np.linalg.eigh(centred @ centred.T if wide else centred.T @ centred)
        kept = squares > RANK[rows.dtype.str[1:]] * max(float(squares[-1]), 1e-300)
        squares, vectors = squares[kept], vectors[:, kept]
        axes = centred.T @ (vectors / np.sqrt(squares)) if wide else vectors
        return cls(mean, axes, squares / n)

    def factors(self, whiten: float) -> Matrix:
        """What each axis (r,) is multiplied by: 1 / sqrt(variance + whiten * total variance), or 1 for 0."""
        if not whiten:
            return np.ones_like(self.variances)
        return np.asarray(1.0 / np.sqrt(self.variances + whiten * self.variances.sum()), dtype=self.variances.dtype)

    def apply(self, rows: Matrix) -> Matrix:
        """Rows (m, width) in the axes: (m, r); times `factors` they are whitened."""
        placed: Matrix = (rows - self.mean) @ self.axes
        return placed

    def back(self, theta: Matrix, whiten: float) -> tuple[Matrix, Matrix]:
        """Weights and bias (r + 1, k) of whitened rows -> weights (width, k) and bias (k,) of the rows themselves."""
        weights = (self.axes * self.factors(whiten)) @ theta[:-1]
        return weights, theta[-1] - self.mean @ weights


@dataclass
class Diagonal(Curvature):
    """The preconditioner of rows with uncorrelated columns: each class's mean spread times the columns' variances."""

    variances: Matrix = field(default_factory=lambda: np.ones(1))

    def prepare(self, rows: Rows, weights: Matrix, P: Matrix) -> None:
        """See `Curvature.prepare`; this one is so cheap that it is made anew every few steps."""
        if self.precondition is None or self.age >= self.life:
            self.precondition, self.age = self._inverse(weights, P), 0
        self.age += 1

    def _inverse(self, weights: Matrix, P: Matrix) -> Operator:
        k = P.shape[1]
        spread = k / (k - 1) * (weights @ (P * (1.0 - P)))
        diagonal = np.vstack([self.variances[:, None] * spread + self.penalty, spread + 1e-12])

        def solve(grad: Matrix) -> NDArray[Any]:
            out: Matrix = grad / diagonal
            out -= out.mean(axis=1, keepdims=True)  # the sum over classes is free: keep it zero
            return out

        return solve
