"""How a study's numbers, sizes and verdicts are written: points of a hundred, shares, a mark for each verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headstart.report.numbers import NOTHING, percent
from headstart.report.study.files import Epoch, Estimate, Point, Size, Study

MINUS = "−"
_NARROW, _WIDE = set("fijlrt.,:;'|!()[] "), set("mwMW@%+−→…")


@dataclass(frozen=True)
class Mark:
    """A verdict's word with the shape (a symbol of the page) and the tone (a CSS class) that it is drawn in."""

    word: str
    shape: str
    tone: str


MARKS = {
    "helped": Mark("helped", "up", "gain"),
    "helped, below the margin": Mark("helped, below the margin", "up-open", "gain"),
    "hurt": Mark("hurt", "down", "loss"),
    "hurt, below the margin": Mark("hurt, below the margin", "down-open", "loss"),
    "better": Mark("better", "up", "gain"),
    "better, below the margin": Mark("better, below the margin", "up-open", "gain"),
    "worse": Mark("worse", "down", "loss"),
    "worse, below the margin": Mark("worse, below the margin", "down-open", "loss"),
    "no measurable difference": Mark("no measurable difference", "equal", "none"),
    "inconclusive": Mark("inconclusive", "unsure", "none"),
}


def points(share: float) -> str:
    """A difference of shares in points of a hundred with its sign: `0.251` -> `+25.1`, `-0.0004` -> `−0.04`."""
    value = 100 * share
    digits = 2 if 0.005 <= abs(value) < 0.0995 else 1
    text = f"{abs(value):.{digits}f}"
    return text if float(text) == 0 else f"{MINUS if value < 0 else '+'}{text}"


def points_with_interval(estimate: Estimate) -> str:
    """`+25.1 (+22.0 to +28.2)`, without the brackets where there is no interval."""
    if estimate.low is None or estimate.high is None:
        return points(estimate.value)
    return f"{points(estimate.value)} ({points(estimate.low)} to {points(estimate.high)})"


def interval(low: float | None, high: float | None) -> str:
    """`91.0 to 95.0%`, empty where there is none."""
    return "" if low is None or high is None else f"{percent(low).removesuffix('%')} to {percent(high)}"


def share_with_interval(estimate: Estimate | Point | Epoch, value: float) -> str:
    """`93.0% (91.0 to 95.0%)`."""
    told = interval(estimate.low, estimate.high)
    return f"{percent(value)} ({told})" if told else percent(value)


def pictures(n: float | None) -> str:
    """Labelled pictures of a class: `5`, `813`, `2.4`; whole from ten on."""
    return NOTHING if n is None else f"{n:,.0f}" if n >= 10 or n == round(n) else f"{n:.1f}"


def about(n: float) -> str:
    """A number of pictures that was estimated, to two significant digits: `170`, `1.3`."""
    return f"{float(f'{n:.2g}'):,.15g}"


def size_words(size: Size) -> str:
    """`5`, or for a size that is not named by its number `all (813)`."""
    return size.name if _is_number(size) else f"{size.name} ({pictures(size.n)})"


def size_lines(size: Size) -> tuple[str, ...]:
    """The same for the tick of an axis, number and name below each other."""
    return (size.name,) if _is_number(size) else (pictures(size.n), size.name)


def size_at(study: Study, n: float | None) -> str:
    """The words of the size that has `n` pictures of a class."""
    found = next((size for size in study.study.sizes if size.n == n), None)
    return size_words(found) if found else pictures(n)


def labelled(study: Study, n: float | None, name: str = "") -> str:
    """`1 labelled picture of a class`, `all (813) labelled pictures of a class`; by its name where n is not known."""
    told = name if n is None else size_at(study, n)
    return f"{told} labelled {'picture' if n == 1 else 'pictures'} of a class"


def _is_number(size: Size) -> bool:
    return size.name.replace(",", "") == f"{size.n:g}"


def width(text: str, size: float) -> float:
    """How wide a text is in a wide font (DejaVu Sans); others are narrower. Characters beyond Latin count as square."""
    return size * sum(_share(char) for char in text)


def _share(char: str) -> float:
    if ord(char) > 0x2E80:
        return 1.0
    return 0.38 if char in _NARROW else 0.95 if char in _WIDE else 0.72 if char.isupper() else 0.63


def cut(text: str, room: float, size: float) -> str:
    """The text, or its beginning and end around an ellipsis so that it is no wider than `room`."""
    if width(text, size) <= room:
        return text
    for kept in range(len(text) - 1, 1, -1):
        short = f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}"
        if width(short, size) <= room:
            return short
    return text[:1] + "…"


def wrap(text: str, room: float, size: float, most: int = 2) -> list[str]:
    """The text in at most `most` lines no wider than `room`; what does not fit is cut in its middle."""
    lines: list[str] = []
    for word in text.split():
        if lines and (width(f"{lines[-1]} {word}", size) <= room or len(lines) == most):
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return [cut(line, room, size) for line in lines] or [""]


def listed(texts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, [", ".join(texts[:-1]), *texts[-1:]]))
