"""Pictures in memory: arrays of pixels, PIL pictures, encoded bytes, or paths."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from headstart.errors import DataError
from headstart.images.imageset import ImageSet, Item, Refusal
from headstart.images.names import check_twins, escape, natural_sort

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

    images: one array (n,h,w), (n,h,w,1), (n,h,w,3) or (n,h,w,4) (see `to_uint8` for values), or a sequence that mixes
    arrays (h,w[,c]), PIL pictures, encoded bytes and paths; labels: n names or numbers (None or NaN: unlabelled), or
    indices into `classes` when that is given; parts: one part for all, or n of them.
    Raises `DataError` for shapes, values or lengths that do not fit.
    """
    items = to_uint8(images) if isinstance(images, np.ndarray) and images.dtype != object else _items(images)
    index, names = encode(labels, classes, len(items))
    where = np.broadcast_to(np.asarray(parts, "U11"), len(items)) if np.ndim(parts) == 0 else np.asarray(parts)
    return ImageSet(items, _names(items, where), index, names, where, title=title)


def to_uint8(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Pictures (n,h,w[,1|3|4]) of any number type -> uint8 (n,h,w) or (n,h,w,3|4).

    Rule: uint8 is kept; booleans and floats in 0..1 are multiplied by 255; 0..255 is rounded; 0..65535 (16-bit
    integers) is divided by 257. One rule for the whole array, so pictures stay comparable. Raises `DataError`.
    """
    shaped = _shaped(pixels)
    if shaped.dtype == np.uint8:
        return shaped
    scale = _scale(shaped)
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
    array = np.asarray(labels)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.shape != (n,):
        raise DataError(f"{where} must have shape ({n},), one for each picture; got {array.shape}.")
    distinct, inverse = _distinct(array)
    texts = [_text(value, classes, where) for value in distinct]
    names = natural_sort(text for text in texts if text is not None)
    check_twins(names, where)
    position = {name: k for k, name in enumerate(names)}
    index = np.array([-1 if text is None else position[text] for text in texts], np.int64)
    return index[inverse], names


def _distinct(array: NDArray[Any]) -> tuple[list[Any], NDArray[np.int64]]:
    if array.dtype != object:
        values, inverse = np.unique(array, return_inverse=True)
        return values.tolist(), inverse
    seen: dict[str, tuple[int, Any]] = {}
    inverse = np.array([seen.setdefault(str(v), (len(seen), v))[0] for v in array.tolist()], np.int64)
    return [value for _, value in seen.values()], inverse


def _text(value: Any, classes: Sequence[str] | None, where: str) -> str | None:
    """The class name that one label stands for; None for no label."""
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if classes is None or not isinstance(value, int):
        return escape(str(value))
    if not 0 <= value < len(classes):
        raise DataError(f"{where}: label {value} is no position in the {len(classes)} class names.")
    return escape(str(classes[value]))


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


def _scale(pixels: NDArray[Any]) -> float:
    """The factor of `to_uint8`'s rule."""
    if pixels.dtype == bool:
        return 255.0
    if not np.issubdtype(pixels.dtype, np.integer) and not np.issubdtype(pixels.dtype, np.floating):
        raise DataError(f"Pixels must be numbers; got an array of {pixels.dtype}.")
    if pixels.size == 0:
        return 1.0
    low, high = float(pixels.min()), float(pixels.max())
    integers = bool(np.issubdtype(pixels.dtype, np.integer))
    if not (low >= 0 and high <= (65535 if integers else 255)):  # also false for NaN
        raise DataError(
            f"Pixels of type {pixels.dtype} must lie in 0..1 or 0..255 (integers up to 65535); got {low:g}..{high:g}."
        )
    if high > 255:
        return 1 / 257
    return 255.0 if high <= 1 and not integers else 1.0


def _items(images: Any) -> list[Item]:
    if isinstance(images, str | bytes | Path):
        raise DataError("Give a list of pictures, not a single one.")
    items = [_item(image, i) for i, image in enumerate(images)]
    arrays = [i for i, item in enumerate(items) if isinstance(item, np.ndarray) and item.dtype != np.uint8]
    if arrays:
        high = max(float(np.max(items[i], initial=0)) for i in arrays)
        for i in arrays:
            items[i] = _one_uint8(items[i], high)
    return [item[..., 0] if isinstance(item, np.ndarray) and item.shape[2:] == (1,) else item for item in items]


def _one_uint8(pixels: Any, high: float) -> NDArray[np.uint8]:
    """One array (h,w[,c]) by the rule that the largest value of the whole list decides."""
    marker = np.full((1, *pixels.shape), high, pixels.dtype)
    return to_uint8(np.concatenate([pixels[None], marker]))[0]


def _item(image: Any, i: int) -> Item:
    if isinstance(image, np.ndarray):
        if image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (1, 3, 4)):
            return image
        raise DataError(f"Picture {i} must have shape (h,w), (h,w,1), (h,w,3) or (h,w,4); got {image.shape}.")
    if isinstance(image, bytes | Image.Image):
        return image
    if isinstance(image, str | os.PathLike):
        return Path(image)
    raise DataError(f"Picture {i} is a {type(image).__name__}; give arrays, PIL pictures, bytes or paths.")


def _names(items: Sequence[Item] | NDArray[np.uint8], parts: NDArray[np.str_]) -> tuple[str, ...]:
    """A path's own text, or 'part/000123' counted within each part; a repeated path gets ' (2)' added."""
    counts: dict[str, int] = {}
    names = []
    paths = () if isinstance(items, np.ndarray) else items
    for i, part in enumerate(parts.tolist()):
        if paths and isinstance(paths[i], Path):
            name = escape(paths[i].as_posix())
            counts[name] = counts.get(name, 0) + 1
            names.append(name if counts[name] == 1 else f"{name} ({counts[name]})")
            continue
        number = counts.get(part, 0)
        counts[part] = number + 1
        names.append(f"{part or 'image'}/{number:06d}")
    return tuple(names)


def listed_once(paths: Iterable[Path]) -> tuple[list[Path], list[Refusal]]:
    """Paths without repetitions, and a refusal for each repetition."""
    seen: set[Path] = set()
    kept, refused = [], []
    for path in paths:
        if path in seen:
            refused.append(Refusal(escape(path.as_posix()), "same-file", "named more than once"))
        else:
            seen.add(path)
            kept.append(path)
    return kept, refused
