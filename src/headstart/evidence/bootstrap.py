"""The two-level paired bootstrap: labelled subsets x test pictures (decision 0015).

Every linear quantity is a sum of coefficients times accuracies, so it is the mean of a crossed table z (r, m), one row
a subset, one column a test picture. Its error has three parts: pictures P, subsets S, and what is left over, E. The
means of the columns vary by P + E, those of the rows by S + E. Resampling rows and columns together counts E three
times (the pigeonhole bootstrap, Owen 2007), and a percentile over five subsets is much too narrow. Here

    draw = value + widening x (pictures, resampled with replacement, scaled to P + subsets, by normal multipliers)

The subsets' part has the variance S + E, known to r - 1 degrees of freedom only, so `widening` is an approximate t for
a sum of two variances. That of Cochran and Cox (1957, Experimental Designs) is the mean of both t quantiles, weighted
by P and S + E; a bent weight and a little caution bring its coverage to 95.5 to 96.6% wherever the variance comes from
(5 repeats; `benchmarks/verdicts.py`). All quantities of a study share the draws: differences and ratios are paired.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.errors import UserError
from headstart.evidence.answers import Answers
from headstart.schema.verdicts import Estimate
from headstart.statistics import t_quantile, z_quantile

Floats = NDArray[np.float64]
DRAWS = 10_000
CELLS = 2**22  # weights held at a time: about 100 MB with what makes them
BEND, CAUTION = 1.25, 1.04  # found by numerical integration over all shares of the variance, 3 to 10 repeats
LEAST = 0.7  # of the width from pictures alone: subsets that agree by chance make an interval no narrower
EXACT = 2**24  # whole numbers up to here are exact in float32


@dataclass(frozen=True)
class Variances:
    """Variance of the mean of a crossed table, in squared shares, by the means it is estimated from.

    pictures: of the columns (P + E); subsets: of the rows (S + E); rest: what both hold (E).
    """

    pictures: float
    subsets: float
    rest: float

    @property
    def more_repeats(self) -> bool:
        """Whether subsets alone (S) bring more variance than test pictures alone (P)."""
        return self.subsets > self.pictures


@dataclass(frozen=True)
class Spread:
    """A quantity with its 95% and 90% intervals and where its variance comes from."""

    estimate: Estimate
    low90: float
    high90: float
    variances: Variances

    def within(self, low: float, high: float) -> Spread:
        """The same with all bounds moved into [low, high], for a quantity that cannot lie outside."""
        low90, high90 = (min(max(bound, low), high) for bound in (self.low90, self.high90))
        return replace(self, estimate=self.estimate.within(low, high), low90=low90, high90=high90)


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """The draws of one study, shared by all its quantities; coefficients below are (a, s), like the accuracies.

    pictures: (draws, a, s) float64, how far the accuracies move when the test pictures are drawn again;
    multipliers: (draws, r) float64, standard normal.
    """

    answers: Answers
    pictures: Floats
    multipliers: Floats

    @classmethod
    def of(cls, answers: Answers, draws: int = DRAWS, seed: int = 0) -> Bootstrap:
        """The draws for these answers: the same for any order of the test pictures and of the repeats.

        Raises UserError for fewer than two test pictures, which have no spread.
        """
        if answers.n_test < 2:
            raise UserError("Arms cannot be compared on one test picture: use two or more.")
        answers = _in_order(answers)
        a, s, r, m = answers.right.shape
        counts = answers.right.sum(axis=2, dtype=np.int64).reshape(a * s, m)
        rng = np.random.default_rng(seed)
        return cls(answers, resampled(counts, draws, rng).reshape(draws, a, s) / r, rng.standard_normal((draws, r)))

    @property
    def accuracy(self) -> Floats:
        """(a, s) mean over repeats."""
        found: Floats = self.answers.accuracy.mean(axis=2)
        return found

    def value(self, coefficients: Floats) -> float:
        """The quantity itself."""
        return float(_combined(coefficients, self.accuracy))

    def spread(self, coefficients: Floats) -> Spread:
        """The quantity with its intervals and the parts of its variance."""
        value, found = self.value(coefficients), self.variances(coefficients)
        pictures = _combined(coefficients, self.pictures)
        rows = _combined(coefficients, np.moveaxis(self.answers.accuracy, 2, 0))
        subsets = self.multipliers @ _standard(rows)
        bounds: list[float] = []
        for level in (0.95, 0.9):
            by_pictures, by_subsets = self._factors(found, level)
            tails = [(1 - level) / 2, (1 + level) / 2]
            bounds += np.quantile(by_pictures * pictures + by_subsets * subsets, tails).tolist()
        low, high, low90, high90 = (value + bound for bound in bounds)
        return Spread(Estimate(value, low, high), low90, high90, found)

    def estimate(self, coefficients: Floats) -> Estimate:
        """The quantity with its 95% interval."""
        return self.spread(coefficients).estimate

    def joint(self, coefficients: Floats) -> Floats:
        """(draws, a, s) accuracies within 0..1, for figures that are no sum of accuracies (a ratio, a fitted curve).

        They are widened as for the quantity with these coefficients: the linear one nearest to the figure.
        """
        by_pictures, by_subsets = self._factors(self.variances(coefficients), 0.95)
        subsets = np.tensordot(self.multipliers, _standard(self.answers.accuracy), axes=(1, 2))
        return np.clip(self.accuracy + by_pictures * self.pictures + by_subsets * subsets, 0.0, 1.0)

    def variances(self, coefficients: Floats) -> Variances:
        """The parts of the quantity's variance, from the two-way table by the method of moments."""
        r, m = self.answers.repeats, self.answers.n_test
        table = np.zeros((r, m))
        for weights, right in zip(coefficients, self.answers.right, strict=True):
            own = np.zeros((r, m))  # each arm by itself, so that two arms with the same answers cancel exactly
            for size in np.flatnonzero(weights):
                own += weights[size] * right[size]
            table += own
        columns, rows = table.mean(axis=0), table.mean(axis=1)
        pictures = float(columns.var(ddof=1)) / m
        if r == 1:
            return Variances(pictures, 0.0, 0.0)
        table -= columns
        table -= (rows - rows.mean())[:, None]
        rest = float((table**2).sum()) / ((r - 1) * (m - 1) * r * m)
        return Variances(pictures, float(rows.var(ddof=1)) / r, rest)

    def _factors(self, found: Variances, level: float) -> tuple[float, float]:
        """What the deviations of the pictures and of the subsets are multiplied by."""
        t_p, z = t_quantile(self.answers.n_test - 1, level), z_quantile(level)
        t_s = t_quantile(self.answers.repeats - 1, level) if found.subsets else 0.0
        alone = max(0.0, found.pictures - found.rest)
        total = alone + found.subsets
        bent = (found.subsets / total) ** BEND if total else 0.0
        half = CAUTION * (t_p + (t_s - t_p) * bent) * total**0.5
        if half <= LEAST * t_p * found.pictures**0.5:
            return LEAST * t_p / z, 0.0
        widening = half / (z * total**0.5)
        return widening * (alone / found.pictures) ** 0.5 if alone else 0.0, widening


def resampled(counts: NDArray[np.int64], draws: int, rng: np.random.Generator) -> Floats:
    """(draws, k) how far the row means of counts (k, m) move when the m columns are drawn again with replacement.

    Corrected for m - 1 degrees of freedom. Sums of whole numbers, so that equal rows move exactly alike.
    """
    k, m = counts.shape
    dtype: type[np.floating[Any]] = np.float32 if m * max(1, int(counts.max())) < EXACT else np.float64
    columns, step = np.ascontiguousarray(counts.T, dtype=dtype), max(1, CELLS // m)
    sums = np.empty((draws, k))
    for start in range(0, draws, step):
        size = min(step, draws - start)
        sums[start : start + size] = _weights(size, m, rng).astype(dtype) @ columns
    moved: Floats = (sums - counts.sum(axis=1)) / m * (m / (m - 1)) ** 0.5
    return moved


def _weights(draws: int, m: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(draws, m) how often each of m pictures is drawn in m draws with replacement."""
    drawn = rng.integers(0, m, size=(draws, m))
    drawn += np.arange(draws)[:, None] * m
    return np.bincount(drawn.ravel(), minlength=draws * m).reshape(draws, m)


def _combined(coefficients: Floats, values: Floats) -> Floats:
    """Sum of coefficients (a, s) times values (..., a, s), within each arm first, so that equal arms cancel exactly."""
    used = np.flatnonzero(coefficients.any(axis=1))
    total: Floats = (values[..., used, :] * coefficients[used]).sum(axis=-1).sum(axis=-1)
    return total


def _standard(rows: Floats) -> Floats:
    """Deviations (..., r) from their mean, so that their sum times standard normals has the variance of that mean."""
    r = rows.shape[-1]
    deviations: Floats = (rows - rows.mean(axis=-1, keepdims=True)) / max(1, r * (r - 1)) ** 0.5
    return deviations


def _in_order(answers: Answers) -> Answers:
    """The same answers, repeats and pictures in an order that depends on the answers alone."""
    repeats = np.lexsort(answers.accuracy.reshape(-1, answers.repeats))
    pictures = np.lexsort(answers.right.sum(axis=2).reshape(-1, answers.n_test))
    return replace(answers, right=answers.right[:, :, repeats][..., pictures])
