"""The tables of a study: arms by sizes, what each arm cost and was given, what failed, and the files of the folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from headstart.phrases import NOTHING, percent, plural
from headstart.report.numbers import count, duration, shown
from headstart.report.study.words import interval, pictures, size_words
from headstart.schema.verdicts import ArmSummary, SizeAccuracy, Verdicts

FILES = {
    "verdicts.json": "every number and sentence of this page",
    "study.csv": "one row for each arm, size and repeat: accuracy, log loss, time, chosen settings",
    "study.parquet": "the same as a Parquet table",
    "predictions.parquet": "the prediction of every fit for every test picture",
    "history.csv": "accuracy and loss of trained arms, epoch by epoch",
    "study.toml": "every setting of the study, as headstart compare reads it",
    "refused.csv": "files that could not be read, with the reason",
    "pictures.json": "what was found when the pictures were read",
    "environment.json": "versions of the packages, and the machine",
    "cells": "each fit by itself, so that an interrupted study can continue where it was",
}
KINDS = {"pixels": "raw pixels", "features": "frozen features", "scratch": "from scratch", "finetune": "fine-tuned"}


@dataclass(frozen=True)
class AccuracyCell:
    """One accuracy with its interval; `best` is the highest of its column."""

    accuracy: str
    interval: str
    best: bool


@dataclass(frozen=True)
class AccuracyTable:
    """Arms down, sizes across; None where an arm has no result at a size."""

    columns: list[str]
    rows: list[tuple[str, list[AccuracyCell | None], str]]


def accuracies(study: Verdicts, words: dict[str, str]) -> AccuracyTable:
    """Every accuracy of the study. Where all arms reach the same at a size, none is marked as best."""
    points = {arm.name: {point.n: point for point in arm.curve} for arm in study.arms if arm.curve}
    best = {}
    for size in study.study.sizes:
        column = [of_arm[size.n].accuracy for of_arm in points.values() if size.n in of_arm]
        best[size.n] = max(column) if column and max(column) > min(column) else None
    rows = []
    for name, of_arm in points.items():
        cells = [_cell(of_arm.get(size.n), best[size.n]) for size in study.study.sizes]
        rows.append((words[name], cells, _repeats(list(of_arm.values()))))
    return AccuracyTable([size_words(size) for size in study.study.sizes], rows)


def _cell(point: SizeAccuracy | None, best: float | None) -> AccuracyCell | None:
    if point is None:
        return None
    return AccuracyCell(percent(point.accuracy), interval(point.low, point.high), point.accuracy == best)


def _repeats(points: list[SizeAccuracy]) -> str:
    numbers = sorted({len(point.repeats) for point in points})
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"


COSTS = ("Time", "Trained parameters", "Network parameters", "Features", "Pictures per second")


def costs(study: Verdicts, words: dict[str, str]) -> list[tuple[str, str, list[str]]]:
    """(arm, kind, cells under `COSTS`)."""
    return [(words[arm.name], kind(arm), _costs(arm)) for arm in study.arms]


def kind(arm: ArmSummary) -> str:
    """`transfer, frozen features`."""
    return f"{'transfer' if arm.transfer else 'source-free'}, {KINDS.get(arm.kind, arm.kind)}"


def _costs(arm: ArmSummary) -> list[str]:
    speed = arm.extraction.images_per_s if arm.extraction and arm.extraction.computed else None  # not that of the store
    told = NOTHING if speed is None else count(speed) if speed >= 10 else f"{speed:.1f}"
    return [duration(arm.total_s), *map(count, (arm.trained_parameters, arm.network_parameters, arm.features)), told]


def fit_seconds(study: Verdicts, words: dict[str, str]) -> list[tuple[str, list[str]]]:
    """(arm, median time of one fit by size); empty where no arm has any."""
    sizes = len(study.study.sizes)
    rows = [(words[arm.name], [*arm.fit_s, *[None] * sizes][:sizes]) for arm in study.arms if arm.fit_s]
    return [(name, [duration(seconds) for seconds in row]) for name, row in rows if any(s is not None for s in row)]


def budgets(study: Verdicts, words: dict[str, str]) -> list[tuple[str, str, str]]:
    """(arm, transfer or source-free, what was tried)."""
    return [
        (words[arm.name], "transfer" if arm.transfer else "source-free", shown(arm.budget, 600))
        for arm in study.arms
        if arm.budget
    ]


def facts(study: Verdicts) -> str:
    """What was compared, in two sentences."""
    told, sizes = study.study, study.study.sizes
    span = f"{pictures(sizes[0].n)} labelled pictures per class"
    if len(sizes) > 1:
        span = f"{len(sizes)} sizes from {pictures(sizes[0].n)} to {pictures(sizes[-1].n)} labelled pictures per class"
    test = f"All were judged on the same {plural(told.n_test, 'test picture')}"
    test += f" of {plural(len(told.classes), 'class', 'classes')}" if told.classes else ""
    took = f" The study took {duration(told.seconds)}." if told.seconds is not None else ""
    repeats = plural(told.repeats, "repeat")
    if told.trained_repeats is not None:
        repeats += f" ({told.trained_repeats} of arms that train a network)"
    return f"{plural(len(study.arms), 'arm')}, {span}, {repeats}. {test}.{took}"


def failures(study: Verdicts, words: dict[str, str]) -> list[tuple[str, str]]:
    """(arm, why it has no results or not all)."""
    return [(words[arm.name], shown(arm.failed, 1000)) for arm in study.arms if arm.failed]


def notes(study: Verdicts, words: dict[str, str]) -> list[tuple[str, str]]:
    """(arm or nothing, note): the study's own, then those of each arm."""
    own = [("", shown(note, 2000)) for note in study.notes]
    return own + [(words[arm.name], shown(note, 2000)) for arm in study.arms for note in arm.notes]


def files(folder: Path) -> list[tuple[str, str]]:
    """The files of the study folder that are there, each with a line."""
    return [(name, words) for name, words in FILES.items() if (folder / name).exists()]
