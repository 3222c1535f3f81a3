"""verdicts.json: what a study (`headstart compare`) found. Accuracies and their differences are shares of 0..1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal, cast

from pydantic import Field

from headstart.errors import UserError
from headstart.schema import files
from headstart.schema.files import absent

FILE = "verdicts.json"
AGAIN = "run `headstart compare` again"
Word = Literal[
    "helped", "helped, below the margin", "hurt", "hurt, below the margin", "no measurable difference", "inconclusive",
    "better", "better, below the margin", "worse", "worse, below the margin",
    "ahead with this set", "ahead with this set, below the margin",
    "behind with this set", "behind with this set, below the margin",
]  # fmt: skip
HELPED, HURT = "helped", "hurt"
BETTER, WORSE = "better", "worse"  # the same of two arms that do not differ in transfer
AHEAD, BEHIND = (
    "ahead with this set",
    "behind with this set",
)  # of one set of labelled pictures, which tells of no other
BELOW = ", below the margin"
NONE: Literal["no measurable difference"] = "no measurable difference"
OPEN: Literal["inconclusive"] = "inconclusive"
Positive = Annotated[float, Field(gt=0)]


@dataclass(frozen=True)
class Estimate:
    """A figure and the bounds of its 95% interval; a bound is None where none can be given."""

    value: float
    low: float | None = None
    high: float | None = None

    def within(self, low: float, high: float) -> Estimate:
        """The same with its bounds moved into [low, high], for a figure that cannot lie outside."""
        moved = [None if bound is None else min(max(bound, low), high) for bound in (self.low, self.high)]
        return Estimate(self.value, *moved)


@dataclass(frozen=True)
class Verdict:
    """What the difference of two accuracies says.

    word: helped, hurt (each also ", below the margin"), no measurable difference, or inconclusive; of arms that do not
    differ in transfer better and worse in place of helped and hurt; where there was one set of labelled pictures, of
    which alone it speaks, ahead and behind. difference: with its interval of `level`, 95% when left out; low90, high90:
    of the interval that a verdict of no difference rests on, which errs on one side as often as that errs on both.
    discordance: share of test pictures on which the two differ; needed: for inconclusive, the test pictures that would
    find a difference of the margin four times in five; more_repeats: no number of them would, so repeats are needed; n:
    the size, None for all sizes together; unlearnt: it would be helped or hurt, but the arm that is behind did not
    learn, so nothing can be concluded; failing: nor can it where a few fits that failed decide.
    """

    word: Word
    difference: Estimate
    low90: float
    high90: float
    discordance: float
    needed: int | None = None
    more_repeats: bool = False
    n: float | None = None
    unlearnt: bool = False
    level: float | None = absent()
    failing: bool | None = absent()

    @property
    def claim(self) -> int:
        """1 where the first arm is said to be better, -1 the second: in general, or with one set of pictures."""
        return self.sign or self.word.startswith(AHEAD) - self.word.startswith(BEHIND)

    @property
    def sign(self) -> int:
        """1 for helped or better, -1 for hurt or worse, below the margin or not; else 0, as for one set of pictures."""
        return self.word.startswith((HELPED, BETTER)) - self.word.startswith((HURT, WORSE))

    def without_transfer(self) -> Verdict:
        """The same said of two arms of which both transfer or neither does: better, worse."""
        return replace(self, word=cast(Word, self.word.replace(HELPED, BETTER).replace(HURT, WORSE)))

    def unless(self, first: bool, second: bool) -> Verdict:
        """The verdict, or inconclusive where the arm that is behind did not learn (`first`, `second`: this one)."""
        behind = second if self.sign > 0 else first
        return replace(self, word=OPEN, unlearnt=True) if self.sign and behind else self

    def if_none_failed(self) -> Verdict:
        """Inconclusive, because fits that failed would decide."""
        return replace(self, word=OPEN, failing=True)

    def of_one_set(self) -> Verdict:
        """The same said of one set of labelled pictures alone: ahead, behind."""
        return replace(self, word=cast(Word, self.word.replace(HELPED, AHEAD).replace(HURT, BEHIND)))

    def at(self, n: float) -> Verdict:
        """The same verdict, of the size n."""
        return replace(self, n=n)


@dataclass(frozen=True)
class ByArm:
    """One figure of both arms and their difference, first minus second."""

    first: Estimate
    second: Estimate
    difference: Estimate


@dataclass(frozen=True)
class Asymptotes:
    """The asymptotes of both arms and their difference; None where they cannot be estimated."""

    first: Estimate | None = None
    second: Estimate | None = None
    difference: Estimate | None = None


@dataclass(frozen=True)
class Reached:
    """The labelled pictures per class at which each arm has made 90% of its rise; None where it does not rise."""

    first: float | None
    second: float | None


@dataclass(frozen=True)
class Equivalence:
    """How many labelled pictures per class, `value`, the second arm needs for what the first does with n of them.

    beyond: the second arm's largest size, where that is not enough (value None then). Neither: its smallest size is
    already more than enough. low, high: 95%; None where the interval leaves the second arm's curve on that side.
    multiple: value / n.
    """

    n: Positive
    value: float | None = None
    low: float | None = None
    high: float | None = None
    beyond: float | None = None
    multiple: float | None = None


@dataclass(frozen=True)
class ArmPair:
    """Two arms by their names, the transfer arm first where one of them is."""

    first: str
    second: str


@dataclass(frozen=True)
class Parts:
    """Where the variance of a difference comes from (`evidence.variance`), and how many test pictures told it."""

    pictures: float
    subsets: float
    rest: float
    pool: float
    n: int


@dataclass(frozen=True)
class Comparison(ArmPair):
    """Everything that a study says of `first` against `second`.

    Figures over sizes are over those that have several sets of labelled pictures. by_size: verdicts whose intervals
    hold all together; one_set: there is one set of labelled pictures, and all is said of it alone; without_failed: the
    verdict over all sizes without the repeats in which a fit failed; parts: of the variance of the
    difference over all sizes.
    """

    margin: float
    verdict: Verdict
    by_size: tuple[Verdict, ...]
    slope: ByArm | None
    x90: Reached
    asymptote: Asymptotes
    area: ByArm
    ratio: Estimate | None
    equivalence: tuple[Equivalence, ...]
    p: float | None
    sentence: str = ""
    details: tuple[str, ...] = ()
    one_set: bool | None = absent()
    without_failed: Verdict | None = absent()  # noqa: RUF009
    parts: Parts | None = absent()  # noqa: RUF009


@dataclass(frozen=True)
class StudySize:
    """One size of the study: its name and the labelled pictures per class."""

    name: str
    n: Positive


@dataclass(frozen=True, kw_only=True)
class AboutStudy:
    """What was studied, on what, and when; primary: the pairs that the claim named beforehand is about.

    trained_repeats: of the repeats, those of arms that train a network, where these are fewer.
    """

    data: str = ""
    seed: int | None = None
    repeats: int = 1
    classes: tuple[str, ...] = ()
    n_test: int = 0
    margin: float = 0.01
    head: str = ""
    sizes: Annotated[tuple[StudySize, ...], Field(min_length=1)]
    name: str = ""
    created: str = ""
    seconds: float | None = None
    primary: tuple[ArmPair, ...] | None = absent()
    trained_repeats: int | None = absent()


@dataclass(frozen=True)
class Plan:
    """What would find a gain (a share) in four studies of five, on so many test pictures (near copies counted once).

    repeats: None where not even `finds`' last number does; more_pictures: the test pictures that would, with that many
    repeats, None where none would; finds: (repeats, the least gain that they find); overlap: subsets overlap; had: the
    pictures that the data have in all, where they were counted.
    """

    gain: float
    pictures: int
    repeats: int | None
    more_pictures: int | None
    finds: tuple[tuple[int, float], ...]
    overlap: bool = False
    had: int | None = None


@dataclass(frozen=True)
class ExtractionCost:
    """The features of an arm: how many were computed, and how fast."""

    images: int = 0
    computed: int = 0
    reused: int = 0
    seconds: float = 0.0
    images_per_s: float | None = None


@dataclass(frozen=True)
class SizeAccuracy:
    """The accuracy of an arm at one size, that of each repeat, and whether it is better than without looking."""

    size: str
    n: Positive
    accuracy: float
    low: float | None = None
    high: float | None = None
    repeats: tuple[float, ...] = ()
    learnt: bool = True


@dataclass(frozen=True, kw_only=True)
class ArmSummary:
    """One way to a classifier: its curve and its cost; `failed` says why something is missing."""

    name: str
    words: str
    kind: str = ""
    transfer: bool
    backbone: str | None = None
    layer: str | None = None
    image_size: tuple[int, ...] | None = None
    features: int | None = None
    trained_parameters: int | None = None
    network_parameters: int | None = None
    extraction: ExtractionCost | None = None
    fit_s: tuple[float | None, ...] | None = None
    total_s: float | None = None
    budget: str = ""
    measures: Mapping[str, float] = field(default_factory=dict)
    curve: tuple[SizeAccuracy, ...] = ()
    notes: tuple[str, ...] = ()
    failed: str | None = None


@dataclass(frozen=True)
class EpochAccuracy:
    """The accuracy after one epoch, which ended with update `step`."""

    epoch: int | float
    step: float
    accuracy: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class TrainingCurve:
    """How the accuracy of a trained arm on validation or test pictures went with updates: means over repeats, with 95%
    t intervals where there are repeats.

    start: before any update; slope: accuracy per doubling of updates, None with fewer than two points after the start;
    x90: updates to 90% of the rise; asymptote: None where the curve has not levelled off (`reached` is False).
    """

    arm: str = ""
    size: str = ""
    part: Literal["val", "test"] = "val"
    points: tuple[EpochAccuracy, ...] = ()
    start: Estimate
    slope: Estimate | None = None
    x90: float | None = None
    asymptote: Estimate | None = None
    reached: bool = False
    sentence: str = ""


@dataclass(frozen=True)
class ClassRecall:
    """The recall of one class by both arms, mean over repeats; no interval with one test picture."""

    class_: Annotated[str, Field(alias="class")]
    n: int
    first: float
    second: float
    difference: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class PerClass(ArmPair):
    """The recall of every class by both arms of a comparison, at one size."""

    size: str
    classes: tuple[ClassRecall, ...] = ()


@dataclass(frozen=True)
class Reason:
    """A reason's key, the quantity it rests on, and the sentence that says both."""

    key: str
    measured: float
    sentence: str


@dataclass(frozen=True)
class Reasons(ArmPair):
    """The reasons of one comparison."""

    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Verdicts(files.Content):
    """The file."""

    schema: Literal[1] = 1
    headline: str
    study: AboutStudy
    arms: Annotated[tuple[ArmSummary, ...], Field(min_length=1)]
    comparisons: tuple[Comparison, ...] = ()
    training: tuple[TrainingCurve, ...] = ()
    per_class: tuple[PerClass, ...] = ()
    reasons: tuple[Reasons, ...] = ()
    experiments: tuple[str, ...] | None = absent()
    """What came of `--why`, a sentence each."""
    notes: tuple[str, ...] = ()
    command: str = ""

    def arm(self, name: str) -> ArmSummary:
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


def read(folder: Path) -> Verdicts:
    """verdicts.json of a study's folder. Raises UserError where it is missing or not what a study writes."""
    path = folder / FILE
    found = files.read(Verdicts, path, "study", AGAIN)
    if unknown := _named(found) - {arm.name for arm in found.arms}:
        raise UserError(f"{path} mentions the arm '{min(unknown)}' but does not list it; {AGAIN}.")
    return found


def _named(found: Verdicts) -> set[str]:
    """Every arm that some part of the file names."""
    pairs: tuple[ArmPair, ...] = (*found.comparisons, *found.per_class, *found.reasons)
    return {name for pair in pairs for name in (pair.first, pair.second)} | {each.arm for each in found.training}
