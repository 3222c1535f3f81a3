"""Fractals of iterated function systems: each class is a system, each figure a system with slightly other numbers.

Source: Kataoka et al. 2020, "Pre-training without Natural Images". Points of many walks are drawn at once.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from headstart.drawn.sheet import BOX, FINE, Mask, Sheet

WALKS, STEPS, WARM_UP = 400, 60, 12
FILLED = (0.04, 0.7)
"""Smallest and largest share of the box that a usable fractal covers."""


def draw_fractals(classes: int, figures: int, seed: int) -> Sheet:
    """`classes` systems, each drawn `figures` times with its numbers changed by about 4%."""
    return Sheet.of(_figures(classes, figures, seed))


def _figures(classes: int, figures: int, seed: int) -> Iterator[tuple[str, Mask]]:
    for k in range(classes):
        system = _usable(np.random.default_rng([seed, 3, k]))
        for i in range(figures):
            rng = np.random.default_rng([seed, 3, k, i + 1])
            yield f"fractal-{k}", _drawn(system * rng.normal(1, 0.04, system.shape), rng)


def _usable(rng: np.random.Generator) -> NDArray[np.float64]:
    """Systems are drawn until one covers neither too little nor too much."""
    while True:
        system = rng.uniform(-1, 1, (int(rng.integers(2, 7)), 6))
        matrices = system[:, :4].reshape(-1, 2, 2)
        system[:, :4] *= rng.uniform(0.4, 0.8) / max(np.linalg.norm(matrices, 2, axis=(1, 2)).mean(), 1e-3)
        covered = float((_drawn(system, rng) > 0).sum()) / BOX**2
        if FILLED[0] < covered < FILLED[1]:
            return system


def _drawn(system: NDArray[np.float64], rng: np.random.Generator) -> Mask:
    matrices, shifts = system[:, :4].reshape(-1, 2, 2), system[:, 4:]
    weights = np.abs(np.linalg.det(matrices)) + 0.02
    which = rng.choice(len(system), (STEPS, WALKS), p=weights / weights.sum())
    at = np.zeros((WALKS, 2))
    points = np.empty((STEPS, WALKS, 2))
    for step in range(STEPS):
        at = np.clip(np.einsum("wij,wj->wi", matrices[which[step]], at) + shifts[which[step]], -9, 9)
        points[step] = at
    return _plotted(points[WARM_UP:].reshape(-1, 2))


def _plotted(points: NDArray[np.float64]) -> Mask:
    low, high = np.quantile(points, 0.01, axis=0), np.quantile(points, 0.99, axis=0)
    scale = (BOX - 1) / max(float((high - low).max()), 1e-3)
    cells = np.rint((points - (low + high) / 2) * scale + FINE / 2).astype(int)
    cells = cells[((cells >= 0) & (cells < FINE)).all(1)]
    canvas = np.zeros((FINE, FINE), np.uint8)
    canvas[cells[:, 1], cells[:, 0]] = 255
    return canvas
