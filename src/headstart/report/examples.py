"""The pictures a report shows: which ones, and each as a small data URI."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.errors import Refused
from headstart.phrases import percent
from headstart.report.charts.mistakes import WrongAnswer
from headstart.report.files import Prediction
from headstart.report.numbers import shown

if TYPE_CHECKING:
    from PIL.Image import Image

Thumbnail = Callable[[str], "Image | None"]
SIDE = 150  # pixels of the longer side
SMALL = 64  # pictures up to this side are enlarged in whole steps and kept without loss
SHOWN = {"mistakes": 12, "uncertain": 6, "right": 6}


@dataclass(frozen=True)
class Example:
    """One picture with its true and its predicted class."""

    name: str
    label: str
    predicted: str
    confidence: str
    right: bool
    uri: str
    small: bool


@dataclass(frozen=True)
class Gallery:
    """Examples that belong together."""

    title: str
    words: str
    examples: list[Example]


def galleries(predictions: Sequence[Prediction], thumbnail: Thumbnail | None) -> list[Gallery]:
    """Most confident mistakes, least certain, and a few right ones, no picture twice; empty without predictions."""
    rows = [row for row in predictions if row.label]
    if not rows:
        return []
    wrong = _wrong(rows)
    mistakes = wrong[: SHOWN["mistakes"]]
    uncertain = _without(sorted(rows, key=lambda r: (r.confidence, r.name)), mistakes)[: SHOWN["uncertain"]]
    right = _by_turns(_without([r for r in rows if r.right], uncertain))[: SHOWN["right"]]
    picked = (
        ("Most confident mistakes", _about_mistakes(len(mistakes), len(wrong), len(rows)), mistakes),
        ("Least certain", "The lowest confidences, right or wrong. Take a second look at these first.", uncertain),
        ("Right", "The most confident right answers in each class.", right),
    )
    return [
        Gallery(title, words, [example(row, thumbnail) for row in chosen])
        for title, words, chosen in picked
        if chosen or chosen is mistakes
    ]


def _wrong(rows: Sequence[Prediction]) -> list[Prediction]:
    return sorted((r for r in rows if not r.right), key=lambda r: (-r.confidence, r.name))


def confident_mistakes(predictions: Sequence[Prediction]) -> list[WrongAnswer]:
    """The most confident mistakes, as many as a report shows, for a chart of them."""
    rows = _wrong([row for row in predictions if row.label])[: SHOWN["mistakes"]]
    return [
        WrongAnswer(r.name, shown(r.label, 40), shown(r.predicted, 40), percent(min(r.confidence, 0.999999)))
        for r in rows
    ]


def _about_mistakes(listed: int, wrong: int, n: int) -> str:
    if not wrong:
        return f"There is none among {n:,} pictures."
    which = "All of them" if listed == wrong else f"{listed} of {wrong:,}"
    return f"{which}, most confident first. Look here for wrong labels, and for what the classifier cannot see."


def _without(rows: Sequence[Prediction], others: Sequence[Prediction]) -> list[Prediction]:
    names = {row.name for row in others}
    return [row for row in rows if row.name not in names]


def _by_turns(rows: Sequence[Prediction]) -> list[Prediction]:
    """The most confident of every class, then the second of every class, and so on."""
    ranked = sorted(rows, key=lambda r: (-r.confidence, r.name))
    seen: dict[str, int] = {}
    turns = []
    for row in ranked:
        turns.append((seen.get(row.label, 0), row))
        seen[row.label] = seen.get(row.label, 0) + 1
    order = {label: i for i, label in enumerate(sorted(seen))}
    return [row for _, row in sorted(turns, key=lambda turn: (turn[0], order[turn[1].label]))]


def example(row: Prediction, thumbnail: Thumbnail | None, side: int = SIDE) -> Example:
    """With the picture drawn, where it can be had, `side` pixels at its longer side."""
    uri, small = data_uri(picture_of(row.name, thumbnail), side)
    names = shown(row.name), shown(row.label, 40), shown(row.predicted, 40)
    return Example(*names, confidence=percent(min(row.confidence, 0.999999)), right=row.right, uri=uri, small=small)


def picture_of(name: str, thumbnail: Thumbnail | None) -> Image | None:
    """The decoded picture; None where it cannot be had (moved, deleted or refused since)."""
    try:
        return None if thumbnail is None else thumbnail(name)
    except (Refused, OSError):
        return None


def data_uri(picture: Image | None, side: int = SIDE) -> tuple[str, bool]:
    """(data URI, whether the picture was enlarged): JPEG of at most `side` pixels, or PNG of an enlarged small one."""
    if picture is None or not min(picture.size):
        return "", False
    picture = picture if picture.mode in ("L", "RGB") else picture.convert("RGB")
    longest = max(picture.size)
    if longest <= SMALL:
        times = max(1, side // longest)
        size = (picture.width * times, picture.height * times)
        return embedded(picture.resize(size, resample=0), "png", optimize=True), True  # 0: nearest neighbour
    picture = picture.copy()
    picture.thumbnail((side, side))
    return embedded(picture, "jpeg", quality=82), False


def embedded(picture: Image, kind: str, **how: Any) -> str:
    """The picture as a data URI; `how` goes to Pillow's writer of that kind."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **how)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
