"""A curve of an arm, and what stands at its end: its marker, its words, a line that leads to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headstart.report.charts.axes import shifted
from headstart.report.charts.labels import apart, folded
from headstart.report.charts.style import UNITS, Look, colour, root

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINE = 1.28
"""The height of a line of text, in sizes of text."""


@dataclass(frozen=True)
class Sample:
    """A share with the ends of its interval at `x`, and its words; None where nothing was measured: a gap."""

    x: float
    y: float | None
    low: float | None = None
    high: float | None = None
    words: str = ""


@dataclass(frozen=True)
class Curve:
    """The samples of an arm, the first and the last measured.

    `notes` stand under its words at the end, `short` on a phone; `limit` is the asymptote that was fitted, with the
    ends of its interval; `slope` the rise per doubling; `strong` is one of the headline's two arms.
    """

    look: Look
    samples: Sequence[Sample]
    notes: Sequence[str]
    short: str
    strong: bool = False
    limit: tuple[float, float, float] | None = None
    slope: float | None = None

    def column(self, name: str) -> NDArray[np.float64]:
        """`x`, `y`, `low` or `high` of every sample (n,), nan where there is none."""
        return np.array([getattr(sample, name) for sample in self.samples], dtype=np.float64)


@dataclass(frozen=True)
class End:
    """What stands at the end of a curve: the share it belongs to, its height in units, its parts."""

    y: float
    height: float
    words: Sequence[Any]
    dot: Any


def end(ax: Axes, curve: Curve, slim: bool, font: float) -> End:
    """The marker and words of a curve beside the plotting area, not yet at their height, and a line to them."""
    x, y = float(curve.column("x")[-1]), float(curve.column("y")[-1])
    left = 26 if slim else 34
    words = words_of(curve, slim, font)
    line, top = LINE * font, (len(words) - 1) / 2 * LINE * font
    texts: list[Any] = [
        ax.text(1, y, text, transform=_beside(ax, left, top - i * line), va="center", color=colour(ink), weight=w)
        for i, (text, ink, w) in enumerate(words)
    ]
    dot = ax.plot([1], [y], transform=_beside(ax, left - 11, 0), clip_on=False, **marker(curve.look, 8))
    looks = {"arrowstyle": "-", "color": colour(curve.look.colour), "alpha": 0.45, "shrinkA": 0, "shrinkB": 0}
    ax.plot([x, ax.get_xlim()[1]], [y, y], color=looks["color"], alpha=looks["alpha"], linewidth=1)
    leader = ax.annotate("", (1, y), (1, y), ax.get_yaxis_transform(), _beside(ax, left - 17, 0),
                         annotation_clip=False, arrowprops=looks)  # fmt: skip
    return End(y, len(words) * line + 5, [*texts, leader], dot[0])


def words_of(curve: Curve, slim: bool, font: float) -> list[tuple[str, str, str]]:
    """The lines at the end of a curve, each with its colour and weight."""
    room, notes = 92 if slim else 176, [curve.short] if slim else curve.notes
    words = [(line, "ink", "bold" if curve.strong else "normal") for line in folded(curve.look.words, room, font)]
    return words + [(line, "quiet", "normal") for note in notes for line in folded(note, room, font)]


def spread(ax: Axes, ends: Sequence[End]) -> None:
    """The words as near to the ends of their curves as the others allow."""
    bottom, top = ax.get_ylim()
    unit = (top - bottom) / ax.get_window_extent().height * root(ax).dpi / UNITS
    order = [ends[i] for i in sorted(range(len(ends)), key=lambda i: (ends[i].y, -i))]
    heights = [end.height * unit for end in order]
    room = max(6 * unit, (sum(heights) - (top - bottom)) / 2)
    for end, middle in zip(order, apart([e.y for e in order], heights, bottom - room, top + room), strict=True):
        end.dot.set_ydata([middle])
        for artist in end.words:
            artist.set_y(middle)


def marker(look: Look, size: float) -> dict[str, Any]:
    """Hollow without a source, with a rim of the page's colour otherwise."""
    tone, page = colour(look.colour), colour("page")
    inside, rim = (page, tone) if look.free else (tone, page)
    return {"marker": look.marker, "markersize": size, "linestyle": "none", "color": tone, "markerfacecolor": inside,
            "markeredgecolor": rim, "markeredgewidth": 1.8 if look.free else 1.0}  # fmt: skip


def _beside(ax: Axes, right: float, up: float) -> Any:
    """From the right edge of the plotting area across, and in data up, shifted by units."""
    return shifted(ax.get_yaxis_transform(), ax, right, up)
