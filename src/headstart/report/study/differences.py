"""Differences with their intervals around a zero line: by size of one comparison, and class by class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headstart.report.charts import Axis, Tick
from headstart.report.numbers import percent, plural, shown
from headstart.report.study.files import ClassGain, Comparison, Estimate, PerClass, Study, Verdict
from headstart.report.study.words import (
    MARKS,
    MINUS,
    Mark,
    cut,
    labelled,
    points,
    points_with_interval,
    size_at,
)

LISTED_CLASSES = 30


@dataclass(frozen=True)
class Row:
    """One difference in drawing units, its words at the left and at the right, and a mark where it has a verdict."""

    label: str
    y: float
    at: float
    low: float | None
    high: float | None
    note: str
    tone: str
    mark: Mark | None = None
    strong: bool = False
    words: str = ""


@dataclass(frozen=True)
class Differences:
    """Rows over one axis of points; `margin` are the ends of the band that counts as no difference.

    `gap` is the height at which rows are left out.
    """

    title: str
    rows: list[Row]
    ticks: list[Tick]
    zero: float
    margin: tuple[float, float] | None
    left: float
    right: float
    height: float
    gap: float | None = None


@dataclass(frozen=True)
class Measured:
    """What a row shows, before it is laid out."""

    label: str
    estimate: Estimate
    note: str
    mark: Mark | None = None
    strong: bool = False


def by_size(study: Study, compared: Comparison) -> Differences:
    """The difference over all sizes, where there are several, then at each."""
    rows = [_verdict("all sizes", compared.verdict, strong=True)] if len(compared.by_size) != 1 else []
    rows += [_verdict(size_at(study, each.n), each) for each in compared.by_size]
    return _laid_out(
        "Difference in points, by labelled pictures of a class", rows, (76, 222), 24, margin=compared.margin
    )


def _verdict(label: str, verdict: Verdict, strong: bool = False) -> Measured:
    return Measured(label, verdict.difference, points_with_interval(verdict.difference), MARKS[verdict.word], strong)


def _laid_out(
    title: str,
    measured: Sequence[Measured],
    ends: tuple[float, float],
    step: float,
    margin: float | None = None,
    gap: int | None = None,
) -> Differences:
    """Rows one under another, with room before row `gap`; the axis holds every interval, zero and the margin."""
    values = [v for m in measured for v in (m.estimate.value, m.estimate.low, m.estimate.high) if v is not None]
    edge = margin or 0.0
    lo, hi = min([*values, -edge, 0.0]), max([*values, edge, 0.0])
    room = 0.06 * (hi - lo) or 0.01
    axis = Axis(100 * (lo - room), 100 * (hi + room), start=ends[0], end=ends[1])
    split = len(measured) if gap is None else gap
    rows = [_row(axis, 20 + (i + (i >= split)) * step, each, ends[0] - 10) for i, each in enumerate(measured)]
    band = (axis.at(-100 * edge), axis.at(100 * edge)) if margin else None
    height = 8 + step * (len(rows) + (gap is not None))
    middle = None if gap is None else 20 + gap * step
    return Differences(title, rows, axis.ticks(_tick, 4), axis.at(0), band, *ends, height, middle)


def _row(axis: Axis, y: float, measured: Measured, room: float) -> Row:
    found, label = measured.estimate, shown(measured.label)
    known = found.low is not None and found.high is not None
    words = f"{label}: {measured.note}"
    return Row(
        label=cut(label, room - 2, 12.5),
        y=y,
        at=axis.at(100 * found.value),
        low=axis.at(100 * (found.low or 0.0)) if known else None,
        high=axis.at(100 * (found.high or 0.0)) if known else None,
        note=measured.note,
        tone=_tone(measured),
        mark=measured.mark,
        strong=measured.strong,
        words=f"{words}, {measured.mark.word}" if measured.mark else words,
    )


def _tone(measured: Measured) -> str:
    """By the verdict where there is one, by the sign of an interval otherwise."""
    found = measured.estimate
    if measured.mark:
        return measured.mark.tone
    if found.low is None or found.high is None:
        return "none"
    return "gain" if found.low > 0 else "loss" if found.high < 0 else "none"


def _tick(value: float) -> str:
    return f"{'+' if value > 0 else MINUS if value < 0 else ''}{abs(value):g}"


@dataclass(frozen=True)
class ByClass:
    """Gains and losses of one comparison, and how many classes are not shown."""

    title: str
    plot: Differences
    rest: str


def by_class(study: Study, words: dict[str, str]) -> list[ByClass]:
    """The comparisons of transfer arms with source-free ones, the headline's first, then the others."""
    main, order = study.main(), [(c.first, c.second) for c in study.against_source_free()]
    order.sort(key=lambda pair: main is None or pair != (main.first, main.second))
    told = [each for each in study.per_class if each.classes]
    told.sort(key=lambda each: order.index((each.first, each.second)) if (each.first, each.second) in order else 999)
    return [_by_class(study, each, words) for each in told]


def _by_class(study: Study, told: PerClass, words: dict[str, str]) -> ByClass:
    ordered = sorted(told.classes, key=lambda each: -each.difference)
    kept, half = ordered, LISTED_CLASSES // 2
    if len(ordered) > LISTED_CLASSES:
        kept = ordered[:half] + ordered[-half:]
    rest = len(ordered) - len(kept)
    size = next((s.n for s in study.study.sizes if s.name == told.size), None)
    title = f"{words[told.first]} against {words[told.second]}, with {labelled(study, size, told.size)}"
    plot = _laid_out(
        "Difference in points", [_class(each) for each in kept], (152, 264), 20, gap=half if rest else None
    )
    return ByClass(title, plot, _rest(rest, half, ordered[half : len(ordered) - half]))


def _rest(rest: int, half: int, between: Sequence[ClassGain]) -> str:
    if not rest:
        return ""
    ends = f"{points(between[-1].difference)} to {points(between[0].difference)} points"
    return (
        f"Shown are the {half} largest gains and the {half} largest losses. Left out between them: "
        f"{plural(rest, 'class', 'classes')}, {ends}."
    )


def _class(each: ClassGain) -> Measured:
    estimate = Estimate(value=each.difference, low=each.low, high=each.high)
    return Measured(each.name, estimate, f"{percent(each.second)} → {percent(each.first)}")
