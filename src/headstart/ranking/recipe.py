"""RankingRecipe: every choice of a ranking, as TOML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from pydantic import Field

from headstart.backbones.spelling import parse
from headstart.ranking.request import RankingRequest
from headstart.recipe import READING, Document, EngineRecipe

if TYPE_CHECKING:
    from headstart.images.options import Reading


class RankingRecipe(Document):
    """Which networks to rank on which pictures; `backbones` are written as `backbones.spelling` reads them."""

    version: Literal[1] = 1
    data: str
    """A folder, table, IDX folder, `.npz` or built-in name."""
    backbones: list[str] = Field(min_length=1)
    limit: int | None = Field(default=None, ge=1)
    """At most this many pictures in all, stratified by class."""
    image_size: int | None = Field(default=None, ge=1)
    """Side of every network's input in pixels; chosen by the size rule when left out."""
    folds: int = Field(default=5, ge=2)
    seed: int = Field(default=0, ge=0, lt=2**63)
    engine: EngineRecipe = Field(default_factory=EngineRecipe)
    follow_links: bool = False
    """Follow links that lead out of the folder."""
    image_column: str | None = None
    label_column: str | None = None
    split_column: str | None = None
    group_column: str | None = None
    """The columns of a table, where they are not called `image`, `label`, `split` and `group`."""

    def request(self) -> RankingRequest:
        """The same for `rank`. Raises UserError for a backbone that is written wrongly."""
        backbones = tuple(parse(text) for text in self.backbones)
        engine = self.engine
        return RankingRequest(
            self.data, backbones, self.limit, self.image_size, self.seed, self.folds, engine.name, engine.device,
            reading=cast("Reading", self.model_dump(include=READING)),
        )  # fmt: skip
