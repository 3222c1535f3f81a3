"""How a study's numbers, sizes and verdicts are written: points of a hundred, shares, a mark for each verdict."""

from __future__ import annotations

import re
from dataclasses import dataclass

from headstart.evidence.phrases import signed
from headstart.phrases import NOTHING, percent
from headstart.schema.verdicts import Comparison, EpochAccuracy, Estimate, SizeAccuracy, StudySize, Verdicts

MINUS = "−"


@dataclass(frozen=True)
class Mark:
    """A verdict's word with the shape and the tone (a CSS class, and in charts a colour) that it is shown in."""

    word: str
    shape: str
    tone: str


MARKS = {
    "helped": Mark("helped", "▲", "gain"),
    "helped, below the margin": Mark("helped, below the margin", "△", "gain"),
    "hurt": Mark("hurt", "▼", "loss"),
    "hurt, below the margin": Mark("hurt, below the margin", "▽", "loss"),
    "better": Mark("better", "▲", "gain"),
    "better, below the margin": Mark("better, below the margin", "△", "gain"),
    "worse": Mark("worse", "▼", "loss"),
    "worse, below the margin": Mark("worse, below the margin", "▽", "loss"),
    "ahead with this set": Mark("ahead with this set", "▲", "gain"),
    "ahead with this set, below the margin": Mark("ahead with this set, below the margin", "△", "gain"),
    "behind with this set": Mark("behind with this set", "▼", "loss"),
    "behind with this set, below the margin": Mark("behind with this set, below the margin", "▽", "loss"),
    "no measurable difference": Mark("no measurable difference", "=", "none"),
    "inconclusive": Mark("inconclusive", "?", "none"),
}


UNLISTED = ("better", "worse", "ahead", "behind")
"""Beginnings of words whose shapes others have in the legend."""


def with_minus(text: str) -> str:
    """A sentence whose negative numbers have a minus, as the page's own figures have: `-3.1 to +2.0`, not `1-2`."""
    return re.sub(r"(?<![\w.])-(?=\d)", MINUS, text)


def points(share: float) -> str:
    """A difference of shares in points of a hundred with its sign: `0.251` -> `+25.1`, `-0.0004` -> `−0.04`."""
    return with_minus(signed(share))


def points_with_interval(estimate: Estimate) -> str:
    """`+25.1 (+22.0 to +28.2)`, without the brackets where there is no interval."""
    if estimate.low is None or estimate.high is None:
        return points(estimate.value)
    return f"{points(estimate.value)} ({points(estimate.low)} to {points(estimate.high)})"


def interval(low: float | None, high: float | None) -> str:
    """`91.0 to 95.0%`, empty where there is none."""
    return "" if low is None or high is None else f"{percent(low).removesuffix('%')} to {percent(high)}"


def share_with_interval(estimate: Estimate | SizeAccuracy | EpochAccuracy, value: float) -> str:
    """`93.0% (91.0 to 95.0%)`."""
    told = interval(estimate.low, estimate.high)
    return f"{percent(value)} ({told})" if told else percent(value)


def pictures(n: float | None) -> str:
    """Labelled pictures per class: `5`, `813`, `2.4`; whole from ten on."""
    return NOTHING if n is None else f"{n:,.0f}" if n >= 10 or n == round(n) else f"{n:.1f}"


def size_words(size: StudySize) -> str:
    """`5`, or for a size that is not named by its number `all (813)`."""
    return size.name if _is_number(size) else f"{size.name} ({pictures(size.n)})"


def size_lines(size: StudySize) -> tuple[str, ...]:
    """The same for the tick of an axis, number and name below each other."""
    return (size.name,) if _is_number(size) else (pictures(size.n), size.name)


def size_at(study: Verdicts, n: float | None) -> str:
    """The words of the size that has `n` pictures of a class."""
    found = next((size for size in study.study.sizes if size.n == n), None)
    return size_words(found) if found else pictures(n)


def labelled(study: Verdicts, n: float | None, name: str = "") -> str:
    """`1 labelled picture per class`, `all (813) labelled pictures per class`; by its name where n is not known."""
    told = name if n is None else size_at(study, n)
    return f"{told} labelled {'picture' if n == 1 else 'pictures'} per class"


def sizes_of(study: Verdicts, compared: Comparison) -> str:
    """What the verdict of a comparison is about: `over all sizes`, or what of them was drawn more than once.

    `with 2 labelled pictures per class`, `over all sizes but all (813)`.
    """
    whole, by_size = compared.verdict.difference, compared.by_size
    lone = next((each for each in by_size if each.difference == whole), None)
    if lone is not None:
        return f"with {labelled(study, lone.n)}"
    named = (size_at(study, each.n) for each in by_size)
    every = None if compared.one_set else next((name for name in named if name.startswith("all ")), None)
    return f"over all sizes but {every}" if every else "over all sizes"


def _is_number(size: StudySize) -> bool:
    return size.name.replace(",", "") == f"{size.n:g}"
