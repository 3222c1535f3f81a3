"""What the commands print: progress with rate and time left, score tables, sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from headstart.cli import terminal
from headstart.cli.flags import flagged
from headstart.cli.terminal import print
from headstart.visible import visible

if TYPE_CHECKING:
    from headstart.images import Refusal
    from headstart.progress import Progress
    from headstart.schema.scores import RunScores
    from headstart.schema.verdicts import SizeAccuracy, Verdicts

STAGES = {
    "open": "Network",
    "extract": "Features",
    "fit": "Training",
    "folds": "Judging",
    "download": "Download",
    "verify": "Checking",
    "compare": "No views",
    "frozen features": "Frozen",
    "train": "Training",
    "features": "Trained",
    "look": "Pictures",
    "cells": "Study",
    "explain": "Maps",
}
RATES = {
    "extract": "images/s",
    "view": "images/s",
    "views": "images/s",
    "average": "images/s",
    "frozen features": "images/s",
    "features": "images/s",
    "train": "steps/s",
    "verify": "rows/s",
    "download": "B/s",
    "look": "images/s",
    "cells": "fits/s",
    "explain": "images/s",
    "folds": "fits/s",
}


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A bar for each stage with count, rate and time left; on a pipe, nothing is drawn.

    What follows a `|` in the name of a stage is live text, shown under the bars until the next stage.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Bars(Progress):
        said = ""

        def get_renderables(self) -> Iterator[Any]:
            yield self.make_tasks_table(self.tasks)
            if self.said:
                yield Text(visible(self.said), style="dim", overflow="ellipsis", no_wrap=True)

    bar = Bars(
        TextColumn("{task.description:<9}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not Console(stderr=True).is_terminal,
    )
    tasks: dict[str, Any] = {}
    with bar:

        def advance(stage: str, done: int, total: int) -> None:
            stage, _, bar.said = stage.partition("|")
            if stage not in tasks:
                tasks[stage] = bar.add_task(STAGES.get(stage, stage.capitalize()), total=total, rate="")
            task = bar.tasks[tasks[stage]] if bar.tasks else None
            speed = task.speed if task is not None else None
            unit = RATES.get(stage) or RATES.get(stage.split(" ")[0])  # views are numbered: "view 1 of 2"
            rate = f"{speed:,.{0 if speed >= 10 else 1}f} {unit}" if speed and unit else ""
            bar.update(tasks[stage], completed=done, total=total, rate=rate)

        yield advance


def run_result(scores: RunScores) -> None:
    """What a run comes to: the sentence of the report, then the table of scores."""
    from headstart.report.headline import headline

    print(f"{headline(scores)}\n")
    scores_table(scores)


def scores_table(scores: RunScores) -> None:
    """Accuracy before and after for each part: tests first, faint and last what the classifier was fitted on."""
    from headstart.report.parts import USES, by_use

    table = terminal.table()
    for column in ("part", "images", "before", "after", "95% interval", "log loss", "macro F1"):
        table.add_column(column, justify="left" if column == "part" else "right")
    for kind, parts in by_use(scores).items():
        style = "dim" if kind == "seen" else ""
        if USES[kind]:
            table.add_row(f"{USES[kind]}:", style=style)
        for part in parts:
            table.add_row(*_score_cells(scores, part, bold=kind == "test"), style=style)
    terminal.console(80).print(table)


def _score_cells(scores: RunScores, part: str, bold: bool) -> list[Any]:
    """A row of the table of scores; parts that are no test are indented under what they were used for."""
    after, before = scores.after[part], scores.before.get(part)
    accuracy = f"{after.accuracy:.4f}"
    return [
        ("cross-validated" if part == "cv" else part) if bold else f"  {part}",
        f"{after.n:,}",
        f"{before.accuracy:.4f}" if before else "-",
        terminal.bold(accuracy) if bold else accuracy,
        f"{after.accuracy_low:.4f} to {after.accuracy_high:.4f}",
        f"{after.log_loss:.4f}",
        f"{after.macro_f1:.4f}",
    ]


def study_table(verdicts: Verdicts) -> None:
    """Accuracy of each arm at each size with its interval; the best of a size is bold."""
    sizes = [size.name for size in verdicts.study.sizes]
    found = {arm.name: {point.size: point for point in arm.curve} for arm in verdicts.arms}
    best = {size: max((c[size].accuracy for c in found.values() if size in c), default=0.0) for size in sizes}
    table = terminal.table()
    table.add_column("labelled per class", no_wrap=True)
    for size in sizes:
        table.add_column(size, justify="right")
    for name, curve in found.items():
        table.add_row(name, *(_accuracy(curve.get(size), best[size]) for size in sizes))
    terminal.console(max(map(len, found), default=0) + 24 * (1 + len(sizes))).print(table)


def _accuracy(point: SizeAccuracy | None, best: float) -> Any:
    """`0.938 (0.92 to 0.95)`."""
    if point is None:
        return "-"
    ends = "" if point.low is None else f" ({point.low:.3f} to {point.high:.3f})"
    shown = f"{point.accuracy:.3f}{ends}"
    return terminal.bold(shown) if point.accuracy == best else shown


def run_facts(scores: RunScores) -> None:
    """Where the features came from, how fast, with how much memory; and the notes."""
    from headstart.report.enough import enough_words

    counts, timings, trained = scores.counts, scores.timings, scores.training
    what = f"{scores.run.n_features:,} features" if not trained else "rows for the network's trained part"
    twins = f"{counts.repeated:,} equal to another, " if counts.repeated else ""
    print(
        f"{counts.images:,} images, {what}: {counts.computed:,} computed, {counts.reused:,} reused, {twins}"
        f"{counts.decoded:,} decoded, {counts.refused:,} refused; {timings.images_per_s:,.0f} images/s."
    )
    opening = f" (of which opening the network {timings.open_s:.1f} s)" if (timings.open_s or 0.0) >= 0.1 else ""
    judged = f"judging {timings.judge_s:.1f} s, " if timings.judge_s is not None else ""
    print(
        f"Extraction {timings.extract_s:.1f} s{opening}, fit {timings.fit_s:.1f} s, {judged}"
        f"in all {timings.total_s:.1f} s; peak memory {scores.memory.peak_mb:,.0f} MB."
    )
    if trained:
        _training(scores)
    if scores.augment:
        _augmentation(scores)
    if told := enough_words(scores):
        print(told)
    for note in scores.notes:
        print(f"Note: {flagged(note)}")


def _training(scores: RunScores) -> None:
    """What was trained, what that gained on the pictures judged, what storing saved, and the chosen numbers."""
    from headstart.report import training
    from headstart.report.parts import ACCURACY_WORDS, judged_part

    part = judged_part(scores)
    found = training.gain(scores, part)
    gained = (
        f" {ACCURACY_WORDS[part]} {found.frozen.accuracy:.4f} frozen, {found.trained.accuracy:.4f} trained: "
        f"{found.points:+.2f} points."
        if found
        else ""
    )
    print(f"{training.what(scores)}{gained}")
    print(training.saved(scores))
    print(training.chosen(scores))


def _augmentation(scores: RunScores) -> None:
    """What was drawn, and the accuracy step by step."""
    from headstart.report.numbers import plural
    from headstart.report.parts import ACCURACY_WORDS, judged_part

    told, part = scores.augment or {}, judged_part(scores)
    views = told["views"]
    many = f"{plural(views, 'view')} of each training picture beside the plain one"
    averaged = f", {told['tta']} views averaged for every answer" if told["tta"] > 1 else ""
    print(
        f"Augmentation {told['name']}: {many if views else 'other views every epoch'}{averaged}; "
        f"{told['computed']:,} computed, {told['reused']:,} reused in {told['seconds']:.1f} s."
    )
    words = {"plain": "without views", "views": "with views", "averaging": "with averaging"}
    steps = [f"{words[s['step']]} {s['accuracy']:.4f}{_difference(s)}" for s in told["steps"]]
    if len(steps) > 1:
        print(f"{ACCURACY_WORDS[part]} {', '.join(steps)}.")


def _difference(step: Mapping[str, Any]) -> str:
    from headstart.report.numbers import plural

    return f" ({plural(step['mended'], 'mistake')} mended, {step['made']} made)" if "mended" in step else ""


def refusals(refused: Sequence[Refusal], strict: bool = False) -> None:
    """One line of reason for each picture that was left out, and what would admit some of them, on standard error.

    Where there are some, a `strict` command ends with code 2.
    """
    import sys

    from headstart.images.cures import list_cures

    for r in refused:
        detail = f" ({r.detail})" if r.detail else ""
        print(
            f"refused: {r.name!r}: {r.reason}{detail}"
            if not r.name.isprintable()
            else f"refused: {r.name}: {r.reason}{detail}",
            file=sys.stderr,
        )
    for sentence in list_cures(refused):
        print(f"Note: {sentence}", file=sys.stderr)
    if strict and refused:
        raise typer.Exit(2)


def size(count: float) -> str:
    """Bytes for people: 1,024 -> '1.0 kB' (units of 1,000)."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            break
        count /= 1000
    return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"
