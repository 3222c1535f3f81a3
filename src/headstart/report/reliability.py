"""How often predictions of each confidence were right: the bins of the diagram and of its table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from headstart.metrics import BINS
from headstart.phrases import percent
from headstart.report.charts.reliability import Bin, ReliabilityDisplay
from headstart.report.files import Prediction
from headstart.report.numbers import count
from headstart.statistics import wilson


@dataclass(frozen=True)
class Reliability:
    """The diagram; (confidence, pictures, mean, right) of each bin in words; the means of both in words."""

    chart: ReliabilityDisplay
    rows: list[tuple[str, str, str, str]]
    confidence: str
    accuracy: str


def reliability(predictions: Sequence[Prediction], judged: str) -> Reliability | None:
    """The diagram of labelled predictions of the `judged` part; None without any."""
    rows = [row for row in predictions if row.label]
    if not rows:
        return None
    groups: dict[int, list[Prediction]] = {}
    for row in rows:
        groups.setdefault(max(0, math.ceil(row.confidence * BINS) - 1), []).append(row)  # bins (a, b], as in the ECE
    bins = [_bin(i, group) for i, group in sorted(groups.items())]
    confidence, accuracy = percent(_mean([row.confidence for row in rows])), percent(_mean([row.right for row in rows]))
    words = f"Reliability diagram of the {judged} pictures: mean confidence {confidence}, accuracy {accuracy}"
    return Reliability(ReliabilityDisplay(bins, words), [_words(each) for each in bins], confidence, accuracy)


def _bin(index: int, group: list[Prediction]) -> Bin:
    n, right = len(group), sum(row.right for row in group)
    confidence = _mean([row.confidence for row in group])
    return Bin(index / BINS, (index + 1) / BINS, n, confidence, right / n, *wilson(right, n))


def _words(each: Bin) -> tuple[str, str, str, str]:
    return f"{each.start:.0%} to {each.end:.0%}", count(each.n), percent(each.confidence), percent(each.accuracy)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
