"""Numbers and names as sentences about a comparison write them: percent, percentage points, pictures."""

from __future__ import annotations

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
    """A difference in percentage points; one that rounds to nothing has no sign."""
    rounded = f"{100 * share:+.1f}"
    return rounded[1:] if rounded in ("+0.0", "-0.0") else rounded


def interval(estimate: Estimate, form: str, factor: float) -> str:
    """The interval in brackets, where there is one."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f" (95% interval {factor * estimate.low:{form}} to {factor * estimate.high:{form}})"


def points(estimate: Estimate) -> str:
    """A difference in percentage points with its interval."""
    return f"{signed(estimate.value)} percentage points{interval(estimate, '+.1f', 100)}"


def share_with_interval(estimate: Estimate) -> str:
    """A share in percent with its interval."""
    return f"{percent(estimate.value, near='within')}{interval(estimate, '.1f', 100)}"
