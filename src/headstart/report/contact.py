"""The contact sheet: training pictures in rows, the plain one and views of it side by side, as one small picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from headstart.phrases import plural
from headstart.report.examples import embedded
from headstart.report.files import RunFiles
from headstart.report.numbers import shown

Rows = Sequence[Sequence[NDArray[np.uint8]]]
Sheet = Callable[[], Rows]
"""Gives, for each of a few training pictures, the plain one and its views, each (h, w, c) uint8."""
SIDE, GAP = 88, 4  # pixels


@dataclass(frozen=True)
class ContactSheet:
    """One picture with a heading for each column, and what it shows in words."""

    uri: str
    width: int
    height: int
    columns: list[str]
    words: str
    alt: str


def contact_sheet(files: RunFiles, sheet: Sheet | None) -> ContactSheet | None:
    """The sheet of a run that was trained with an augmentation; None without one, or where no picture can be had."""
    told = files.scores.augment
    rows = sheet() if told and sheet else ()
    if not told or not rows:
        return None
    picture = composed(rows)
    drawn = len(rows[0]) - 1
    return ContactSheet(
        embedded(picture, "webp", quality=82),
        picture.width,
        picture.height,
        ["plain", *(f"view {number}" for number in range(1, drawn + 1))],
        _words(told),
        f"{plural(len(rows), 'training picture')}, each plain and in {plural(drawn, 'augmented view')}",
    )


def composed(rows: Rows) -> Image.Image:
    """Rows of pictures (h, w, c) uint8 -> one RGBA picture, each inside a square of `SIDE`, the gaps transparent."""
    step = SIDE + GAP
    whole = Image.new("RGBA", (step * max(map(len, rows)) - GAP, step * len(rows) - GAP))
    for y, row in enumerate(rows):
        for x, pixels in enumerate(row):
            tile = _tile(pixels)
            corner = (x * step + (SIDE - tile.width) // 2, y * step + (SIDE - tile.height) // 2)
            whole.paste(tile, corner)
    return whole


def _tile(pixels: NDArray[np.uint8]) -> Image.Image:
    """The picture with its longer side at `SIDE`; a small one is enlarged without blurring its pixels."""
    image = Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[:, :, 0])
    scale = SIDE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.NEAREST if scale > 1.5 else Image.Resampling.LANCZOS)


def _words(told: Mapping[str, Any]) -> str:
    """What the sheet shows, and which of the views were used where."""
    name, views, averaged = shown(str(told["name"])), int(told["views"]), int(told["tta"]) - 1
    trained = f"the plain picture and {_numbered(views)}" if views else "other views every epoch"
    tested = f"; the test averages the plain picture and {_numbered(averaged)}" if averaged else ""
    return f"Training pictures as the network is given them, drawn by {name}. Training used {trained}{tested}."


def _numbered(views: int) -> str:
    return "view 1" if views == 1 else f"views 1 to {views}"
