"""How many labelled pictures another arm needs for the same accuracy: the one that is told, in words."""

from __future__ import annotations

from headstart.phrases import two_digits
from headstart.report.study.words import pictures
from headstart.schema.verdicts import Comparison, Equivalence

NEAR = 1.5
"""An equivalence of less than this factor makes no arrow that could be seen."""


def equivalence(compared: Comparison) -> Equivalence | None:
    """The one that is drawn: that of the headline, which is about the fewest pictures, where it is sure and large.

    Else the largest factor on the curve, or beyond it; None where none is sure and large.
    """
    sure = [told for told in compared.equivalence if _is_sure(told) and _factor(told) >= NEAR]
    if sure and sure[0] == compared.equivalence[0]:
        return sure[0]
    return max((told for told in sure if told.value), key=_factor, default=max(sure, key=_factor, default=None))


def _factor(told: Equivalence) -> float:
    """How many times as many pictures, or as few."""
    factor = (told.value or told.beyond or told.n) / told.n
    return max(factor, 1 / factor)


def _is_sure(told: Equivalence) -> bool:
    """Whether the interval says the same as the value: more than n, or fewer."""
    fewer = told.value is not None and told.value < told.n
    return told.high is not None and told.high < told.n if fewer else told.low is not None and told.low > told.n


def equivalence_words(found: Equivalence) -> str:
    """`10 instead of about 100`, `1 instead of more than 812`."""
    return f"{pictures(found.n)} instead of {needed(found)}"


def needed(found: Equivalence) -> str:
    """`about 170`, `more than 812`, or `at least 300` of a value beyond the curve."""
    if found.value:
        return f"about {two_digits(found.value)}"
    low, beyond = found.low or 0.0, found.beyond or 0.0
    return f"more than {pictures(beyond)}" if low >= beyond else f"at least {two_digits(low)}"
