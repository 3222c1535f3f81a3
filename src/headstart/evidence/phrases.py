"""Numbers and names as sentences about a comparison write them: percent, percentage points, pictures."""

from __future__ import annotations

from collections.abc import Callable

from headstart.phrases import percent
from headstart.schema.verdicts import Estimate

CLASS = "labelled pictures per class"


def with_size(n: float) -> str:
    """Like: with 5 labelled pictures per class."""
    return f"with {number(n)} {CLASS.replace('pictures', 'picture') if n == 1 else CLASS}"


def capital(text: str) -> str:
    """With a capital first letter, unless the first word is a name written as code, like small_cnn."""
    first = text.split(" ", 1)[0]
    return text if "_" in first or any(c.isdigit() for c in first) else text[:1].upper() + text[1:]


def number(n: float) -> str:
    """A size: whole, or "about" the nearest whole number."""
    return f"{n:,.0f}" if float(n).is_integer() else f"about {n:,.0f}"


def margin_in_words(margin: float) -> str:
    """Like: 1 percentage point."""
    amount = f"{100 * margin:g}"
    return f"{amount} percentage point{'' if amount == '1' else 's'}"


def signed(share: float) -> str:
    """A difference in percentage points: `+25.1`, a small one `-0.04`; one that rounds to nothing has no sign."""
    value = 100 * share
    rounded = f"{value:+.{2 if 0.005 <= abs(value) < 0.0995 else 1}f}"
    return rounded if float(rounded) else rounded[1:]


def interval(estimate: Estimate, told: Callable[[float], str]) -> str:
    """The interval in brackets, where there is one; `told` writes an end."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f" (95% interval {told(estimate.low)} to {told(estimate.high)})"


def points(estimate: Estimate) -> str:
    """A difference in percentage points with its interval."""
    return f"{signed(estimate.value)} percentage points{interval(estimate, signed)}"


def share_with_interval(estimate: Estimate) -> str:
    """A share in percent with its interval."""
    return f"{percent(estimate.value, near='within')}{interval(estimate, lambda end: f'{100 * end:.1f}')}"
