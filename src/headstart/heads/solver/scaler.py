"""Standardisation of features: measured on the rows that are fitted, applied block by block, folded into weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from headstart.heads.solver.blocks import Features, row_blocks

Matrix = NDArray[np.float64]
PSEUDO_ROWS = 30.0
"""Rows of average variance that every column is taken to have beside its own; chosen in decision 0020."""


@dataclass(frozen=True)
class Scaler:
    """Column means (d,) and scales (d,) of the rows that are fitted.

    Where all columns are constant their scale is 1, so they become 0.
    """

    mean: Matrix
    scale: Matrix

    @classmethod
    def measure(cls, X: Features, pseudo_rows: float = PSEUDO_ROWS) -> Self:
        """Mean and deviation in float64, in two passes over blocks of rows.

        A deviation is that of variance (m v + n s) / (m + n): s the column's own over n rows, v the mean of all
        columns, m = `pseudo_rows`.  A handful of rows say little about a column, and one that hardly varies among them
        would be blown up; with many rows it is the column's own (empirical Bayes: Efron and Morris 1973).
        """
        n = len(X)
        mean = sum((X[rows].sum(axis=0, dtype=np.float64) for rows in row_blocks(X)), np.zeros(X.shape[1])) / n
        squares = np.zeros(X.shape[1])
        for rows in row_blocks(X):
            centred = X[rows] - mean
            squares += np.einsum("nd,nd->d", centred, centred)
        variance = squares / n
        rounding = n * np.finfo(np.float64).eps
        constant = variance <= rounding * variance + (rounding * mean) ** 2  # as in scikit-learn's StandardScaler
        variance = np.where(constant, 0.0, variance)
        shrunk = (pseudo_rows * variance.mean() + n * variance) / (pseudo_rows + n)
        return cls(mean, np.where(shrunk > 0, np.sqrt(shrunk), 1.0))

    @classmethod
    def identity(cls, d: int) -> Self:
        """The scaler that leaves d features exactly as they are."""
        return cls(np.zeros(d), np.ones(d))

    @staticmethod
    def total_variance(X: Features) -> float:
        """Mean squared distance of the rows of X (n, d) from their mean, in float64."""
        mean = X.mean(axis=0, dtype=np.float64)
        return sum(float(np.square(X[rows] - mean).sum()) for rows in row_blocks(X)) / len(X)

    def apply(self, X: Features) -> Matrix:
        """Standardised copy (n, d) float64."""
        Z = X - self.mean
        Z /= self.scale
        return Z

    def columns(self, X: Features, columns: slice) -> Matrix:
        """Standardised copy of some columns (n, c) float64."""
        Z = X[:, columns].astype(np.float64)
        Z -= self.mean[columns]
        Z /= self.scale[columns]
        return Z

    def fold(self, weights: Matrix, bias: Matrix) -> tuple[Matrix, Matrix]:
        """Weights (d, k) and bias (k,) for standardised input -> the same function of raw input."""
        raw = weights / self.scale[:, None]
        return raw, bias - self.mean @ raw


def to_unit_length(Z: NDArray[Any]) -> NDArray[Any]:
    """Rows (n, d) scaled in place to length 1; a row of zeros stays."""
    length = np.linalg.norm(Z, axis=1, keepdims=True)
    np.divide(Z, length, out=Z, where=length > 0)
    return Z


def standardised(parts: Sequence[Features], scaler: Scaler, dtype: type[np.floating]) -> NDArray[np.floating]:
    """All parts below each other, standardised, as one matrix of `dtype`; made block by block."""
    Z = np.empty((sum(map(len, parts)), parts[0].shape[1]), dtype)
    start = 0
    for X in parts:
        for rows in row_blocks(X):
            block = scaler.apply(X[rows])
            Z[start : start + len(block)] = block
            start += len(block)
    return Z
