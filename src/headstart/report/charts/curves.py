"""Curves of accuracy with 95% bands, the words of each at its end: against labelled pictures, or against epochs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headstart.report.charts.axes import numbers, padded, percents, shifted
from headstart.report.charts.display import SLIM, Display
from headstart.report.charts.ends import LINE, Curve, end, marker, spread, words_of
from headstart.report.charts.labels import beside, boxes
from headstart.report.charts.legend import legend
from headstart.report.charts.style import colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

MARKED = 16
"""Markers on a curve of no more points than this; on a longer one about a dozen."""
BREAK, INFINITY, ROOM = 0.07, 0.14, 0.2
"""Beyond the last size, as shares of the axis: where it is broken, where asymptotes stand, and where it ends."""
CORNER = [(-1, -0.6), (1, -0.6), (1, 0.6)]
"""The marker of a slope."""


@dataclass(frozen=True)
class Bracket:
    """From one share to another at `n` pictures, with the lines of words that say the difference, its figure first."""

    n: float
    shares: tuple[float, float]
    words: Sequence[str]


@dataclass(frozen=True)
class Arrow:
    """From `n` pictures at this share to as many as the other curve needs, or out of the chart where that is None."""

    n: float
    share: float
    needed: float | None
    words: str


@dataclass(eq=False, repr=False)
class CurvesDisplay(Display):
    """Curves over `ticks` (value, words) of a logarithmic axis, or over whole numbers where there are none.

    `level` stands below the asymptotes; `decided`: the bracket, the arrow and the slopes are of a verdict that decides,
    and grey where it does not.
    """

    title: str
    across: str
    curves: Sequence[Curve]
    ticks: Sequence[tuple[float, str]] = ()
    bracket: Bracket | None = None
    arrow: Arrow | None = None
    level: str = "∞ fitted"
    decided: bool = True
    widths = (760.0, 340.0)

    @property
    def words(self) -> str:
        """For those who do not see the drawing."""
        return f"{self.title}, against {self.across[0].lower()}{self.across[1:]}; the tables have the numbers"

    def height(self, width: float) -> float:
        """Taller where the words of many curves would not fit beside it."""
        slim, font = width < SLIM, self.font(width)
        lines = sum(len(words_of(each, slim, font)) + 0.4 for each in self.curves)
        return max((1.05 if slim else 0.56) * width * (1 if self.ticks else 0.75), LINE * font * lines + 90)

    def font(self, width: float) -> float:
        """Smaller on a phone."""
        return 11.0 if width < SLIM else 13.0

    def _draw(self, ax: Axes, slim: bool) -> None:
        self._axes(ax, slim)
        for curve in sorted(self.curves, key=lambda each: each.strong):
            self._curve(ax, curve)
            if curve.slope is not None:
                self._slope(ax, curve, curve.slope)
        if self._limited:
            self._asymptotes(ax)
        self._legend(ax)
        ends = [end(ax, curve, slim, self.font(self.widths[slim])) for curve in self.curves]
        self._settle()
        if self.bracket:
            words = _bracket(ax, self.bracket, self.bracket.words[: 2 if slim else None], self._ink)
            _make_room(ax, self.bracket.n, words)
        spread(ax, ends)
        if self.ticks:
            _thinned(ax)
        if self.arrow:
            self._arrow(ax, self.arrow)

    @property
    def _ink(self) -> Any:
        """Of the marks that a verdict gives."""
        return colour("ink" if self.decided else "quiet")

    def _legend(self, ax: Axes) -> None:
        looks: dict[str, Any] = {"color": colour("quiet"), "linewidth": 2}
        names = (("transfer", "-"), ("source-free", "--"))
        found = [ax.plot([], [], linestyle=dashes, label=name, **looks)[0] for name, dashes in names]
        if any(curve.slope is not None for curve in self.curves):
            found += ax.plot([], [], linestyle="none", marker=CORNER, markersize=9, color=colour("quiet"), alpha=0.6,
                             markeredgewidth=0, label="slope: rise per doubling")  # fmt: skip
        legend(ax, found)

    def _slope(self, ax: Axes, curve: Curve, slope: float) -> None:
        """A triangle under the middle of the curve: across a doubling, up what that brings on average."""
        xs, ys = np.array([(s.x, s.y) for s in curve.samples if s.y is not None and s.x > 0], dtype=np.float64).T
        if len(xs) < 2 or xs[-1] < 2 * xs[0]:
            return
        x = (xs[0] * xs[-1] / 2) ** 0.5
        y = float(np.interp(np.log(2 * x), np.log(xs), ys)) - slope
        tone = colour(curve.look.colour) if self.decided else colour("quiet")
        ax.fill([x, 2 * x, 2 * x], [y, y, y + slope], color=tone, alpha=0.5, linewidth=0, zorder=2.5)

    def _beyond(self, share: float) -> float:
        """A place behind the last point, by its share of the axis."""
        xs = [sample.x for curve in self.curves for sample in curve.samples] + [value for value, _ in self.ticks]
        lo, hi = min(xs), max(xs)
        return float(hi * max(hi / lo, 2.0) ** share if self.ticks else hi + share * (hi - lo or 1))

    @property
    def _limited(self) -> list[Curve]:
        """The curves with an asymptote."""
        return [curve for curve in self.curves if curve.limit is not None]

    def _asymptotes(self, ax: Axes) -> None:
        """Beyond a break of the axis, for no curve was measured there."""
        ax.axvline(self._beyond(BREAK), color=colour("line"), linewidth=1, linestyle=(0, (2, 3)))
        below = shifted(ax.get_xaxis_transform(), ax, 3, -8)
        ax.text(self._beyond(BREAK), 0, self.level, transform=below, va="top", color=colour("quiet"))
        for i, curve in enumerate(self._limited):
            value, low, high = curve.limit or (0.0, 0.0, 0.0)
            x, tone = self._beyond(INFINITY + 0.03 * (i - (len(self._limited) - 1) / 2)), colour(curve.look.colour)
            ax.plot([x, x], [low, high], color=tone, linewidth=2, zorder=3)
            ax.plot([x], [value], zorder=4, clip_on=False, **marker(curve.look, 7))

    def _axes(self, ax: Axes, slim: bool) -> None:
        values = [v for c in self.curves for s in c.samples for v in (s.y, s.low, s.high) if v is not None]
        values += [v for c in self._limited for v in c.limit or ()]
        ax.set_ylim(*padded(max(0.0, min(values)), min(1.0, max(values))))
        percents(ax.yaxis)
        xs = [sample.x for curve in self.curves for sample in curve.samples] + [value for value, _ in self.ticks]
        lo, hi = min(xs), max(xs)
        ax.set_xlabel(self.across)
        if not self.ticks:
            room = 0.02 * (hi - lo or 1)
            ax.set_xlim(lo - (8 * room if self.bracket else room), self._beyond(ROOM if self._limited else 0.02))
            numbers(ax.xaxis, 5 if slim else 8, whole=True)
            ax.set_xticks([tick for tick in ax.get_xticks() if lo <= tick <= hi])
            return
        ax.set_xscale("log")
        factor = max(hi / lo, 2.0)
        ax.set_xlim(
            lo / factor ** ((0.4 if slim else 0.31) if self.bracket else 0.22),
            self._beyond(ROOM if self._limited else 0.09 if slim else 0.12),
        )
        ax.set_xticks([value for value, _ in self.ticks], [words for _, words in self.ticks])
        ax.set_xticks([], minor=True)

    def _curve(self, ax: Axes, curve: Curve) -> None:
        tone, strong = colour(curve.look.colour), curve.strong
        x, y, low, high = (curve.column(name) for name in ("x", "y", "low", "high"))
        ax.fill_between(x, low, high, color=tone, alpha=0.15 if strong else 0.08, linewidth=0)
        for i in _lone(y):
            ax.plot([x[i]] * 2, [low[i], high[i]], color=tone, linewidth=2)
        ax.plot(x, y, color=tone, linestyle=curve.look.dashes, linewidth=3 if strong else 1.7, zorder=3)
        every = 1 if len(x) <= MARKED else len(x) // 12
        marked = [sample for sample in curve.samples[::-1][::every] if sample.y is not None]
        dots = ax.plot([sample.x for sample in marked], [sample.y or 0.0 for sample in marked], zorder=4, clip_on=False,
                       **marker(curve.look, 9))  # fmt: skip
        self._tell(dots[0], [sample.words for sample in marked])

    def _arrow(self, ax: Axes, arrow: Arrow) -> None:
        needed = min(arrow.needed or np.inf, self._beyond(BREAK))
        looks = {"arrowstyle": "-|>", "color": self._ink, "linewidth": 1.6, "shrinkA": 7, "shrinkB": 2,
                 "mutation_scale": 13}  # fmt: skip
        ax.annotate("", (needed, arrow.share), (arrow.n, arrow.share), arrowprops=looks, zorder=5)
        taken = boxes(ax, [(arrow.n, arrow.share, needed, arrow.share)], 6)
        if self.bracket:
            taken += boxes(ax, [(ax.get_xlim()[0], min(self.bracket.shares), self.bracket.n, max(self.bracket.shares))])
        ink = [(x, y, x, y) for curve in self.curves for x, y in _along(curve)]
        beside(ax, arrow.words, ((arrow.n * needed) ** 0.5, arrow.share), taken, boxes(ax, ink, 3), weight="bold",
               color=self._ink)  # fmt: skip


def _lone(y: NDArray[np.float64]) -> list[int]:
    """The points without a neighbour that a line could join them with."""
    known = np.isfinite(np.pad(y, 1, constant_values=np.nan))
    return [int(i) for i in np.flatnonzero(known[1:-1] & ~known[:-2] & ~known[2:])]


def _along(curve: Curve) -> list[tuple[float, float]]:
    """Points along a curve over a logarithmic axis, so close that few words fit between them."""
    known = [(np.log(sample.x), sample.y) for sample in curve.samples if sample.y is not None]
    xs, ys = zip(*known, strict=True)
    fine = np.linspace(xs[0], xs[-1], 20)
    return list(zip(np.exp(fine), np.interp(fine, xs, ys), strict=True))


def _bracket(ax: Axes, bracket: Bracket, words: Sequence[str], ink: Any) -> list[Text]:
    """Before the first size, with its words at the left, which are returned."""
    low, high = sorted(bracket.shares)
    ax.plot([bracket.n] * 2, [low, high], transform=shifted(ax.transData, ax, -13), color=ink, linewidth=1.6,
            solid_capstyle="projecting")  # fmt: skip
    ax.plot([bracket.n] * 2, [low, high], transform=shifted(ax.transData, ax, -10.5), linestyle="none", color=ink,
            marker=[(-1, 0), (1, 0)], markersize=5, markeredgewidth=1.6)  # fmt: skip
    told = []
    for i, text in enumerate(words):
        at = shifted(ax.transData, ax, -19, 16 * ((len(words) - 1) / 2 - i))
        looks = {"color": ink, "weight": "normal" if i else "bold"}
        told.append(ax.text(bracket.n, (low + high) / 2, text, transform=at, ha="right", va="center", **looks))
    return told


def _make_room(ax: Axes, x: float, words: Sequence[Text]) -> None:
    """Let the axis begin further left of `x` where words beside it would lie on the labels of the other axis."""
    inside = ax.get_window_extent()
    over = inside.x0 + 4 - min(text.get_window_extent().x0 for text in words)
    if over <= 0:
        return
    scale = ax.xaxis.get_transform()
    lo, at, hi = scale.transform([ax.get_xlim()[0], x, ax.get_xlim()[1]])
    before = (at - lo) / (hi - lo) * inside.width + over
    lo = at - (hi - at) * before / (inside.width - before)
    ax.set_xlim(left=float(scale.inverted().transform([lo])[0]))


def _thinned(ax: Axes) -> None:
    """Without the words of ticks that would run into those of the next; the last keeps its own, or moves them to the
    second line where they have one and would not fit on the first."""
    labels = ax.get_xticklabels()
    boxes, words = [label.get_window_extent() for label in labels], [label.get_text() for label in labels]
    reached, last = float("inf"), words[-1].split("\n")
    if len(last) == 2 and len(words) > 1 and boxes[-2].x1 + 4 >= boxes[-1].x0:
        words[-1], boxes = f"\n{last[1]} ({last[0]})", boxes[:-1]
    for i in reversed(range(len(boxes))):
        fits = boxes[i].x1 + 4 < reached
        reached = boxes[i].x0 if fits else reached
        words[i] = words[i] if fits else ""
    ax.set_xticks(list(ax.get_xticks()), words)
