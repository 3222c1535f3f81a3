"""A contact sheet: every picture as an even tile, and under it the names it was given with their confidences."""

from __future__ import annotations

import math
from dataclasses import replace

from PIL import Image, ImageDraw, ImageFont, ImageOps

from headstart.errors import Refused, UserError
from headstart.naming.classes import categories
from headstart.naming.naming import Named, ranked
from headstart.phrases import percent, plural

MOST = 400
"""Pictures on one sheet; more are too many to look at."""
SHOWN = 5
"""Names under a picture at the most."""
SIDE, PAD, GAP, EDGE, HEADER = 208, 10, 14, 24, 62  # pixels
ROOM = SIDE - 2 * PAD
FIRST, ROW = 31, 23  # heights of the first line and of the others
PAGE, CARD, LINE, TRACK = "#f2f2ef", "#ffffff", "#dcdcd6", "#ececea"
INK, GREY, BAR, REST = "#1b1b1a", "#6c6c67", "#3b6ea8", "#9fb6cf"
RIGHT, WRONG = "#23823c", "#b3541e"

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def contact_sheet(named: Named, topk: int = 5) -> Image.Image:
    """The first `MOST` pictures, each a centred square, with their `topk` (at most 5) classes; RGB.

    Where the file names state classes, the stated one is green. Raises UserError when a file has gone since.
    """
    count, lines = min(len(named.images), MOST), min(topk, SHOWN)
    rows = ranked(replace(named, probabilities=named.probabilities[:count]), lines)
    stated = [None] * count if named.stated is None else named.stated[:count].tolist()
    missed = any(k not in dict(ranks) for k, ranks in zip(stated, rows, strict=True) if k is not None)
    columns = min(count, max(3, round(math.sqrt(1.5 * count))))
    across, down = SIDE + GAP, SIDE + PAD + FIRST + ROW * (lines - 1 + missed) + PAD // 2 + GAP
    width = max(2 * EDGE + columns * across - GAP, 2 * EDGE + 2 * SIDE)
    sheet = Image.new("RGB", (width, 2 * EDGE + HEADER + math.ceil(count / columns) * down - GAP), PAGE)
    _header(ImageDraw.Draw(sheet), width, named)
    for i in range(count):
        tile = _tile(_photo(named, i), rows[i], stated[i], down - GAP)
        sheet.paste(tile, (EDGE + i % columns * across, EDGE + HEADER + i // columns * down))
    return sheet


def _header(draw: ImageDraw.ImageDraw, width: int, named: Named) -> None:
    """The network, and below it what it achieved."""
    total = len(named.images)
    facts = [plural(total, "picture") + (f", the first {MOST} shown" if total > MOST else "")]
    facts += [f"top-{s.k} {s.accuracy:.1%}" for s in named.scores()]
    if named.stated is not None:
        facts.append("green: as the file name says")
    for y, size, ink, text in ((0, 20, INK, named.network), (28, 14, GREY, "   ".join(facts))):
        font = ImageFont.load_default(size)
        draw.text((EDGE, EDGE + y), fitted(text, font, width - 2 * EDGE), fill=ink, font=font)


def _photo(named: Named, i: int) -> Image.Image:
    """The middle square of picture i at SIDE x SIDE; a small picture is enlarged without blurring its pixels."""
    try:
        picture = Image.fromarray(named.images.read(i))
    except Refused as error:
        raise UserError(f"{named.images.names[i]} can no longer be read ({error.reason}).") from error
    enlarged = SIDE / min(picture.size) > 2
    method = Image.Resampling.NEAREST if enlarged else Image.Resampling.LANCZOS
    return ImageOps.fit(picture, (SIDE, SIDE), method)


def _tile(photo: Image.Image, ranks: list[tuple[int, float]], stated: int | None, height: int) -> Image.Image:
    """A picture, a line for each class below it, and the stated class where it is none of them."""
    tile = Image.new("RGB", (SIDE, height), CARD)
    draw = ImageDraw.Draw(tile)
    tile.paste(photo, (0, 0))
    y = SIDE + PAD
    for place, (k, p) in enumerate(ranks):
        y += ROW if place else FIRST
        _line(draw, y, (categories()[k].name, p), place == 0, k == stated)
    if stated is not None and stated not in dict(ranks):
        font = ImageFont.load_default(13)
        text = fitted(f"file name: {categories()[stated].name}", font, ROOM)
        draw.text((PAD, y + ROW - 11), text, fill=WRONG, font=font, anchor="ls")
    draw.rectangle((0, SIDE, SIDE - 1, height - 1), outline=LINE)
    return tile


def _line(draw: ImageDraw.ImageDraw, y: int, named: tuple[str, float], first: bool, right: bool) -> None:
    """A class's name, its confidence at the right, and a bar of that length below, which ends above y."""
    (name, p), share = named, percent(named[1], 0, whole=False)
    ink, bar = (RIGHT, RIGHT) if right else (INK, BAR) if first else (GREY, REST)
    font = ImageFont.load_default(16 if first else 13)
    left = ROOM - font.getlength(share) - 8
    draw.text((PAD + ROOM, y - 11), share, fill=ink, font=font, anchor="rs")
    font = font if font.getlength(name) <= left else ImageFont.load_default(13)
    draw.text((PAD, y - 11), fitted(name, font, left), fill=ink, font=font, anchor="ls")
    if first:
        draw.rectangle((PAD, y - 6, PAD + ROOM - 1, y - 5), fill=TRACK)
    if p * ROOM >= 2:
        draw.rectangle((PAD, y - 6, PAD + round(p * ROOM) - 1, y - 5), fill=bar)


def fitted(text: str, font: Font, room: float) -> str:
    """The text, cut with an ellipsis where it is wider than `room` pixels."""
    if font.getlength(text) <= room:
        return text
    kept = len(text)
    while kept > 1 and font.getlength(text[:kept].rstrip(" ,-(") + "…") > room:
        kept -= 1
    return text[:kept].rstrip(" ,-(") + "…"
