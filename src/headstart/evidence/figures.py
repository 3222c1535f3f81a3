"""The figures of two arms' curves, with their intervals: slope, area, ratio, asymptotes, data equivalence."""

from __future__ import annotations

import math
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from headstart.evidence import curves
from headstart.evidence.contrast import Contrast
from headstart.schema.verdicts import Asymptotes, ByArm, Equivalence, Estimate, Parts, Reached

Floats = NDArray[np.float64]
SIGNS = ((1.0, 0.0), (0.0, 1.0), (1.0, -1.0))  # the first arm, the second, their difference
MANIFOLD = math.log(100)
"""A ratio that may be a hundred times as large is given no interval."""


def parts(contrast: Contrast) -> Parts:
    """Where the variance of the difference over all sizes comes from."""
    found = contrast.spread(contrast.area)
    return Parts(**asdict(found.variances), n=found.pictures)


def slope(contrast: Contrast) -> ByArm | None:
    """What each doubling of the labelled pictures adds; None for one size."""
    if len(contrast.used) < 2:
        return None
    weights = contrast.over(curves.slope_weights(contrast.sizes))
    return ByArm(*(contrast.spread(weights, *sign).estimate() for sign in SIGNS))


def x90(contrast: Contrast) -> Reached:
    """The size at which each arm has made 90% of its rise."""
    return Reached(*(curves.x90(contrast.sizes, accuracy) for accuracy in contrast.accuracies))


def area(contrast: Contrast) -> ByArm:
    """Mean accuracies over log n, which lie within 0..1."""
    first, second, gap = (contrast.spread(contrast.area, *sign) for sign in SIGNS)
    return ByArm(first.share(), second.share(), gap.estimate().within(-1.0, 1.0))


def ratio(contrast: Contrast) -> Estimate | None:
    """The transfer ratio, its interval by that of its logarithm; None where the second arm is never right."""
    first, second = contrast.accuracies @ curves.area_weights(contrast.sizes)
    if first * second == 0:
        return Estimate(0.0) if second else None
    found = contrast.spread(contrast.area, 1 / first, -1 / second).estimate()
    value = float(first / second)
    if found.low is None or found.high is None or found.high > MANIFOLD:
        return Estimate(value)
    return Estimate(value, value * math.exp(found.low), value * math.exp(found.high))


def asymptotes(contrast: Contrast) -> Asymptotes:
    """Where both arms' curves end, by the fitted power law: from four sizes and five subsets on."""
    if len(contrast.used) < curves.FEWEST_SIZES or contrast.answers.repeats < curves.FEWEST_SUBSETS:
        return Asymptotes()
    first, second = (_end(contrast, sign) for sign in SIGNS[:2])
    return Asymptotes(first, second, _end(contrast, SIGNS[2]) if first and second else None)


def _end(contrast: Contrast, sign: tuple[float, float]) -> Estimate | None:
    """Signed sum of the arms' asymptotes; None where one of them cannot be told, or not in a draw of forty."""
    arms = np.flatnonzero(sign)
    factors = np.array(sign)[arms]
    value = float(curves.asymptote(contrast.sizes, contrast.accuracies[arms]) @ factors)
    if np.isnan(value):
        return None
    last = contrast.over(np.eye(len(contrast.used))[-1])
    draws = curves.asymptote(contrast.sizes, contrast.joint(last, *sign)[:, arms])
    if np.isnan(draws).any(axis=1).mean() > curves.UNTOLD:
        return None
    low, high = np.quantile(np.nan_to_num(draws, nan=1.0) @ factors, [0.025, 0.975]).tolist()
    return Estimate(value, low, high)


def equivalence(contrast: Contrast) -> tuple[Equivalence, ...]:
    """For each size, how many pictures of a class the second arm needs to do as well as the first."""
    sizes, (goals, own), joint = contrast.sizes, contrast.accuracies, contrast.joint(contrast.area)
    values = curves.equivalent(sizes, own[None].repeat(len(sizes), 0), goals)
    draws = [curves.equivalent(sizes, joint[:, 1], goal) for goal in joint[:, 0].T]
    return tuple(_need(sizes, *each) for each in zip(sizes.tolist(), values.tolist(), draws, strict=True))


def _need(sizes: Floats, n: float, value: float, draws: Floats) -> Equivalence:
    """One entry: 0 stands for below the second arm's curve, infinity for beyond it."""
    smallest, largest = float(sizes[0]), float(sizes[-1])
    low, high = np.quantile(draws, [0.025, 0.975], method="inverted_cdf").tolist()
    reached = 0 < value < np.inf
    return Equivalence(
        n=n,
        value=value if reached else None,
        low=None if low == 0 else min(low, largest),
        high=None if high == np.inf else max(high, smallest),
        beyond=largest if value == np.inf else None,
        multiple=value / n if reached else None,
    )
