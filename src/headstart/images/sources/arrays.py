"""Pictures in memory: arrays of pixels, PIL pictures, encoded bytes, or paths."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from headstart.errors import DataError
from headstart.images.imageset import PART, ImageSet, Item
from headstart.images.names import check_twins, escape, natural_sort, nfc
from headstart.paths import expanded

_BLOCK = 1024  # pictures converted at a time, so that a large float array needs no second copy of its size


def from_arrays(
    images: Any,
    labels: Any = None,
    *,
    parts: Any = "",
    classes: Sequence[str] | None = None,
    title: str = "arrays",
) -> ImageSet:
    """An `ImageSet` of what is in memory.

    images: one array (n,h,w), (n,h,w,1), (n,h,w,3) or (n,h,w,4) (see `to_uint8` for values), or a sequence that
    mixes arrays (h,w[,c]), PIL pictures, encoded bytes and paths; labels: n names or numbers (None or NaN:
    unlabelled), or indices into `classes` when that is given; parts: one part for all, or n of them.
    Raises `DataError` for shapes, values or lengths that do not fit.
    """
    pixels = isinstance(images, np.ndarray) and images.dtype.kind not in "OUS"
    items = to_uint8(images) if pixels else _items(images)
    index, names = encode(labels, classes, len(items))
    where = np.full(len(items), parts, PART) if np.ndim(parts) == 0 else np.asarray(parts, PART)
    return ImageSet(items, _names(items, where), index, names, where, title=title)


def to_uint8(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Pictures (n,h,w[,1|3|4]) of any number type -> uint8 (n,h,w) or (n,h,w,3|4).

    Rule: uint8 is kept; booleans and floats in 0..1 are multiplied by 255; 0..255 is rounded; 0..65535 (16-bit
    integers) is divided by 257. One rule for the whole array, so pictures stay comparable. Raises `DataError`.
    """
    shaped = _shaped(pixels)
    return shaped if shaped.dtype == np.uint8 else _scaled(shaped, _scale([shaped]))


def _scaled(shaped: NDArray[Any], scale: float) -> NDArray[np.uint8]:
    """Multiplied and rounded, in blocks."""
    out = np.empty(shaped.shape, np.uint8)
    for start in range(0, len(shaped), _BLOCK):
        block = shaped[start : start + _BLOCK].astype(np.float64)
        out[start : start + _BLOCK] = np.rint(block * scale)
    return out


def encode(
    labels: Any, classes: Sequence[str] | None, n: int, where: str = "labels"
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """n labels -> (index (n,) into the classes, classes in natural order); -1 for None, NaN and ''.

    With `classes`, integer labels are positions in that list; otherwise a label's text is its class.
    """
    if labels is None:
        return np.full(n, -1, np.int64), ()
    array = one_label_each(labels, where)
    if array.shape != (n,):
        raise DataError(f"{where} must have shape ({n},), one for each picture; got {array.shape}.")
    distinct, inverse = _distinct(array)
    texts = [_text(value, classes, where) for value in distinct]
    names = natural_sort(text for text in texts if text is not None)
    check_twins(names, where)
    position = {name: k for k, name in enumerate(names)}
    index = np.array([-1 if text is None else position[text] for text in texts], np.int64)
    return index[inverse], names


def is_missing(value: Any) -> bool:
    """Whether a label or a cell stands for nothing: None, NaN, pandas' NA and NaT, or ''."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return value == "" if isinstance(value, str) else isinstance(value, float | np.floating) and math.isnan(value)


def one_label_each(labels: Any, where: str = "labels") -> NDArray[Any]:
    """Labels (n,), (n,1) or a DataFrame of one column -> (n,). Raises `DataError` with the cure for one-hot rows."""
    array = np.asarray(labels)
    if array.ndim == 2 and array.shape[1] == 1:
        return array[:, 0]
    if array.ndim == 2:
        raise DataError(
            f"{where} have shape {array.shape}, {array.shape[1]} columns: give one label a picture, shape "
            f"({array.shape[0]},), as labels.argmax(axis=1) makes them of one-hot rows."
        )
    return array


def _distinct(array: NDArray[Any]) -> tuple[list[Any], NDArray[np.int64]]:
    if array.dtype != object:
        values, inverse = np.unique(array, return_inverse=True)
        return values.tolist(), inverse
    seen: dict[str, tuple[int, Any]] = {}
    inverse = np.array([seen.setdefault(str(v), (len(seen), v))[0] for v in array.tolist()], np.int64)
    return [value for _, value in seen.values()], inverse


def _text(value: Any, classes: Sequence[str] | None, where: str) -> str | None:
    """The class name that one label stands for; None for no label."""
    if is_missing(value):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if classes is None or not isinstance(value, int):
        return escape(nfc(str(value)))
    if not 0 <= value < len(classes):
        raise DataError(f"{where}: label {value} is no position in the {len(classes)} class names.")
    return escape(nfc(str(classes[value])))


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


def _scale(arrays: Sequence[NDArray[Any]]) -> float:
    """The factor of `to_uint8`'s rule, the same for all these arrays."""
    for kind in {pixels.dtype for pixels in arrays}:
        if kind.kind not in "buif":
            raise DataError(f"Pixels must be numbers; got an array of {kind}.")
    filled = [pixels for pixels in arrays if pixels.size]
    if not filled or all(pixels.dtype == bool for pixels in filled):
        return 255.0
    low, high = min(float(p.min()) for p in filled), max(float(p.max()) for p in filled)
    integers = all(pixels.dtype.kind in "bui" for pixels in filled)
    if any(not np.isfinite(p.max()) for p in filled) or low < 0 or high > (65535 if integers else 255):
        raise DataError(
            "Pixels must lie in 0..1 or 0..255 (integers up to 65535) and be finite; "
            f"got {low:g}..{high:g} of type {filled[0].dtype}."
        )
    if high > 255:
        return 1 / 257
    return 255.0 if high <= 1 and not integers else 1.0


def _items(images: Any) -> list[Item]:
    """A sequence of pictures -> items; arrays that are not uint8 are converted by one rule for all of them."""
    if isinstance(images, str | bytes | Path | Image.Image):
        raise DataError("Give a list of pictures, not a single one.")
    items = list(images)
    other = [i for i, item in enumerate(items) if isinstance(item, np.ndarray) and item.dtype != np.uint8]
    scale = _scale([items[i] for i in other]) if other else 1.0
    return [_item(image, i, scale) for i, image in enumerate(items)]


def _item(image: Any, i: int, scale: float) -> Item:
    if isinstance(image, np.ndarray):
        if image.ndim not in (2, 3):
            raise DataError(f"Picture {i} must have shape (h,w), (h,w,1), (h,w,3) or (h,w,4); got {image.shape}.")
        shaped = _shaped(image[None])
        pixels = shaped if shaped.dtype == np.uint8 else _scaled(shaped, scale)
        return np.asarray(pixels[0], np.uint8)
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
