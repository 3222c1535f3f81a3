"""What value of a pixel is white: said by its type where the type says it, never by the brightest pixel at hand.

- bool is 0..1, uint8 0..255, uint16 0..65535: their type says it (decision 0028);
- floats and other integers have no range of their own. Fitting looks at all its pictures once: floats are 0..1, 0..255
  or 0..65535, whichever holds them, integers 0..255 or 0..65535. That `White` stays with the classifier (in its
  preprocessing), and later pictures are read by it. Where fitting saw none of a kind, each picture is looked at alone,
  so that a row never depends on the pictures beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Kind = Literal["floats", "integers"]
OWN = {"b1": 1, "u1": 255, "u2": 65535}
"""The white of a type that has a range of its own, by kind and bytes."""
RANGES: dict[Kind, tuple[int, ...]] = {"floats": (1, 255, 65535), "integers": (255, 65535)}
OVER = 1e-3  # of white: what arithmetic may add to it, which is cut off


class White(NamedTuple):
    """The white of floats and of integers without a range of their own; 0: of each picture by itself."""

    floats: int = 0
    integers: int = 0


def kind_of(dtype: np.dtype[Any]) -> Kind | None:
    """The field of `White` that a type of numbers needs; None where the type says it all."""
    if f"{dtype.kind}{dtype.itemsize}" in OWN:
        return None
    return "floats" if dtype.kind == "f" else "integers"


def holding(kind: Kind, high: float) -> int:
    """The smallest range that holds the value `high`; 0 where none does, as for NaN."""
    return next((white for white in RANGES[kind] if high <= white * (1 + OVER)), 0)


def look(arrays: Iterable[NDArray[Any]]) -> White:
    """The ranges that hold all these arrays together; 0 for a kind that does not occur among them."""
    highest: dict[Kind, float] = {}
    for pixels in arrays:
        kind = kind_of(pixels.dtype)
        if kind is not None and pixels.size:
            highest[kind] = float(np.maximum(highest.get(kind, 0.0), pixels.max()))
    return White(**{kind: holding(kind, high) for kind, high in highest.items()})


def to_uint8(pixels: NDArray[Any], white: int) -> NDArray[np.uint8]:
    """Values 0..white -> 0..255, rounded to nearest; what is over white by rounding is cut off."""
    scale = np.float32(255 / white) if pixels.dtype.itemsize <= 4 else 255 / white
    return np.rint(pixels.astype(type(scale)) * scale).clip(0, 255).astype(np.uint8)


def fits(pixels: NDArray[Any], white: int) -> bool:
    """Whether all values lie in 0..white and are numbers."""
    return bool(white and pixels.min() >= 0 and float(pixels.max()) <= white * (1 + OVER))


def shrunk(arrays: Sequence[NDArray[Any]], white: int) -> bool:
    """Whether all floats are within 0..1, and fractions of it, where white is more: they may be of another scale."""
    floats = [pixels for pixels in arrays if pixels.dtype.kind == "f" and pixels.size]
    if white <= 1 or not floats or not all(pixels.min() >= 0 and pixels.max() <= 1 for pixels in floats):
        return False
    return any(bool((pixels % 1 != 0).any()) for pixels in floats)


def white_of(pixels: NDArray[Any], white: Sequence[int] | None) -> int:
    """The white of one picture, or of one array of them that are read alike.

    `white` is what fitting saw (see `White`). 0 where no range holds the values.
    """
    kind = kind_of(pixels.dtype)
    if kind is None:
        return OWN[f"{pixels.dtype.kind}{pixels.dtype.itemsize}"]
    return getattr(White(*(white or ())), kind) or holding(kind, float(pixels.max()))


def narrow(arrays: Sequence[NDArray[Any]], white: White) -> int:
    """The bits, 8 or 12, that hold all values of which 65535 is white, so that they are nearly black; 0: more bits."""
    wide = [pixels for pixels in arrays if pixels.size and white_of(pixels, white) == 65535]
    high = max((float(pixels.max()) for pixels in wide), default=0)
    return next((bits for bits in (8, 12) if 0 < high < 2**bits), 0)
