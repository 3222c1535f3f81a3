"""Pictures with their maps and their nearest training pictures, as a page shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headstart.phrases import percent
from headstart.report.examples import Thumbnail, data_uri, embedded, picture_of
from headstart.report.files import Prediction
from headstart.report.numbers import shown

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Near:
    """A training picture: its name and class, how similar it is, and its thumbnail, where it can be had."""

    name: str
    label: str
    similarity: str
    uri: str
    small: bool

    @classmethod
    def of(cls, name: str, label: str, similarity: float, picture: Image | None) -> Near:
        """With the thumbnail drawn."""
        uri, small = data_uri(picture)
        return cls(shown(name), shown(label, 40), f"{similarity:.2f}", uri, small)


@dataclass(frozen=True, eq=False)
class Shown:
    """What an explanation brings for a page: the map drawn over the picture (RGB), and the nearest pictures.

    `drawn` is None where there is no map.
    """

    drawn: Image | None
    nearest: Sequence[Near]


Explain = Mapping[str, Shown]
"""By the names of pictures in predictions.csv."""


@dataclass(frozen=True)
class Explanation:
    """A picture beside its map, with its true and its predicted class and the nearest training pictures."""

    name: str
    label: str
    predicted: str
    confidence: str
    uri: str
    small: bool
    map_uri: str
    nearest: Sequence[Near]


def explanations(
    predictions: Sequence[Prediction], thumbnail: Thumbnail | None, explained: Explain
) -> list[Explanation]:
    """Of each prediction that is explained, the most confident first."""
    rows = [row for row in predictions if row.name in explained]
    found = []
    for row in sorted(rows, key=lambda r: (-r.confidence, r.name)):
        uri, small = data_uri(picture_of(row.name, thumbnail))
        told = explained[row.name]
        drawn = embedded(told.drawn, "jpeg", quality=82) if told.drawn is not None else ""
        names = shown(row.name), shown(row.label, 40), shown(row.predicted, 40)
        found.append(Explanation(*names, percent(min(row.confidence, 0.999999)), uri, small, drawn, told.nearest))
    return found
