"""Many small problems of penalised softmax regression solved in step, so that NumPy's cost for a call is shared.

The same objective and method as `softmax.minimise`. Arrays begin with the problem and then the class: with few rows
most of the time goes into the softmax, and sums over classes are fastest where the rows lie beside each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from headstart.heads.solver.curvature import FIRST_LIFE, MEMORY

Array = NDArray[Any]
Floats = NDArray[np.float64]
TURNED = 2**14
"""Numbers in a problem's rows from which their product with more than two columns is faster turned."""
MOST_SIZES = 30
"""Sizes of a step that are tried."""


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
        B, n, width = Z.shape
        own, weights = np.zeros((B, len(per_class), n), Z.dtype), np.zeros((B, n), Z.dtype)
        for b, y in enumerate(codes):
            own[b, y, np.arange(len(y))] = 1.0
            weights[b, : len(y)] = per_class[y] / len(y)
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
        return _dots(self.weights, np.log(total[:, 0]) - own), P

    def along(self, P: Array, change: Array) -> tuple[Floats, Floats]:
        """First and second derivative (B,) of the NLL along a change of the logits, where the probabilities are P."""
        weighted = P * change
        mean = weighted.sum(axis=1)
        spread = np.einsum("bkn,bkn->bn", weighted, change) - mean * mean
        return _dots(self.weights, mean - np.einsum("bkn,bkn->bn", self.own, change)), _dots(self.weights, spread)

    def gradient(self, P: Array, theta: Array) -> Array:
        """(B, k, r + 1)."""
        grad: Array = ((P - self.own) * self.weights[:, None]) @ self.Z
        grad += self.penalty[:, None] * theta
        return grad

    def steepness(self, theta: Array) -> Floats:
        """The largest absolute gradient (B,) at theta."""
        return _largest(self.gradient(self.point(self.logits(theta))[1], theta))

    def diagonal(self, P: Array) -> Array:
        """The Hessian's diagonal (B, k, r + 1), nearly: each class's mean spread times the columns' variances."""
        k = P.shape[1]
        spread = k / (k - 1) * np.einsum("bkn,bn->bk", P * (1.0 - P), self.weights)
        found: Array = spread[:, :, None] * self.variances[:, None] + self.penalty[:, None]
        found[:, :, -1] += 1e-12
        return found


def minimise(batch: Batch, theta: Array, tol: Floats, max_iter: int) -> Array:
    """theta (B, k, r + 1) from which no problem's largest absolute gradient is above its `tol` (B,).

    A problem whose gradient may be made by rounding stops where it is, as all do after `max_iter` steps.
    """
    tol = np.maximum(tol, 4 * np.finfo(batch.Z.dtype).eps * np.sqrt(batch.variances.max(axis=1)))
    found = theta.copy()
    going = np.arange(len(theta))
    state = _State.at(batch, theta)
    for iteration in range(max_iter):
        moving = ~state.stuck & (_largest(state.grad) > tol[going])
        if moving.sum() <= 0.75 * len(going):  # the rest go on without those that are there
            found[going] = state.theta
            going, state = going[moving], state.only(moving)
            moving = np.ones(len(going), bool)
        if not len(going):
            return found
        state.advance(iteration, moving)
    found[going] = state.theta
    return found


@dataclass(eq=False)
class _State:
    """Where the problems are: logits, objective, probabilities and gradient at theta, and the last steps."""

    batch: Batch
    theta: Array
    logits: Array
    objective: Floats
    P: Array
    grad: Array
    stuck: Array
    diagonal: Array
    pairs: list[tuple[Array, Array, Floats]]  # steps, changes of the gradient, 1 / product or 0 where it is none

    @classmethod
    def at(cls, batch: Batch, theta: Array) -> Self:
        logits = batch.logits(theta)
        loss, P = batch.point(logits)
        objective = loss + 0.5 * _dots(batch.penalty[:, None] * theta, theta)
        stuck = np.zeros(len(theta), bool)
        return cls(batch, theta, logits, objective, P, batch.gradient(P, theta), stuck, batch.diagonal(P), [])

    def only(self, chosen: Array) -> _State:
        arrays = (self.theta, self.logits, self.objective, self.P, self.grad, self.stuck, self.diagonal)
        pairs = [(step[chosen], change[chosen], rho[chosen]) for step, change, rho in self.pairs]
        return _State(self.batch.only(chosen), *(each[chosen] for each in arrays), pairs)

    def advance(self, iteration: int, moving: Array) -> None:
        """A step of each problem that is moving."""
        if iteration and iteration % FIRST_LIFE == 0:
            self.diagonal = self.batch.diagonal(self.P)
        direction = self._direction()
        sizes = self._search(direction, moving)
        step = sizes.astype(self.theta.dtype)[:, None, None] * direction
        self.theta = self.theta + step
        if iteration % 16 == 15:  # sums of steps collect rounding errors
            self.logits = self.batch.logits(self.theta)
        before, self.grad = self.grad, self.batch.gradient(self.P, self.theta)
        failed = moving & (sizes == 0)
        known = np.any([rho > 0 for _, _, rho in self.pairs], axis=0) if self.pairs else np.zeros(len(sizes), bool)
        self.stuck |= failed & ~known
        for _, _, rho in self.pairs:
            rho[failed] = 0.0  # rounding has spoilt the direction: from the preconditioned gradient anew
        product = _dots(step, change := self.grad - before)
        rho = np.divide(1.0, product, out=np.zeros_like(product), where=product > 0)
        self.pairs = [*self.pairs[-MEMORY + 1 :], (step, change, rho)]

    def _direction(self) -> Array:
        """L-BFGS's two loops (Nocedal and Wright 2006, algorithm 7.4)."""
        q, factors = self.grad.copy(), []
        for step, change, rho in reversed(self.pairs):
            factors.append(rho * _dots(step, q))
            q -= factors[-1].astype(q.dtype)[:, None, None] * change
        q /= self.diagonal
        q -= q.mean(axis=1, keepdims=True)  # the sum over classes is free: keep it zero
        for (step, change, rho), factor in zip(self.pairs, reversed(factors), strict=True):
            q += (factor - rho * _dots(change, q)).astype(q.dtype)[:, None, None] * step
        return -q

    def _search(self, direction: Array, moving: Array) -> Floats:
        """Sizes (B,) of steps to at most half the slope; logits, objective and P follow. 0 where there is no decrease.

        By safeguarded Newton steps: logits change linearly along a direction, so a size costs no pass over the rows.
        """
        batch = self.batch
        penalised = batch.penalty[:, None] * direction
        slope, bend = _dots(self.grad, direction), _dots(penalised, direction)
        pull, weight = _dots(penalised, self.theta), 0.5 * _dots(batch.penalty[:, None] * self.theta, self.theta)
        change = batch.logits(direction)
        noise = 4 * np.finfo(change.dtype).eps * (1.0 + np.abs(self.objective))
        sizes, size = np.zeros(len(slope)), np.ones(len(slope))
        low, high = np.zeros(len(slope)), np.full(len(slope), np.inf)
        left = np.flatnonzero(moving & (slope < 0))
        for _ in range(MOST_SIZES):
            if not len(left):
                break
            every = len(left) == len(slope)
            here = batch if every else _rows_of(batch, left)
            ahead = change if every else change[left]
            trial = (self.logits if every else self.logits[left]) + size[left].astype(change.dtype)[:, None, None] * ahead
            loss, P = here.point(trial)
            first, second = here.along(P, ahead)
            s = size[left]
            value = loss + weight[left] + s * pull[left] + 0.5 * s * s * bend[left]
            first, second = first + pull[left] + s * bend[left], second + bend[left]
            higher = value > self.objective[left] + noise[left]
            good = (np.abs(first) <= 0.5 * np.abs(slope[left])) & ~higher
            there = left[good]
            sizes[there] = s[good]
            self.logits[there], self.P[there], self.objective[there] = trial[good], P[good], value[good]
            beyond = (first > 0) | higher
            high[left], low[left] = np.where(beyond, s, high[left]), np.where(beyond, low[left], s)
            newton = s - np.divide(first, second, out=np.full_like(first, -np.inf), where=second > 1e-9 * np.abs(first))
            between = np.where(np.isfinite(high[left]), 0.5 * (low[left] + high[left]), 2.0 * s)
            size[left] = np.where((low[left] < newton) & (newton < high[left]), newton, between)
            left = left[~good]
        return sizes


def _rows_of(batch: Batch, chosen: Array) -> Batch:
    """Some of the problems without their rows, for the softmax alone."""
    return Batch(batch.Z[:0], batch.own[chosen], batch.weights[chosen], batch.variances[:0], batch.penalty[:0])


def _dots(a: Array, b: Array) -> Floats:
    """The inner product (B,) of each problem's part of a and b, in float64."""
    n = len(a)
    found: Floats = np.einsum("bm,bm->b", a.reshape(n, -1), b.reshape(n, -1)).astype(np.float64)
    return found


def _largest(grad: Array) -> Floats:
    found: Floats = np.abs(grad).max(axis=(1, 2))
    return found
