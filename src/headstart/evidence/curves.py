"""Figures of a learning curve: start, slope, x90, area, asymptote, data equivalence (METHODS 3).

x is labelled pictures of a class, or updates; accuracies are shares of 0..1, float64, in order of x. Linear figures are
given as coefficients, so that the bootstrap can be exact about them. Taylor and Stone (2009), Torrey and Shavlik (2009).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.evidence.interval import Estimate, over_repeats

Floats = NDArray[np.float64]
RISE = 0.9
LEVEL_SLOPE = 0.01  # METHODS' eps: a curve has levelled off if doubling x would change it by no more than a point
FEWEST_SIZES = 4
FEWEST_SUBSETS = 5
POWERS = np.geomspace(0.1, 3.0, 69)  # the exponents c that are tried


def area_weights(sizes: Floats) -> Floats:
    """(s,) coefficients of the mean accuracy over log x: the trapezoid rule divided by the range; (1,) for one size."""
    if len(sizes) == 1:
        return np.ones(1)
    gaps = np.diff(np.log2(sizes))
    return (np.append(gaps, 0.0) + np.append(0.0, gaps)) / (2 * gaps.sum())


def slope_weights(sizes: Floats) -> Floats:
    """(s,) coefficients of the least-squares slope on log2 x: accuracy per doubling; needs two sizes or more."""
    centred = np.log2(sizes) - np.log2(sizes).mean()
    return centred / (centred**2).sum()


def x90(x: Floats, accuracy: Floats) -> float | None:
    """The first x at which the curve has made 90% of its rise from first to last point; None where it does not rise.

    Between two points it is straight in log x, or in x where one of them is at 0.
    """
    start, end = float(accuracy[0]), float(accuracy[-1])
    if end <= start:
        return None
    goal = start + RISE * (end - start)
    after = int(np.argmax(accuracy >= goal))
    share = (goal - accuracy[after - 1]) / (accuracy[after] - accuracy[after - 1])
    return _between(float(x[after - 1]), float(x[after]), float(share))


def _between(x0: float, x1: float, share: float) -> float:
    return x0 * (x1 / x0) ** share if x0 > 0 else x1 * share


def isotonic(accuracy: Floats) -> Floats:
    """The nearest curves (..., s) that never fall, in squared distance (Barlow et al. 1972, the min-max formula)."""
    s = accuracy.shape[-1]
    sums = np.cumsum(np.concatenate([np.zeros((*accuracy.shape[:-1], 1)), accuracy], axis=-1), axis=-1)
    fitted = np.full(accuracy.shape, -np.inf)
    for first in range(s):
        lengths = np.arange(1, s - first + 1)
        means = (sums[..., first + 1 :] - sums[..., first, None]) / lengths
        lowest = np.minimum.accumulate(means[..., ::-1], axis=-1)[..., ::-1]
        fitted[..., first:] = np.maximum(fitted[..., first:], lowest)
    return fitted


def equivalent(sizes: Floats, accuracy: Floats, goal: Floats) -> Floats:
    """The x at which curves (..., s) reach goals (...): 0 below the first point, infinite beyond the last.

    The curves are made monotone first (`isotonic`) and are straight in log x between points.
    """
    curve = isotonic(accuracy)
    reached = curve >= goal[..., None] - 1e-12
    after = np.argmax(reached, axis=-1)
    before = np.maximum(after - 1, 0)
    low, high = (np.take_along_axis(curve, i[..., None], axis=-1)[..., 0] for i in (before, after))
    share = np.divide(goal - low, high - low, out=np.zeros_like(goal), where=high > low)
    found = np.exp2((1 - share) * np.log2(sizes[before]) + share * np.log2(sizes[after]))
    found = np.where((after == 0) & (curve[..., 0] > goal + 1e-12), 0.0, found)
    return np.where(reached.any(axis=-1), found, np.inf)


def asymptote(sizes: Floats, accuracy: Floats) -> Floats:
    """The accuracy 1 - a that curves (..., s) tend to, with error a + b (n / n0)^-c fitted by least squares, a, b >= 0.

    c is one of `POWERS`; for each, a and b have a closed form. NaN where c is the smallest: such a curve has not begun
    to level off, and its end cannot be told.
    """
    error = 1 - accuracy
    n = sizes / np.exp(np.log(sizes).mean())
    best, found = np.full(error.shape[:-1], np.inf), np.full(error.shape[:-1], np.nan)
    for index, c in enumerate(POWERS):
        a, misfit = _level(error, n**-c)
        better = misfit < best - 1e-15
        best = np.where(better, misfit, best)
        found = np.where(better, np.nan if index == 0 else 1 - a, found)
    return found


def _level(error: Floats, u: Floats) -> tuple[Floats, Floats]:
    """a (...) and the sum of squares of the best a + b u with a, b >= 0, for errors (..., s) and u (s,)."""
    mean, centred = error.mean(axis=-1), u - u.mean()
    b = np.maximum(error @ centred / (centred @ centred), 0.0)
    a = mean - b * u.mean()
    b = np.where(a < 0, error @ u / (u @ u), b)
    a = np.maximum(a, 0.0)
    return a, ((error - a[..., None] - b[..., None] * u) ** 2).sum(axis=-1)


@dataclass(frozen=True)
class TrainingCurve:
    """How accuracy went with updates: means over repeats, with 95% t intervals where there are repeats.

    start: before any update; slope: accuracy per doubling of updates, None with fewer than two points after the start;
    x90: updates to 90% of the rise; asymptote: None where the curve has not levelled off (`reached` is False).
    """

    start: Estimate
    slope: Estimate | None
    x90: float | None
    asymptote: Estimate | None
    reached: bool

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, with the names of the fields."""
        return {
            "start": self.start.to_dict(),
            "slope": self.slope.to_dict() if self.slope else None,
            "x90": self.x90,
            "asymptote": self.asymptote.to_dict() if self.asymptote else None,
            "reached": self.reached,
        }


def training_curve(steps: Floats, accuracy: Floats) -> TrainingCurve:
    """Figures of accuracies (r, e) after `steps` (e,) updates, ascending, the first of them 0 or more."""
    later = steps > 0
    slope = over_repeats(accuracy[:, later] @ slope_weights(steps[later])) if later.sum() > 1 else None
    mean = accuracy.mean(axis=0)
    reached = levelled(steps, mean)
    last = max(3, round(0.1 * len(steps)))
    end = over_repeats(accuracy[:, -last:].mean(axis=1)) if reached else None
    return TrainingCurve(over_repeats(accuracy[:, 0]), slope, x90(steps, mean), end, reached)


def levelled(steps: Floats, accuracy: Floats) -> bool:
    """Whether the Theil-Sen slope of the last quarter, three points at least, is within `LEVEL_SLOPE` a doubling."""
    last = max(3, -(-len(steps) // 4))
    if (steps[-last:] > 0).sum() < last:
        return False
    x, y = np.log2(steps[-last:]), accuracy[-last:]
    i, j = np.triu_indices(last, 1)
    return bool(abs(np.median((y[j] - y[i]) / (x[j] - x[i]))) <= LEVEL_SLOPE)
