"""A map drawn over its picture: colour for strength, clearer where it is weak; what was cropped away is dimmed."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from headstart.explaining.explainer import PictureMap, resized

COLOURS = "inferno"
"""Matplotlib's, perceptually uniform (van der Walt and Smith); from FROM up, as its darkest would look like shadow."""
FROM, OPAQUE = 0.35, 0.72
MUTED, DIMMED = 0.6, 0.35
"""How much of a picture's colour gives way to grey, and of its light where the classifier saw nothing."""
LEAST, MOST = 240, 960
"""Pixels of an overlay's longer side."""
INK, QUIET, CARD = "#1b1f24", "#59636e", "#ffffff"
WORDS = {
    "cam": "evidence for {}: exact share of the answer",
    "gradient": "evidence for {}: by the gradient",
    "occlusion": "what {} loses when the place is covered",
}


def overlay(image: Image.Image, found: PictureMap, least: int = LEAST, most: int = MOST) -> Image.Image:
    """RGB: the picture in its aspect, with a longer side of `least` to `most` pixels, and the map over it.

    `image` may be smaller than the picture that was explained, as a preview is: the map goes by shares of its sides.
    """
    picture = sized(image, least, most)
    left, top, right, bottom = _box(found, picture.size)
    whole = np.zeros((picture.height, picture.width))
    whole[top:bottom, left:right] = resized(
        found.strength, (right - left, bottom - top), Image.Resampling.BICUBIC
    ).clip(0, 1)
    base = np.asarray(picture, dtype=np.float64)
    base = (1 - MUTED) * base + MUTED * base.mean(axis=2, keepdims=True)
    seen = np.zeros(whole.shape, dtype=bool)
    seen[top:bottom, left:right] = True
    base[~seen] *= 1 - DIMMED
    alpha = OPAQUE * whole[:, :, None] ** 0.75
    blended = (1 - alpha) * base + alpha * _palette()[np.rint(whole * 255).astype(np.int64)]
    return Image.fromarray(blended.round().clip(0, 255).astype(np.uint8))


def sized(image: Image.Image, least: int, most: int) -> Image.Image:
    """RGB with a longer side of `least` to `most` pixels; a small picture is enlarged without blurring its pixels."""
    picture = image.convert("RGB")
    longest = max(picture.size)
    if longest < least:
        times = -(-least // longest)
        return picture.resize((picture.width * times, picture.height * times), Image.Resampling.NEAREST)
    scale = min(1.0, most / longest)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.LANCZOS) if scale < 1 else picture


def with_legend(drawn: Image.Image, words: str, found: PictureMap) -> Image.Image:
    """An overlay with a strip below it that says what the colours mean; `words` name the class."""
    font, bar, pad = ImageFont.load_default(13), 96, 10
    told = WORDS[found.method].format(words) + ("; darker: cropped away, never seen" if _cropped(found) else "")
    width = max(drawn.width, 260)
    lines = _wrapped(told, font, width - 2 * pad)
    strip = Image.new("RGB", (width, 34 + 17 * len(lines)), CARD)
    draw = ImageDraw.Draw(strip)
    gap = font.getlength("none") + 8
    draw.text((pad, 16), "none", fill=QUIET, font=font, anchor="lm")
    ramp = np.linspace(0, 1, bar)[None].repeat(10, axis=0)
    alpha = OPAQUE * ramp[:, :, None] ** 0.75
    grey = np.full((10, bar, 3), 190.0)
    colours = (1 - alpha) * grey + alpha * _palette()[np.rint(ramp * 255).astype(np.int64)]
    strip.paste(Image.fromarray(colours.round().astype(np.uint8)), (round(pad + gap), 11))
    draw.text((pad + gap + bar + 8, 16), "strongest here", fill=QUIET, font=font, anchor="lm")
    for i, line in enumerate(lines):
        draw.text((pad, 27 + 17 * i), line, fill=INK, font=font)
    whole = Image.new("RGB", (width, drawn.height + strip.height), CARD)
    whole.paste(drawn, ((width - drawn.width) // 2, 0))
    whole.paste(strip, (0, drawn.height))
    return whole


def _cropped(found: PictureMap) -> bool:
    left, top, right, bottom = found.box
    return (right - left) * (bottom - top) < 0.99 * found.size[0] * found.size[1]


def _box(found: PictureMap, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Where the map lies on a picture that is shown at (width, height) `size`."""
    across, down = size[0] / found.size[0], size[1] / found.size[1]
    left, top, right, bottom = found.box
    x, y = round(left * across), round(top * down)
    return x, y, max(x + 1, round(right * across)), max(y + 1, round(bottom * down))


@cache
def _palette() -> NDArray[np.float64]:
    """(256, 3), 0 to 255: the colour of each strength."""
    from matplotlib import colormaps

    colours: NDArray[np.float64] = 255 * colormaps[COLOURS](np.linspace(FROM, 1, 256))[:, :3]
    return colours


def _wrapped(text: str, font: Any, room: float) -> list[str]:
    """The text in lines of at most so many pixels, two of them at the most."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= room or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines[:2]
