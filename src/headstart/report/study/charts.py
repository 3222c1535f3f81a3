"""The charts of accuracy of a study: against labelled pictures, with what the headline compares, and against epochs."""

from __future__ import annotations

from itertools import groupby

from headstart.phrases import percent
from headstart.report.charts.curves import Arrow, Bracket, CurvesDisplay
from headstart.report.charts.ends import Curve, Sample
from headstart.report.parts import PART_WORDS
from headstart.report.study.equivalence import equivalence, equivalence_words
from headstart.report.study.looks import Looks
from headstart.report.study.words import labelled, pictures, points, share_with_interval, size_lines
from headstart.schema.verdicts import (
    ArmSummary,
    Comparison,
    EpochAccuracy,
    Estimate,
    SizeAccuracy,
    TrainingCurve,
    Verdicts,
)


def main_chart(study: Verdicts, looks: Looks) -> CurvesDisplay | None:
    """Accuracy by number of labelled pictures per class; None where no arm has any."""
    arms = [arm for arm in study.arms if arm.curve]
    if not arms:
        return None
    compared = study.main()
    both = compared is not None and {compared.first, compared.second} <= {arm.name for arm in arms}
    return CurvesDisplay(
        title="Accuracy on the test pictures, with 95% interval",
        across="Labelled pictures per class (log scale)",
        curves=[_by_size(study, arm, looks) for arm in arms],
        ticks=[(size.n, "\n".join(size_lines(size))) for size in study.study.sizes],
        bracket=_bracket(study, compared) if compared and both else None,
        arrow=_arrow(study, compared) if compared and both else None,
        decided=compared is None or bool(compared.verdict.claim),
    )


def _by_size(study: Verdicts, arm: ArmSummary, looks: Looks) -> Curve:
    """The curve of an arm, with gaps at sizes that it has no accuracy of."""
    found = {point.n: point for point in arm.curve}
    sizes = sorted({size.n for size in study.study.sizes} | set(found))
    rows = [(n, found.get(n)) for n in sizes if arm.curve[0].n <= n <= arm.curve[-1].n]
    main, look = study.main(), looks[arm.name]
    role = {main.first: "first", main.second: "second"}.get(arm.name) if main else None
    limit: Estimate | None = getattr(main.asymptote, role, None) if main and role else None
    slope: Estimate | None = getattr(main.slope, role, None) if main and role else None
    last = arm.curve[-1]
    told = percent(last.accuracy) + (f" at {pictures(last.n)}" if last.n < study.study.sizes[-1].n else "")
    notes = [f"{told}, asymptote {percent(limit.value)}" if limit else told]
    return Curve(
        look,
        [_sample(n, point, f"{look.words}, {labelled(study, n)}") for n, point in rows],
        notes=[*notes, f"{points(slope.value)} points per doubling"] if slope else notes,
        short=f"{told}\u00a0→\u00a0{percent(limit.value)}" if limit else told,
        strong=role is not None,
        limit=_with_ends(limit),
        slope=slope.value if slope else None,
    )


def _with_ends(limit: Estimate | None) -> tuple[float, float, float] | None:
    """An asymptote, where it has an interval."""
    if limit is None or limit.low is None or limit.high is None:
        return None
    return limit.value, limit.low, limit.high


def _sample(x: float, point: SizeAccuracy | EpochAccuracy | None, words: str) -> Sample:
    if point is None:
        return Sample(x, None)
    return Sample(x, point.accuracy, point.low, point.high, f"{words}: {share_with_interval(point, point.accuracy)}")


def _bracket(study: Verdicts, compared: Comparison) -> Bracket | None:
    """The difference at the smallest size, where both arms have it."""
    first, second = (study.arm(name).curve[0] for name in (compared.first, compared.second))
    if first.n != second.n or not compared.by_size:
        return None
    told = compared.by_size[0].difference
    ends = [] if told.low is None or told.high is None else [f"{points(told.low)} to", points(told.high)]
    return Bracket(first.n, (first.accuracy, second.accuracy), [points(told.value), "points", *ends])


def _arrow(study: Verdicts, compared: Comparison) -> Arrow | None:
    found = equivalence(compared)
    start = next((p for p in study.arm(compared.first).curve if found and p.n == found.n), None)
    return Arrow(found.n, start.accuracy, found.value, equivalence_words(found)) if found and start else None


def training_charts(study: Verdicts, looks: Looks) -> list[tuple[CurvesDisplay, list[TrainingCurve]]]:
    """Accuracy by epoch of the arms that were trained, a chart for each size, the largest first."""
    order = {size.name: i for i, size in enumerate(study.study.sizes)}
    told = sorted((each for each in study.training if each.points), key=lambda each: -order.get(each.size, 0))
    same = [list(group) for _, group in groupby(told, key=lambda each: (each.size, each.part))]
    return [(_against_epochs(study, looks, group), group) for group in same]


def _against_epochs(study: Verdicts, looks: Looks, told: list[TrainingCurve]) -> CurvesDisplay:
    n = next((size.n for size in study.study.sizes if size.name == told[0].size), None)
    sure = ", with 95% interval" if any(point.high is not None for each in told for point in each.points) else ""
    title = f"Accuracy on the {PART_WORDS[told[0].part]} pictures{sure}: {labelled(study, n, told[0].size)}"
    return CurvesDisplay(
        title,
        "Epoch",
        [_by_epoch(each, looks) for each in told],
        bracket=_higher_start(study, told),
        level="levelled\noff",
    )


def _higher_start(study: Verdicts, told: list[TrainingCurve]) -> Bracket | None:
    """The difference before any update, where both arms of the headline were trained."""
    main, begun = study.main(), {each.arm: each.start.value for each in told}
    if main is None or not {main.first, main.second} <= set(begun):
        return None
    first, second = begun[main.first], begun[main.second]
    return Bracket(0, (first, second), [points(first - second), "points"])


def _by_epoch(told: TrainingCurve, looks: Looks) -> Curve:
    look, last = looks[told.arm], percent(told.points[-1].accuracy)
    samples = [_sample(point.epoch, point, f"{look.words}, epoch {point.epoch:g}") for point in told.points]
    notes = [f"{last} at the end"] + ([f"levelled off at {percent(told.asymptote.value)}"] if told.asymptote else [])
    return Curve(look, samples, notes=notes, short=last, strong=True, limit=_with_ends(told.asymptote))
