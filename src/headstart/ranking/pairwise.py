"""How the judged backbones stand to each other: order, differences to the best, the front of accuracy and speed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headstart.ranking.judge import Judged
from headstart.statistics import mcnemar

ALPHA = 0.05
"""Below this p a difference counts as measured."""


@dataclass(frozen=True)
class Difference:
    """One row against the best on the same pictures.

    `points` is its accuracy minus the best's, in percentage points; `only_best` and `only_this` count pictures that one
    of the two alone names correctly; `p` is McNemar's, exact.
    """

    points: float
    only_best: int
    only_this: int
    p: float

    @property
    def measured(self) -> bool:
        """Whether chance alone would rarely set the two as far apart."""
        return self.p < ALPHA

    @property
    def worse(self) -> bool:
        """Measurably worse than the best."""
        return self.measured and self.points < 0


def difference(best: Judged, other: Judged) -> Difference:
    """`other` against `best`, paired by picture."""
    a, b = best.scores.right, other.scores.right
    only_best, only_other = int((a & ~b).sum()), int((b & ~a).sum())
    return Difference(100 * (only_other - only_best) / len(a), only_best, only_other, mcnemar(only_other, only_best))


def ordered(backbones: Sequence[Judged]) -> list[Judged]:
    """The most accurate first; of two equal ones the faster."""
    return sorted(backbones, key=lambda b: (-b.scores.accuracy, -speed(b), b.label))


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
