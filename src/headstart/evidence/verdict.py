"""`Verdict`: helped, hurt, no measurable difference or inconclusive, by a margin (decision 0015); Holm's adjustment."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.errors import UserError
from headstart.evidence.bootstrap import Spread
from headstart.evidence.interval import Estimate

HELPED, HURT = "helped", "hurt"
BETTER, WORSE = "better", "worse"  # the same of two arms that do not differ in transfer
BELOW = ", below the margin"
NONE, OPEN = "no measurable difference", "inconclusive"
MARGIN = 0.01
REACH = 2.8  # normal quantiles of 97.5% and 80%: a difference of the margin is then found four times in five


@dataclass(frozen=True)
class Verdict:
    """What the difference of two accuracies says, in shares of 0..1.

    word: helped, hurt (each also ", below the margin"), no measurable difference, or inconclusive; of arms that do not
    differ in transfer better and worse in place of helped and hurt; discordance: share
    of test pictures on which the two differ; needed: for inconclusive, the test pictures that would decide;
    more_repeats: subsets bring more of the variance than test pictures; n: the size, None for all sizes together;
    unlearnt: it would be helped or hurt, but the arm that is behind did not learn, so nothing can be concluded.
    """

    word: str
    difference: Estimate
    low90: float
    high90: float
    discordance: float
    needed: int | None = None
    more_repeats: bool = False
    n: float | None = None
    unlearnt: bool = False

    @property
    def sign(self) -> int:
        """1 for helped or better, -1 for hurt or worse, below the margin or not; else 0."""
        return self.word.startswith((HELPED, BETTER)) - self.word.startswith((HURT, WORSE))

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, with the names of the fields."""
        return {**self.__dict__, "difference": self.difference.to_dict()}

    def without_transfer(self) -> Verdict:
        """The same said of two arms of which both transfer or neither does: better, worse."""
        return replace(self, word=self.word.replace(HELPED, BETTER).replace(HURT, WORSE))

    def unless(self, first: bool, second: bool) -> Verdict:
        """The verdict, or inconclusive where the arm that is behind did not learn (`first`, `second`: this one)."""
        behind = second if self.sign > 0 else first
        return replace(self, word=OPEN, unlearnt=True) if self.sign and behind else self

    def at(self, n: float) -> Verdict:
        """The same verdict, of the size n."""
        return replace(self, n=n)


def judge(difference: Spread, discordance: float, margin: float = MARGIN) -> Verdict:
    """The verdict on a difference of accuracies whose arms disagree on a share `discordance` of the test pictures.

    A 95% interval above 0: helped; below 0: hurt; either "below the margin" if it lies within +-margin. Else a 90%
    interval within +-margin: no measurable difference (two one-sided tests, Schuirmann 1987). Else inconclusive.
    Raises UserError unless 0 < margin < 1.
    """
    if not 0 < margin < 1:
        raise UserError(
            f"The margin of a verdict must lie between 0 and 1, not {margin}: 0.01 is one percentage point."
        )
    low, high = difference.estimate.low, difference.estimate.high
    if low is None or high is None:
        raise ValueError("A verdict needs a difference with bounds.")
    word = OPEN
    if low > 0 or high < 0:
        word = (HELPED if low > 0 else HURT) + (BELOW if max(-low, high) <= margin else "")
    elif -margin <= difference.low90 and difference.high90 <= margin:
        word = NONE
    needed = math.ceil(discordance * (REACH / margin) ** 2) if word == OPEN else None
    repeats = word == OPEN and difference.variances.more_repeats
    return Verdict(word, difference.estimate, difference.low90, difference.high90, discordance, needed, repeats)


def holm(p_values: Sequence[float]) -> NDArray[np.float64]:
    """P values adjusted for being several, in their order (Holm 1979): reject those not above the level wanted."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted
