"""One picture of a set, wherever it lies: its bytes or pixels, what its header says, and the values of a wide one."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from headstart.images.archive import Member
from headstart.images.dear import check_work
from headstart.images.decode import Limits, Raw, check_size, finish, open_header, verdict
from headstart.images.files import open_file, read_file
from headstart.images.formats import HEAD, sniff
from headstart.images.ranges import fits, white_of
from headstart.images.remote import Remote

Item: TypeAlias = Path | Member | Remote | bytes | NDArray[np.uint8] | Image.Image
_GREY = ("1", "L", "LA", "La", "I", "F")
_TIFF = (".tif", ".tiff")


def raw_of(item: Item, limits: Limits) -> Raw:
    """The bytes of a file, or the pixels where there is no file. Raises `Refused`."""
    if isinstance(item, Path):
        return read_file(item, limits)
    if isinstance(item, Member | Remote):
        return item.read(limits)
    if isinstance(item, Image.Image):
        return _pixels(item, limits)
    return item


def header_of(item: Item, limits: Limits) -> tuple[int, int, bool]:
    """(height, width, is grey) of one item without decoding it. Raises `Refused`."""
    if isinstance(item, np.ndarray):
        return item.shape[0], item.shape[1], item.ndim == 2
    if isinstance(item, Image.Image):
        return item.height, item.width, _is_grey(item)
    if isinstance(item, bytes | Member | Remote):
        image = open_header(io.BytesIO(item if isinstance(item, bytes) else item.read(limits)))
        return image.height, image.width, _is_grey(image)
    with open_file(item, limits) as file:
        image = open_header(file)
        return image.height, image.width, _is_grey(image)


def wide_values(item: Item, limits: Limits) -> NDArray[Any] | None:
    """The values of a picture of 32-bit integers or floats; None for any other, and for one that will be refused."""
    try:
        if isinstance(item, Path | Member | Remote):
            if not str(item.name).lower().endswith(_TIFF):
                return None
            item = read_file(item, limits) if isinstance(item, Path) else item.read(limits)
        if isinstance(item, bytes):
            if sniff(item[:HEAD]) != "TIFF":
                return None
            item = open_header(io.BytesIO(item))
        if not isinstance(item, Image.Image) or item.mode not in ("I", "F"):
            return None
        check_size(item.size, limits)
        check_work(item, limits.max_pixels)
        values = np.asarray(item)
    except Exception:  # decoders raise nine kinds of exception; the verdict comes when the picture is used
        return None
    return values if fits(values, white_of(values, None)) else None


def _is_grey(image: Image.Image) -> bool:
    return image.mode in _GREY or image.mode.startswith("I;16")


def _pixels(image: Image.Image, limits: Limits) -> NDArray[np.uint8]:
    """A PIL picture -> uint8 (h,w) or (h,w,3), by the rules that files are read by. Raises `Refused`."""
    try:
        return np.asarray(finish(image, limits))
    except Exception as error:
        raise verdict(error) from error
