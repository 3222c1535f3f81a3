"""The reliability diagram: how often predictions of each confidence were right (Guo et al. 2017, figure 1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from headstart.metrics import BINS
from headstart.report.charts import Axis, Tick
from headstart.report.files import Prediction
from headstart.report.numbers import count, percent
from headstart.statistics import wilson


@dataclass(frozen=True)
class Bin:
    """Predictions of similar confidence: where to draw them, and the same in words."""

    x: float
    y: float
    low: float
    high: float
    height: float
    left: float
    width: float
    words: tuple[str, str, str, str]


@dataclass(frozen=True)
class Reliability:
    """Geometry of the diagram (above) and of the histogram of confidences (below)."""

    bins: list[Bin]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    diagonal: tuple[float, float, float, float]
    box: tuple[float, float, float, float]
    floor: float
    confidence: str
    accuracy: str


BOX = (46.0, 14.0, 346.0, 274.0)
FLOOR = 344.0  # the base line of the histogram
_TALLEST = 56.0


def reliability(predictions: Sequence[Prediction]) -> Reliability | None:
    """The diagram of labelled predictions; None without any."""
    rows = [row for row in predictions if row.label]
    if not rows:
        return None
    groups: dict[int, list[Prediction]] = {}
    for row in rows:
        groups.setdefault(max(0, math.ceil(row.confidence * BINS) - 1), []).append(row)  # bins (a, b], as in the ECE
    left, top, right, bottom = BOX
    lo = _floor(groups)
    across, up = Axis(lo, 1, left, right), Axis(lo, 1, bottom, top)
    tallest = max(map(len, groups.values()))
    bins = [_bin(i, group, (across, up), tallest) for i, group in sorted(groups.items())]
    return Reliability(
        bins=bins,
        x_ticks=across.ticks("{:.0%}".format),
        y_ticks=up.ticks("{:.0%}".format),
        diagonal=(left, bottom, right, top),
        box=BOX,
        floor=FLOOR,
        confidence=percent(_mean([row.confidence for row in rows])),
        accuracy=percent(_mean([row.right for row in rows])),
    )


def _floor(groups: dict[int, list[Prediction]]) -> float:
    """Two classes never give less than a half: then the lower half of the square is left out, if it is empty."""
    lowest = min(min(_mean([r.right for r in g]), min(r.confidence for r in g)) for g in groups.values())
    return 0.5 if lowest >= 0.5 else 0.0


def _bin(index: int, group: list[Prediction], axes: tuple[Axis, Axis], tallest: int) -> Bin:
    across, up = axes
    n, confidence, accuracy = len(group), _mean([r.confidence for r in group]), _mean([r.right for r in group])
    low, high = wilson(sum(r.right for r in group), n)
    left, right = across.at(index / BINS), across.at((index + 1) / BINS)
    return Bin(
        x=across.at(confidence),
        y=up.at(accuracy),
        low=up.at(low),
        high=up.at(high),
        height=round(max(1.0, _TALLEST * n / tallest), 1),
        left=left,
        width=round(right - left, 1),
        words=(f"{index / BINS:.0%} to {(index + 1) / BINS:.0%}", count(n), percent(confidence), percent(accuracy)),
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
