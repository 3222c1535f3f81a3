"""How far a sum of accuracies may be off: its variance by source, and its interval at any level (decisions 0015, 0040).

Every linear quantity is a sum of coefficients times accuracies, so it is the mean of a crossed table z (r, m), one row
a subset, one column a test picture. Its error has three parts: pictures P, subsets S, and what is left over, E. The
means of the columns vary by P + E, those of the rows by S + E, known to r - 1 degrees of freedom only. So the interval
reaches so many standard errors as an approximate t for a sum of two variances does: that of Cochran and Cox (1957,
Experimental Designs) is the mean of both t quantiles, weighted by P and S + E; a bent weight and a little caution bring
its coverage to 95.5 to 96.6% wherever the variance comes from (5 repeats; `benchmarks/verdicts.py`). Besides

- subsets drawn from a small pool share pictures, and so err alike: to the spread between them comes n / (N - n) of one
  subset's variance, n of N pictures (Nadeau and Bengio 2003);
- one subset of all pictures shows no spread: that of the largest size with several is taken;
- near copies among the test pictures count as one picture (a cluster);
- two arms that differ on hardly a picture have the variance of one picture more (after Agresti and Min 2005).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from headstart.evidence.answers import Answers
from headstart.schema.verdicts import Estimate
from headstart.statistics import t_quantile, wilson_of, z_quantile

Floats = NDArray[np.float64]
BEND, LESS, CAUTION = 1.25, 0.36, 1.04  # by numerical integration over all shares of the variance, 2 to 20 repeats
LEAST = 0.7  # of the width from pictures alone: subsets that agree by chance make an interval no narrower
ONE_ARM = 0.5  # of the one picture more: with it, accuracies of 0.9 to 0.99 on 50 pictures are held in 92 to 99.5%
SMALLEST_P = 1e-12


@dataclass(frozen=True)
class Variances:
    """Variance of the mean of a crossed table, in squared shares, by the means it is estimated from.

    pictures: of the columns (P + E); subsets: of the rows (S + E); rest: what both hold (E); pool: of what all subsets
    of a small pool have in common.
    """

    pictures: float
    subsets: float
    rest: float
    pool: float = 0.0

    @property
    def alone(self) -> float:
        """Of the pictures, without what the rows hold as well."""
        return max(0.0, self.pictures - self.rest)

    @property
    def between(self) -> float:
        """Of the subsets, with what is left over and what they share."""
        return self.subsets + self.pool

    @property
    def total(self) -> float:
        """Of the quantity."""
        return self.alone + self.between


@dataclass(frozen=True)
class Spread:
    """A quantity, its variance, and the numbers of pictures (clusters) and of subsets that this is known from."""

    value: float
    variances: Variances
    pictures: int
    subsets: int

    def half(self, level: float) -> float:
        """Half the width of the interval of this level."""
        found = self.variances
        t_p = t_quantile(self.pictures - 1, level)
        t_s = t_quantile(self.subsets - 1, level) if found.between else 0.0
        bent = (found.between / found.total) ** bend(self.subsets) if found.total and found.between else 0.0
        wide = CAUTION * (t_p + (t_s - t_p) * bent) * sqrt(found.total)
        return max(wide, LEAST * t_p * sqrt(found.pictures))

    def bounds(self, level: float) -> tuple[float, float]:
        """The interval of this level."""
        half = self.half(level)
        return self.value - half, self.value + half

    def estimate(self, level: float = 0.95) -> Estimate:
        """The quantity with its interval."""
        return Estimate(self.value, *self.bounds(level))

    def share(self, level: float = 0.95) -> Estimate:
        """The same of an accuracy: Wilson's interval (1927) of as many answers as have this variance.

        What subsets add is no matter of answers, and near 0 and 1 such an interval reaches farther than both errors
        together. So an end is nowhere beyond Wilson's for the pictures with the rest added in squares (Zou and Donner
        2008).
        """
        half, t = self.half(level), t_quantile(self.pictures - 1, level)
        own = min(half, t * sqrt(self.variances.pictures))
        whole, of_pictures = (self._wilson(reach, t) for reach in (half, own))
        more = half**2 - own**2
        added = [sqrt((self.value - end) ** 2 + more) for end in of_pictures]
        low, high = max(whole[0], self.value - added[0]), min(whole[1], self.value + added[1])
        return Estimate(self.value, min(low, self.value), max(high, self.value))

    def _wilson(self, half: float, t: float) -> tuple[float, float]:
        """Wilson's interval of as many answers as have this half width; of the pictures where there is none."""
        room = self.value * (1 - self.value)
        return wilson_of(self.value, half**2 / room if room > 0 and half > 0 else t**2 / self.pictures)

    @property
    def p(self) -> float:
        """The two-sided p value of the quantity being 0: one less the level of the interval that ends there."""
        low, high = np.log(SMALLEST_P), 0.0
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (low, middle) if self.half(1 - np.exp(middle)) < abs(self.value) else (middle, high)
        return float(np.exp(high))

    @property
    def widening(self) -> tuple[float, float]:
        """What deviations of the pictures and of the subsets, as drawn, are multiplied by: exact for normal ones."""
        found, z = self.variances, z_quantile(0.95)
        if not found.total or self.half(0.95) <= LEAST * t_quantile(self.pictures - 1, 0.95) * sqrt(found.pictures):
            return LEAST * t_quantile(self.pictures - 1, 0.95) / z, 0.0
        widening = self.half(0.95) / (z * sqrt(found.total))
        by_pictures = widening * sqrt(found.alone / found.pictures) if found.pictures else 0.0
        return by_pictures, widening * sqrt(found.between / found.subsets) if found.subsets else 0.0


def bend(subsets: int) -> float:
    """The power of the subsets' share of the variance that weights both t quantiles; for two subsets a lower one."""
    return BEND * (1 - LESS / (subsets - 1) ** 2)


def spread(answers: Answers, coefficients: Floats) -> Spread:
    """The quantity with these coefficients (a, s), and the parts of its variance by the method of moments."""
    z = table(answers, coefficients)
    r, g = z.shape
    columns, rows = z.mean(axis=0), z.mean(axis=1)
    pictures = float(columns.var(ddof=1)) / g + _one_more(coefficients, columns)
    used = np.flatnonzero(coefficients.any(axis=0))
    value = float(combined(coefficients, answers.accuracy.mean(axis=2)))
    lone = r > 1 and bool(answers.once[used].any())
    if r == 1 or (lone and answers.once.all()):
        return Spread(value, Variances(pictures, 0.0, 0.0), g, r)
    if lone:
        return Spread(value, Variances(pictures, _borrowed(answers, coefficients), 0.0), g, r)
    subsets = float(rows.var(ddof=1)) / r
    z -= columns
    z -= (rows - rows.mean())[:, None]
    rest = float((z**2).sum()) / ((r - 1) * (g - 1) * r * g)
    return Spread(value, Variances(pictures, subsets, rest, _shared(answers, coefficients)), g, r)


def table(answers: Answers, coefficients: Floats) -> Floats:
    """(r, g) the crossed table whose mean is the quantity, near copies as one column."""
    r, m = answers.right.shape[2:]
    found = np.zeros((r, m))
    for weights, right in zip(coefficients, answers.right, strict=True):
        own = np.zeros((r, m))  # each arm by itself, so that two arms with the same answers cancel exactly
        for size in np.flatnonzero(weights):
            own += weights[size] * right[size]
        found += own
    return clustered(answers, found)


def clustered(answers: Answers, values: Floats) -> Floats:
    """(..., m) -> (..., g): the sum of each group of near copies, so scaled that the mean stays."""
    if answers.groups is None:
        return values
    first, number = np.unique(answers.groups, return_index=True, return_inverse=True)[1:]
    order, starts = np.argsort(number, kind="stable"), np.searchsorted(np.sort(number), np.arange(len(first)))
    mean = values.mean(axis=(-2, -1) if values.ndim > 1 else -1, keepdims=True)
    sums = np.add.reduceat((values - mean)[..., order], starts, axis=-1)
    found: Floats = mean + sums * (len(first) / len(number))
    return found


def column_covariance(answers: Answers, each: list[Floats]) -> Floats:
    """(k, k) covariance of quantities that test pictures bring about."""
    columns = np.stack([table(answers, coefficients).mean(axis=0) for coefficients in each])
    found: Floats = np.atleast_2d(np.cov(columns)) / columns.shape[1]
    return found


def combined(coefficients: Floats, values: Floats) -> Floats:
    """Sum of coefficients (a, s) times values (..., a, s), within each arm first, so that equal arms cancel exactly."""
    used = np.flatnonzero(coefficients.any(axis=1))
    total: Floats = (values[..., used, :] * coefficients[used]).sum(axis=-1).sum(axis=-1)
    return total


def _one_more(coefficients: Floats, columns: Floats) -> float:
    """The variance of one more picture, on which the arms differ as much as on the others.

    How much is known the less, the fewer differ: one on which they differ wholly is added to them. Of one arm: on which
    it is wrong, or right, whichever is rarer.
    """
    two = coefficients.min() < 0 < coefficients.max()
    most = float(np.abs(coefficients).sum()) / (2 if two else 1)
    rare = columns if two or columns.mean() < most / 2 else most - columns
    like = (float((rare**2).sum()) + most**2) / (float(np.abs(rare).sum()) + most)
    return ((1 if two else ONE_ARM) * like / (len(columns) + 2)) ** 2


def _by_size(answers: Answers, coefficients: Floats) -> Floats:
    """(s,) variance of one subset at each size, of what the coefficients say of it, with what is left over."""
    rows = (coefficients[:, :, None] * answers.accuracy).sum(axis=0)
    found: Floats = rows.var(axis=1, ddof=1)
    return found


def _shared(answers: Answers, coefficients: Floats) -> float:
    """The variance of what subsets of one pool have in common, over sizes in step with each other.

    What is left over is not taken off: where subsets lie close together by chance, they would seem to share nothing.
    """
    share = answers.overlap
    common = float(np.sqrt(_by_size(answers, coefficients)) @ np.sqrt(share / (1 - share)))
    return common * common


def _borrowed(answers: Answers, coefficients: Floats) -> float:
    """The variance of one subset, from the largest size that has several."""
    last = int(answers.drawn[-1])
    moved = np.zeros_like(coefficients)
    moved[:, last] = coefficients.sum(axis=1)
    share = float(answers.overlap[last])
    return float(_by_size(answers, moved)[last]) * max(1.0, share / (1 - share))
