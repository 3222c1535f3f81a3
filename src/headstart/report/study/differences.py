"""Differences with their intervals around a zero line: by size of one comparison, and class by class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headstart.phrases import percent, plural
from headstart.report.charts.differences import DifferenceRow, DifferencesDisplay
from headstart.report.numbers import shown
from headstart.report.study.words import MARKS, labelled, points, points_with_interval, size_at, sizes_of
from headstart.schema.verdicts import ClassRecall, Comparison, PerClass, Verdict, Verdicts

LISTED_CLASSES = 30


def by_size(study: Verdicts, compared: Comparison, about: str = "") -> DifferencesDisplay:
    """The difference over all sizes, where there are several, then at each; `about` names the two arms."""
    over = sizes_of(study, compared)
    rows = [_verdict(over.removeprefix("over "), compared.verdict, strong=True)] if over.startswith("over ") else []
    rows += [_verdict(size_at(study, each.n), each) for each in compared.by_size]
    title = "Difference in points, by labelled pictures per class"
    return DifferencesDisplay(title, rows, margin=100 * compared.margin, about=about)


def _verdict(label: str, verdict: Verdict, strong: bool = False) -> DifferenceRow:
    mark, found, note = MARKS[verdict.word], verdict.difference, points_with_interval(verdict.difference)
    low, high = (None if end is None else 100 * end for end in (found.low, found.high))
    words = f"{shown(label)}: {note}, {mark.word}"
    return DifferenceRow(shown(label), 100 * found.value, low, high, f"{mark.shape} {note}", mark.tone, strong, words)


@dataclass(frozen=True)
class ByClass:
    """Gains and losses of one comparison, and how many classes are not shown; `pair` are the names of its arms."""

    title: str
    pair: str
    plot: DifferencesDisplay
    rest: str


def by_class(study: Verdicts, words: dict[str, str]) -> list[ByClass]:
    """The comparisons of transfer arms with source-free ones, the headline's first, then the others."""
    main, order = study.main(), [(c.first, c.second) for c in study.against_source_free()]
    order.sort(key=lambda pair: main is None or pair != (main.first, main.second))
    told = [each for each in study.per_class if each.classes]
    told.sort(key=lambda each: order.index((each.first, each.second)) if (each.first, each.second) in order else 999)
    return [_by_class(study, each, words) for each in told]


def _by_class(study: Verdicts, told: PerClass, words: dict[str, str]) -> ByClass:
    ordered = sorted(told.classes, key=lambda each: -each.difference)
    kept, half = ordered, LISTED_CLASSES // 2
    if len(ordered) > LISTED_CLASSES:
        kept = ordered[:half] + ordered[-half:]
    rest = len(ordered) - len(kept)
    size = next((s.n for s in study.study.sizes if s.name == told.size), None)
    title = f"{words[told.first]} against {words[told.second]}, with {labelled(study, size, told.size)}"
    gap = half if rest else None
    plot = DifferencesDisplay("Difference in points", [_class(each) for each in kept], gap=gap, about=title)
    return ByClass(title, f"{told.first}-{told.second}", plot, _rest(rest, half, ordered[half : len(ordered) - half]))


def _rest(rest: int, half: int, between: Sequence[ClassRecall]) -> str:
    if not rest:
        return ""
    ends = f"{points(between[-1].difference)} to {points(between[0].difference)} points"
    return (
        f"Shown are the {half} largest gains and the {half} largest losses. Left out between them: "
        f"{plural(rest, 'class', 'classes')}, {ends}."
    )


def _class(each: ClassRecall) -> DifferenceRow:
    """Its tone tells the sign of the interval."""
    name, note = shown(each.class_), f"{percent(each.second)} → {percent(each.first)}"
    note += f" of {plural(each.n, 'picture')}" if each.low is None else ""
    low, high = (None if end is None else 100 * end for end in (each.low, each.high))
    tone = "gain" if low is not None and low > 0 else "loss" if high is not None and high < 0 else "none"
    return DifferenceRow(name, 100 * each.difference, low, high, note, tone, words=f"{name}: {note}")
