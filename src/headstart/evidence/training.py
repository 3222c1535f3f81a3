"""A training in figures: start, slope, x90, asymptote over updates; its block of verdicts.json."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from headstart.evidence.curves import slope_weights, x90
from headstart.evidence.phrases import capital
from headstart.phrases import percent
from headstart.schema.verdicts import EpochAccuracy, Estimate, TrainingCurve
from headstart.statistics import t_quantile

Floats = NDArray[np.float64]
EPS = 0.01  # accuracy per doubling of updates; flatter than this at its end, a curve has levelled off


def training_curve(steps: Floats, accuracy: Floats) -> TrainingCurve:
    """Figures of accuracies (r, e) after `steps` (e,) updates, ascending, the first of them 0 or more."""
    later = steps > 0
    slope = over_repeats(accuracy[:, later] @ slope_weights(steps[later])) if later.sum() > 1 else None
    mean = accuracy.mean(axis=0)
    reached = levelled(steps, mean)
    last = max(3, round(0.1 * len(steps)))
    end = over_repeats(accuracy[:, -last:].mean(axis=1)).within(0.0, 1.0) if reached else None
    start = over_repeats(accuracy[:, 0]).within(0.0, 1.0)
    return TrainingCurve(start=start, slope=slope, x90=x90(steps, mean), asymptote=end, reached=reached)


def over_repeats(values: NDArray[np.float64]) -> Estimate:
    """Mean of one figure per repeat, (r,), with its 95% t interval; without bounds for r = 1."""
    mean, r = float(np.mean(values)), len(values)
    if r < 2:
        return Estimate(mean)
    half = t_quantile(r - 1, 0.95) * float(np.std(values, ddof=1)) / r**0.5
    return Estimate(mean, mean - half, mean + half)


def levelled(steps: Floats, accuracy: Floats) -> bool:
    """Whether the Theil-Sen slope of the last quarter, three points at least, is within `EPS` a doubling."""
    last = max(3, -(-len(steps) // 4))
    if (steps[-last:] > 0).sum() < last:
        return False
    x, y = np.log2(steps[-last:]), accuracy[-last:]
    i, j = np.triu_indices(last, 1)
    return bool(abs(np.median((y[j] - y[i]) / (x[j] - x[i]))) <= EPS)


def training_block(epochs: NDArray[np.int64], steps: Floats, accuracy: Floats, name: str) -> TrainingCurve:
    """One entry of `training` in verdicts.json but for arm, size and part: points, figures, sentence.

    epochs, steps: (e,) ascending, the first before any update; accuracy: (r, e); name: how sentences call the arm.
    """
    points = []
    for epoch, step, column in zip(epochs.tolist(), steps.tolist(), accuracy.T, strict=True):
        mean = over_repeats(column).within(0.0, 1.0)
        points.append(EpochAccuracy(epoch, step, mean.value, mean.low, mean.high))
    found = training_curve(steps, accuracy)
    risen = next((e for e, step in zip(epochs.tolist(), steps.tolist(), strict=True) if step >= (found.x90 or 0)), None)
    return replace(found, points=tuple(points), sentence=training_sentence(found, name, risen))


def training_sentence(found: TrainingCurve, name: str, risen: int | None = None) -> str:
    """The training of one arm in a sentence; `risen` is the epoch by whose end it had made 90% of its rise."""
    start = f"{capital(name)} began at {percent(found.start.value, near='within')} before any update"
    if found.x90 is None:
        return f"{start} and had not risen at the end."
    epoch = "" if risen is None else f", in epoch {risen:,}"
    rise = f"made 90% of its rise by update {found.x90:,.0f}{epoch}"
    if found.asymptote is None:
        return f"{start}, {rise}, and had not levelled off at the end."
    return f"{start}, {rise}, and levelled off at {percent(found.asymptote.value, near='within')}."
