"""The verdicts on two arms of a study: over all sizes, and of each."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from headstart.evidence.contrast import Contrast
from headstart.evidence.multiple import LEFT, together
from headstart.evidence.variance import column_covariance
from headstart.evidence.verdict import judge
from headstart.schema.verdicts import OPEN, Verdict
from headstart.statistics import wilson

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Judge:
    """Gives verdicts that err in `alpha` of studies; differences within the margin do not matter."""

    contrast: Contrast
    margin: float
    alpha: float

    def whole(self) -> Verdict:
        """The verdict over all sizes: on the mean difference over log n."""
        found, exact = self.verdict(self.contrast.area, self.contrast.used), self.contrast.exact()
        if exact is not None and exact > self.alpha and found.sign:
            return replace(found, word=OPEN, more_repeats=True)
        return found

    def by_size(self, whole: Verdict) -> list[Verdict]:
        """The verdict of each size, with intervals that hold all together.

        One that does not agree with the verdict over all sizes must be surer: all of those together err in a fifth of
        alpha. Where the verdict over all sizes is about one, it is that one's.
        """
        sizes = self.contrast.answers.sizes
        steps = list(np.eye(len(sizes)))
        usual, found = replace(self, alpha=self._of_each(steps, 1.0)) if len(sizes) > 1 else self, []
        for i, step in enumerate(steps):
            here = np.array([i])
            if list(self.contrast.used) == [i]:
                found.append(whole.at(float(sizes[i])))
                continue
            verdict = usual.verdict(step, here)
            if verdict.sign and verdict.sign != whole.sign:
                verdict = replace(self, alpha=self._of_each(steps, LEFT)).verdict(step, here)
            found.append(verdict.at(float(sizes[i])))
        return found

    def _of_each(self, steps: list[Floats], part: float) -> float:
        """The error of each size, so that all err in this part of alpha.

        By what pictures have them share; subsets are taken to bear on each by itself.
        """
        each = [self.contrast.coefficients(step) for step in steps]
        covariance = column_covariance(self.contrast.answers, each)
        total = [self.contrast.spread(step).variances.total for step in steps]
        np.fill_diagonal(covariance, np.maximum(total, np.diag(covariance)))
        return together(covariance, part * self.alpha)

    def verdict(self, weights: Floats, sizes: NDArray[np.int64]) -> Verdict:
        """The verdict on the difference with these weights of the sizes.

        Nothing is concluded where the arm behind did not learn, or where fits that failed decide.
        """
        found = self.regardless(weights).unless(*self.contrast.unlearnt(sizes))
        return found if not found.sign or self._stands(found, weights, sizes) else found.if_none_failed()

    def regardless(self, weights: Floats) -> Verdict:
        """The same whatever learnt or failed; discordance is over the sizes weighted."""
        right, used = self.contrast.answers.right, np.flatnonzero(weights)
        discordance = float(np.mean(right[self.contrast.first, used] != right[self.contrast.second, used]))
        return judge(self.contrast.spread(weights), discordance, self.margin, self.alpha)

    def without_failed(self, weights: Floats, sizes: NDArray[np.int64]) -> Verdict | None:
        """The same without the repeats in which a fit at these sizes failed; None where none did, or too many."""
        without = self.contrast.without_failed(sizes)
        return None if without is None else replace(self, contrast=without).regardless(weights)

    def _stands(self, found: Verdict, weights: Floats, sizes: NDArray[np.int64]) -> bool:
        """Whether a claim is the same without the fits that failed, and if the arm ahead failed as often as it may."""
        bounds = found.difference
        if not self.contrast.sound(sizes).all():
            without = self.without_failed(weights, sizes)
            if without is None or without.sign != found.sign:
                return False
            bounds = without.difference
        low, high = bounds.low or 0.0, bounds.high or 0.0
        ahead = self.contrast.first if found.sign > 0 else self.contrast.second
        return max(low, -high) > self._cost(ahead, weights)

    def _cost(self, arm: int, weights: Floats) -> float:
        """What failing costs an arm on average, at the upper end of how often it may: nothing where none failed."""
        lost, fits = self.contrast.answers.failures(arm)
        return wilson(lost, fits)[1] * float(self.contrast.answers.fall(arm) @ weights) if lost else 0.0
