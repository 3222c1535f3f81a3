"""Two arms of a study side by side: weighted sums of their accuracies over the sizes, and how far these may be off."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from headstart.evidence import curves
from headstart.evidence.answers import Answers
from headstart.evidence.bootstrap import Bootstrap
from headstart.evidence.variance import Spread
from headstart.statistics import mcnemar

Floats = NDArray[np.float64]
FEWEST = 2  # repeats: fewer show no spread


@dataclass(frozen=True)
class Contrast:
    """Two arms, by number, of a bootstrapped study. Weights (s,) are of the sizes."""

    boot: Bootstrap
    first: int
    second: int

    @property
    def answers(self) -> Answers:
        """Those of the study."""
        return self.boot.answers

    @property
    def used(self) -> NDArray[np.int64]:
        """(u,) the sizes, by number, that figures over all sizes are about."""
        return self.answers.drawn

    @property
    def sizes(self) -> Floats:
        """(u,) of them."""
        return self.answers.sizes[self.used]

    @property
    def accuracies(self) -> Floats:
        """(2, u) mean over repeats."""
        return self.boot.accuracy[[self.first, self.second]][:, self.used]

    @property
    def area(self) -> Floats:
        """(s,) weights of the mean over log n."""
        return self.over(curves.area_weights(self.sizes))

    def over(self, weights: Floats) -> Floats:
        """(u,) weights of the sizes that are used -> (s,), 0 for the others."""
        found = np.zeros(len(self.answers.sizes))
        found[self.used] = weights
        return found

    @property
    def one_set(self) -> bool:
        """Whether there is one set of labelled pictures."""
        return bool(self.answers.once.all())

    def coefficients(self, weights: Floats, first: float = 1.0, second: float = -1.0) -> Floats:
        """(a, s) coefficients: weights times `first` and `second` for the two arms, 0 for the others."""
        found = np.zeros((len(self.answers.arms), len(weights)))
        found[self.first] += first * weights
        found[self.second] += second * weights
        return found

    def spread(self, weights: Floats, first: float = 1.0, second: float = -1.0) -> Spread:
        """The weighted sum with its variance; of the difference, where `first` and `second` are left out."""
        return self.boot.spread(self.coefficients(weights, first, second))

    def joint(self, weights: Floats, first: float = 1.0, second: float = -1.0) -> Floats:
        """(draws, 2, u) accuracies, widened as for that sum."""
        coefficients = self.coefficients(weights, first, second)
        return self.boot.joint(coefficients)[:, [self.first, self.second]][:, :, self.used]

    def unlearnt(self, sizes: NDArray[np.int64]) -> tuple[bool, bool]:
        """Whether the two arms learnt nothing at any of these sizes."""
        first, second = (bool(self.answers.lost(arm)[sizes].all()) for arm in (self.first, self.second))
        return first, second

    def sound(self, sizes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(r,) the repeats in which no fit of the two arms at these sizes failed."""
        return self.answers.sound([self.first, self.second], sizes)

    def without_failed(self, sizes: NDArray[np.int64]) -> Contrast | None:
        """The same on the sound repeats alone; None where all are, or too few."""
        sound = self.sound(sizes)
        if sound.all() or sound.sum() < FEWEST:
            return None
        return replace(self, boot=replace(self.boot, answers=self.answers.taking(sound)))

    @property
    def p(self) -> float:
        """Of the difference over all sizes; 1 where nothing can be concluded."""
        found = [self.spread(self.area)]
        without = self.without_failed(self.used)
        if without is not None:
            found.append(without.spread(self.area))
        if self.unlearnt(self.used)[int(found[0].value > 0)] or found[0].value * found[-1].value <= 0:
            return 1.0
        exact = self.exact() if self.one_set else None
        return max(each.p for each in found) if exact is None else exact

    def exact(self) -> float | None:
        """McNemar's exact p value, for one repeat and one size; else None."""
        if not self.one_set or len(self.answers.sizes) > 1:
            return None
        first, second = self.answers.right[[self.first, self.second], 0, 0]
        return mcnemar(int((first & ~second).sum()), int((second & ~first).sum()))
