"""What the report of a study reads: verdicts.json, checked against its shape, and which files lie beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from headstart.errors import UserError

Word = Literal[
    "helped", "helped, below the margin", "hurt", "hurt, below the margin", "no measurable difference", "inconclusive",
    "better", "better, below the margin", "worse", "worse, below the margin",
]  # fmt: skip


class Part(BaseModel):
    """A block of verdicts.json; keys that this page does not show are left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Estimate(Part):
    """A value with its 95% interval, where it has one; shares are 0..1."""

    value: float
    low: float | None = None
    high: float | None = None


class Verdict(Part):
    """The word for one difference; `n` is its size, None for the one over all sizes."""

    word: Word
    difference: Estimate
    n: float | None = None


class Size(Part):
    """One size of the study: its name and the labelled pictures of a class."""

    name: str
    n: float = Field(gt=0)


class Facts(Part):
    """What was studied."""

    name: str = ""
    created: str = ""
    data: str = ""
    seed: int | None = None
    repeats: int = 1
    classes: tuple[str, ...] = ()
    n_test: int = 0
    margin: float = 0.01
    head: str = ""
    sizes: tuple[Size, ...] = Field(min_length=1)
    seconds: float | None = None


class Extraction(Part):
    """The features of an arm: how many were computed, and how fast."""

    images: int = 0
    computed: int = 0
    reused: int = 0
    seconds: float = 0.0
    images_per_s: float | None = None


class Point(Part):
    """The accuracy of an arm at one size."""

    size: str
    n: float = Field(gt=0)
    accuracy: float
    low: float | None = None
    high: float | None = None
    repeats: tuple[float, ...] = ()


class Arm(Part):
    """One way to make a classifier, its curve and its cost."""

    name: str
    words: str
    kind: str = ""
    transfer: bool
    features: int | None = None
    trained_parameters: int | None = None
    network_parameters: int | None = None
    extraction: Extraction | None = None
    fit_s: tuple[float | None, ...] | None = None
    total_s: float | None = None
    budget: str = ""
    curve: tuple[Point, ...] = ()
    notes: tuple[str, ...] = ()
    failed: str | None = None


class Both(Part):
    """One quantity of both arms of a comparison, and of their difference."""

    first: Estimate | None = None
    second: Estimate | None = None
    difference: Estimate | None = None


class Equivalence(Part):
    """How many labelled pictures of a class `second` needs for what `first` does with n; `beyond`: more than these."""

    n: float = Field(gt=0)
    value: float | None = None
    low: float | None = None
    high: float | None = None
    beyond: float | None = None
    multiple: float | None = None


class Pair(Part):
    """Two arms by their names, the transfer arm first where one of them is."""

    first: str
    second: str


class Comparison(Pair):
    """Everything said of two arms."""

    margin: float = 0.01
    verdict: Verdict
    by_size: tuple[Verdict, ...] = ()
    slope: Both | None = None
    asymptote: Both | None = None
    equivalence: tuple[Equivalence, ...] = ()
    sentence: str = ""
    details: tuple[str, ...] = ()


class Epoch(Part):
    """The accuracy after one epoch."""

    epoch: float
    accuracy: float
    low: float | None = None
    high: float | None = None


class Training(Part):
    """The accuracy of a trained arm on validation or on test pictures, epoch by epoch."""

    arm: str
    size: str
    part: Literal["val", "test"] = "val"
    points: tuple[Epoch, ...] = ()
    sentence: str = ""


class ClassGain(Part):
    """The recall of one class by both arms."""

    name: str = Field(alias="class")
    first: float
    second: float
    difference: float
    low: float | None = None
    high: float | None = None


class PerClass(Pair):
    """The recall of every class by both arms of a comparison, at one size."""

    size: str
    classes: tuple[ClassGain, ...] = ()


class Reason(Part):
    """One measured quantity that explains a verdict."""

    key: str
    measured: float | str | None = None
    sentence: str


class Reasons(Pair):
    """The reasons of one comparison."""

    reasons: tuple[Reason, ...] = ()


class Study(Part):
    """verdicts.json."""

    schema_: Literal[1] = Field(alias="schema")
    headline: str
    study: Facts
    arms: tuple[Arm, ...] = Field(min_length=1)
    comparisons: tuple[Comparison, ...] = ()
    training: tuple[Training, ...] = ()
    per_class: tuple[PerClass, ...] = ()
    reasons: tuple[Reasons, ...] = ()
    notes: tuple[str, ...] = ()
    command: str = ""

    def arm(self, name: str) -> Arm:
        """The arm of that name."""
        return next(arm for arm in self.arms if arm.name == name)

    def against_source_free(self) -> list[Comparison]:
        """The comparisons of a transfer arm with a source-free one, in the order of the file."""
        return [c for c in self.comparisons if self.arm(c.first).transfer and not self.arm(c.second).transfer]

    def others(self) -> list[Comparison]:
        """All other comparisons."""
        kept = self.against_source_free()
        return [c for c in self.comparisons if c not in kept]

    def main(self) -> Comparison | None:
        """The comparison that the headline is the sentence of, or else the first."""
        found = self.against_source_free()
        return next((c for c in found if c.sentence == self.headline), found[0] if found else None)


def read_study(folder: Path) -> Study:
    """Read verdicts.json of a study folder.

    Raises:
        UserError: the file is missing, is not JSON, is of another version, or does not have the shape of verdicts.
    """
    path = folder / "verdicts.json"
    try:
        study = Study.model_validate_json(path.read_bytes())
    except OSError:
        raise UserError(f"{folder} is not a finished study: it holds no verdicts.json that can be read.") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(f"{path} cannot be shown ({where}: {first['msg']}); run `headstart compare` again.") from None
    if unknown := _named(study) - {arm.name for arm in study.arms}:
        raise UserError(
            f"{path} speaks of the arm '{min(unknown)}' and does not list it; run `headstart compare` again."
        )
    return study


def _named(study: Study) -> set[str]:
    """Every arm that some part of the file names."""
    pairs: tuple[Pair, ...] = (*study.comparisons, *study.per_class, *study.reasons)
    return {name for pair in pairs for name in (pair.first, pair.second)} | {each.arm for each in study.training}
