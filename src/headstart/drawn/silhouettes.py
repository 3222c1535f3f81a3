"""Filled outlines: each class is a closed curve or a polygon, half of them symmetric as made things are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from headstart.drawn.sheet import FINE, Mask, Sheet
from headstart.drawn.strokes import Points, fit, smooth

JITTER = 0.05


def draw_silhouettes(classes: int, figures: int, seed: int) -> Sheet:
    """`classes` outlines, each drawn `figures` times with its corners moved a little."""
    return Sheet.of(_figures(classes, figures, seed))


def _figures(classes: int, figures: int, seed: int) -> Iterator[tuple[str, Mask]]:
    for k in range(classes):
        rng = np.random.default_rng([seed, 2, k])
        outline, round_, hole = _outline(rng), rng.random() < 0.6, rng.random() < 0.25
        for i in range(figures):
            yield f"silhouette-{k}", _drawn(outline, round_, hole, np.random.default_rng([seed, 2, k, i + 1]))


def _outline(rng: np.random.Generator) -> Points:
    """5 to 14 corners around the middle, stretched; half of the outlines mirror their right side."""
    n = int(rng.integers(3, 8))
    symmetric = rng.random() < 0.5
    turn = np.pi if symmetric else 2 * np.pi
    corners = n if symmetric else 2 * n - 1
    angles = turn * (np.arange(corners) + 0.5 + rng.uniform(-0.35, 0.35, corners)) / corners
    radii = rng.uniform(0.3, 1.0, corners)
    points = np.stack([np.sin(angles), -np.cos(angles)], 1) * radii[:, None]
    if symmetric:
        points = np.concatenate([points, points[::-1] * [-1, 1]])
    return points * np.exp(rng.normal(0, 0.25, 2))


def _drawn(outline: Points, round_: bool, hole: bool, rng: np.random.Generator) -> Mask:
    from PIL import Image, ImageDraw

    moved = outline + rng.normal(0, JITTER, outline.shape)
    [placed] = fit([smooth(moved, closed=True) if round_ else moved])
    canvas = Image.new("L", (FINE, FINE))
    pen = ImageDraw.Draw(canvas)
    pen.polygon([tuple(p) for p in placed], fill=255)
    if hole:
        middle = placed.mean(0)
        pen.polygon([tuple(p) for p in middle + (placed - middle) * rng.uniform(0.35, 0.5)], fill=0)
    return np.asarray(canvas)
