"""Accuracy with its 95% interval for each part, before and after, as two small plots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from headstart.report.charts import Axis, Tick
from headstart.report.files import RunFiles
from headstart.report.numbers import percent
from headstart.report.parts import PART_WORDS, told, use

LEFT, RIGHT = 110.0, 364.0
_FIRST, _STEP = 22.0, 30.0


@dataclass(frozen=True)
class IntervalRow:
    """One part in an interval plot, in drawing units; `before` is None where nothing was scored before.

    `seen` is a part that the head was fitted on, which is drawn faintly.
    """

    label: str
    y: float
    low: float
    high: float
    after: float
    before: float | None
    words: str
    seen: bool = False


@dataclass(frozen=True)
class IntervalPlot:
    """Accuracy with its 95% interval for each part."""

    title: str
    rows: list[IntervalRow]
    ticks: list[Tick]
    height: float
    left: float
    right: float


def interval_plots(files: RunFiles) -> list[IntervalPlot]:
    """Before and after on the whole scale, and, when the intervals are narrow, the same ones enlarged."""
    parts = [part for part in told(files.scores) if files.after[part].get("accuracy_low") is not None]
    if not parts:
        return []
    lows = [files.after[part]["accuracy_low"] for part in parts]
    highs = [files.after[part]["accuracy_high"] for part in parts]
    room = 0.06 * (max(highs) - min(lows))
    near = (max(0.0, min(lows) - room), min(1.0, max(highs) + room))
    plots = [_interval_plot(files, parts, "Accuracy before and after", (0.0, 1.0))]
    if near[1] - near[0] < 0.4:
        plots.append(_interval_plot(files, parts, "The 95% intervals, enlarged", near, before=False))
    return plots


def _interval_plot(
    files: RunFiles, parts: list[str], title: str, ends: tuple[float, float], before: bool = True
) -> IntervalPlot:
    axis = Axis(*ends, start=LEFT, end=RIGHT)
    rows = [
        _row(axis, _FIRST + _STEP * i, (_name(part), files.after[part], files.before.get(part) if before else None))
        for i, part in enumerate(parts)
    ]
    rows = [_told(row, use(files.scores, part) == "seen") for row, part in zip(rows, parts, strict=True)]
    ticks = axis.ticks(lambda share: f"{100 * share:.6g}%")
    return IntervalPlot(title, rows, ticks, _FIRST + _STEP * len(parts) - 12, LEFT, RIGHT)


def _told(row: IntervalRow, seen: bool) -> IntervalRow:
    """The row, marked where the head was fitted on its pictures."""
    return replace(row, seen=True, words=f"{row.words}, seen in fitting") if seen else row


def comparison(title: str, scored: Mapping[str, Mapping[str, Any]]) -> IntervalPlot:
    """Accuracies under these labels with their 95% intervals, on a scale as wide as the intervals need."""
    lows, highs = ([s[f"accuracy_{end}"] for s in scored.values()] for end in ("low", "high"))
    room = 0.06 * (max(highs) - min(lows))
    axis = Axis(max(0.0, min(lows) - room), min(1.0, max(highs) + room), start=LEFT, end=RIGHT)
    rows = [_row(axis, _FIRST + _STEP * i, (label, s, None)) for i, (label, s) in enumerate(scored.items())]
    ticks = axis.ticks(lambda share: f"{100 * share:.6g}%")
    return IntervalPlot(title, rows, ticks, _FIRST + _STEP * len(rows) - 12, LEFT, RIGHT)


def _name(part: str) -> str:
    return PART_WORDS[part].capitalize()


def _row(axis: Axis, y: float, scored: tuple[str, Mapping[str, Any], Mapping[str, Any] | None]) -> IntervalRow:
    label, after, before = scored
    low, high = after["accuracy_low"], after["accuracy_high"]
    words = f"{label} {percent(after['accuracy'])}, interval {percent(low)} to {percent(high)}"
    return IntervalRow(
        label=label,
        y=y,
        low=axis.at(low),
        high=axis.at(high),
        after=axis.at(after["accuracy"]),
        before=axis.at(before["accuracy"]) if before else None,
        words=f"{words}, before {percent(before['accuracy'])}" if before else words,
    )
