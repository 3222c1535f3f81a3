"""Accuracy with its 95% interval for each part, before and after, as two small plots."""

from __future__ import annotations

from collections.abc import Mapping

from headstart.report.charts.intervals import IntervalRow, IntervalsDisplay, near
from headstart.report.files import RunFiles
from headstart.report.parts import PART_WORDS, told, use
from headstart.schema.scores import PartScores


def interval_plots(files: RunFiles) -> list[IntervalsDisplay]:
    """Before and after on the whole scale, and, when the intervals are narrow, the same ones enlarged."""
    parts = [part for part in told(files.scores) if files.after[part].accuracy_low is not None]
    if not parts:
        return []
    rows, alone = ([_part(files, part, before) for part in parts] for before in (True, False))
    plots = [IntervalsDisplay("Accuracy before and after", rows, (0.0, 1.0))]
    low, high = near(alone)
    return [*plots, IntervalsDisplay("The 95% intervals, enlarged", alone)] if high - low < 0.4 else plots


def _part(files: RunFiles, part: str, before: bool) -> IntervalRow:
    first = files.before[part].accuracy if before and part in files.before else None
    return _row(PART_WORDS[part].capitalize(), files.after[part], first, use(files.scores, part) == "seen")


def comparison(scored: Mapping[str, PartScores]) -> IntervalsDisplay:
    """Accuracies under these labels with their 95% intervals, on a scale as wide as the intervals need."""
    return IntervalsDisplay("Accuracy, with 95% interval", [_row(label, scores) for label, scores in scored.items()])


def _row(label: str, scores: PartScores, before: float | None = None, seen: bool = False) -> IntervalRow:
    low, high = scores.accuracy_low, scores.accuracy_high
    exact = scores.accuracy
    return IntervalRow(label, exact, exact if low is None else low, exact if high is None else high, before, seen)
