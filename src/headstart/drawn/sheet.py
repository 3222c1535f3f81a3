"""`Sheet`: drawn figures kept as distance fields, from which a figure of any thickness and softness is cut later.

A field holds, for each of its SIDE x SIDE cells, how far the cell is from the figure's edge: positive inside, in cells,
clipped at REACH, as uint8 (128 is the edge). Source: Green 2007, "Improved Alpha-Tested Magnification for Vector
Textures and Special Effects".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIDE = 48
FINE = 2 * SIDE
"""Side of the canvas that figures are drawn on."""
BOX = 60
"""Side of the square on that canvas that a figure fills."""
REACH = 6.0
"""Largest distance kept, in cells of the field."""

Mask = NDArray[np.uint8]


@dataclass(frozen=True)
class Sheet:
    """`fields` (n, SIDE, SIDE) uint8; `labels` (n,) int64 into `classes`, grouped: the figures of a class adjoin."""

    fields: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]

    @classmethod
    def of(cls, figures: Iterable[tuple[str, Mask]]) -> Sheet:
        """From (class, mask (FINE, FINE) uint8, 255 inside) pairs; those of a class must follow each other."""
        fields, labels, classes = [], [], list[str]()
        for name, mask in figures:
            if not classes or classes[-1] != name:
                classes.append(name)
            fields.append(distance_field(mask))
            labels.append(len(classes) - 1)
        return cls(np.stack(fields), np.array(labels, np.int64), tuple(classes))


def distance_field(mask: Mask) -> NDArray[np.uint8]:
    """(FINE, FINE) uint8 mask -> (SIDE, SIDE) uint8 field."""
    from scipy.ndimage import distance_transform_edt

    inside = mask >= 128
    signed = distance_transform_edt(inside) - distance_transform_edt(~inside)
    signed -= np.where(inside, 0.5, -0.5)  # distances count from the edge, which lies between two cells
    cells = signed.reshape(SIDE, 2, SIDE, 2).mean((1, 3)) / 2
    field: NDArray[np.uint8] = np.clip(np.rint(128 + cells * (127 / REACH)), 0, 255).astype(np.uint8)
    return field
