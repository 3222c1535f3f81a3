"""What `headstart compare` prints of a study: the headline, accuracies, verdicts and reasons.

Budgets and notes are in the report.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from headstart.cli import terminal
from headstart.cli.flags import flagged
from headstart.cli.intervals import side_words, with_side
from headstart.cli.terminal import print
from headstart.phrases import first_sentence, joined

if TYPE_CHECKING:
    from headstart.schema.verdicts import Comparison, SizeAccuracy, Verdicts
    from headstart.study.execute import Study

Curves = dict[str, dict[str, "SizeAccuracy"]]
Written = Callable[["SizeAccuracy"], str]

WIDE = 100
"""From so many columns on, an interval is written with its two ends."""


def tell(study: Study) -> None:
    """Print what came of a study; what failed goes to standard error."""
    from headstart.images.sources.cells import NOT_READ
    from headstart.study.notes import SEEN
    from headstart.study.subsets import NOT_HAD

    found = study.findings
    print("\n".join(filter(None, first_sentence(found.headline))) + "\n")
    accuracies(found)
    print()
    for comparison in found.comparisons:
        print(_verdict(comparison))
    reasons(found)
    for arm in found.arms:
        if arm.failed:
            print(f"Arm {arm.name} failed: {flagged(arm.failed)}", file=sys.stderr)
    for sentence in found.experiments or ():
        print(f"Experiment: {sentence}")
    for note in found.notes:
        if note.startswith((NOT_HAD, SEEN)) or NOT_READ in note:  # what changes how the rest is to be read
            print(f"Note: {flagged(note)}")
    many = len(found.notes) + sum(len(arm.notes) for arm in found.arms)
    notes = {0: "", 1: ", with a note"}.get(many, f", with {many} notes")
    print(f"Report{notes} and every arm's budget: {study.folder / 'report.html'}")


def reasons(found: Verdicts) -> None:
    """Print each reason once, with the comparisons that it is about."""
    told: dict[str, list[str]] = {}
    for block in found.reasons:
        for reason in block.reasons:
            told.setdefault(reason.sentence, []).append(f"{block.first} against {block.second}")
    for sentence, pairs in told.items():
        print(f"Reason ({joined(pairs)}): {sentence}")


def _verdict(found: Comparison) -> str:
    """`sprout against pixels: helped, +9.4 points (+7.1 to +11.6).`"""
    from headstart.evidence.phrases import signed

    told = found.verdict.difference
    ends = "" if told.low is None or told.high is None else f" ({signed(told.low)} to {signed(told.high)})"
    why = " Nothing can be concluded from an arm that did not learn." if found.verdict.unlearnt else ""
    return f"{found.first} against {found.second}: {found.verdict.word}, {signed(told.value)} points{ends}.{why}"


def accuracies(verdicts: Verdicts) -> None:
    """Accuracy of each arm at each size with its 95% interval, as many sizes beside each other as fit."""
    sizes = [size.name for size in verdicts.study.sizes]
    curves = {arm.name: {point.size: point for point in arm.curve} for arm in verdicts.arms}
    room = terminal.width() - max(map(len, (*curves, "arm")))
    written, told = _ends, "with its 95% interval"
    if terminal.width() < WIDE or room < _needed(sizes, curves, _ends):
        written, told = _side, side_words(_side(point) for curve in curves.values() for point in curve.values())
    print(f"Accuracy in % {told}, by labelled pictures per class:")
    while sizes:
        fit = next((n for n in range(len(sizes), 1, -1) if _needed(sizes[:n], curves, written) <= room), 1)
        _table(curves, sizes[:fit], written)
        sizes = sizes[fit:]


def _needed(sizes: Sequence[str], curves: Curves, written: Written) -> int:
    """The columns that a table of these sizes takes beside the names of the arms."""
    cells = [[written(curve[size]) for curve in curves.values() if size in curve] for size in sizes]
    return sum(2 + max(map(len, (size, *column))) for size, column in zip(sizes, cells, strict=True))


def _table(curves: Curves, sizes: Sequence[str], written: Written) -> None:
    """One row for each arm; the best of a size is bold."""
    table = terminal.table()
    table.add_column("arm", overflow="fold")
    for size in sizes:
        table.add_column(size, justify="right", no_wrap=True)
    best = {size: max((c[size].accuracy for c in curves.values() if size in c), default=0.0) for size in sizes}
    for name, curve in curves.items():
        cells = [(curve[size], written(curve[size])) if size in curve else (None, "-") for size in sizes]
        table.add_row(
            name,
            *(
                terminal.bold(shown) if point and point.accuracy == best[size] else shown
                for size, (point, shown) in zip(sizes, cells, strict=True)
            ),
        )
    terminal.console().print(table)


def _ends(point: SizeAccuracy) -> str:
    """`93.8 (92.0 to 95.1)`."""
    ends = "" if point.low is None or point.high is None else f" ({100 * point.low:.1f} to {100 * point.high:.1f})"
    return f"{100 * point.accuracy:.1f}{ends}"


def _side(point: SizeAccuracy) -> str:
    """`93.8 ±1.6`; `99.2 ≥97.4`."""
    return with_side(point.accuracy, point.low, point.high)
