"""Helped, hurt, no measurable difference or inconclusive, by a margin (decision 0015); Holm's adjustment."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from headstart.errors import UserError
from headstart.evidence.bootstrap import Spread
from headstart.schema.verdicts import BELOW, HELPED, HURT, NONE, OPEN, Verdict, Word

MARGIN = 0.01
REACH = 2.8  # normal quantiles of 97.5% and 80%: a difference of the margin is then found four times in five


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
    word: str = OPEN
    if low > 0 or high < 0:
        word = (HELPED if low > 0 else HURT) + (BELOW if max(-low, high) <= margin else "")
    elif -margin <= difference.low90 and difference.high90 <= margin:
        word = NONE
    needed = math.ceil(discordance * (REACH / margin) ** 2) if word == OPEN else None
    repeats = word == OPEN and difference.variances.more_repeats
    bounds = difference.low90, difference.high90
    return Verdict(cast(Word, word), difference.estimate, *bounds, discordance, needed, repeats)


def holm(p_values: Sequence[float]) -> NDArray[np.float64]:
    """P values adjusted for being several, in their order (Holm 1979): reject those not above the level wanted."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted
