"""ranking.json: what a ranking of backbones (`headstart rank`) found. Accuracies are shares of 0..1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from headstart.schema import files

FILE = "ranking.json"
HINTS = ("LogME", "the regularised H-score", "LEEP")
"""The cheap hints by their names in the file and in sentences."""


@dataclass(frozen=True)
class RankedBackbone:
    """A backbone, or raw pixels, where `written` is empty; None where something is not known.

    accuracy_low, accuracy_high: Wilson's 95% interval, which counts copies and groups as what they are worth; correct
    of n pictures were answered right, out of fold. points_to_best, in percentage points, only_best, only_this, p:
    against the best on the same pictures, by McNemar's exact test; told_apart: whether that differs measurably, None
    for the best itself; on_front: no other beats it in accuracy and speed, None of raw pixels; logme, h_score, leep:
    cheap hints; height, width: of the input, in pixels.
    """

    backbone: str
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    correct: int
    n: int
    points_to_best: float
    only_best: int
    only_this: int
    p: float
    told_apart: bool | None
    on_front: bool | None
    images_per_s: float | None
    features: int
    logme: float
    h_score: float
    leep: float | None
    parameters: int | None
    multiply_adds: int | None
    height: int
    width: int
    licence: str
    written: str
    notes: tuple[str, ...] = ()

    @property
    def standing(self) -> Literal["best", "tied", "worse"]:
        """`tied`: it cannot be told apart from the best."""
        return "best" if self.told_apart is None else "worse" if self.told_apart else "tied"

    @property
    def hints(self) -> dict[str, float | None]:
        """The cheap hints by name."""
        return dict(zip(HINTS, (self.logme, self.h_score, self.leep), strict=True))


@dataclass(frozen=True)
class RankedData:
    """The pictures: how many of each class, and how many files could not be used."""

    source: str
    title: str
    n: int
    classes: Mapping[str, int]
    refused: int


@dataclass(frozen=True)
class RankingSettings:
    """What was asked for, and the cores that could be used."""

    folds: int
    seed: int
    limit: int | None
    image_size: int | None
    cores: int | None


@dataclass(frozen=True)
class Advice:
    """`best` and `fastest_not_worse` are backbones, the same where none faster is shown as good; else sentences."""

    best: str
    fastest_not_worse: str
    headline: str
    sentences: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Failure:
    """A backbone that could not be ranked, and the sentence that says why."""

    backbone: str
    reason: str


@dataclass(frozen=True)
class HintAgreement:
    """How far a cheap score orders n backbones as cross-validation does (Kendall's tau), and its own `first` choice."""

    hint: str
    n: int
    tau: float | None
    first: str


@dataclass(frozen=True, kw_only=True)
class RankingContent(files.Content):
    """The file."""

    schema: Literal[1] = 1
    created: str
    command: str
    data: RankedData
    settings: RankingSettings
    advice: Advice
    baseline: RankedBackbone
    backbones: tuple[RankedBackbone, ...]
    failed: tuple[Failure, ...]
    hints: tuple[HintAgreement, ...]
    notes: tuple[str, ...]
    seconds: float
    environment: Mapping[str, Any]


def read(folder: Path) -> RankingContent:
    """ranking.json of a ranking's folder. Raises UserError where it is missing or not what a ranking writes."""
    return files.read(RankingContent, folder / FILE, "ranking", "run `headstart rank` again")
