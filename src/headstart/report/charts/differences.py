"""Differences in points with their intervals around a line at zero: size by size, or class by class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headstart.report.charts.axes import shifted
from headstart.report.charts.display import Display
from headstart.report.charts.labels import cut
from headstart.report.charts.style import colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TONES = {"gain": "blue", "loss": "orange", "none": "quiet"}
MINUS = "−"


@dataclass(frozen=True)
class DifferenceRow:
    """A difference in points, with its interval where it has one; `note` stands at the right, `tone` is in `TONES`."""

    label: str
    value: float
    low: float | None
    high: float | None
    note: str
    tone: str
    strong: bool = False
    words: str = ""


@dataclass(eq=False, repr=False)
class DifferencesDisplay(Display):
    """Rows over one axis of points; what lies within `margin` of zero counts as no difference.

    `gap` is the row before which others are left out; `about` says what is compared.
    """

    title: str
    rows: Sequence[DifferenceRow]
    margin: float | None = None
    gap: int | None = None
    about: str = ""

    @property
    def heading(self) -> str:
        """With what is compared."""
        return f"{self.title}: {self.about}" if self.about else self.title

    @property
    def words(self) -> str:
        """For those who do not see the drawing."""
        return f"{self.heading}. " + " ".join(f"{row.words}." for row in self.rows)

    def height(self, width: float) -> float:
        """In units."""
        return 22.0 * (len(self.rows) + (self.gap is not None)) + 34

    def _draw(self, ax: Axes, slim: bool) -> None:
        split = len(self.rows) if self.gap is None else self.gap
        places = [i + (i >= split) for i in range(len(self.rows))]
        ends = [v for row in self.rows for v in (row.value, row.low, row.high) if v is not None]
        edge = self.margin or 0.0
        lo, hi = min([*ends, -edge, 0.0]), max([*ends, edge, 0.0])
        room = 0.06 * (hi - lo) or 1.0
        ax.set_xlim(lo - room, hi + room)
        ax.set_ylim(max(places) + 0.7, -0.7)
        if self.margin:
            ax.axvspan(-edge, edge, color=colour("line"), alpha=0.6, linewidth=0, zorder=0)
        ax.axvline(0, color=colour("ink"), linewidth=1, zorder=1)
        for tone in TONES:
            self._rows(ax, [(y, row) for y, row in zip(places, self.rows, strict=True) if row.tone == tone], tone)
        self._ticks(ax, places)

    def _rows(self, ax: Axes, rows: Sequence[tuple[int, DifferenceRow]], tone: str) -> None:
        """The dots and intervals of one tone; the strong ones larger."""
        for strong in (False, True):
            kept = [(y, row) for y, row in rows if row.strong == strong]
            known = [(y, row.value, row.value - row.low, row.high - row.value)
                     for y, row in kept if row.low is not None and row.high is not None]  # fmt: skip
            if known:
                ys, values, below, above = zip(*known, strict=True)
                error = [[max(0.0, each) for each in side] for side in (below, above)]
                ax.errorbar(values, ys, xerr=error, fmt="none", color=colour(TONES[tone]),
                            elinewidth=3 if strong else 1.8, capsize=4, capthick=1.8, zorder=3)  # fmt: skip
            if kept:
                x, size = [row.value for _, row in kept], 10 if strong else 8
                dots = ax.plot(x, [y for y, _ in kept], linestyle="none", marker="o", color=colour(TONES[tone]),
                               markersize=size, zorder=4, clip_on=False)  # fmt: skip
                self._tell(dots[0], [row.words for _, row in kept])

    def _ticks(self, ax: Axes, places: Sequence[int]) -> None:
        from matplotlib.ticker import FuncFormatter

        names = [cut(row.label, 30) for row in self.rows]
        ax.set_yticks(places, names, color=colour("ink"))
        at = shifted(ax.get_yaxis_transform(), ax, 8)
        for y, row, label in zip(places, self.rows, ax.get_yticklabels(), strict=True):
            weight, ink = ("bold", "ink") if row.strong else ("normal", "quiet")
            label.set_fontweight(weight)
            ax.text(1, y, row.note, transform=at, va="center", weight=weight, color=colour(ink))
        ax.xaxis.set_major_formatter(FuncFormatter(_points))
        if self.gap is not None:
            ax.annotate("⋮", (0, self.gap), (-10, 0), xycoords=ax.get_yaxis_transform(), textcoords="offset points",
                        ha="right", va="center", annotation_clip=False)  # fmt: skip
        ax.grid(axis="x")
        ax.grid(visible=False, axis="y")
        ax.spines["bottom"].set_visible(False)
        ax.tick_params(length=0)

    def _settle(self) -> None:
        """With as many numbers along the axis as what stands beside it leaves room for."""
        from matplotlib.ticker import MaxNLocator

        super()._settle()
        fit = self.ax_.xaxis.get_tick_space()
        self.ax_.xaxis.set_major_locator(MaxNLocator(min(max(fit, 1), 4), steps=[1, 2, 2.5, 5, 10]))


def _points(value: float, _: int) -> str:
    return f"{'+' if value > 0 else MINUS if value < 0 else ''}{abs(value):g}"
