"""Many small problems of penalised softmax regression as one, so that they share what a call of NumPy costs.

The objective of each is that of `softmax.Problem`. Arrays begin with the problem and then the class: with few rows most
of the time goes into the softmax, and sums over classes are fastest where the rows lie beside each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from headstart.heads.solver.softmax import row_weights

Array = NDArray[Any]
Floats = NDArray[np.float64]
TURNED = 2**14
"""Numbers in a problem's rows from which their product with more than two columns is faster turned."""


def padded(rows: Sequence[Array], width: int) -> Array:
    """Rows (n_b, r_b) of each problem as one array (B, n, width), with a last column of ones and zeros between."""
    found = np.zeros((len(rows), max(map(len, rows)), width), rows[0].dtype)
    for here, these in zip(found, rows, strict=True):
        here[: len(these), : these.shape[1]], here[: len(these), -1] = these, 1.0
    return found


@dataclass(frozen=True, eq=False)
class Batch:
    """B problems of up to n rows, r uncorrelated columns of mean 0, and k classes.

    `Z` (B, n, r + 1) holds the rows and a last column of ones for the bias; rows and columns that a problem lacks are
    zero. `own` (B, k, n) is 1 at each row's class, `weights` (B, n) sum to 1, `variances` (B, r + 1) are the mean
    squares of the columns, and `penalty` (B, r + 1) is 1 / (C n), for the bias 0.
    """

    Z: Array
    own: Array
    weights: Array
    variances: Array
    penalty: Array

    @classmethod
    def of(cls, rows: Sequence[Array], codes: Sequence[NDArray[np.int64]], per_class: Floats) -> Self:
        """Of the rows (n_b, r_b) of each problem and their classes (n_b,); without a penalty as yet."""
        Z = padded(rows, 1 + max(each.shape[1] for each in rows))
        B, n = Z.shape[:2]
        own, weights = np.zeros((B, len(per_class), n), Z.dtype), np.zeros((B, n), Z.dtype)
        for b, y in enumerate(codes):
            own[b, y, np.arange(len(y))] = 1.0
            weights[b, : len(y)] = row_weights(y, per_class)
        lengths = np.array([len(y) for y in codes], Z.dtype)
        variances = np.einsum("bnr,bnr->br", Z, Z) / lengths[:, None]
        return cls(Z, own, weights, variances, np.zeros_like(variances))

    def penalised(self, penalties: Floats) -> Batch:
        """With these penalties (B,)."""
        least = np.finfo(self.Z.dtype).tiny
        penalty = np.repeat(np.maximum(penalties, least)[:, None], self.Z.shape[2], axis=1).astype(self.Z.dtype)
        penalty[:, -1] = 0.0
        return Batch(self.Z, self.own, self.weights, self.variances, penalty)

    def only(self, chosen: Array) -> Batch:
        """Some of the problems."""
        return Batch(*(each[chosen] for each in (self.Z, self.own, self.weights, self.variances, self.penalty)))

    def without_rows(self, chosen: Array) -> Batch:
        """Some of the problems for the softmax alone."""
        return Batch(self.Z[:0], self.own[chosen], self.weights[chosen], self.variances[:0], self.penalty[:0])

    def zeros(self) -> Array:
        """theta (B, k, r + 1) to start from."""
        return np.zeros((len(self.Z), self.own.shape[1], self.Z.shape[2]), self.Z.dtype)

    def logits(self, theta: Array) -> Array:
        """(B, k, n) for theta (B, k, r + 1)."""
        if self.Z[0].size < TURNED or theta.shape[1] == 2:
            out: Array = theta @ self.Z.transpose(0, 2, 1)
            return out
        return np.ascontiguousarray((self.Z @ theta.transpose(0, 2, 1)).transpose(0, 2, 1))

    def point(self, logits: Array) -> tuple[Floats, Array]:
        """The weighted NLL (B,) at logits (B, k, n), and the probabilities there."""
        P = logits - logits.max(axis=1, keepdims=True)
        own = np.einsum("bkn,bkn->bn", P, self.own)
        np.exp(P, out=P)
        total = P.sum(axis=1, keepdims=True)
        P /= total
        return dots(self.weights, np.log(total[:, 0]) - own), P

    def along(self, P: Array, change: Array) -> tuple[Floats, Floats]:
        """First and second derivative (B,) of the NLL along a change of the logits, where the probabilities are P."""
        weighted = P * change
        mean = weighted.sum(axis=1)
        spread = np.einsum("bkn,bkn->bn", weighted, change) - mean * mean
        return dots(self.weights, mean - np.einsum("bkn,bkn->bn", self.own, change)), dots(self.weights, spread)

    def gradient(self, P: Array, theta: Array) -> Array:
        """(B, k, r + 1)."""
        grad: Array = ((P - self.own) * self.weights[:, None]) @ self.Z
        grad += self.penalty[:, None] * theta
        return grad

    def steepness(self, theta: Array) -> Floats:
        """The largest absolute gradient (B,) at theta."""
        return largest(self.gradient(self.point(self.logits(theta))[1], theta))

    def diagonal(self, P: Array) -> Array:
        """The Hessian's diagonal (B, k, r + 1), nearly: each class's mean spread times the columns' variances."""
        k = P.shape[1]
        spread = k / (k - 1) * np.einsum("bkn,bn->bk", P * (1.0 - P), self.weights)
        found: Array = spread[:, :, None] * self.variances[:, None] + self.penalty[:, None]
        found[:, :, -1] += 1e-12
        return found


def dots(a: Array, b: Array) -> Floats:
    """The inner product (B,) of each problem's part of a and b, as float64."""
    n = len(a)
    found: Floats = np.einsum("bm,bm->b", a.reshape(n, -1), b.reshape(n, -1)).astype(np.float64)
    return found


def largest(grad: Array) -> Floats:
    """The largest absolute number (B,) of each problem's part."""
    found: Floats = np.abs(grad).max(axis=(1, 2))
    return found
