"""`StudyRecipe`: every choice of a study, as TOML."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from headstart.recipe import DataRecipe, Document, EngineRecipe, HeadRecipe, TrainingRecipe, VariedRecipe

ARMS = ("pixels", "scratch", "sprout")
SIZES: tuple[int | Literal["all"], ...] = (5, 10, 20, 50, 100)
Size = int | Literal["all"]


class StudyRecipe(Document):
    """Arms x sizes x repeats on the same labelled pictures and the same test pictures.

    `arms` are written as `headstart.study.arms` reads them. In each repeat every arm is fitted on the same subset, and
    a smaller size's subset is part of a larger one's.
    """

    version: Literal[1] = 1
    arms: list[str] = Field(default=list(ARMS), min_length=1)
    sizes: list[Size] = Field(default=list(SIZES), min_length=1)
    """Labelled pictures of each class, all of which every arm is fitted on; `all` there are."""
    repeats: int = Field(default=10, ge=1)
    """Subsets drawn at each size; `all` has one."""
    trained_repeats: int | None = Field(default=None, ge=1)
    """How many of them, the first ones, arms learn from that train a network; all of them when left out."""
    primary: list[str] | None = None
    """The claim that the study is about: a transfer arm and the source-free arms that it is compared with, by name.

    By default the first transfer arm and every source-free one; a folder keeps what was named first.
    """
    seed: int = Field(default=0, ge=0, lt=2**63)
    limit_test: int | None = Field(default=None, ge=2)
    """At most this many test pictures (stratified)."""
    margin: float = Field(default=0.01, gt=0, lt=1, description="it is a share, so 0.02 is 2 percentage points")
    """A difference in accuracy that does not matter."""
    image_size: int | None = Field(default=None, ge=1)
    """Side of every network's input in pixels; chosen by the size rule when left out."""
    data: DataRecipe
    engine: EngineRecipe = Field(default_factory=EngineRecipe)
    head: HeadRecipe = Field(default_factory=HeadRecipe)
    training: TrainingRecipe = Field(default_factory=TrainingRecipe)
    augment: VariedRecipe = Field(default_factory=VariedRecipe)
    """How arms that train a network vary their pictures."""

    def repeats_of(self, *, trained: bool) -> int:
        """Of an arm that trains a network, or of one that does not."""
        return min(self.repeats, self.trained_repeats or self.repeats) if trained else self.repeats

    def grows_into(self, other: StudyRecipe) -> bool:
        """Whether results of this study can be used in another: arms, sizes, repeats, margin and claim may differ."""
        free = {"arms", "sizes", "repeats", "trained_repeats", "margin", "primary"}
        return self.model_dump(exclude=free) == other.model_dump(exclude=free)
