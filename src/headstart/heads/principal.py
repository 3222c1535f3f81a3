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
    """Rows (n, r) along their principal axes, and the variance (r,) along each.

    A row is known by s numbers, its features or its inner products with the n rows; less `centre` (s,), times `basis`
    (s, r), they are the row along the axes.
    """

    centre: Matrix
    basis: Matrix
    variances: Matrix
    rows: Matrix

    @classmethod
    def of(cls, Z: NDArray[Any]) -> Principal:
        """Of rows Z (n, d) of features, float32 or float64."""
        centre = Z.mean(axis=0)
        centred = Z - centre
        squares, axes = _eigen(centred.T @ centred)
        return cls(centre, axes, squares / len(Z), centred @ axes)

    @classmethod
    def of_products(cls, K: NDArray[Any]) -> Principal:
        """Of the inner products K (n, n) of rows, float32 or float64: the same axes, and cheaper where n < d."""
        centre = K.mean(axis=0)
        squares, vectors = _eigen(K - centre - centre[:, None] + centre.mean())
        lengths = np.sqrt(squares)
        return cls(centre, vectors / lengths, squares / len(K), vectors * lengths)

    def factors(self, whiten: float) -> Matrix:
        """What each axis (r,) is multiplied by: 1 / sqrt(variance + whiten * total variance), or 1 for 0."""
        if not whiten:
            return np.ones_like(self.variances)
        return np.asarray(1.0 / np.sqrt(self.variances + whiten * self.variances.sum()), dtype=self.variances.dtype)

    def apply(self, numbers: NDArray[Any]) -> Matrix:
        """Other rows (m, s) along the axes: (m, r); times `factors` they are whitened."""
        placed: Matrix = (numbers - self.centre) @ self.basis
        return placed

    def back(self, theta: Matrix, whiten: float) -> tuple[Matrix, Matrix]:
        """Weights and bias (r + 1, k) of whitened rows -> weights (s, k) and bias (k,) of the rows' numbers."""
        weights = self.basis @ (self.factors(whiten)[:, None] * theta[:-1])
        return weights, theta[-1] - self.centre @ weights


def _eigen(squares: NDArray[Any]) -> tuple[Matrix, Matrix]:
    """Eigenvalues (r,) and vectors (s, r) of a symmetric matrix (s, s), without those that rounding made."""
    values, vectors = np.linalg.eigh(squares)  # SciPy's keeps other threads waiting
    kept = values > RANK[squares.dtype.str[1:]] * max(float(values[-1]), 1e-300)
    return values[kept], vectors[:, kept]


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
