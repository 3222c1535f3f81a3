"""How the judged backbones stand to each other: order, differences to the best, the front of accuracy and speed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headstart.evidence.cross_validated import effective
from headstart.ranking.judge import Judged
from headstart.statistics import mcnemar, t_quantile

ALPHA = 0.05
"""Below this p a difference counts as measured."""


MARGIN = 2.0
"""Percentage points: a backbone that is less worse than this, as far as can be told, is as good."""
DRAWS = 10_000


@dataclass(frozen=True)
class Difference:
    """One row against the best on the same pictures.

    `points` is its accuracy minus the best's, in percentage points; `only_best` and `only_this` count pictures that one
    of the two alone names correctly; `p` is McNemar's, exact; `least` is what `points` is above with 95% confidence.
    """

    points: float
    only_best: int
    only_this: int
    p: float
    least: float

    @property
    def measured(self) -> bool:
        """Whether chance alone would rarely set the two as far apart."""
        return self.p < ALPHA

    @property
    def worse(self) -> bool:
        """Measurably worse than the best."""
        return self.measured and self.points < 0

    @property
    def as_good(self) -> bool:
        """Whether it is shown to be less than `MARGIN` worse (non-inferior): "not measurably worse" shows nothing."""
        return self.least > -MARGIN


def difference(best: Judged, other: Judged) -> Difference:
    """`other` against `best`, paired by picture."""
    a, b = best.scores.right, other.scores.right
    only_best, only_other = int((a & ~b).sum()), int((b & ~a).sum())
    points, p = 100 * (only_other - only_best) / len(a), mcnemar(only_other, only_best)
    return Difference(points, only_best, only_other, p, points - 100 * _reach(only_best + only_other, len(a)))


def _reach(differing: int, n: int) -> float:
    """How far below a difference of out-of-fold shares the truth may lie, one-sided at 95%: one picture more differs.

    Answers out of fold are worth fewer (decision 23). The square of the difference itself, small, is not taken off.
    """
    return t_quantile(max(n - 1, 1), 0.9) * float(np.sqrt((differing + 1) / n / effective(n)))


def regret(backbones: Sequence[Judged]) -> float:
    """Percentage points that the most accurate of these falls short of the truly best of them, on average.

    As far as these pictures tell: true accuracies drawn around those measured, errors paired by picture.
    """
    right = np.stack([each.scores.right for each in backbones]).astype(np.float64)
    deviation = np.atleast_2d(np.cov(right)) / effective(right.shape[1])
    drawn = np.random.default_rng(0).multivariate_normal(right.mean(axis=1), deviation, DRAWS, method="eigh")
    return float(100 * np.mean(drawn.max(axis=1) - drawn[:, right.mean(axis=1).argmax()]))


def ordered(backbones: Sequence[Judged]) -> list[Judged]:
    """The most accurate first; of two equal ones that with fewer multiply-adds, which are the same each time."""
    return sorted(backbones, key=lambda b: (-b.scores.accuracy, b.cost.multiply_adds or np.inf, b.label))


def front(backbones: Sequence[Judged]) -> list[str]:
    """Labels of those that no other beats in accuracy and speed, the fastest first (the Pareto front)."""
    found: list[Judged] = []
    for each in sorted(backbones, key=lambda b: (-speed(b), -b.scores.accuracy)):
        if not found or each.scores.accuracy > found[-1].scores.accuracy:
            found.append(each)
    return [each.label for each in found]


def speed(judged: Judged) -> float:
    """Pictures per second, 0 where it was not measured."""
    return judged.cost.images_per_s or 0.0
