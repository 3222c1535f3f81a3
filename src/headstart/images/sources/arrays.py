"""Pictures in memory: arrays of pixels, PIL pictures, encoded bytes, or paths."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from headstart.errors import DataError
from headstart.images import ranges
from headstart.images.decode import DEFAULT_LIMITS
from headstart.images.imageset import PART, ImageSet
from headstart.images.items import Item
from headstart.images.labels import encode
from headstart.images.names import escape, nfc
from headstart.images.ranges import White
from headstart.paths import expanded

SHRUNK = (
    "No pixel is above 1, and fit saw 0..{white}, so these pictures are read as nearly black; if they are 0..1, scale "
    "them to 0..{white}."
)
NARROW = {
    bits: f"No value of these pictures is above {2**bits - 1:,} and white is 65,535, so they are read as nearly black; "
    f"if they hold {bits} bits, {cure}."
    for bits, cure in ((8, "give them as uint8"), (12, "multiply them by 16"))
}
_BLOCK = 1024  # pictures converted at a time, so that a large float array needs no second copy of its size


def from_arrays(
    images: Any,
    labels: Any = None,
    *,
    parts: Any = "",
    classes: Sequence[str] | None = None,
    title: str = "arrays",
    white: Sequence[int] | None = None,
) -> ImageSet:
    """An `ImageSet` of what is in memory.

    images: one array (n,h,w), (n,h,w,1), (n,h,w,3) or (n,h,w,4) (see `to_uint8` for values), or a sequence that
    mixes arrays (h,w[,c]), PIL pictures, encoded bytes and paths; labels: n names or numbers (None or NaN:
    unlabelled), or indices into `classes` when that is given; parts: one part for all, or n of them; white: the ranges
    that fitting saw (`preprocess.white` of a classifier), None for pictures to fit on, which are looked at together.
    Raises `DataError` for shapes, values or lengths that do not fit; warns of pictures that all are nearly black.
    """
    pixels = isinstance(images, np.ndarray) and images.dtype.kind not in "OUS"
    if not pixels:
        images = _listed(images)
    arrays = [images] if pixels else [a for a in images if isinstance(a, np.ndarray)]
    if white is not None and ranges.shrunk(arrays, told := White(*white).floats):
        warnings.warn(SHRUNK.format(white=told), stacklevel=2)
    white = seen_in(arrays, white)
    if bits := ranges.narrow(arrays, white):
        warnings.warn(NARROW[bits], stacklevel=2)
    items = to_uint8(images, white) if pixels else [_item(image, i, white) for i, image in enumerate(images)]
    index, names = encode(labels, classes, len(items))
    where = np.full(len(items), parts, PART) if np.ndim(parts) == 0 else np.asarray(parts, PART)
    limits = replace(DEFAULT_LIMITS, white=white)
    return ImageSet(items, _names(items, where), index, names, where, title=title, limits=limits)


def to_uint8(pixels: NDArray[Any], white: Sequence[int] | None = None) -> NDArray[np.uint8]:
    """Pictures (n,h,w[,1|3|4]) of any number type -> uint8 (n,h,w) or (n,h,w,3|4).

    Rule (`ranges`): the type says what white is: 1 for booleans, 255 for uint8, 65535 for uint16. Floats and other
    integers are in the range `white` (floats, integers) that fitting saw, 0 for each picture by itself; where `white`
    is None all of `pixels` are looked at together: floats are 0..1, 0..255 or 0..65535, integers 0..255 or 0..65535.
    Raises `DataError`.
    """
    shaped = _shaped(pixels)
    if shaped.dtype == np.uint8:
        return shaped
    white = seen_in([shaped], white)
    kind = ranges.kind_of(shaped.dtype)
    alone = kind is not None and not getattr(white, kind)
    out = np.empty(shaped.shape, np.uint8)
    for start in range(0, len(shaped), step := 1 if alone else _BLOCK):
        block = shaped[start : start + step]
        bright = ranges.white_of(block, white)
        if not ranges.fits(block, bright):
            raise DataError(_out_of_range(block, bright, alone))
        out[start : start + step] = ranges.to_uint8(block, bright)
    return out


def seen_in(arrays: Sequence[NDArray[Any]], white: Sequence[int] | None) -> White:
    """The ranges that fitting saw, or those of all these arrays together."""
    for pixels in arrays:
        if pixels.dtype.kind not in "buif":
            raise DataError(f"Pixels must be numbers; got an array of {pixels.dtype}.")
    return ranges.look(arrays) if white is None else White(*white)


def _out_of_range(pixels: NDArray[Any], white: int, alone: bool) -> str:
    got = f"{pixels.min():g}..{pixels.max():g} of type {pixels.dtype}"
    if white and not alone and pixels.min() >= 0:
        return f"Pixels of type {pixels.dtype} are 0..{white} here, as in fit; got {got}: scale them to that range."
    return f"Pixels must lie in 0..1 or 0..255 (or 0..65535) and be finite; got {got}."


def _shaped(pixels: NDArray[Any]) -> NDArray[Any]:
    """Check (n,h,w[,c]); drop a last axis of 1."""
    if pixels.ndim == 4 and pixels.shape[3] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim == 3 or (pixels.ndim == 4 and pixels.shape[3] in (3, 4)):
        if min(pixels.shape[1:], default=0) < 1:
            raise DataError(f"Pictures need at least one pixel; got an array of shape {pixels.shape}.")
        return pixels
    hint = ""
    if pixels.ndim == 4 and pixels.shape[1] in (1, 3, 4):
        hint = " The channels seem to come first: use x.transpose(0, 2, 3, 1)."
    elif pixels.ndim == 2:
        hint = " Flattened pixels need their height and width back: use x.reshape(n, height, width)."
    raise DataError(
        f"An array of pictures must have shape (n,h,w), (n,h,w,1), (n,h,w,3) or (n,h,w,4); got {pixels.shape}.{hint}"
    )


def _listed(images: Any) -> list[Any]:
    if isinstance(images, str | bytes | Path | Image.Image):
        raise DataError("Give a list of pictures, not a single one.")
    return list(images)


def _item(image: Any, i: int, white: White) -> Item:
    if isinstance(image, np.ndarray):
        if image.ndim not in (2, 3):
            raise DataError(f"Picture {i} must have shape (h,w), (h,w,1), (h,w,3) or (h,w,4); got {image.shape}.")
        return np.asarray(to_uint8(image[None], white)[0], np.uint8)
    if isinstance(image, bytes | Image.Image):
        return image
    if isinstance(image, str | os.PathLike):
        return expanded(image)
    raise DataError(f"Picture {i} is a {type(image).__name__}; give arrays, PIL pictures, bytes or paths.")


def _names(items: Sequence[Item] | NDArray[np.uint8], parts: NDArray[np.str_]) -> tuple[str, ...]:
    """A path's own text, or 'part/000123' counted within each part; a repeated path gets ' (2)' added."""
    counts: dict[str, int] = {}
    names = []
    for item, part in zip(items, parts.tolist(), strict=True):
        if isinstance(item, Path):
            name = nfc(escape(item.as_posix()))
            counts[name] = counts.get(name, 0) + 1
            names.append(name if counts[name] == 1 else f"{name} ({counts[name]})")
        else:
            counts[part] = counts.get(part, -1) + 1
            names.append(f"{part or 'image'}/{counts[part]:06d}")
    return tuple(names)
