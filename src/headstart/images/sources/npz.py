"""A NumPy archive with `x_train, y_train, x_test, y_test` (and `x_val, y_val`), as Keras publishes data sets."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError, first_line, nearest
from headstart.images.archive import MAX_RATIO
from headstart.images.imageset import ImageSet
from headstart.images.labels import one_label_each
from headstart.images.options import LoadOptions
from headstart.images.parts import PARTS, check_classes_in_train
from headstart.images.ranges import White
from headstart.images.sources.arrays import from_arrays, seen_in, to_uint8
from headstart.phrases import plural

if TYPE_CHECKING:
    import zipfile

MAX_BYTES = 128 << 20
"""What an archive may expand to, all arrays together, where `MAX_RATIO` times its size is less."""
MAX_DEFLATE = 1_100
"""More than any member of a zip archive can expand."""
SHOWN = 20


def accepts(data: Any) -> bool:
    """A file that ends in `.npz`."""
    return isinstance(data, Path) and data.suffix.lower() == ".npz"


def load(data: Path, options: LoadOptions) -> ImageSet:
    """x_*: pictures (n,h,w[,1|3|4]), see `arrays.to_uint8` for values; y_*: labels (n,) or (n,1).

    An optional array `classes` names the classes that integer labels stand for. Nothing is unpickled.
    Raises `DataError` for missing arrays, shapes and lengths that do not fit, or a file that is no archive.
    """
    arrays = _read(data, options.labelled)
    parts = [part for part in PARTS if f"x_{part}" in arrays]
    pixels, white = _joined([arrays[f"x_{part}"] for part in parts], data, options.limits.white)
    labels = np.concatenate([_labels(arrays, part, data) for part in parts]) if options.labelled else None
    where = np.repeat(parts, [len(arrays[f"x_{part}"]) for part in parts])
    listed = [str(name) for name in arrays["classes"].ravel().tolist()] if "classes" in arrays else None
    images = from_arrays(pixels, labels, parts=where, classes=listed, title=data.name)
    check_classes_in_train(images.labels, images.parts, images.classes, str(data))
    return replace(images, limits=replace(options.limits, white=white))


def _read(path: Path, labelled: bool) -> dict[str, NDArray[Any]]:
    """The arrays that pictures and labels are made of; of the others nothing is read. Raises `DataError`."""
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            wanted = [f"{letter}_{part}" for letter in ("xy" if labelled else "x") for part in PARTS]
            found = {name: members[name] for name in (*wanted, *["classes"] * labelled) if name in members}
            _check_names(path, list(members))
            left = max(MAX_BYTES, MAX_RATIO * path.stat().st_size)
            for name, info in found.items():
                left -= _check_member(archive, info, name, left)
            return {name: _array(archive, info) for name, info in found.items()}
    except DataError:
        raise
    except Exception as error:  # damaged archives make zipfile, zlib and NumPy raise a dozen kinds
        raise DataError(f"{path} cannot be read as an archive of plain arrays: {first_line(error)}.") from None


def _check_names(path: Path, names: list[str]) -> None:
    if not any(f"x_{part}" in names for part in PARTS):
        near = nearest("x_train", names)
        listed = ", ".join(repr(name)[1:-1] for name in names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
        raise DataError(
            f"{path} needs the arrays x_train and y_train (and x_test, y_test); "
            f"it has {listed or 'none'}.{f' Is {near[0]} meant?' if near else ''}"
        )


def _check_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, most: int) -> int:
    """How many bytes an array has, by its header alone. Raises ValueError where it is not to be read."""
    if info.file_size > MAX_DEFLATE * (info.compress_size + 1):
        raise ValueError(f"{name} cannot have {info.file_size:,} bytes")
    with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        headers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in headers:
            raise ValueError(f"{name} is of version {version}")
        shape, _, dtype = headers[version](file)
        header = file.tell()
    if dtype.kind not in ("biuf" if name.startswith("x_") else "biufUS"):
        hint = "; pictures must be numbers" if name.startswith("x_") else ""
        raise ValueError(f"{name} has values of type {dtype}{hint}")
    size = math.prod(shape) * dtype.itemsize
    if not shape or min(shape) < 0 or header + size != info.file_size:
        raise ValueError(f"{name} has {info.file_size:,} bytes and should have {header + size:,} by its shape {shape}")
    if size > most:
        raise ValueError(f"{name} expands from {info.compress_size:,} to {size:,} bytes, which is over the limit")
    return size


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(info) as file:
        array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    if array.dtype.kind == "U" and array.nbytes:
        codes = np.ascontiguousarray(array).reshape(-1).view(f"{array.dtype.byteorder}u4")
        if codes.max() > sys.maxunicode:  # NumPy does not look, and CPython ends in a SystemError when it does
            raise ValueError(f"{info.filename} holds invalid characters")
    return array


def _labels(arrays: dict[str, NDArray[Any]], part: str, path: Path) -> NDArray[Any]:
    if f"y_{part}" not in arrays:
        raise DataError(f"{path} has x_{part} but no y_{part}; it has {', '.join(arrays)}.")
    labels = one_label_each(arrays[f"y_{part}"], f"{path}: y_{part}")
    n = len(arrays[f"x_{part}"])
    if labels.shape != (n,):
        has = f"x_{part} has {plural(n, 'picture')}"
        raise DataError(f"{path}: y_{part} must have shape ({n},) as {has}; got {labels.shape}.")
    return labels


def _joined(blocks: list[NDArray[Any]], path: Path, white: White | None) -> tuple[NDArray[np.uint8], White]:
    """The parts as one array, each by its own type, and the ranges that were seen in all of them."""
    shapes = {block.shape[1:] for block in blocks}
    if len(shapes) > 1:
        raise DataError(f"{path}: the parts hold pictures of different shapes {sorted(shapes)}.")
    seen = seen_in(blocks, white)
    return np.concatenate([to_uint8(block, seen) for block in blocks]), seen
