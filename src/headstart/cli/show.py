"""What the commands print: score tables, facts of a run, refusals, sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from headstart.cli import terminal
from headstart.cli.flags import flagged
from headstart.cli.terminal import print
from headstart.phrases import plural

if TYPE_CHECKING:
    from headstart.images import Refusal
    from headstart.schema.scores import RunScores


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


def run_facts(scores: RunScores) -> None:
    """Where the features came from, how fast, with how much memory; and the notes."""
    from headstart.report.enough import enough_words

    counts, timings, trained = scores.counts, scores.timings, scores.training
    images = plural(counts.images or 0, "image")
    what = plural(scores.run.n_features or 0, "feature") if not trained else "rows for the network's trained part"
    rate = f"; {timings.images_per_s:,.0f} images/s" if counts.computed else ""  # else it is that of the store
    twins = f"{counts.repeated:,} equal to another, " if counts.repeated else ""
    print(
        f"{images}, {what}: {counts.computed:,} computed, {counts.reused:,} reused, {twins}"
        f"{counts.decoded:,} decoded, {counts.refused:,} refused{rate}."
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
    from headstart.evidence.phrases import signed
    from headstart.report import training
    from headstart.report.parts import ACCURACY_WORDS, judged_part

    part = judged_part(scores)
    found = training.gain(scores, part)
    gained = (
        f" {ACCURACY_WORDS[part]} {found.frozen.accuracy:.4f} frozen, {found.trained.accuracy:.4f} trained: "
        f"{signed(found.points / 100)} points."
        if found
        else ""
    )
    print(f"{training.what(scores)}{gained}")
    print(training.saved(scores))
    print(training.chosen(scores))


def _augmentation(scores: RunScores) -> None:
    """What was drawn, and the accuracy step by step."""
    from headstart.report.parts import ACCURACY_WORDS, judged_part

    told, part = scores.augment or {}, judged_part(scores)
    views = told["views"]
    many = f"{plural(views, 'view')} of each training picture besides the original"
    averaged = f", {told['tta']} views averaged for each prediction" if told["tta"] > 1 else ""
    print(
        f"Augmentation {told['name']}: {many if views else 'other views every epoch'}{averaged}; "
        f"{told['computed']:,} computed, {told['reused']:,} reused in {told['seconds']:.1f} s."
    )
    words = {"plain": "without views", "views": "with views", "averaging": "with averaging"}
    steps = [f"{words[s['step']]} {s['accuracy']:.4f}{_difference(s)}" for s in told["steps"]]
    if len(steps) > 1:
        print(f"{ACCURACY_WORDS[part]} {', '.join(steps)}.")


def _difference(step: Mapping[str, Any]) -> str:
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
        print(f"Note: {flagged(sentence)}", file=sys.stderr)
    if strict and refused:
        raise typer.Exit(2)


def size(count: float) -> str:
    """Bytes for people: 1,024 -> '1.0 kB' (units of 1,000)."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            break
        count /= 1000
    return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"
