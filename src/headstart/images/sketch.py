"""What an audit needs to know of a picture, in 1,760 bytes: how it looks when small, a digest of its pixels, facts.

0:1728      the picture at 24 x 24 in RGB
1728:1744   digest of the decoded pixels: equal where two files show the same
1744:1760   `FACTS`, big-endian: height, width (upright), format, mode, EXIF orientation, grey or not, range, highest
            value, 16 or 32 bits a channel or not, one page or more
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from headstart.errors import Refused
from headstart.images.decode import Raw, digest, open_header, orientation
from headstart.images.formats import ALLOWED
from headstart.images.looks import is_grey

SIDE = 24  # pixels
FORMATS = ("", *ALLOWED)
MODES = ("", "1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "I;16")
FACTS = np.dtype(
    [
        ("height", ">u4"),
        ("width", ">u4"),
        ("format", "u1"),
        ("mode", "u1"),
        ("turned", "u1"),
        ("grey", "?"),
        ("range", "u1"),
        ("high", "u1"),
        ("wide", "?"),
        ("pages", "?"),
    ]
)
SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations whose width is the height of the upright picture."""
_THUMB, _DIGEST = SIDE * SIDE * 3, 16
LENGTH = _THUMB + _DIGEST + FACTS.itemsize
TINY = 8  # pixels of a side below which nothing can be seen
PLAIN = 4  # levels of 255 within which every pixel has one colour
DARK = 16  # of 255: white of 12 bits where it is read as a value of 16
SPACE = {"format": 2, "backbone": "sketch", "side": SIDE, "dtype": "|u1"}
"""The space of the feature store that sketches lie in."""


def make_sketch(raw: Raw, image: Image.Image) -> NDArray[np.uint8]:
    """uint8 (`LENGTH`,) of a picture: `raw` as it was read, `image` as `decode` gave it, in mode 'L' or 'RGB'."""
    pixels = np.asarray(image)
    facts = np.zeros(1, FACTS)
    for name, value in _header(raw, image).items():
        facts[name] = value
    ends: Any = image.getextrema()  # of each channel: a picture of one colour has no range within any
    facts["grey"] = is_grey(pixels)
    ends = ends if image.mode == "RGB" else (ends,)
    facts["range"], facts["high"] = max(high - low for low, high in ends), max(high for _, high in ends)
    small = image.resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0).convert("RGB")
    parts = (np.asarray(small).tobytes(), digest(np.ascontiguousarray(pixels)), facts.tobytes())
    return np.frombuffer(b"".join(parts), np.uint8)


def _header(raw: Raw, image: Image.Image) -> dict[str, int]:
    """The `FACTS` that a file's header says; of pixels that no file holds, their size and mode.

    The size is that of the upright picture, also where a JPEG was decoded to less.
    """
    width, height = image.size
    found = {"width": width, "height": height, "mode": MODES.index(image.mode), "turned": 1}
    if not isinstance(raw, bytes):
        return found
    try:
        opened = open_header(io.BytesIO(raw))
    except Refused:  # it was decoded, so this does not happen
        return found
    mode = opened.mode.partition(";")[0] + (";16" if opened.mode.startswith("I;16") else "")
    kind = opened.format if opened.format in FORMATS else "JPEG"  # an MPO
    found["format"], found["mode"] = FORMATS.index(kind), MODES.index(mode) if mode in MODES else 0
    if isinstance(opened, PngImageFile | TiffImageFile):  # `tile` is gone once the picture is loaded
        found["wide"] = mode in ("I", "F") or any(";16" in str(tile[3]) for tile in opened.tile[:1])
    found["pages"] = isinstance(opened, TiffImageFile) and bool(opened.tag_v2.next)
    found["turned"] = orientation(opened)
    if kind == "JPEG":
        found["width"], found["height"] = opened.size[:: -1 if found["turned"] in SIDEWAYS else 1]
    return found


@dataclass(frozen=True, eq=False)
class Sketches:
    """Sketches of n pictures: uint8 (n, `LENGTH`)."""

    rows: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, index: NDArray[Any]) -> Sketches:
        """Those at `index`."""
        return Sketches(self.rows[index])

    @property
    def thumbs(self) -> NDArray[np.uint8]:
        """(n, 24, 24, 3)."""
        return self.rows[:, :_THUMB].reshape(-1, SIDE, SIDE, 3)

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """(n, 16): digests of the decoded pixels."""
        return self.rows[:, _THUMB : _THUMB + _DIGEST]

    @property
    def facts(self) -> NDArray[Any]:
        """(n,) of `FACTS`."""
        return np.ascontiguousarray(self.rows[:, _THUMB + _DIGEST :]).view(FACTS)[:, 0]

    @property
    def plain(self) -> NDArray[np.bool_]:
        """(n,): whether the picture has one colour; one of 16 or 32 bits that is `dark` may only seem so."""
        return np.asarray((self.facts["range"] <= PLAIN) & ~self.dark)

    @property
    def dark(self) -> NDArray[np.bool_]:
        """(n,): whether 16 or 32 bits a channel hold no value over white of 12, so that hardly a shade is left."""
        return np.asarray(self.facts["wide"] & (self.facts["high"] <= DARK))

    @property
    def tiny(self) -> NDArray[np.bool_]:
        """(n,): whether a side has fewer than `TINY` pixels."""
        return np.asarray(np.minimum(self.facts["height"], self.facts["width"]) < TINY)
