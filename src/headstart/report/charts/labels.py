"""Words in a drawing where they cover nothing: at the ends of lines, and beside points."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.report.charts.style import colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

PLACES = [
    (9, 0, "left"), (-9, 0, "right"), (0, -14, "center"), (0, 14, "center"),
    *((side * dx, up * dy, "left" if side > 0 else "right")
      for dx in (14, 44, 84) for dy in (16, 32, 48, 64) for up in (-1, 1) for side in (1, -1)),
]  # fmt: skip
"""Where words may stand beside their point, in the order of liking: (across, up, alignment), in units."""
FAR = 0.15
"""What each place further down the list costs, in lines that would be crossed."""

MARKS = "_-.@+/,"
"""After these a long word may be broken."""


def apart(wanted: Sequence[float], heights: Sequence[float], bottom: float, top: float) -> list[float]:
    """Middles of boxes of these heights, stacked in the order given, lowest first, as near to `wanted` as can be.

    Isotonic regression: with the heights of the boxes below taken off, no middle may be less than the one before it.
    """
    from scipy.optimize import isotonic_regression

    offsets = np.concatenate([[0.0], np.cumsum((np.array(heights[1:]) + np.array(heights[:-1])) / 2)])
    means = isotonic_regression(np.array(wanted) - offsets).x
    lowest, highest = bottom + heights[0] / 2, top - heights[-1] / 2 - offsets[-1]
    return list(np.maximum(np.minimum(means, highest), lowest) + offsets)


def beside(
    ax: Axes, text: str, at: tuple[float, float], taken: list[Bbox], lines: Sequence[Bbox] = (), **looks: Any
) -> Annotation | None:
    """Words beside a point of data, where they meet nothing that is `taken` and few of the `lines`; None where there is
    no such place. What they cover is taken from then on."""
    halo = {"facecolor": colour("page"), "edgecolor": "none", "alpha": 0.75, "pad": 1}
    label = ax.annotate(text, at, (0, 0), textcoords="offset points", va="center", annotation_clip=False, bbox=halo,
                        zorder=6, **looks)  # fmt: skip
    inside = ax.get_window_extent().padded(3)
    free: list[tuple[float, int, tuple[int, int, str], Bbox]] = []
    for place in PLACES:
        label.set(position=place[:2], horizontalalignment=place[2])
        box = label.get_window_extent().padded(3)
        if inside.contains(*box.min) and inside.contains(*box.max) and not box.count_overlaps(taken):
            free.append((box.count_overlaps(lines) + FAR * len(free), len(free), place, box))
    if not free:
        label.remove()
        return None
    _, _, place, box = min(free, key=lambda each: each[:2])
    label.set(position=place[:2], horizontalalignment=place[2])
    taken.append(box)
    return label


def wrapped(text: str, width: float, font: float, most: int) -> list[str]:
    """The text on at most `most` lines of about this width; what does not fit is cut in its middle."""
    room = _room(width, font)
    return [cut(line, room) for line in _lines(text, room, most)]


def folded(text: str, width: float, font: float) -> list[str]:
    """The whole text on lines of about this width; a word that is longer is broken, after a mark where it has one."""
    room = _room(width, font)
    return [part for line in _lines(text, room) for part in _broken(line, room)]


def _room(width: float, font: float) -> int:
    """How many characters a line of this width has room for, about."""
    return round(width / (0.57 * font))


def _lines(text: str, room: int, most: int | None = None) -> list[str]:
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if len(longer) <= room or not lines[-1] or len(lines) == most:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _broken(word: str, room: int) -> list[str]:
    parts = []
    while len(word) > room:
        at = 1 + max(word.rfind(mark, 0, room) for mark in MARKS) or room
        parts.append(word[:at])
        word = word[at:]
    return [*parts, word]


def cut(text: str, room: int) -> str:
    """The text, or its beginning and its end around an ellipsis, of `room` characters at most."""
    return text if len(text) <= room else f"{text[: room // 2]}…{text[len(text) - (room - 1) // 2 :]}"


def boxes(ax: Axes, ends: Iterable[tuple[float, float, float, float]], room: float = 1.0) -> list[Bbox]:
    """The rectangles in pixels of (x, y, x, y) of data, with room around them."""
    from matplotlib.transforms import Bbox

    found = []
    for x0, y0, x1, y1 in ends:
        (a, b), (c, d) = ax.transData.transform([(x0, y0), (x1, y1)])
        found.append(Bbox([(min(a, c) - room, min(b, d) - room), (max(a, c) + room, max(b, d) + room)]))
    return found
