"""What more labels would bring: accuracy at 2 and 4 times the labels, and the labels that a target takes.

The error after m labels is taken for  e(m) = E (f + (1 - f) (m / n)^-c):  a power law (Hestness et al. 2017) that
levels off at a share f of today's error E. The logarithms of the shares of wrong answers at several sizes are normal
about that of e(m), with the covariance of the pictures' own answers, as the same pictures answer at every size. What
the classifier's confidence says of its errors is one more measurement at the last size: it varies less than a count of
few mistakes, and may be off. E has no prior; f and c have one on a grid, from curves of other data (decision 45). The
forecast is the mixture over it.

What a target takes has one more prior, because of who asks: few ask for an accuracy that was passed long ago, or for
one that all the world's pictures would not bring. Who names a target is told the likeliest accuracies with that prior
too: a number of labels and accuracies of two curves would contradict each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from headstart.evidence.cross_validated import FEW, INFLATION
from headstart.statistics import normal_cdf

Floats = NDArray[np.float64]
LEVEL = 0.9
TIMES = (2, 4)
FLOORS = np.linspace(0.0, 0.9, 10)
POWERS = np.geomspace(0.05, 1.6, 14)
USUAL_POWER, SPREAD = 0.5, 0.6
"""Of the exponents: the median, and the deviation of the logarithm, of a normal prior."""
FLOOR_RATE = 12.0
"""The prior of f falls as exp(-rate f)."""
ROUGH = 0.15
"""The deviation of each logarithm that a power law does not explain."""
TRUST = 0.4
"""The deviation of the logarithm of the mean confidence in wrong answers from that of their share."""
FARTHEST = 64.0
"""Times the labels beyond which a target is out of reach."""
ASKED, ASKED_SPREAD = 1.0, 0.7
"""Doublings of the labels that targets take: the median, and half the distance of the quartiles, of a Cauchy prior."""
NEAR = 1.5
"""The factor within which the number of labels that is said is most likely right."""
DOUBLINGS = np.linspace(-6.0, 12.0, 289)


@dataclass(frozen=True)
class Forecast:
    """A learning curve and where it leads: `sizes` (s,) in labels with their `accuracy` (s,), of n labels.

    `odd` says why the curve cannot be gone on from, '' where it can. `weights`, `level`, `spread` (g,) are the mixture:
    the logarithm of E is normal; with `floors` and `powers` (g,).
    """

    n: int
    sizes: tuple[float, ...]
    accuracy: tuple[float, ...]
    guess: float
    odd: str
    weights: Floats
    level: Floats
    spread: Floats
    floors: Floats
    powers: Floats

    def at(self, labels: float, level: float = LEVEL) -> tuple[float, float, float]:
        """(Median, low, high) of the accuracy after so many labels, of an average fit."""
        centre = self.level + np.log(_shape(labels / self.n, self.floors, self.powers))
        errors = [_quantile(q, self.weights, centre, self.spread) for q in (0.5, (1 + level) / 2, (1 - level) / 2)]
        value, low, high = (1 - min(float(np.exp(each)), self.guess) for each in errors)
        return value, low, high

    def for_target(self, target: float) -> TargetForecast:
        """The curves as one who asks for a target sees them: times the prior of how many doublings a target takes."""
        shapes = np.log(_shape(np.exp2(DOUBLINGS), self.floors[:, None], self.powers[:, None]))
        level = np.log(max(1 - target, 1e-9)) - shapes
        off = (level - self.level[:, None]) / self.spread[:, None]
        fit = np.log(np.maximum(self.weights, 1e-300))[:, None] - 0.5 * off**2
        weights = np.exp(fit - fit.max()) / (1 + ((DOUBLINGS - ASKED) / ASKED_SPREAD) ** 2)
        return TargetForecast(self, target, weights / weights.sum(), level)


@dataclass(frozen=True, eq=False)
class TargetForecast:
    """The curves of a forecast that reach a target after each of `DOUBLINGS`: their weights and log E, both (g, d)."""

    forecast: Forecast
    target: float
    weights: Floats
    level: Floats

    @cached_property
    def needed(self) -> tuple[float, float, float]:
        """Labels after which the accuracy of an average fit is the target, and their interval; infinite: out of reach.

        The first is the middle of the range, from a number to `NEAR` squared times it, that is most likely right.
        """
        until = np.cumsum(self.weights.sum(axis=0))
        ends = np.interp([(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2], until, DOUBLINGS)
        half = np.log2(NEAR)
        inside = np.interp(DOUBLINGS + half, DOUBLINGS, until) - np.interp(DOUBLINGS - half, DOUBLINGS, until, left=0)
        found = (DOUBLINGS[inside.argmax()] if 2.0 ** ends[1] <= FARTHEST else np.inf, ends[0], ends[2])
        best, low, high = (self.forecast.n * 2.0**each if 2.0**each <= FARTHEST else np.inf for each in found)
        return float(best), float(low), float(high)

    def accuracy(self, labels: float) -> float:
        """Its median after so many labels.

        At most the target where `needed` says more labels, and at least that where it says at most so many.
        """
        curves = self.forecast
        errors = (self.level + np.log(_shape(labels / curves.n, curves.floors, curves.powers))[:, None]).ravel()
        order = np.argsort(errors)
        middle = np.interp(0.5, np.cumsum(self.weights.ravel()[order]), errors[order])
        likely = 1 - min(float(np.exp(middle)), curves.guess)
        return max(likely, self.target) if self.needed[0] <= labels else min(likely, self.target)


def forecast(sizes: Floats, wrong: Floats, guess: float, n: int, unsure: Floats | None = None) -> Forecast | None:
    """From the mean labels learnt from (s,), of n, and the shares of wrong answers (s, m) to m pictures.

    NaN in `wrong` is a picture that was not judged; `guess` is the error of always the commonest class. `unsure` (m,)
    is 1 minus the confidence of each answer at the last size. None where there are fewer than two sizes.
    """
    if len(sizes) < 2:
        return None
    rows, at = (wrong, sizes) if unsure is None else (np.vstack([wrong, unsure]), np.append(sizes, sizes[-1]))
    errors, covariance = _moments(rows, np.arange(len(rows)) < len(sizes))
    y = np.log(errors)
    precision = np.linalg.inv(covariance)
    floors, powers = (each.ravel() for each in np.meshgrid(FLOORS, POWERS, indexing="ij"))
    shapes = np.log(_shape(at / n, floors[:, None], powers[:, None]))
    left = y - shapes
    sure = float(precision.sum())
    level = left @ precision.sum(axis=0) / sure
    rest = left - level[:, None]
    fit = -0.5 * np.einsum("gs,st,gt->g", rest, precision, rest)
    prior = -0.5 * (np.log(powers / USUAL_POWER) / SPREAD) ** 2 - FLOOR_RATE * floors
    weights = np.exp(fit + prior - (fit + prior).max())
    counted = errors[: len(sizes)], covariance[: len(sizes), : len(sizes)]
    return Forecast(
        n, tuple(sizes.tolist()), tuple((1 - counted[0]).tolist()), guess, _odd(*counted, fit, guess),
        weights / weights.sum(), level, np.full(len(level), sure**-0.5), floors, powers,
    )  # fmt: skip


def _moments(rows: Floats, counted: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Shares of wrong answers (s,) from rows (s, m), and the covariance of their logarithms.

    Half a picture is added where they are counts, so that none is 0; the others are measured by confidence.
    """
    n, added = rows.shape[1], np.where(counted, 0.5, 0.0)
    means = np.nanmean(rows, axis=1)
    centred = np.nan_to_num(rows - means[:, None])
    errors = np.maximum((n * means + added) / (n + 2 * added), 1e-4)
    covariance = (INFLATION + FEW / n) * (centred @ centred.T) / n**2 + np.outer(added, added) / n**2
    covariance = covariance / np.outer(errors, errors) + np.diag(ROUGH**2 + np.where(counted, 0, TRUST**2))
    return errors, covariance


def _odd(errors: Floats, covariance: Floats, fit: Floats, guess: float) -> str:
    """Why a curve cannot be gone on from; '' where it can."""
    if np.log(guess / errors[-1]) < 1.64 * np.sqrt(covariance[-1, -1]):
        return "the labelled pictures do not show that it is better than guessing"
    step = np.array([-1.0, 1.0])
    last = covariance[-2:, -2:]
    if np.log(errors[-1] / errors[-2]) > 1.64 * np.sqrt(step @ last @ step):
        return "more labels did not help so far"
    if -2 * float(fit.max()) > 9.0 + len(errors):
        return "the curve goes up and down"
    return ""


def _shape(times: float | Floats, floors: Floats, powers: Floats) -> Floats:
    found: Floats = floors + (1 - floors) * np.asarray(times) ** -powers
    return found


def _quantile(q: float, weights: Floats, centre: Floats, spread: Floats) -> float:
    """Of a mixture of normals, by halving."""
    low, high = float((centre - 6 * spread).min()), float((centre + 6 * spread).max())
    for _ in range(50):
        middle = (low + high) / 2
        if weights @ normal_cdf((middle - centre) / spread) < q:
            low = middle
        else:
            high = middle
    return (low + high) / 2
