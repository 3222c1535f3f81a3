"""The learning history as charts: loss and accuracy by epoch, or validation loss against what was searched."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from headstart.report.charts import Axis, LineChart, Series, Tick, line_chart
from headstart.report.files import PART_WORDS, PARTS, RunFiles
from headstart.report.numbers import decimal, percent, plain
from headstart.report.story import CHOICES, CHOSEN_WORDS, best_epoch

TABLE_ROWS = 300


@dataclass(frozen=True)
class History:
    """Charts of the learning history, a sentence about the mark in them, and the numbers themselves."""

    charts: list[LineChart]
    mark: str
    columns: list[str]
    rows: list[list[str]]


def history(files: RunFiles) -> History | None:
    """The learning history; None when the head has none worth drawing (fewer than two points)."""
    keys = list(dict.fromkeys(key for row in files.history for key in row))
    x = next((key for key in ("epoch", *CHOICES) if key in keys), None)
    if x is None:
        return None
    rows = sorted((row for row in files.history if x == "epoch" or row.get(x, 0) > 0), key=lambda row: row.get(x, 0))
    mark, words = _mark(files, x, rows)
    charts = [chart for chart in (_chart(rows, x, kind, mark) for kind in ("loss", "accuracy")) if chart]
    if not charts:
        return None
    return History(charts, words, keys, [[plain(row.get(key)) for key in keys] for row in files.history[:TABLE_ROWS]])


def _mark(files: RunFiles, x: str, rows: Sequence[dict[str, float]]) -> tuple[float | None, str]:
    if x == "epoch":
        best = best_epoch(files)
        return best, "" if best is None else f"epoch {best:g}, kept"
    said = (files.scores.get("head") or {}).get(x)
    if not isinstance(said, int | float):
        return None, ""
    near = min((row[x] for row in rows), key=lambda value: abs(value - said), default=said)
    mark = near if math.isclose(near, said, rel_tol=1e-4) else float(said)
    return mark, f"{CHOSEN_WORDS[x]} = {said:g}, chosen"


def _chart(rows: Sequence[dict[str, float]], x: str, kind: str, mark: float | None) -> LineChart | None:
    """Training and validation curves of one kind; a head that searched shows no training curve of accuracy."""
    series: list[Series] = []
    for part in ("train", "val"):
        key = next((key for key in (f"{part}_{kind}", f"{part}_log_{kind}") if rows and key in rows[-1]), "")
        points = [(row[x], row[key]) for row in rows if key in row and math.isfinite(row[key])]
        series.append((PART_WORDS[part].capitalize(), part, points))
    values = [at for _, _, points in series for at, _ in points]
    if len(set(values)) < 2:
        return None
    log = x != "epoch" and max(values) > 20 * min(values)
    label = (lambda v: f"{100 * v:g}%") if kind == "accuracy" else "{:g}".format
    title = "Accuracy" if kind == "accuracy" else "Log loss"
    return line_chart(title, "Epoch" if x == "epoch" else _sentence(x), series, label=label, mark=mark, log=log)


def _sentence(key: str) -> str:
    words = CHOSEN_WORDS[key]
    return words[0].upper() + words[1:]


@dataclass(frozen=True)
class IntervalRow:
    """One part in an interval plot, in drawing units; `before` is None where nothing was scored before."""

    label: str
    y: float
    low: float
    high: float
    after: float
    before: float | None
    words: str


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
    parts = [part for part in PARTS if part in files.after and files.after[part].get("accuracy_low") is not None]
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
    axis, rows = Axis(*ends, start=92, end=364), []
    for i, part in enumerate(parts):
        s, first = files.after[part], files.before.get(part) if before else None
        words = f"{PART_WORDS[part]}: {percent(s['accuracy'])}, {percent(s['accuracy_low'])} to {percent(s['accuracy_high'])}"
        rows.append(
            IntervalRow(
                label=PART_WORDS[part].capitalize(),
                y=22.0 + 30 * i,
                low=axis.at(s["accuracy_low"]),
                high=axis.at(s["accuracy_high"]),
                after=axis.at(s["accuracy"]),
                before=axis.at(first["accuracy"]) if first and first.get("accuracy") is not None else None,
                words=words if first is None else f"{words}; before {decimal(100 * first['accuracy'], 1)}%",
            )
        )
    return IntervalPlot(title, rows, axis.ticks(lambda v: f"{100 * v:.6g}%"), 22.0 + 30 * len(parts), 92, 364)
