"""Accuracy with its 95% interval, a row for each part of the data, before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headstart.phrases import percent
from headstart.report.charts.axes import percents
from headstart.report.charts.display import Display
from headstart.report.charts.legend import legend
from headstart.report.charts.style import colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SEEN = 0.45
"""Opacity of a part that the head was fitted on."""


@dataclass(frozen=True)
class IntervalRow:
    """A share with its interval; `before` where something was scored before, `seen` where it is no test."""

    label: str
    value: float
    low: float
    high: float
    before: float | None = None
    seen: bool = False

    @property
    def words(self) -> str:
        """`Test 95.0%, interval 93.0% to 97.0%, before 10.0%`."""
        told = f"{self.label} {percent(self.value)}, interval {percent(self.low)} to {percent(self.high)}"
        told += f", before {percent(self.before)}" if self.before is not None else ""
        return f"{told}, seen in fitting" if self.seen else told


@dataclass(eq=False, repr=False)
class IntervalsDisplay(Display):
    """Rows over one axis of shares; `ends` are those of the axis, as wide as the intervals need where None."""

    title: str
    rows: Sequence[IntervalRow]
    ends: tuple[float, float] | None = None

    @property
    def words(self) -> str:
        """For those who do not see the drawing."""
        return f"{self.title}. " + " ".join(f"{row.words}." for row in self.rows)

    def height(self, width: float) -> float:
        """In units."""
        return 66.0 + 30 * len(self.rows)

    def _draw(self, ax: Axes, slim: bool) -> None:
        lo, hi = self.ends or near(self.rows)
        ax.set_xlim(lo, hi)
        ax.set_ylim(len(self.rows) - 0.4, -0.6)
        ax.set_yticks(range(len(self.rows)), [row.label for row in self.rows], color=colour("ink"))
        percents(ax.xaxis)
        ax.grid(axis="x")
        ax.grid(visible=False, axis="y")
        ax.spines["bottom"].set_visible(False)
        ax.tick_params(length=0)
        for y, row in enumerate(self.rows):
            self._row(ax, y, row, SEEN if row.seen else 1.0)
        legend(ax)

    def _row(self, ax: Axes, y: int, row: IntervalRow, alpha: float) -> None:
        looks = {"alpha": alpha, "clip_on": False, "zorder": 3}
        if row.before is not None:
            ax.plot([row.before, row.value], [y, y], color=colour("line"), linewidth=2, zorder=2)
            ax.plot(row.before, y, marker="D", linestyle="none", markersize=7.5, color=colour("orange"),
                    markerfacecolor=colour("page"), markeredgewidth=2, label="" if y else "before", **looks)  # type: ignore[arg-type]  # fmt: skip
        ax.errorbar([row.value], [y], xerr=[[max(0.0, row.value - row.low)], [max(0.0, row.high - row.value)]], fmt="o",
                    markersize=9, color=colour("blue"), elinewidth=3, capsize=5, capthick=1.5,
                    label="" if y or row.before is None else "after, with 95% interval", **looks)  # type: ignore[arg-type]  # fmt: skip


def near(rows: Sequence[IntervalRow]) -> tuple[float, float]:
    """Ends of an axis that holds every interval, every accuracy before, and no more."""
    before = [row.before for row in rows if row.before is not None]
    low, high = min([*before, *(row.low for row in rows)]), max([*before, *(row.high for row in rows)])
    room = 0.06 * (high - low) or 0.01
    return max(0.0, low - room), min(1.0, high + room)
