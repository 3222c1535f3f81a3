"""Every colour mode of a picture to 8-bit grey ('L') or 'RGB', by stated rules.

- alpha, transparent palette entries and colour keys: composited over white;
- 16-bit grey: scaled by its own white (65535, or 4095 for 12-bit TIFF), never clipped;
- 32-bit integer and float grey, which declare no white: by the range that fitting saw (`ranges`), else that of this
  picture: 0..1 (float only), 0..255 or 0..65535; what is not in it (negative, larger, NaN) is `unsupported-mode`;
- CMYK: a JPEG with an Adobe marker stores it inverted, one without does not (as libvips and GdkPixbuf read it).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from headstart.errors import Refused
from headstart.images import ranges
from headstart.images.formats import VALUES
from headstart.images.ranges import White

_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262  # TIFF tags
_STRAIGHT = {"La": "LA", "RGBa": "RGBA", "PA": "RGBA"}  # premultiplied or palette alpha -> straight alpha
_WIDE_GREY = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")


def to_grey_or_rgb(image: Image.Image, white: White | None = None) -> Image.Image:
    """A loaded picture of any mode -> the same in mode 'L' (grey stays grey) or 'RGB', 8 bits a channel.

    `white` is the range that fitting saw of values that declare none; None: of this picture alone.

    Raises `Refused('unsupported-mode')` for modes that have no agreed colours (LAB, floats out of range).
    """
    mode = image.mode
    transparent = "transparency" in image.info
    if mode in ("RGB", "L") and not transparent:
        return image  # nearly every picture: no copy
    if mode in _WIDE_GREY:
        return Image.fromarray(_eight_bits(image, white))
    if mode in _STRAIGHT:
        return _over_white(image.convert(_STRAIGHT[mode]))
    if mode in ("LA", "RGBA"):
        return _over_white(image)
    if transparent:
        return _over_white(image.convert("LA" if mode == "L" else "RGBA"))
    if mode == "1":
        return image.convert("L")
    if mode == "CMYK":
        return _cmyk(image).convert("RGB")
    if mode in ("P", "RGBX", "YCbCr", "HSV"):
        return image.convert("RGB")
    raise Refused("unsupported-mode", f"colour mode {mode}")


def _over_white(image: Image.Image) -> Image.Image:
    """'LA' or 'RGBA' composited over white: c * a + 255 * (1 - a), rounded."""
    alpha = image.getchannel("A")
    if alpha.getextrema() == (255, 255):
        return image.convert(image.mode[:-1])
    opaque = image.convert(image.mode[:-1])
    ground = Image.new(opaque.mode, opaque.size, "white")
    ground.paste(opaque, mask=alpha)
    return ground


def _cmyk(image: Image.Image) -> Image.Image:
    """Undo Pillow's inversion for a CMYK JPEG without an Adobe marker."""
    plain_jpeg = image.format in ("JPEG", "MPO") and "adobe" not in image.info
    return ImageChops.invert(image) if plain_jpeg else image


def _eight_bits(image: Image.Image, seen: White | None) -> NDArray[np.uint8]:
    """16-bit, 32-bit and float grey (h,w) -> uint8 (h,w), rounded to nearest."""
    values = np.asarray(image)
    white = _white(image) if image.mode.startswith("I;16") else ranges.white_of(values, seen)
    if not ranges.fits(values, white):
        kind = ranges.kind_of(values.dtype)
        known = f" (fitted on 0..{white})" if kind and getattr(seen or White(), kind) else ""
        raise Refused("unsupported-mode", f"mode {image.mode}{VALUES}{values.min():g} to {values.max():g}{known}")
    grey = ranges.to_uint8(values, white)
    return np.asarray(255 - grey if _zero_is_white(image) else grey, np.uint8)


def _white(image: Image.Image) -> int:
    """The largest value of a 16-bit mode: 4095 when a TIFF declares 12 bits."""
    bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (16,))
    return int(2 ** min(bits[0], 16) - 1)


def _zero_is_white(image: Image.Image) -> bool:
    return getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == 0 and image.mode != "F"
