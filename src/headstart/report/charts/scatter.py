"""Accuracy against speed of the ranked backbones, with the front that no other is both as accurate and as fast as."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from headstart.phrases import percent
from headstart.report.charts.axes import logarithmic, padded, percents
from headstart.report.charts.display import SLIM, Display
from headstart.report.charts.labels import beside, boxes, cut
from headstart.report.charts.legend import legend
from headstart.report.charts.style import colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class ScatterPoint:
    """A backbone: its accuracy with the interval, pictures a second, `kind` (`best`, `tied` with it, or `worse`)."""

    name: str
    accuracy: float
    low: float
    high: float
    speed: float
    kind: str
    on_front: bool

    @property
    def words(self) -> str:
        """`sprout: 91.0% (90.0% to 92.0%), 1,200 pictures a second`."""
        interval = f"{percent(self.low)} to {percent(self.high)}"
        return f"{self.name}: {percent(self.accuracy)} ({interval}), {self.speed:,.0f} pictures a second"


@dataclass(eq=False, repr=False)
class RankingDisplay(Display):
    """Backbones and the accuracy of raw pixels; `unnamed_` are those for whose name there was no room."""

    points: Sequence[ScatterPoint]
    pixels: float
    title: str = "Accuracy and speed"
    unnamed_: list[str] = field(default_factory=list)
    widths = (760.0, 340.0)

    @property
    def words(self) -> str:
        """For those who do not see the drawing."""
        return "Accuracy against pictures a second. " + " ".join(f"{point.words}." for point in self.points)

    def height(self, width: float) -> float:
        """In units."""
        return 400.0

    def font(self, width: float) -> float:
        """Smaller where there is less room."""
        return 13.0 if width > SLIM else 11.0

    def _draw(self, ax: Axes, slim: bool) -> None:
        speeds = [point.speed for point in self.points]
        room = max(1.35, (6 * min(speeds) / max(speeds)) ** 0.5)  # a factor of 6 in all: one speed is no axis
        logarithmic(ax, min(speeds) / room, max(speeds) * room)
        lows, highs = [point.low for point in self.points], [point.high for point in self.points]
        ax.set_ylim(*padded(min(*lows, self.pixels), max(*highs, self.pixels)))
        percents(ax.yaxis)
        ax.set_xlabel("pictures a second through the network (log scale)")
        front = self.front(ax.get_xlim()[0], ax.get_ylim()[0])
        ax.plot(
            *zip(*front, strict=True), color=colour("blue"), alpha=0.55, linewidth=1.5, label="most accurate at a speed"
        )
        ax.axhline(self.pixels, color=colour("orange"), linewidth=1.5, linestyle=(0, (4, 3)), label="raw pixels")
        groups = (("the best, or cannot be told apart from it", ("best", "tied")), ("measurably worse", ("worse",)))
        for words, kinds in groups:
            self._group(ax, words, [point for point in self.points if point.kind in kinds])
        legend(ax)
        self._settle()
        self._names(ax, front, 26 if slim else 40)

    def _group(self, ax: Axes, words: str, points: Sequence[ScatterPoint]) -> None:
        if not points:
            return
        good = points[0].kind != "worse"
        tone = colour("blue" if good else "quiet")
        error = [[max(0.0, p.accuracy - p.low) for p in points], [max(0.0, p.high - p.accuracy) for p in points]]
        drawn = ax.errorbar([p.speed for p in points], [p.accuracy for p in points], yerr=error, fmt="o", color=tone,
                            markersize=10, markerfacecolor=tone if good else colour("page"), markeredgewidth=2,
                            elinewidth=1.5, label=words, zorder=3)  # fmt: skip
        self._tell(drawn[0], [p.words for p in points])

    def front(self, left: float, floor: float) -> list[tuple[float, float]]:
        """The staircase of the accuracy that can be had at a speed: from the left edge to each point, then down."""
        found: list[tuple[float, float]] = []
        for point in sorted((p for p in self.points if p.on_front), key=lambda p: p.speed):
            found += [(found[-1][0] if found else left, point.accuracy), (point.speed, point.accuracy)]
        return [*found, (found[-1][0], floor)]

    def _names(self, ax: Axes, front: Sequence[tuple[float, float]], longest: int) -> None:
        """The names of the points, those on the front first, and the accuracy of raw pixels over its line."""
        taken = boxes(ax, [(p.speed, p.low, p.speed, p.high) for p in self.points], 7)
        lines = boxes(ax, [(*a, *b) for a, b in pairwise(front)])
        lines += boxes(ax, [(ax.get_xlim()[0], self.pixels, ax.get_xlim()[1], self.pixels)])
        self.unnamed_ = []
        text = f"raw pixels {percent(self.pixels)}"
        beside(ax, text, (ax.get_xlim()[1], self.pixels), taken, lines)
        for point in sorted(self.points, key=lambda p: not p.on_front):
            at, weight = (point.speed, point.accuracy), "bold" if point.kind == "best" else "normal"
            found = beside(ax, cut(point.name, longest), at, taken, lines, weight=weight)
            if found is None:
                self.unnamed_.append(point.name)
            elif abs(found.get_position()[0]) > 9:  # apart from its point: a line leads there
                side = 3 if found.get_position()[0] < 0 else -3
                end = (found.get_position()[0] + side, found.get_position()[1])
                looks = {"arrowstyle": "-", "color": colour("quiet"), "shrinkA": 0, "shrinkB": 6}
                ax.annotate("", at, end, textcoords="offset points", arrowprops=looks, zorder=2)
