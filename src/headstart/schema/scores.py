"""scores.json: what a run (`headstart fit`) came to. Accuracies and other scores are shares of 0..1.

Older folders lack some of it, so nearly everything has a default. What the head, the training and the augmentation tell
of themselves is theirs: `head`, `training` and `augment` are tables as they made them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from headstart.schema import files
from headstart.schema.files import absent

FILE = "scores.json"


@dataclass(frozen=True)
class ClassScores:
    """One class among the pictures of a part; None where nothing defines a score."""

    class_: Annotated[str, Field(alias="class")]
    n: int
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None


@dataclass(frozen=True, kw_only=True)
class PartScores:
    """The scores of one part: of the n pictures, `correct` were named correctly; accuracy with its 95% interval.

    confusion: a row for each true class, or for many classes rows of (true, predicted, count); *_uncalibrated: without
    the temperature; folds: of a cross-validation; strangers: the share of pictures taken for none of the classes, which
    for a part like the training pictures are false alarms.
    """

    n: int
    correct: int | None = None
    accuracy: float
    log_loss: float | None = None
    brier: float | None = None
    macro_f1: float | None = None
    roc_auc: float | None = None
    ece: float | None = None
    ece_null_mean: float | None = None
    accuracy_low: float | None = None
    accuracy_high: float | None = None
    per_class: tuple[ClassScores, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    log_loss_uncalibrated: float | None = absent()
    ece_uncalibrated: float | None = absent()
    folds: int | None = absent()
    strangers: float | None = absent()


@dataclass(frozen=True, kw_only=True)
class AboutRun:
    """What was run on what, and when; image_size: height and width in pixels."""

    name: str = ""
    created: str = ""
    data: str = ""
    test: str | None = None
    method: str = ""
    backbone: str | None = None
    weights: str | None = None
    licence: str | None = absent()
    layer: str | None = None
    image_size: tuple[int, ...] | int | None = None
    engine: str | None = None
    head: str = ""
    n_features: int | None = None
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Leak:
    """How many pictures of a part copy one that was fitted on, `same` with the same content, and the scores without
    them, as far as they are kept: n, accuracy with interval, log loss; `grouped`: those of its group are counted too.
    """

    copies: int
    same: int
    without: Mapping[str, float | int] | None = absent()
    grouped: bool | None = absent()


@dataclass(frozen=True)
class Temperature:
    """The temperature and the n pictures that it was fitted on: of a part, or out of fold (`folds`)."""

    temperature: float | None = None
    n: int = 0
    fitted_on: str | None = None


@dataclass(frozen=True, kw_only=True)
class Timings:
    """Seconds, and pictures a second from file to row."""

    decode_s: float | None = absent()
    infer_s: float | None = absent()
    open_s: float | None = absent()
    extract_s: float | None = absent()
    fit_s: float | None = absent()
    judge_s: float | None = absent()
    total_s: float | None = absent()
    images_per_s: float | None = absent()


@dataclass(frozen=True, kw_only=True)
class PictureCounts:
    """Pictures: what became of them on the way to features, and how many each part has."""

    images: int | None = absent()
    computed: int | None = absent()
    reused: int | None = absent()
    repeated: int | None = absent()
    refused: int | None = absent()
    decoded: int | None = absent()
    corrupt: int | None = absent()
    train: int | None = absent()
    val: int | None = absent()
    calibration: int | None = absent()
    test: int | None = absent()


@dataclass(frozen=True)
class Ahead:
    """The accuracy that so many labelled pictures will likely bring, with its 90% interval."""

    labels: int
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class Target:
    """The labelled pictures, in all, that an accuracy takes, with their 90% interval; None: out of reach."""

    accuracy: float
    labels: int | None = None
    low: int | None = None
    high: int | None = None


@dataclass(frozen=True, kw_only=True)
class Enough:
    """What more labelled pictures would bring: accuracies by the pictures learnt from, and what lies `ahead` of `n`.

    `odd` says why the curve cannot be gone on from; nothing is ahead then.
    """

    n: int
    curve: tuple[tuple[float, float], ...] = ()
    odd: str = ""
    ahead: tuple[Ahead, ...] = ()
    target: Target | None = absent()  # noqa: RUF009 (a value)


@dataclass(frozen=True)
class Memory:
    """The most memory that the process held, in MB, before its report was drawn."""

    peak_mb: float | None = None


@dataclass(frozen=True, kw_only=True)
class RunScores(files.Content):
    """The file: scores by part before and after training, and all that was told on the way."""

    schema: Literal[1] = 1
    run: AboutRun = field(default_factory=AboutRun)
    before: Mapping[str, PartScores] = field(default_factory=dict)
    after: Mapping[str, PartScores] = field(default_factory=dict)
    leaks: Mapping[str, Leak] | None = absent()
    fitted_on: tuple[str, ...] | None = absent()
    seen_by_network: int | None = absent()
    calibration: Temperature = field(default_factory=Temperature)
    head: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] | None = absent()
    augment: Mapping[str, Any] | None = absent()
    timings: Timings = field(default_factory=Timings)
    counts: PictureCounts = field(default_factory=PictureCounts)
    enough: Enough | None = absent()  # noqa: RUF009 (a value)
    notes: tuple[str, ...] = ()
    memory: Memory = field(default_factory=Memory)


def read(folder: Path) -> RunScores:
    """scores.json of a run's folder. Raises UserError where it is missing or not what a run writes."""
    return files.read(RunScores, folder / FILE, "run", "run the recipe again")
