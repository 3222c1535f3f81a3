"""How numbers and names are written in a report: thousands separators, honest rounding, nothing invisible."""

from __future__ import annotations

import math
from typing import Any

from headstart.phrases import NOTHING
from headstart.visible import visible


def count(n: float | None) -> str:
    """`2000` -> `2,000`."""
    return NOTHING if n is None else f"{round(n):,}"


def digits_for(n: int) -> int:
    """Decimals of a percentage measured on `n` pictures: two once one picture is under 0.02%."""
    return 2 if n > 5000 else 1


def decimal(value: float | None, digits: int = 4) -> str:
    """A score with a fixed number of decimals, so that columns line up."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{round(value, digits) + 0.0:.{digits}f}"  # + 0.0: no minus sign before a zero


def duration(seconds: float | None) -> str:
    """`0.42 s`, `7.1 s`, `42 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds is None:
        return NOTHING
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def plain(value: Any) -> str:
    """Any JSON value in a table cell: numbers to six significant digits, lists joined, yes and no."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {plain(each)}" for key, each in value.items())
    return ", ".join(map(plain, value)) if isinstance(value, list | tuple) else shown(str(value))


def shown(text: str, limit: int = 120) -> str:
    """A name from outside with nothing hidden: control, bidirectional and undecodable characters as escapes.

    Names of more than `limit` characters keep their beginning and their end around an ellipsis.
    """
    if len(text) > limit:
        text = f"{text[: limit // 2]}…{text[-(limit // 2) :]}"
    return visible(text)
