"""L-BFGS on a batch of small problems, each of which takes the steps that it would take alone.

The method is that of `softmax.minimise`, with a diagonal preconditioner: an exact line search on the logits, which
change linearly along a direction (Nocedal and Wright 2006, chapters 3 and 7).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from headstart.heads.solver.batch import Array, Batch, Floats, dots, largest
from headstart.heads.solver.curvature import FIRST_LIFE, MEMORY

MOST_SIZES = 30
"""Sizes of a step that are tried."""
GONE = 0.25
"""Share of the problems that are there from which the rest go on without them."""
ARRAYS = ("theta", "logits", "objective", "P", "grad", "stuck", "diagonal")


def minimise(batch: Batch, theta: Array, tol: Floats, max_iter: int) -> Array:
    """theta (B, k, r + 1) from which no problem's largest absolute gradient is above its `tol` (B,).

    A problem whose gradient may be made by rounding stops where it is, as all do after `max_iter` steps.
    """
    tol = np.maximum(tol, 4 * np.finfo(batch.Z.dtype).eps * np.sqrt(batch.variances.max(axis=1)))
    found, going = theta.copy(), np.arange(len(theta))
    state = _State.at(batch, theta)
    for iteration in range(max_iter):
        moving = ~state.stuck & (largest(state.grad) > tol[going])
        if moving.sum() <= (1 - GONE) * len(going):
            found[going] = state.theta
            going, state, moving = going[moving], state.only(moving), moving[moving]
        if not len(going):
            return found
        state.advance(iteration, moving)
    found[going] = state.theta
    return found


@dataclass(eq=False)
class _State:
    """Where the problems are: logits, objective, probabilities and gradient at theta, and the last steps.

    A pair is a step, the gradient's change along it, and 1 / their product (B,), or 0 where it is to be forgotten.
    """

    batch: Batch
    theta: Array
    logits: Array
    objective: Floats
    P: Array
    grad: Array
    stuck: Array
    diagonal: Array
    pairs: list[tuple[Array, Array, Floats]]

    @classmethod
    def at(cls, batch: Batch, theta: Array) -> Self:
        logits = batch.logits(theta)
        loss, P = batch.point(logits)
        objective = loss + 0.5 * dots(batch.penalty[:, None] * theta, theta)
        stuck = np.zeros(len(theta), bool)
        return cls(batch, theta, logits, objective, P, batch.gradient(P, theta), stuck, batch.diagonal(P), [])

    def only(self, chosen: Array) -> _State:
        arrays = {name: getattr(self, name)[chosen] for name in ARRAYS}
        pairs = [(step[chosen], change[chosen], rho[chosen]) for step, change, rho in self.pairs]
        return _State(batch=self.batch.only(chosen), pairs=pairs, **arrays)

    def advance(self, iteration: int, moving: Array) -> None:
        """A step of each problem that is moving."""
        if iteration and iteration % FIRST_LIFE == 0:
            self.diagonal = self.batch.diagonal(self.P)
        direction = self._direction()
        sizes = self._search(direction, moving)
        step = _each(sizes, self.theta) * direction
        self.theta = self.theta + step
        if iteration % 16 == 15:  # sums of steps collect rounding errors
            self.logits = self.batch.logits(self.theta)
        before, self.grad = self.grad, self.batch.gradient(self.P, self.theta)
        self._forget(moving & (sizes == 0))
        self._remember(step, self.grad - before)

    def _forget(self, failed: Array) -> None:
        """Where rounding has spoilt the direction, begin anew from the gradient; where that was it, stop."""
        self.stuck |= failed
        for _, _, rho in self.pairs:
            self.stuck &= ~(failed & (rho > 0))
        for _, _, rho in self.pairs:
            rho[failed] = 0.0

    def _remember(self, step: Array, change: Array) -> None:
        product = dots(step, change)
        rho = np.divide(1.0, product, out=np.zeros_like(product), where=product > 0)
        self.pairs = [*self.pairs[-MEMORY + 1 :], (step, change, rho)]

    def _direction(self) -> Array:
        """L-BFGS's two loops (Nocedal and Wright 2006, algorithm 7.4)."""
        q, factors = self.grad.copy(), []
        for step, change, rho in reversed(self.pairs):
            factors.append(rho * dots(step, q))
            q -= _each(factors[-1], q) * change
        q /= self.diagonal
        q -= q.mean(axis=1, keepdims=True)  # the sum over classes is free: keep it zero
        for (step, change, rho), factor in zip(self.pairs, reversed(factors), strict=True):
            q += _each(factor - rho * dots(change, q), q) * step
        return -q

    def _search(self, direction: Array, moving: Array) -> Floats:
        """Sizes (B,) of steps to at most half the slope, or 0 where there is no decrease; logits, objective and P
        follow."""
        line, slope = _Line.of(self.batch, self.theta, direction), dots(self.grad, direction)
        noise = 4 * np.finfo(self.logits.dtype).eps * (1.0 + np.abs(self.objective))
        sizes, bracket = np.zeros(len(slope)), _Bracket.of(len(slope))
        left = np.flatnonzero(moving & (slope < 0))
        for _ in range(MOST_SIZES):
            if not len(left):
                break
            tried = bracket.size[left]
            ahead = line.ahead(self.batch, self.logits, left, tried)
            higher = ahead.objective > self.objective[left] + noise[left]
            good = (np.abs(ahead.slope) <= 0.5 * np.abs(slope[left])) & ~higher
            there = left[good]
            sizes[there] = tried[good]
            self.logits[there], self.P[there] = ahead.logits[good], ahead.P[good]
            self.objective[there] = ahead.objective[good]
            bracket.narrow(left, (ahead.slope > 0) | higher, ahead)
            left = left[~good]
        return sizes


class _Ahead(NamedTuple):
    """What some problems have at some size of their steps."""

    logits: Array
    P: Array
    objective: Floats
    slope: Floats
    bend: Floats


class _Line(NamedTuple):
    """How the logits change along a direction, and the penalty's value, slope and bend (B,) at its beginning."""

    change: Array
    value: Floats
    slope: Floats
    bend: Floats

    @classmethod
    def of(cls, batch: Batch, theta: Array, direction: Array) -> _Line:
        penalised = batch.penalty[:, None] * direction
        value = 0.5 * dots(batch.penalty[:, None] * theta, theta)
        return cls(batch.logits(direction), value, dots(penalised, theta), dots(penalised, direction))

    def ahead(self, batch: Batch, logits: Array, left: Array, sizes: Floats) -> _Ahead:
        """The objective of those that are left at these sizes of their steps: no pass over the rows."""
        change = self.change
        if len(left) < len(change):
            batch, logits, change = batch.without_rows(left), logits[left], change[left]
        reached = logits + _each(sizes, change) * change
        loss, P = batch.point(reached)
        slope, bend = batch.along(P, change)
        objective = loss + self.value[left] + sizes * self.slope[left] + 0.5 * sizes**2 * self.bend[left]
        return _Ahead(reached, P, objective, slope + self.slope[left] + sizes * self.bend[left], bend + self.bend[left])


class _Bracket(NamedTuple):
    """The size that is tried next, and between which ones the right one lies (B,)."""

    size: Floats
    low: Floats
    high: Floats

    @classmethod
    def of(cls, n: int) -> _Bracket:
        return cls(np.ones(n), np.zeros(n), np.full(n, np.inf))

    def narrow(self, left: Array, beyond: Array, ahead: _Ahead) -> None:
        """After a try of those left that went `beyond` the right size or not: Newton's size, where it lies between."""
        tried = self.size[left]
        low, high = np.where(beyond, self.low[left], tried), np.where(beyond, tried, self.high[left])
        flat = ahead.bend <= 1e-9 * np.abs(ahead.slope)
        newton = tried - np.divide(ahead.slope, ahead.bend, out=np.full_like(tried, -np.inf), where=~flat)
        middle = np.where(np.isfinite(high), 0.5 * (low + high), 2.0 * tried)
        self.size[left] = np.where((low < newton) & (newton < high), newton, middle)
        self.low[left], self.high[left] = low, high


def _each(numbers: Floats, like: Array) -> Array:
    """A number (B,) for each problem, to be multiplied with arrays (B, k, .)."""
    return numbers.astype(like.dtype)[:, None, None]
