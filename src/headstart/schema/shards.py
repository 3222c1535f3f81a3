"""manifest.json of a folder of Parquet shards: what made them, which there are, and what was refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FILE = "manifest.json"
FORMAT = "headstart-shards"


@dataclass(frozen=True)
class RefusedPicture:
    """A picture that was left out."""

    name: str
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class Shard:
    """A file of `rows` rows made of `pictures` pictures; `digest` is over all that its rows hold, in hexadecimals."""

    file: str
    pictures: int
    rows: int
    digest: str


@dataclass(frozen=True)
class ShardManifest:
    """Shards in the order of their pictures.

    `mark` tells the listing of the pictures and `made_by`, all that the rows depend on beside them. `kind` is
    `features` or `predictions`; of features `recipe` is the recipe and `columns` their number.
    """

    kind: str
    mark: str
    made_by: Mapping[str, Any]
    pictures: int
    rows: int
    shards: tuple[Shard, ...]
    format: str = FORMAT
    version: int = 1
    columns: int | None = None
    classes: tuple[str, ...] = ()
    title: str = ""
    recipe: Mapping[str, Any] | None = None
    refused: tuple[RefusedPicture, ...] = ()
    notes: tuple[str, ...] = ()
    test_drawn: bool = False
