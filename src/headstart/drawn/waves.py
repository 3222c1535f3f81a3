"""Coloured waves with an edge and some grain, by NumPy alone: pictures to check a classifier by, of many shapes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEAST, MOST = 20, 96
"""Sides in pixels."""


def waves(count: int) -> list[NDArray[np.uint8]]:
    """Pictures (h, w, 3) uint8 with sides from `LEAST` to `MOST`, tall ones, wide ones and odd numbers among them."""
    rng = np.random.default_rng(0)
    sides = ((int(h), int(w)) for h, w in rng.integers(LEAST, MOST + 1, (count, 2)))
    return [_one(height, width, rng) for height, width in sides]


def _one(height: int, width: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j][..., None]  # (h, w, 1)
    rows, columns, phase = rng.normal(0, 8, 3), rng.normal(0, 8, 3), rng.uniform(0, 6, 3)
    light = 128 + 90 * np.sin(rows * y + columns * x + phase)
    edge = (rng.normal() * (y - 0.5) + rng.normal() * (x - 0.5)) > 0
    light = np.where(edge, 255 - light, light) + rng.normal(0, 12, (height, width, 1))
    found: NDArray[np.uint8] = np.clip(light, 0, 255).astype(np.uint8)
    return found
