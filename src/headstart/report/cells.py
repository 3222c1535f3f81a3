"""The pictures behind the cells of the confusion matrix: those of one class that were given one class.

A page holds only some of them, so that it stays small: of each cell the first few, and pictures for the first of all.
The first of every cell comes first, then the other mistakes, then the other right answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headstart.phrases import plural
from headstart.report.examples import Example, Thumbnail, example
from headstart.report.files import Prediction, RunFiles
from headstart.report.numbers import shown
from headstart.report.tables import MATRIX_CLASSES, confused

MISTAKES, RIGHT = 6, 4
"""Pictures listed in a cell at most."""
LISTED = 240
"""Pictures listed in all cells; beyond them, one in each."""
PICTURED = 96
"""Of those the ones that are shown; the others are names."""
SIDE = 96
Place = tuple[int, int]


@dataclass(frozen=True)
class Cell:
    """What opens at a cell of the matrix: `key` names it on the page, `left` counts those that are not listed."""

    key: str
    title: str
    words: str
    examples: list[Example]
    left: int


def cells(files: RunFiles, thumbnail: Thumbnail | None) -> dict[Place, Cell]:
    """By (true, named) class, as numbers: every cell of a matrix, or the listed mistakes where there is none."""
    names = files.classes
    rows = _by_place(files.predictions, names)
    if len(names) > MATRIX_CLASSES:
        rows = {place: rows[place] for place in confused(files) if place in rows}
    chosen = {place: each[: RIGHT if place[0] == place[1] else MISTAKES] for place, each in rows.items()}
    turns = [
        (turn > 0, i == j, turn, -len(rows[i, j]), i, j) for (i, j), each in chosen.items() for turn in range(len(each))
    ]
    listed: dict[Place, list[Example]] = {place: [] for place in rows}
    for number, (_, _, turn, _, *place) in enumerate(sorted(turns)):
        if turn == 0 or number < LISTED:
            row = chosen[place[0], place[1]][turn]
            listed[place[0], place[1]].append(example(row, thumbnail if number < PICTURED else None, SIDE))
    return {place: _cell(place, listed[place], len(rows[place]), names) for place in sorted(rows)}


def _by_place(predictions: Sequence[Prediction], names: Sequence[str]) -> dict[Place, list[Prediction]]:
    """Mistakes the most confident first, right answers the least."""
    number = {name: i for i, name in enumerate(names)}
    found: dict[Place, list[Prediction]] = {}
    for row in sorted(predictions, key=lambda row: (row.confidence if row.right else -row.confidence, row.name)):
        if row.label in number and row.predicted in number:
            found.setdefault((number[row.label], number[row.predicted]), []).append(row)
    return found


def _cell(place: Place, examples: list[Example], n: int, names: Sequence[str]) -> Cell:
    true, named = (shown(names[i], 40) for i in place)
    right = true == named
    words = "" if n == 1 else f", the {'least sure' if right else 'most confident'} first"
    return Cell(
        f"{place[0]}-{place[1]}",
        f"{true}, correct" if right else f"{true}, predicted {named}",
        f"{plural(n, 'picture')}{words}.",
        examples,
        n - len(examples),
    )
