"""The reliability diagram: how often predictions of each confidence were right (Guo et al. 2017, figure 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headstart.report.charts.axes import percents
from headstart.report.charts.display import Display
from headstart.report.charts.legend import legend
from headstart.report.charts.style import colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Bin:
    """`n` predictions of confidence from..to: their mean confidence, the share that is right, its 95% interval."""

    start: float
    end: float
    n: int
    confidence: float
    accuracy: float
    low: float
    high: float


@dataclass(eq=False, repr=False)
class ReliabilityDisplay(Display):
    """The diagram, and below it how many predictions there are of each confidence; `told` are the words of both."""

    bins: Sequence[Bin]
    told: str
    title: str = "How often was it right, at each confidence?"

    @property
    def words(self) -> str:
        """For those who do not see the drawing."""
        return self.told

    def height(self, width: float) -> float:
        """In units."""
        return 430.0

    def _draw(self, ax: Axes, slim: bool) -> None:
        lowest = min(min(each.accuracy, each.start) for each in self.bins)
        lo = 0.5 if lowest >= 0.5 else 0.0  # two classes never give less than a half: the rest of the square is empty
        x, y = [each.confidence for each in self.bins], [each.accuracy for each in self.bins]
        error = [[max(0.0, e.accuracy - e.low) for e in self.bins], [max(0.0, e.high - e.accuracy) for e in self.bins]]
        ax.plot([lo, 1], [lo, 1], color=colour("orange"), linewidth=1.5, linestyle=(0, (4, 3)), zorder=2,
                label="perfectly calibrated")  # fmt: skip
        ax.errorbar(x, y, yerr=error, fmt="o", markersize=8, color=colour("blue"), elinewidth=1.5, clip_on=False,
                    zorder=3, label="measured, with 95% interval")  # fmt: skip
        below = ax.inset_axes((0, -0.27, 1, 0.2), sharex=ax)
        for each in self.bins:
            below.bar(each.start, each.n, each.end - each.start, align="edge", color=colour("bar"),
                      edgecolor=colour("page"), linewidth=1)  # fmt: skip
        for axes in (ax, below):
            axes.set_xlim(lo, 1)
            percents(axes.xaxis)
        ax.set_ylim(lo, 1)
        percents(ax.yaxis)
        ax.tick_params(axis="x", length=0, labelbottom=False)
        ax.spines["bottom"].set_visible(False)
        below.grid(visible=False)
        below.set_yticks([])
        below.set_xlabel("Confidence (bars: how many pictures)")
        legend(ax)
