"""Curves with 95% bands and a label at the end of each: the geometry that `templates/study_charts.html` draws.

A chart is laid out twice, for a wide page and for a phone, and the style sheet shows the one that fits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

from headstart.report.charts import Axis
from headstart.report.study.looks import Look
from headstart.report.study.words import wrap

Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True)
class Frame:
    """The measures of a drawing: its size, the plotting area, and room inside it before and after the curves."""

    kind: str
    width: float
    box: Box
    before: float
    after: float
    font: float
    wide: bool

    @property
    def line(self) -> float:
        """The height of one line of text."""
        return 1.28 * self.font

    @property
    def label_left(self) -> float:
        """Where the text of a label at a line's end begins."""
        return self.box[2] + (34 if self.wide else 25)

    @property
    def label_room(self) -> float:
        """The width that a label may have."""
        return self.width - self.label_left

    @property
    def height(self) -> float:
        """The height of the whole drawing, with room for the ticks and the name of the axis."""
        return self.box[3] + 58


WIDE = Frame("wide", 760, (46, 14, 542, 372), before=86, after=52, font=13, wide=True)
NARROW = Frame("slim", 340, (32, 10, 230, 300), before=56, after=12, font=11, wide=False)


@dataclass(frozen=True)
class Sample:
    """One measured share; samples in neighbouring slots are joined by a line."""

    slot: int
    x: float
    y: float
    low: float | None
    high: float | None
    words: str


@dataclass(frozen=True)
class Series:
    """The curve of an arm with a note under its label, and a shorter one for phones.

    `limit` is its asymptote, `strong` one of the headline's two arms.
    """

    look: Look
    samples: Sequence[Sample]
    note: str
    short: str
    strong: bool = False
    limit: float | None = None


@dataclass(frozen=True)
class Label:
    """Lines of text (CSS class, words) beside the end of a curve, and the thin line that leads there."""

    look: Look
    x: float
    rows: list[tuple[float, str, str]]
    leader: tuple[float, float, float, float]
    top: float
    bottom: float


@dataclass(frozen=True)
class Curve:
    """One arm in drawing units: its joined lines and bands, lone points with whiskers, dots, and the dashed tail."""

    look: Look
    strong: bool
    lines: list[str]
    bands: list[str]
    whiskers: list[tuple[float, float, float]]
    dots: list[tuple[float, float, str]]
    tail: str
    end: tuple[float, float]

    @property
    def marked(self) -> list[tuple[float, float, str]]:
        """The dots that get a marker: all, or of many about twelve, the last among them."""
        every = 1 if len(self.dots) <= 16 else len(self.dots) // 12
        return self.dots[::-1][::every]


def rows_of(series: Series, frame: Frame) -> list[tuple[str, str]]:
    """The lines of a label: the arm's words, then the note."""
    style, font = ("bold", 1.08 * frame.font) if series.strong else ("", frame.font)
    words = [(style, line) for line in wrap(series.look.words, frame.label_room, font)]
    note = series.note if frame.wide else series.short
    return words + [("quiet", line) for line in wrap(note, frame.label_room, frame.font)]


def fitted(frame: Frame, series: Sequence[Series]) -> Frame:
    """The frame, made taller where the labels at the lines' ends would not fit beside it."""
    left, top, right, bottom = frame.box
    needed = sum(len(rows_of(each, frame)) * frame.line + 5 for each in series)
    return replace(frame, box=(left, top, right, max(bottom, top + needed)))


def curve(series: Series, across: Axis, up: Axis, frame: Frame) -> Curve:
    """One arm's curve in drawing units."""
    runs = list(_runs(series.samples))
    dots = [(across.at(s.x), up.at(s.y), s.words) for s in series.samples]
    end, tail = dots[-1][:2], ""
    if series.limit is not None:
        (x, y), limit, right = end, up.at(series.limit), frame.box[2]
        tail, end = f"M{x:g} {y:g}Q{(x + right) / 2:g} {limit:g} {right:g} {limit:g}", (right, limit)
    return Curve(
        look=series.look,
        strong=series.strong,
        lines=[_path((across.at(s.x), up.at(s.y)) for s in run) for run in runs if len(run) > 1],
        bands=[_band(run, across, up) for run in runs if len(run) > 1 and all(_has_interval(s) for s in run)],
        whiskers=[
            (across.at(run[0].x), up.at(run[0].low or 0.0), up.at(run[0].high or 0.0))
            for run in runs
            if len(run) == 1 and _has_interval(run[0])
        ],
        dots=dots,
        tail=tail,
        end=end,
    )


def _has_interval(sample: Sample) -> bool:
    return sample.low is not None and sample.high is not None


def _runs(samples: Sequence[Sample]) -> Iterator[list[Sample]]:
    """Samples in neighbouring slots together: a size that failed leaves a gap."""
    for _, run in groupby(enumerate(samples), key=lambda each: each[1].slot - each[0]):
        yield [sample for _, sample in run]


def _path(points: Iterator[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)


def _band(run: Sequence[Sample], across: Axis, up: Axis) -> str:
    highs = [(across.at(s.x), up.at(s.high or 0.0)) for s in run]
    lows = [(across.at(s.x), up.at(s.low or 0.0)) for s in run]
    return _path(iter(highs + lows[::-1]))


def labels(series: Sequence[Series], curves: Sequence[Curve], frame: Frame) -> list[Label]:
    """A label for each curve as near to its end as the others allow, none over another."""
    rows = [rows_of(each, frame) for each in series]
    heights = [len(each) * frame.line + 5 for each in rows]
    order = sorted(range(len(curves)), key=lambda i: (curves[i].end[1], i))
    _, top, _, bottom = frame.box
    middles = apart([curves[i].end[1] for i in order], [heights[i] for i in order], top - 4, bottom + 4)
    return [_label(rows[i], heights[i], curves[i], middle, frame) for i, middle in zip(order, middles, strict=True)]


def _label(rows: list[tuple[str, str]], height: float, drawn: Curve, middle: float, frame: Frame) -> Label:
    top = middle - height / 2
    placed = [(round(top + 2.5 + (i + 0.78) * frame.line, 1), style, text) for i, (style, text) in enumerate(rows)]
    (x, y), left = drawn.end, frame.label_left
    return Label(drawn.look, left, placed, (x + 7, y, left - 17, round(middle, 1)), top, top + height)


def apart(wanted: Sequence[float], heights: Sequence[float], top: float, bottom: float) -> list[float]:
    """Middles of boxes of these heights, in the order given, as near to `wanted` as they can be without overlap.

    Isotonic regression by pooling adjacent violators: with the heights of the boxes before it taken off, a middle may
    not be less than the one before it, and the least squares solution is the mean of each pool.
    """
    offsets = [0.0]
    for one, two in pairwise(heights):
        offsets.append(offsets[-1] + (one + two) / 2)
    pools: list[tuple[float, int]] = []  # (mean, number of boxes)
    for value in (w - o for w, o in zip(wanted, offsets, strict=True)):
        mean, n = value, 1
        while pools and pools[-1][0] > mean:
            before, m = pools.pop()
            mean, n = (before * m + mean * n) / (m + n), m + n
        pools.append((mean, n))
    lowest, highest = top + heights[0] / 2, bottom - heights[-1] / 2 - offsets[-1]
    means = [mean for mean, n in pools for _ in range(n)]
    return [max(lowest, min(mean, highest)) + offset for mean, offset in zip(means, offsets, strict=True)]
