"""Several claims at once: how sure each must be, so that all of them together err in 5% (decision 0040).

The primary pairs of a study share the 5% by Holm's steps (1979). What is not primary, other pairs and single sizes, has
the same 5% where the primary claim came out, and a fifth of it where it did not (a fallback, Wiens 2003): so it may
contradict the whole, but not by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from headstart.statistics import z_quantile

Floats = NDArray[np.float64]
ALPHA = 0.05
LEFT = 0.2  # of the error: what claims may spend that the primary one does not lead to
DRAWS = 20_000


def holm(p_values: Sequence[float] | Floats) -> Floats:
    """P values adjusted for being several, in their order (Holm 1979): reject those not above the level wanted."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted


def steps(p_values: Sequence[float], alpha: float) -> Floats:
    """The error that each of several claims is judged at by Holm's method: an interval of this level says the same."""
    p, found = np.asarray(p_values, dtype=np.float64), np.full(len(p_values), alpha)
    kept = int((holm(p) <= alpha).sum())
    for step, i in enumerate(np.argsort(p, kind="stable")):
        found[i] = alpha / (len(p) - min(step, kept))
    return found


def errors(p_values: Sequence[float], primary: int) -> Floats:
    """The error that each pair is judged at; the first `primary` of them are the claim named beforehand."""
    first = steps(p_values[:primary], ALPHA)
    found = bool((np.asarray(p_values[:primary]) <= first).all())
    return np.concatenate([first, steps(p_values[primary:], ALPHA if found else LEFT * ALPHA)])


def together(covariance: Floats, alpha: float) -> float:
    """The error of each of k quantities, with this covariance (k, k), whose intervals hold all at once but in alpha.

    By the largest of k normal deviations, drawn; that each is Student's t makes the intervals a little wide.
    """
    deviation = np.sqrt(np.diag(covariance))
    if len(covariance) == 1 or not deviation.all():
        return alpha / len(covariance)
    values, vectors = np.linalg.eigh(covariance / np.outer(deviation, deviation))
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    largest = np.abs(_normals(len(covariance)) @ root.T).max(axis=1)
    from scipy.special import ndtr

    reach = max(float(np.quantile(largest, 1 - alpha)), z_quantile(1 - alpha))
    return float(2 * ndtr(-reach))


@cache
def _normals(k: int) -> Floats:
    return np.random.default_rng(0).standard_normal((DRAWS, k))
