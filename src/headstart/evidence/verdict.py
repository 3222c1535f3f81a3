"""Helped, hurt, no measurable difference or inconclusive, by a margin (decisions 0015, 0040)."""

from __future__ import annotations

from typing import cast

from headstart.errors import UserError
from headstart.evidence.multiple import ALPHA
from headstart.evidence.power import pictures_needed
from headstart.evidence.variance import Spread
from headstart.schema.verdicts import BELOW, HELPED, HURT, NONE, OPEN, Verdict, Word

MARGIN = 0.01


def judge(difference: Spread, discordance: float, margin: float = MARGIN, alpha: float = ALPHA) -> Verdict:
    """The verdict on a difference of accuracies whose arms disagree on a share `discordance` of the test pictures.

    An interval of the level 1 - alpha above 0: helped; below 0: hurt; either "below the margin" if it lies within
    +-margin. Else an interval of 1 - 2 alpha within +-margin: no measurable difference (two one-sided tests, Schuirmann
    1987). Else inconclusive. Raises UserError unless 0 < margin < 1.
    """
    if not 0 < margin < 1:
        raise UserError(
            f"The margin of a verdict must lie between 0 and 1, not {margin}: 0.01 is one percentage point."
        )
    interval = difference.estimate(1 - alpha).within(-1.0, 1.0)
    low, high = cast(tuple[float, float], (interval.low, interval.high))
    low90, high90 = (min(max(bound, -1.0), 1.0) for bound in difference.bounds(1 - 2 * alpha))
    word: str = OPEN
    if low > 0 or high < 0:
        word = (HELPED if low > 0 else HURT) + (BELOW if max(-low, high) <= margin else "")
    elif -margin <= low90 and high90 <= margin:
        word = NONE
    needed = pictures_needed(difference, margin, alpha) if word == OPEN else None
    return Verdict(
        word=cast(Word, word),
        difference=interval,
        low90=low90,
        high90=high90,
        discordance=discordance,
        needed=needed,
        more_repeats=word == OPEN and needed is None,
        level=None if alpha == ALPHA else 1 - alpha,
    )
