"""The contact sheet of explanations: HTML pages that need nothing else, the pictures in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from headstart import records
from headstart.images import Refusal
from headstart.phrases import percent, plural
from headstart.report.examples import embedded
from headstart.report.explained import Near
from headstart.report.numbers import shown
from headstart.report.page import page

if TYPE_CHECKING:
    from PIL.Image import Image

    from headstart.explaining.explained import Explained

PER_PAGE = 24
SIDE = 340
"""Pixels of the longer side of a picture on the sheet."""
WORDS = {
    "cam": "an exact map: the head's weights times the network's last feature map; its mean is the score",
    "gradient": "a map computed from the gradient of the score",
    "occlusion": "a map by occlusion: how much the class loses when that part of the picture is covered",
}


@dataclass(frozen=True)
class Card:
    """One picture as the page shows it."""

    name: str
    file: str
    predicted: str
    confidence: str
    method: str
    agreement: str
    seen: bool
    stranger: bool
    uri: str
    map_uri: str
    nearest: list[Near]

    @classmethod
    def of(cls, found: Explained, image: Image, drawn: Image, pictures: Sequence[Image | None]) -> Card:
        """With everything drawn."""
        agreement = found.map.agreement
        nearest = [
            Near.of(n.name, n.label, n.similarity, picture) for n, picture in zip(found.nearest, pictures, strict=True)
        ]
        return cls(
            name=shown(found.name),
            file=found.file,
            predicted=shown(found.predicted, 40),
            confidence=percent(min(found.confidence, 0.999999)),
            method=found.map.method,
            agreement="" if agreement is None else f"{agreement:.2f}",
            seen=bool(found.seen),
            stranger=found.known is False,
            uri=_uri(image.convert("RGB"), drawn.size),
            map_uri=_uri(drawn, drawn.size),
            nearest=nearest,
        )


def _uri(image: Image, size: tuple[int, int]) -> str:
    scale = min(1.0, SIDE / max(size))
    wanted = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
    enlarged = wanted[0] > image.width
    return embedded(image.resize(wanted, resample=0 if enlarged else 1), "jpeg", quality=84)  # 0: nearest, 1: Lanczos


def write_sheet(
    folder: Path, run: str, cards: Sequence[Card], refused: Sequence[Refusal], notes: Sequence[str]
) -> None:
    """Write `index.html` and, from `PER_PAGE` pictures on, `index-2.html` and so on; older pages beyond are removed."""
    pages = max(1, math.ceil(len(cards) / PER_PAGE))
    files = ["index.html", *(f"index-{number}.html" for number in range(2, pages + 1))]
    methods = list(dict.fromkeys(card.method for card in cards))
    for number, file in enumerate(files, start=1):
        values = {
            "run": shown(run),
            "title": plural(len(cards), "picture") + " explained",
            "cards": cards[(number - 1) * PER_PAGE : number * PER_PAGE],
            "pages": files,
            "number": number,
            "methods": [WORDS[method] for method in methods],
            "refused": [(shown(r.name), r.reason) for r in refused] if number == pages else [],
            "notes": [shown(note, 400) for note in notes],
        }
        records.write_text(folder / file, page("explanations.html", values))
    for old in folder.glob("index-*.html"):
        if old.name not in files:
            old.unlink()
