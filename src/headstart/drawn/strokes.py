"""Invented characters: each class is a program of a few pen strokes, each figure the program in another hand.

After the programs of Lake, Salakhutdinov and Tenenbaum 2015, "Human-level concept learning through probabilistic
program induction", much simplified: a stroke is a smooth curve through control points that every figure moves a little.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from headstart.drawn.sheet import BOX, FINE, Mask, Sheet

Points = NDArray[np.float64]  # (n, 2), x and y, about -1..1
JITTER = 0.08  # how far a hand moves a control point
CURVE = 12  # points of a smooth curve between two control points


def draw_strokes(classes: int, figures: int, seed: int) -> Sheet:
    """`classes` programs, each drawn `figures` times. Figure i of class k is the same whatever the two numbers are."""
    return Sheet.of(_figures(classes, figures, seed))


def _figures(classes: int, figures: int, seed: int) -> Iterator[tuple[str, Mask]]:
    for k in range(classes):
        program = _program(np.random.default_rng([seed, 1, k]))
        for i in range(figures):
            yield f"stroke-{k}", _drawn(program, np.random.default_rng([seed, 1, k, i + 1]))


def _program(rng: np.random.Generator) -> list[Points]:
    """One to four strokes; a new one may begin on an old one, as those of letters do."""
    found: list[Points] = []
    for _ in range(rng.choice([1, 2, 3, 4], p=[0.25, 0.4, 0.25, 0.1])):
        start = rng.uniform(-1, 1, 2)
        if found and rng.random() < 0.6:
            old = found[rng.integers(len(found))]
            start = old[rng.integers(len(old))]
        found.append(_stroke(start, rng))
    return found


def _stroke(start: Points, rng: np.random.Generator) -> Points:
    """A pen's way of 2 to 6 points that turns more one way than the other; now and then it closes to a ring."""
    heading, turn = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.7)
    length = rng.uniform(0.5, 1.3)
    points = [start]
    for _ in range(rng.integers(1, 6)):
        step = length * rng.uniform(0.5, 1.2) * np.array([np.cos(heading), np.sin(heading)])
        if np.abs(points[-1] + step).max() > 1.3:
            heading += np.pi * 0.6
            step = length * 0.6 * np.array([np.cos(heading), np.sin(heading)])
        points.append(points[-1] + step)
        heading += turn + rng.normal(0, 0.5)
    if len(points) > 3 and rng.random() < 0.25:
        points.append(points[0])
    return np.array(points)


def _drawn(program: list[Points], rng: np.random.Generator) -> Mask:
    from PIL import Image, ImageDraw

    width = rng.uniform(3, 9)
    moved = [smooth(points + rng.normal(0, JITTER, points.shape)) for points in program]
    placed = fit(moved, width)
    canvas = Image.new("L", (FINE, FINE))
    pen = ImageDraw.Draw(canvas)
    for points in placed:
        pen.line([tuple(p) for p in points], fill=255, width=round(width), joint="curve")
        for x, y in (points[0], points[-1]):
            pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=255)
    return np.asarray(canvas)


def smooth(points: Points, closed: bool = False) -> Points:
    """A Catmull-Rom curve through (n, 2) points: Catmull and Rom 1974."""
    ends = (points[-1:], points[:2]) if closed else (points[:1], points[-1:])
    p = np.concatenate([ends[0], points, ends[1]])
    t = np.linspace(0, 1, CURVE, endpoint=False)[:, None, None]
    a, b, c, d = p[:-3], p[1:-2], p[2:-1], p[3:]
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    flat = curve.transpose(1, 0, 2).reshape(-1, 2)
    return flat if closed else np.concatenate([flat, points[-1:]])


def fit(curves: list[Points], width: float = 0.0) -> list[Points]:
    """Shift and scale curves together so that their larger side, pen included, is BOX in the middle of the canvas."""
    every = np.concatenate(curves)
    low, high = every.min(0), every.max(0)
    scale = (BOX - width) / max(float((high - low).max()), 1e-3)
    return [(curve - (low + high) / 2) * scale + FINE / 2 for curve in curves]
