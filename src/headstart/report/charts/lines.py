"""Curves over one horizontal axis with one marked value: a learning history, a search, a schedule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headstart.report.charts.axes import logarithmic, numbers, padded, percents
from headstart.report.charts.display import Display
from headstart.report.charts.legend import legend
from headstart.report.charts.style import colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KINDS = {
    "train": ("orange", (0, (3, 1.6))), "val": ("blue", "-"), "test": ("blue", "-"),
    "top": ("blue", "-"), "low": ("quiet", (0, (1, 1.5))),
    "unit": ("blue", "-"), "own": ("orange", "-"),
    "unit-roots": ("arm2", "-"), "own-roots": ("arm3", "-"),
    "unit-whitened": ("blue", (0, (3, 1.6))), "own-whitened": ("orange", (0, (3, 1.6))),
    "unit-roots-whitened": ("arm2", (0, (3, 1.6))), "own-roots-whitened": ("arm3", (0, (3, 1.6))),
}  # fmt: skip
"""Colour and dashes of each kind of curve."""
DOTTED = 30
"""Curves of no more points than this have a dot at each."""


@dataclass(frozen=True)
class Line:
    """One curve: its name, its kind in `KINDS`, and its points (x, y)."""

    name: str
    kind: str
    points: Sequence[tuple[float, float]]


@dataclass(eq=False, repr=False)
class LinesDisplay(Display):
    """Curves; `mark` is a value across that is pointed out, `said` its words, `marked` points that get a ring.

    `remark` is a value that is told and not drawn. `log` and `whole` (ticks at whole numbers) are of the axis across.
    """

    title: str
    across: str
    lines: Sequence[Line]
    log: bool = False
    percent: bool = False
    whole: bool = False
    mark: float | None = None
    marked: Sequence[tuple[float, float]] = ()
    said: str = ""
    remark: str = ""

    @property
    def words(self) -> str:
        """For those who do not see the drawing."""
        return f"{self.title} against {self.across}" + (f"; marked: {self.said}" if self.mark is not None else "")

    def height(self, width: float) -> float:
        """In units."""
        return 258.0

    def _draw(self, ax: Axes, slim: bool) -> None:
        xs, ys = zip(*(point for line in self.lines for point in line.points), strict=True)
        lo, hi = min(xs), max(xs)
        room = (hi / lo) ** 0.02 if self.log else 0.02 * (hi - lo)
        if self.log:
            logarithmic(ax, lo / room, hi * room)
        else:
            ax.set_xlim(lo - room, hi + room)
            numbers(ax.xaxis, whole=self.whole)
        ax.set_ylim(*padded(min(ys), max(ys)))
        percents(ax.yaxis) if self.percent else numbers(ax.yaxis)
        for line in self.lines:
            name, dashes = KINDS[line.kind]
            dots = {"marker": "o", "markersize": 4.5} if len(line.points) <= DOTTED else {}
            ax.plot(*zip(*line.points, strict=True), label=line.name, color=colour(name), linestyle=dashes,
                    linewidth=2, clip_on=False, **dots)  # type: ignore[arg-type]  # fmt: skip
        if self.mark is not None:
            ax.axvline(self.mark, color=colour("quiet"), linewidth=1, linestyle=(0, (2, 3)), zorder=1)
            ring = {"marker": "o", "color": colour("ink"), "markerfacecolor": colour("page"), "linestyle": "none"}
            ax.plot(*zip(*self.marked or [(self.mark, float("nan"))], strict=True), label=self.said, markersize=9,
                    markeredgewidth=2, zorder=4, clip_on=False, **ring)  # type: ignore[arg-type]  # fmt: skip
        if self.remark:
            ax.plot([], [], linestyle="none", label=self.remark)
        ax.set_xlabel(self.across)
        legend(ax)
