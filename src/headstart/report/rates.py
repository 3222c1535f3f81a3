"""How fast a network learnt: the schedule of its learning rate, the rates that were tried, pictures a second."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from headstart.phrases import percent
from headstart.report.charts.axes import power_of_ten
from headstart.report.charts.lines import Line, LinesDisplay
from headstart.report.files import RunFiles
from headstart.report.numbers import count, duration, shown
from headstart.training.plan import Plan

POINTS = 200
"""Of a drawn schedule, about."""


def rate_charts(files: RunFiles) -> list[LinesDisplay]:
    """The schedule that was planned, and the learning-rate finder where it ran."""
    return [chart for chart in (_schedule(files), _finder(files)) if chart is not None]


def _schedule(files: RunFiles) -> LinesDisplay | None:
    plan = (files.scores.training or {}).get("plan") or {}
    if not {"epochs", "learning_rate", "warmup"} <= plan.keys():
        return None
    epochs, highest = int(plan["epochs"]), float(plan["learning_rate"])
    shape = Plan(epochs=epochs, learning_rate=highest, warmup=float(plan["warmup"]))
    power, dense = math.floor(math.log10(highest)), max(1, POINTS // epochs)
    steps = epochs * dense
    lines = []
    for name, kind, share in _groups(files):
        points = [
            (i / dense, shape.rate(min(i, steps - 1), steps) * share * highest / 10.0**power) for i in range(steps + 1)
        ]
        lines.append(Line(name, kind, points))
    last = max((row["epoch"] for row in files.history if "epoch" in row), default=epochs)
    mark = last if last < epochs else None
    marked = [point for line in lines for point in line.points if point[0] == mark]
    title = f"Learning rate (× {power_of_ten(power)})"
    said = f"stopped after epoch {last:g}"
    return LinesDisplay(title, "Epoch", lines, whole=True, mark=mark, marked=marked, said=said)


def _groups(files: RunFiles) -> list[tuple[str, str, float]]:
    """(Name, kind, share of the learning rate) of the head and of the block that learns slowest."""
    row = next((row for row in reversed(files.history) if row.get("learning_rate")), {})
    prefix = "learning_rate_"
    shares = {key.removeprefix(prefix): row[key] / row["learning_rate"] for key in row if key.startswith(prefix)}
    shares.pop("head", None)
    slowest = min(shares, key=lambda name: shares[name], default=None)
    if slowest is None or shares[slowest] > 0.999:
        return [("all weights", "top", 1.0)]
    return [("head", "top", 1.0), (shown(slowest, 40), "low", shares[slowest])]


def _finder(files: RunFiles) -> LinesDisplay | None:
    points = [(row["learning_rate"], row["loss"]) for row in files.tried if {"learning_rate", "loss"} <= row.keys()]
    points = [(rate, loss) for rate, loss in points if rate > 0 and math.isfinite(loss)]
    if len(points) < 2:
        return None
    said = (files.scores.training or {}).get("steepest_rate")
    mark = min((rate for rate, _ in points), key=lambda rate: abs(math.log(rate / said))) if said else None
    words = f"{_rate(said)}, where the loss fell most steeply" if said else ""
    return LinesDisplay(
        "Learning rates tried on a copy", "Learning rate", [Line("loss", "top", points)], log=True, mark=mark,
        marked=[point for point in points if point[0] == mark], said=words,
    )  # fmt: skip


def speed_words(files: RunFiles) -> str:
    """Pictures a second, and what the time of the epochs went into; empty without a measured epoch."""
    rows = [row for row in files.history if row.get("compute_s")]
    waited, computed = (sum(row.get(key, 0.0) for row in rows) for key in ("data_s", "compute_s"))
    examples = sum(row.get("images_per_s", 0.0) * (row.get("data_s", 0.0) + row["compute_s"]) for row in rows)
    if not rows or not examples:
        return ""
    rate, judged = examples / (waited + computed), sum(row.get("evaluate_s", 0.0) for row in rows)
    text = (
        f"It learnt from {count(rate) if rate >= 10 else f'{rate:.1f}'} pictures a second: {duration(computed)} of "
        f"computing and {duration(waited)} of waiting for data ({percent(waited / (waited + computed))})"
    )
    return f"{text}, and {duration(judged)} of judging epochs." if judged else f"{text}."


def finder_words(files: RunFiles, told: Mapping[str, Any]) -> str:
    """What the finder found beside the rate that was used; empty where it did not run."""
    used = (told.get("plan") or {}).get("learning_rate")
    if not files.tried or used is None:
        return ""
    steepest = told.get("steepest_rate")
    found = f"fell most steeply at {_rate(steepest)}" if steepest else "never clearly fell"
    used_words = f"the training used {_rate(used, 6)}; trying rates does not change it"
    return f"On a copy of the network the loss {found}; {used_words}."


def _rate(value: float, digits: int = 2) -> str:
    """A learning rate without an exponent: 0.000086."""
    return f"{float(f'{value:.{digits}g}'):.12f}".rstrip("0").rstrip(".")
