"""Scores of probabilities against labels, with intervals.

All functions take y (n,) int class indices, proba (n, k) float rows that sum to 1; log is natural.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.statistics import share_interval

Labels = NDArray[np.int64]
Matrix = NDArray[np.float64]
BINS = 15


def accuracy(y: Labels, proba: Matrix) -> float:
    """Share of rows whose most probable class is the label."""
    return float(np.mean(proba.argmax(axis=1) == y))


def log_loss(y: Labels, proba: Matrix) -> float:
    """Mean negative log-likelihood in nats; probabilities are clipped at float64's epsilon, as in scikit-learn."""
    own = proba[np.arange(len(y)), y]
    return float(-np.mean(np.log(np.clip(own, np.finfo(np.float64).eps, 1.0))))


def brier(y: Labels, proba: Matrix) -> float:
    """Mean over rows of the squared distance to the one-hot label, summed over classes: 0 to 2 (Brier 1950)."""
    own = proba[np.arange(len(y)), y]
    return float(np.mean(np.einsum("nk,nk->n", proba, proba) - 2 * own + 1))


DENSE = 100
"""Up to this many classes the confusion in scores.json is a table; above it, what is not zero."""


def confusion(y: Labels, predicted: Labels, k: int) -> list[list[int]]:
    """Counts: a table (k, k), rows true classes and columns predicted ones; [true, predicted, count] above `DENSE`.

    So that what is written grows with the pictures and not with the square of the classes. `counts_of` reads both.
    """
    if k <= DENSE:
        table: list[list[int]] = np.bincount(y * k + predicted, minlength=k * k).reshape(k, k).tolist()
        return table
    cells, counts = np.unique(y * k + predicted, return_counts=True)
    found: list[list[int]] = np.stack([cells // k, cells % k, counts], axis=1).tolist()
    return found


def counts_of(table: Sequence[Sequence[int]], k: int) -> list[tuple[int, int, int]]:
    """(true, predicted, count) of what is not zero in a `confusion` of k classes, in the order of true and predicted.

    Also of a larger table than `DENSE`, as earlier versions wrote. Empty for what is no confusion of k classes.
    """
    if len(table) == k and all(len(row) == k for row in table):
        return [(i, j, n) for i, row in enumerate(table) for j, n in enumerate(row) if n]
    if k <= DENSE or any(len(row) != 3 or not 0 <= min(row[:2]) <= max(row[:2]) < k for row in table):
        return []
    return [(i, j, n) for i, j, n in table if n]


def per_class(y: Labels, predicted: Labels, classes: Sequence[Any]) -> list[dict[str, Any]]:
    """Count, precision, recall and F1 of each class; 0 where nothing defines them."""
    k = len(classes)
    true, called = np.bincount(y, minlength=k), np.bincount(predicted, minlength=k)
    hit = np.bincount(y[y == predicted], minlength=k)
    precision = np.divide(hit, called, out=np.zeros(k), where=called > 0)
    recall = np.divide(hit, true, out=np.zeros(k), where=true > 0)
    f1 = np.divide(2 * hit, true + called, out=np.zeros(k), where=true + called > 0)
    columns = zip(classes, true, precision, recall, f1, strict=True)
    return [
        {"class": str(c), "n": int(n), "precision": float(p), "recall": float(r), "f1": float(f)}
        for c, n, p, r, f in columns
    ]


def macro_f1(y: Labels, proba: Matrix) -> float:
    """Mean F1 of the classes that occur among labels or predictions."""
    predicted = proba.argmax(axis=1)
    rows = per_class(y, predicted, range(proba.shape[1]))
    return float(np.mean([rows[k]["f1"] for k in np.union1d(y, predicted)]))


def roc_auc(y: Labels, proba: Matrix) -> float | None:
    """Area under the ROC curve: of class 1 for two classes, else one against the rest, mean over classes.

    None when fewer than two classes occur; classes absent from y are left out of the mean.  By ranks with ties
    shared (Mann and Whitney 1947).
    """
    present = np.unique(y)
    if len(present) < 2:
        return None
    which = [1] if proba.shape[1] == 2 else present
    return float(np.mean([_auc(y == c, proba[:, c]) for c in which]))


def _auc(positive: NDArray[np.bool_], values: Matrix) -> float:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    n1 = int(positive.sum())
    return float((ranks[positive].sum() - n1 * (n1 + 1) / 2) / (n1 * (len(values) - n1)))


def _bin_of(confidence: Matrix) -> NDArray[np.int64]:
    """Index of the equal-width bin (lower, upper] of each confidence."""
    return np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)


def ece(y: Labels, proba: Matrix) -> float:
    """Expected calibration error of the top class, 15 equal-width bins (Guo et al. 2017)."""
    confidence = proba.max(axis=1)
    gap = (proba.argmax(axis=1) == y) - confidence
    return float(np.abs(np.bincount(_bin_of(confidence), gap, minlength=BINS)).sum() / len(y))


def ece_null_mean(proba: Matrix, draws: int = 200, seed: int = 0) -> float:
    """The ECE that a perfectly calibrated model with these confidences would show on average, by simulation.

    In each draw row i is right with probability equal to its confidence.
    """
    confidence = proba.max(axis=1)
    bins = _bin_of(confidence)
    order = np.argsort(bins, kind="stable")
    confidence, starts = confidence[order], np.unique(bins[order], return_index=True)[1]
    rng = np.random.default_rng(seed)
    total = 0.0
    for _ in range(draws):
        gap = (rng.random(len(confidence)) < confidence) - confidence
        total += np.abs(np.add.reduceat(gap, starts)).sum()
    return float(total / (draws * len(confidence)))


METRICS: dict[str, Callable[[Labels, Matrix], float | None]] = {
    "accuracy": accuracy,
    "log_loss": log_loss,
    "brier": brier,
    "macro_f1": macro_f1,
    "roc_auc": roc_auc,
    "ece": ece,
    "ece_null_mean": lambda y, proba: ece_null_mean(proba),
}


def score(y: Labels, proba: Matrix, classes: Sequence[Any], groups: Labels | None = None) -> dict[str, Any]:
    """Every figure of `METRICS`, the count and Wilson interval, per class and confusion; JSON-able.

    Rows of a group (n,) count in the interval as what they are `worth`. Classes that do not occur in y count nowhere
    but in the tables.  Raises ValueError for no rows or wrong shapes.
    """
    y, proba = np.asarray(y, dtype=np.int64), np.asarray(proba, dtype=np.float64)
    if len(y) == 0 or proba.shape != (len(y), len(classes)):
        raise ValueError(
            f"Scores need at least one row and probabilities of shape (n, {len(classes)}); "
            f"got {len(y)} labels and {proba.shape}."
        )
    predicted = proba.argmax(axis=1)
    correct = int((predicted == y).sum())
    low, high = share_interval(predicted == y, groups)
    return {
        "n": len(y),
        "correct": correct,
        **{name: metric(y, proba) for name, metric in METRICS.items()},
        "accuracy_low": low,
        "accuracy_high": high,
        "per_class": per_class(y, predicted, classes),
        "confusion": confusion(y, predicted, len(classes)),
    }


def in_short(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Of what `score` gives the count, the accuracy with its interval, and the log loss."""
    return {key: scores[key] for key in ("n", "accuracy", "accuracy_low", "accuracy_high", "log_loss")}
