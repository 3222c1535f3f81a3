"""Figures of a learning curve: start, slope, x90, area, asymptote, data equivalence (docs/compare.md).

x is labelled pictures per class, or updates; accuracies are shares of 0..1, float64, in order of x. Linear figures are
given as coefficients, so that the bootstrap can be exact about them (Taylor and Stone 2009, Torrey and Shavlik 2009).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
RISE = 0.9
FEWEST_SIZES = 4
FEWEST_SUBSETS = 5
UNTOLD = 0.025  # of the draws: where more of them cannot tell an asymptote, the interval has no upper end
POWERS = np.geomspace(0.1, 3.0, 69)  # the exponents c that are tried


def area_weights(sizes: Floats) -> Floats:
    """(s,) coefficients of the mean accuracy over log x: the trapezoid rule divided by the range; (1,) for one size."""
    if len(sizes) == 1:
        return np.ones(1)
    gaps = np.diff(np.log2(sizes))
    weights: Floats = (np.append(gaps, 0.0) + np.append(0.0, gaps)) / (2 * gaps.sum())
    return weights


def slope_weights(sizes: Floats) -> Floats:
    """(s,) coefficients of the least-squares slope on log2 x: accuracy per doubling; needs two sizes or more."""
    centred = np.log2(sizes) - np.log2(sizes).mean()
    weights: Floats = centred / (centred**2).sum()
    return weights


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

    c is one of `POWERS`; for each, a and b have a closed form. NaN where c is the smallest and the curve rises: it has
    not begun to level off, and its end cannot be told.
    """
    error = 1 - accuracy
    n = sizes / np.exp(np.log(sizes).mean())
    best, found = np.full(error.shape[:-1], np.inf), np.full(error.shape[:-1], np.nan)
    mean = error.mean(axis=-1)
    for index, c in enumerate(POWERS):
        a, b, misfit = _level(mean, error, n**-c)
        better = misfit < best - 1e-14
        best = np.where(better, misfit, best)
        found = np.where(better, np.where((b > 1e-9) & (index == 0), np.nan, 1 - a), found)
    return found


def _level(mean: Floats, error: Floats, u: Floats) -> tuple[Floats, Floats, Floats]:
    """The a (...) and b (...) >= 0 that fit a + b u best to errors (..., s) with this mean, u (s,).

    And the mean square of what is left, less that of the errors, which is the same for every u.
    """
    product, mean_u, square_u = error @ u / len(u), u.mean(), float(np.mean(u**2))
    b = np.maximum((product - mean * mean_u) / (square_u - mean_u**2), 0.0)
    a = mean - b * mean_u
    b = np.where(a < 0, product / square_u, b)
    a = np.maximum(a, 0.0)
    return a, b, a * (a - 2 * mean) + b * (b * square_u - 2 * product) + 2 * a * b * mean_u
