"""A NumPy archive with `x_train, y_train, x_test, y_test` (and `x_val, y_val`), as Keras publishes data sets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError, nearest
from headstart.images.imageset import ImageSet
from headstart.images.options import LoadOptions
from headstart.images.parts import check_classes_in_train
from headstart.images.sources.arrays import from_arrays, one_label_each

PARTS = ("train", "val", "calibration", "test")


def accepts(data: Any) -> bool:
    """A file that ends in `.npz`."""
    return isinstance(data, Path) and data.suffix.lower() == ".npz"


def load(data: Path, options: LoadOptions) -> ImageSet:
    """x_*: pictures (n,h,w[,1|3|4]), see `arrays.to_uint8` for values; y_*: labels (n,) or (n,1).

    An optional array `classes` names the classes that integer labels stand for. Nothing is unpickled.
    Raises `DataError` for missing arrays, shapes and lengths that do not fit, or a file that is no archive.
    """
    arrays = _read(data)
    parts = [part for part in PARTS if f"x_{part}" in arrays]
    if not parts:
        near = nearest("x_train", arrays)
        raise DataError(
            f"{data} needs the arrays x_train and y_train (and x_test, y_test); "
            f"it has {', '.join(arrays) or 'none'}.{f' Is {near[0]} meant?' if near else ''}"
        )
    pixels = _joined([arrays[f"x_{part}"] for part in parts], data)
    labels = np.concatenate([_labels(arrays, part, data) for part in parts]) if options.labelled else None
    where = np.repeat(parts, [len(arrays[f"x_{part}"]) for part in parts])
    listed = [str(name) for name in arrays["classes"].tolist()] if "classes" in arrays else None
    images = from_arrays(pixels, labels, parts=where, classes=listed, title=data.name)
    check_classes_in_train(images.labels, images.parts, images.classes, str(data))
    return replace(images, limits=options.limits)


def _read(path: Path) -> dict[str, NDArray[Any]]:
    import zipfile

    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, AttributeError, TypeError) as error:
        raise DataError(f"{path} cannot be read as an archive of plain arrays: {error}.") from None


def _labels(arrays: dict[str, NDArray[Any]], part: str, path: Path) -> NDArray[Any]:
    if f"y_{part}" not in arrays:
        raise DataError(f"{path} has x_{part} but no y_{part}; it has {', '.join(arrays)}.")
    labels = one_label_each(arrays[f"y_{part}"], f"{path}: y_{part}")
    n = len(arrays[f"x_{part}"])
    if labels.shape != (n,):
        raise DataError(f"{path}: y_{part} must have shape ({n},) as x_{part} has {n} pictures; got {labels.shape}.")
    return labels


def _joined(blocks: list[NDArray[Any]], path: Path) -> NDArray[Any]:
    shapes = {block.shape[1:] for block in blocks}
    if len(shapes) > 1:
        raise DataError(f"{path}: the parts hold pictures of different shapes {sorted(shapes)}.")
    return np.concatenate(blocks)
