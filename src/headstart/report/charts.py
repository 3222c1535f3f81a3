"""Charts as plain geometry: scales, ticks and points, which `templates/charts.html` draws as inline SVG.

Every chart is about 380 units wide, so that its text stays readable when a phone shows it at 330 pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

Tick = tuple[float, str]
Label = Callable[[float], str]
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Axis:
    """Maps values lo..hi onto drawing units start..end, linear or logarithmic."""

    lo: float
    hi: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """The drawing coordinate of `value`, held inside the axis, to a tenth of a unit."""
        lo, hi, value = (math.log10(v) if self.log else v for v in (self.lo, self.hi, value))
        share = (min(max(value, lo), hi) - lo) / (hi - lo)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, label: Label, wanted: int = 5) -> list[Tick]:
        """Positions and labels of round values, about `wanted` of them."""
        if self.log:
            values = _decades(self.lo, self.hi, wanted + 2)
            whole = all(math.isclose(value, 10.0 ** round(math.log10(value))) for value in values)
            short = not whole or (values[0] > 0.005 and values[-1] < 5000)
            return [(self.at(value), f"{value:g}" if short else _power(value)) for value in values]
        return [(self.at(value), label(value)) for value in round_values(self.lo, self.hi, wanted)]


@dataclass(frozen=True)
class Line:
    """One curve; `style` is its CSS class, which sets both the colour and the dash pattern."""

    name: str
    style: str
    points: list[tuple[float, float]]

    @property
    def path(self) -> str:
        """The `points` attribute of an SVG polyline."""
        return " ".join(f"{x:g},{y:g}" for x, y in self.points)


@dataclass(frozen=True)
class LineChart:
    """Curves over one horizontal axis, with one marked value (the epoch kept, the C chosen).

    `said` are the words of the mark where they are the chart's own; `remark` is a value that is told and not drawn.
    """

    title: str
    x_label: str
    lines: list[Line]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    box: tuple[float, float, float, float]  # left, top, right, bottom of the plotting area
    mark: Tick | None = None
    marked: list[tuple[float, float]] = field(default_factory=list)
    said: str = ""
    remark: str = ""


Series = tuple[str, str, Sequence[tuple[float, float]]]
BOX = (46.0, 14.0, 368.0, 190.0)


def line_chart(
    title: str, x_label: str, series: Iterable[Series], *, label: Label, mark: float | None = None, log: bool = False
) -> LineChart:
    """Lay out (name, style, [(x, y), ...]) series; `label` writes the vertical ticks."""
    kept = [(name, style, points) for name, style, points in series if points]
    xs = [x for _, _, points in kept for x, _ in points]
    ys = [y for _, _, points in kept for _, y in points]
    left, top, right, bottom = BOX
    across = Axis(*spread(min(xs), max(xs)), start=left, end=right, log=log)
    up = Axis(*padded(min(ys), max(ys)), start=bottom, end=top)
    lines = [Line(name, style, [(across.at(x), up.at(y)) for x, y in points]) for name, style, points in kept]
    marked = [(across.at(x), up.at(y)) for _, _, points in kept for x, y in points if x == mark]
    place = None if mark is None else (across.at(mark), f"{mark:g}")
    return LineChart(title, x_label, lines, across.ticks("{:g}".format), up.ticks(label), BOX, place, marked)


def whole(chart: LineChart) -> LineChart:
    """The chart with ticks at whole numbers only across: there is no half epoch."""
    return replace(chart, x_ticks=[tick for tick in chart.x_ticks if float(tick[1]).is_integer()])


def round_values(lo: float, hi: float, wanted: int = 5) -> list[float]:
    """Multiples of 1, 2, 2.5 or 5 times a power of ten inside lo..hi, at most `wanted` + 1 of them."""
    scale = 10.0 ** math.floor(math.log10((hi - lo) / wanted))
    step = next(m * scale for m in (1, 2, 2.5, 5, 10, 20) if (hi - lo) / (m * scale) <= wanted)
    first, last = math.ceil(lo / step - 1e-9), math.floor(hi / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def _decades(lo: float, hi: float, wanted: int) -> list[float]:
    """Powers of ten inside lo..hi; with fewer than two of them, also their double and fivefold."""
    first, last = math.floor(math.log10(lo)), math.ceil(math.log10(hi))
    every = max(1, math.ceil((last - first) / wanted))

    def inside(steps: tuple[float, ...]) -> list[float]:
        values = [m * 10.0**p for p in range(first, last + 1, every) for m in steps]
        return [value for value in values if lo * 0.999 <= value <= hi * 1.001]

    return inside((1,)) if len(inside((1,))) > 1 else inside((1, 2, 5))


def _power(value: float) -> str:
    return "10" + str(round(math.log10(value))).translate(_SUPERSCRIPT)


def spread(lo: float, hi: float) -> tuple[float, float]:
    """A range that is never empty (a history of one row)."""
    return (lo, hi) if hi > lo else (lo / 2, lo * 2) if lo > 0 else (lo - 0.5, hi + 0.5)


def padded(lo: float, hi: float) -> tuple[float, float]:
    """Room above and below; from zero when zero is near, never beyond 0..1 for shares."""
    room = 0.06 * (hi - lo) or max(abs(hi) * 0.1, 1e-6)
    bottom = 0.0 if 0 <= lo < 0.35 * hi else lo - room
    return bottom, 1.0 if lo >= 0 and hi <= 1 < hi + room else hi + room
