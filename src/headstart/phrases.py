"""How numbers and lists are written in sentences and tables, everywhere: percent, p values, lists of names."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Literal

NOTHING = "–"


def percent(
    share: float | None,
    digits: int = 1,
    near: Literal["marked", "within", "rounded", "down"] = "marked",
    whole: bool = True,
) -> str:
    """A share of 0..1 in percent; `–` for None. A whole 1 is `100%` and a whole 0 `0%`, unless `whole` is False.

    `near`: what is written where rounding would call a share all or none that is not: `>99.9%` and `<0.1%` (marked),
    `99.9%` and `0.1%` (within), or `100.0%` and `0.0%` all the same (rounded, of a whole share too). With `down`, the
    share is rounded down, so that 99.6% is not called all.

    >>> percent(0.9344), percent(1.0), percent(0.9999), percent(0.9999, near="within"), percent(0.996, 0, "down")
    ('93.4%', '100%', '>99.9%', '99.9%', '99%')
    """
    if share is None or not math.isfinite(share):
        return NOTHING
    if near == "down":
        factor = 10**digits
        return f"{math.floor(100 * factor * share + 1e-9) / factor:.{digits}f}%"
    if near == "rounded":
        return f"{100 * share:.{digits}f}%"
    if whole and min(abs(share), abs(1 - share)) < 1e-9:
        return f"{share:.0%}"
    step = 10.0**-digits
    if near == "within":
        return f"{min(max(100 * share, step), 100 - step):.{digits}f}%"
    text = f"{100 * share:.{digits}f}"
    mark = {0.0: f"<{step:.{digits}f}%", 100.0: f">{100 - step:.{digits}f}%"}
    return mark.get(float(text), f"{text}%")


def p_value(p: float) -> str:
    """`0.031`; `<0.001` below that."""
    return "<0.001" if p < 0.001 else f"{p:.2g}"


def p_words(p: float, least: float = 0.001) -> str:
    """`p = 0.031`; `p < 0.001` below `least`."""
    return f"p < {least:g}" if p < least else f"p = {p:.2g}"


def two_digits(n: float) -> str:
    """A number of pictures that was estimated, to two significant digits: whole from 2 on.

    >>> two_digits(7840.0), two_digits(8.51), two_digits(6.45), two_digits(1.43), two_digits(0.5)
    ('7,800', '9', '6', '1.4', '0.5')
    """
    return f"{round(n, min(0, 1 - math.floor(math.log10(n)))):,.0f}" if n >= 2 else f"{n:.1f}"


def first_sentence(text: str) -> tuple[str, str]:
    """The first sentence and the rest.

    >>> first_sentence("4.0 points vs. 5.1. small_cnn needs more. So be it.")
    ('4.0 points vs. 5.1.', 'small_cnn needs more. So be it.')
    """
    first, _, rest = re.sub(r"(?<=\.) (?=\D)", "\n", text, count=1).partition("\n")
    return first, rest


def joined(texts: Sequence[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`; `last` is the word before the last."""
    return f" {last} ".join(filter(None, [", ".join(texts[:-1]), *texts[-1:]]))


def twice(names: Iterable[str]) -> str | None:
    """The first of the names that was there before; None where each is there once."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def first_of(texts: Sequence[str], most: int) -> str:
    """`a, b and 3 more`: at most so many, and how many are left out."""
    more = len(texts) - most
    return ", ".join(texts[:most]) + (f" and {more} more" if more > 0 else "")


def plural(n: int, one: str, many: str = "") -> str:
    """`1 picture`, `2,000 pictures`; `many` where it is more than an s.

    >>> plural(1, "class", "classes"), plural(2000, "picture")
    ('1 class', '2,000 pictures')
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"
