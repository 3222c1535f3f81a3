"""Pictures of two classes that differ in colour, for tests that need a folder a classifier can learn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def two_colours(place: Path, n: int, side: int) -> Path:
    """`n` noisy pictures of each class, `side` pixels high and wide, in a folder for each."""
    rng = np.random.default_rng(0)
    for name, colour in (("blue", (30, 30, 200)), ("red", (200, 30, 30))):
        (place / name).mkdir(parents=True)
        for i in range(n):
            pixels = np.clip(rng.normal(colour, 40, size=(side, side, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(place / name / f"{i:02d}.png")
    return place
