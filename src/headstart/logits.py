"""From the logits of a head to probabilities: softmax, temperature, the mean of views, a column for every class."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from headstart.heads import Head

Labels = NDArray[np.int64]
Matrix = NDArray[np.float64]
TEMPERATURE_SPREAD = 0.5


def log_softmax(logits: Matrix) -> Matrix:
    """Log-probabilities (n, k) of logits (n, k)."""
    shifted: Matrix = logits - logits.max(axis=1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted


def apply_temperature(logits: Matrix, temperature: float) -> Matrix:
    """Probabilities (n, k) of logits / temperature; the most probable class is unchanged."""
    return np.exp(log_softmax(np.asarray(logits, dtype=np.float64) / temperature))


def fit_temperature(logits: Matrix, y: Labels) -> float:
    """Temperature T with the least log loss of softmax(logits / T) (Guo et al. 2017), within 0.01 to 100.

    The loss is convex in 1/T: bisection on its slope.  A weak prior (log T normal around 0 with TEMPERATURE_SPREAD)
    adds one picture's worth of doubt: without it a small part without mistakes asks for T = 0, and one later mistake
    costs everything.  T = 1 when no row is given or T = 1 is not improved upon.
    """
    if len(y) == 0:
        return 1.0
    logits = np.asarray(logits, dtype=np.float64)
    logits = logits - logits.max(axis=1, keepdims=True)
    own = logits[np.arange(len(y)), y]

    def slope(inverse: float) -> float:
        weights = np.exp(log_softmax(inverse * logits))
        total = float(np.sum(np.einsum("nk,nk->n", weights, logits) - own))
        return inverse * total + float(np.log(inverse)) / TEMPERATURE_SPREAD**2

    low, high = np.log(0.01), np.log(100.0)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if slope(float(np.exp(middle))) > 0 else (middle, high)
    temperature = float(np.exp(-(low + high) / 2))
    losses = [-float(np.mean(log_softmax(logits / t)[np.arange(len(y)), y])) for t in (temperature, 1.0)]
    return temperature if losses[0] < losses[1] else 1.0


def averaged_logits(plain: NDArray[np.float64], views: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Logits (n, k) of pictures and of each view of them -> logarithms of their mean probabilities; plain without."""
    total, count = log_softmax(plain), 1
    for view in views:
        total, count = np.logaddexp(total, log_softmax(view)), count + 1
    mean: NDArray[np.float64] = total - np.log(count)
    return plain if count == 1 else mean


def full_logits(head: Head, features: NDArray[np.floating[Any]], classes: int) -> NDArray[np.float64]:
    """(n, d) features -> (n, classes) logits of a head whose `classes_` are indices of some of the classes."""
    known: NDArray[np.float64] = head.logits(features)
    full = np.tile(known.min(axis=1, keepdims=True) - 1e3, classes)  # finite, and probability 0
    full[:, np.asarray(head.classes_, dtype=np.int64)] = known
    return full
