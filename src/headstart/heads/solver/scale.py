"""One positive factor that turns scores into logits, for heads that do not minimise a log loss themselves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headstart.heads.solver.softmax import softmax

Matrix = NDArray[np.float64]


HOTTEST = 100.0
"""The highest temperature, at which probabilities are near those of guessing."""


def temperature_of(logits: Matrix, codes: NDArray[np.int64]) -> float:
    """The temperature of logits (n, k) for classes (n,), within 1 / `HOTTEST` to `HOTTEST`; see `fit_scale`.

    Answers worse than guessing ask for more without end.
    """
    return float(np.clip(1.0 / fit_scale(logits, codes), 1 / HOTTEST, HOTTEST))


def fit_scale(scores: Matrix, codes: NDArray[np.int64], offset: Matrix | float = 0.0) -> float:
    """The factor s > 0 with the least log loss of softmax(s * scores + offset); scores (n, k), codes (n,).

    Targets are smoothed by 1 / (n + 1) as in Platt 1999, so that separable rows give a finite s.  Convex in s:
    bisection on the slope over 1e-8 to 1e8.
    """
    n = len(scores)
    smooth = 1.0 / (n + 1)
    own = (1 - smooth) * scores[np.arange(n), codes].mean() + smooth * scores.mean()
    low, high = np.log(1e-8), np.log(1e8)
    for _ in range(60):
        middle = (low + high) / 2
        expected = np.einsum("nk,nk->", softmax(np.exp(middle) * scores + offset), scores) / n
        low, high = (low, middle) if expected > own else (middle, high)
    return float(np.exp((low + high) / 2))
