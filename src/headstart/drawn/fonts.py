"""Fonts of this machine that can draw the Latin letters, and one clear sentence when there are too few."""

from __future__ import annotations

import os
import string
import sys
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from headstart.drawn.sheet import BOX, FINE, Mask
from headstart.errors import UserError

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

ENOUGH = 60
"""Fewer usable fonts than this are refused: the letters would be learned by heart."""
SUFFIXES = (".ttf", ".otf")
PACKAGES = (
    "fonts-liberation fonts-freefont-ttf fonts-dejavu fonts-lato fonts-roboto-unhinted fonts-open-sans fonts-junicode "
    "fonts-adf-accanthis fonts-tiresias fonts-vollkorn fonts-comic-neue fonts-humor-sans fonts-breip "
    "fonts-ecolier-court fonts-kristi fonts-tomsontalks fonts-dancingscript fonts-karla fonts-linuxlibertine"
)
LETTERS = string.ascii_letters
TRIAL = 48  # pixels at which a glyph is first drawn, to learn its extent
NOWHERE = "\U0010ffff"  # no font has it, so it shows what a font draws for a character that it lacks


def folders() -> tuple[Path, ...]:
    """Where this platform keeps fonts."""
    home = Path.home()
    if sys.platform == "darwin":
        return Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library" / "Fonts"
    if sys.platform == "win32":
        return (Path(os.environ.get("WINDIR", r"C:\Windows")) / "Fonts",)
    return Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), home / ".fonts", home / ".local/share/fonts"


def usable(places: Iterable[Path] = (), enough: int = ENOUGH) -> tuple[Path, ...]:
    """The font files that draw all 52 Latin letters, each letter its own; by name, so that the order is the same.

    Looks in `places`, or in the platform's folders. Raises UserError when there are fewer than `enough`.
    """
    looked = tuple(places) or folders()
    files = sorted({p.name: p for place in looked for p in sorted(place.rglob("*"))
                    if p.suffix.lower() in SUFFIXES}.values(), key=lambda p: p.name)  # fmt: skip
    found = tuple(p for p in files if _draws_letters(p))
    if len(found) < enough:
        raise UserError(
            f"{len(found)} usable fonts were found in {', '.join(map(str, looked))}, and {enough} are needed: "
            f"install more; on Debian and Ubuntu, for example: apt-get install {PACKAGES}."
        )
    return found


def mask(path: Path, character: str) -> Mask | None:
    """The character, larger side BOX, in the middle of a (FINE, FINE) uint8 canvas; None when the font lacks it."""
    trial = _font(path, TRIAL)
    left, top, right, bottom = trial.getbbox(character)
    extent = max(right - left, bottom - top)
    if extent <= 0 or _ink(path, character) == _missing(path):
        return None
    return _centred(_font(path, max(4, round(TRIAL * BOX / extent))), character)


def _centred(font: FreeTypeFont, character: str) -> Mask | None:
    from PIL import Image, ImageDraw

    left, top, right, bottom = font.getbbox(character)
    canvas = Image.new("L", (FINE, FINE))
    place = ((FINE - left - right) / 2, (FINE - top - bottom) / 2)
    ImageDraw.Draw(canvas).text(place, character, fill=255, font=font)
    drawn = np.asarray(canvas)
    return drawn if drawn.max() >= 128 else None


@lru_cache(maxsize=64)
def _font(path: Path, size: int) -> FreeTypeFont:
    from PIL import ImageFont

    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


def _ink(path: Path, character: str) -> bytes:
    drawn = _font(path, TRIAL).getmask(character)
    return bytes(str(drawn.size), "ascii") + bytes(drawn)


@lru_cache(maxsize=1024)
def _missing(path: Path) -> bytes:
    return _ink(path, NOWHERE)


def _draws_letters(path: Path) -> bool:
    try:
        inks = {_ink(path, letter) for letter in LETTERS}
        return len(inks) >= len(LETTERS) - 2 and _missing(path) not in inks
    except (OSError, ValueError):  # not a font, or one of fixed sizes
        return False
