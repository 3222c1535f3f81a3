"""What more labels would bring: accuracy at 2 and 4 times the labels, and the labels that a target takes.

The error after m labels is taken for  e(m) = E (f + (1 - f) (m / n)^-c):  a power law (Hestness et al. 2017) that
levels off at a share f of today's error E. The logarithms of the shares of wrong answers at several sizes are normal
about that of e(m), with the covariance of the pictures' own answers, as the same pictures answer at every size. E has
no prior; f and c have one on a grid, from curves of other data (decision 45). The forecast is the mixture over it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.evidence.cross_validated import FEW, INFLATION
from headstart.statistics import normal_cdf

Floats = NDArray[np.float64]
LEVEL = 0.9
TIMES = (2, 4)
FLOORS = np.linspace(0.0, 0.9, 10)
POWERS = np.geomspace(0.05, 1.6, 14)
USUAL_POWER, SPREAD = 0.4, 0.4
"""Of the exponents: the median, and the deviation of the logarithm, of a normal prior."""
FLOOR_RATE = 12.0
"""The prior of f falls as exp(-rate f)."""
ROUGH = 0.15
"""The deviation of each logarithm that a power law does not explain."""
FARTHEST = 64.0
"""Times the labels beyond which a target is out of reach."""


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

    def needed(self, target: float, level: float = LEVEL) -> tuple[float, float, float]:
        """(Median, low, high) labels after which the accuracy of an average fit is `target`; infinite: out of reach."""
        goal = np.log(max(1 - target, 1e-9))
        grid = np.exp2(np.linspace(-6, np.log2(FARTHEST), 241))
        curve = self.level[:, None] + np.log(_shape(grid, self.floors[:, None], self.powers[:, None]))
        chance = self.weights @ normal_cdf((goal - curve) / self.spread[:, None])  # that it is reached by then
        found = []
        for q in (0.5, (1 - level) / 2, (1 + level) / 2):
            reached = np.flatnonzero(chance >= q)
            found.append(self.n * float(grid[reached[0]]) if len(reached) else np.inf)
        return found[0], found[1], found[2]


def forecast(sizes: Floats, wrong: Floats, guess: float, n: int) -> Forecast | None:
    """From the mean labels learnt from (s,), of n, and the shares of wrong answers (s, m) to m pictures.

    NaN in `wrong` is a picture that was not judged; `guess` is the error of always the commonest class. None where
    there are fewer than two sizes.
    """
    if len(sizes) < 2:
        return None
    errors, covariance = _moments(wrong)
    y = np.log(errors)
    precision = np.linalg.inv(covariance)
    floors, powers = (each.ravel() for each in np.meshgrid(FLOORS, POWERS, indexing="ij"))
    shapes = np.log(_shape(sizes / n, floors[:, None], powers[:, None]))
    left = y - shapes
    sure = float(precision.sum())
    level = left @ precision.sum(axis=0) / sure
    rest = left - level[:, None]
    fit = -0.5 * np.einsum("gs,st,gt->g", rest, precision, rest)
    prior = -0.5 * (np.log(powers / USUAL_POWER) / SPREAD) ** 2 - FLOOR_RATE * floors
    weights = np.exp(fit + prior - (fit + prior).max())
    return Forecast(
        n, tuple(sizes.tolist()), tuple((1 - errors).tolist()), guess, _odd(errors, covariance, fit, guess),
        weights / weights.sum(), level, np.full(len(level), sure**-0.5), floors, powers,
    )  # fmt: skip


def _moments(wrong: Floats) -> tuple[Floats, Floats]:
    """Shares of wrong answers (s,), half a picture added so that none is 0, and the covariance of their logarithms."""
    n = wrong.shape[1]
    means = np.nanmean(wrong, axis=1)
    centred = np.nan_to_num(wrong - means[:, None])
    errors = (n * means + 0.5) / (n + 1)
    covariance = (INFLATION + FEW / n) * (centred @ centred.T) / n**2 + 0.25 / n**2
    covariance = covariance / np.outer(errors, errors) + ROUGH**2 * np.eye(len(errors))
    return errors, covariance


def _odd(errors: Floats, covariance: Floats, fit: Floats, guess: float) -> str:
    """Why a curve cannot be gone on from; '' where it can."""
    if np.log(guess / errors[-1]) < 1.64 * np.sqrt(covariance[-1, -1]):
        return "so far it is hardly better than guessing"
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
