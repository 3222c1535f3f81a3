"""The tables of scores: each part before and after, what was taken for what, class by class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from headstart.metrics import counts_of
from headstart.phrases import NOTHING, joined, percent
from headstart.report.charts.confusion import ConfusionDisplay
from headstart.report.files import RunFiles
from headstart.report.numbers import count, decimal, digits_for, shown
from headstart.report.parts import PART_WORDS, USES, by_use, told, use
from headstart.schema.scores import PartScores

MATRIX_CLASSES = 30  # a larger one is drawn, with its worst confusions in a list
LISTED_CLASSES = 200
LISTED_CONFUSIONS = 25
SCORE_COLUMNS = (
    ("log_loss", "Log loss"),
    ("brier", "Brier"),
    ("macro_f1", "Macro F1"),
    ("roc_auc", "ROC AUC"),
    ("ece", "ECE"),
)


@dataclass(frozen=True)
class ScoreRow:
    """The scores of one part, before or after training, as text."""

    stage: str
    accuracy: str
    interval: str
    cells: list[str]


@dataclass(frozen=True)
class ScoreGroup:
    """One part of the data with its rows; `use` says why it is no test, `seen` whether the head was fitted on it."""

    part: str
    n: str
    rows: list[ScoreRow]
    use: str
    seen: bool


def score_groups(files: RunFiles) -> list[ScoreGroup]:
    """One group for each part that was scored, tests first: before, then after."""
    stages = (("before", files.before), ("after", files.after))
    return [
        ScoreGroup(
            part=PART_WORDS[part],
            n=count(files.after[part].n),
            rows=[
                _score_row(stage, block[part], calibrated=part == files.scores.calibration.fitted_on)
                for stage, block in stages
                if part in block
            ],
            use=USES[use(files.scores, part)],
            seen=use(files.scores, part) == "seen",
        )
        for part in told(files.scores)
    ]


def not_tests(files: RunFiles) -> str:
    """Why the figures of pictures that the head was fitted on are no test, in a sentence."""
    seen = [PART_WORDS[part] for part in by_use(files.scores).get("seen", [])]
    if not seen:
        return ""
    return f"The classifier has seen the {joined(seen)} pictures: their figures say nothing of other ones."


def _score_row(stage: str, s: PartScores, calibrated: bool) -> ScoreRow:
    """Without a calibration error where the temperature was fitted on these very pictures (`calibrated`)."""
    digits = digits_for(s.n)
    low, high = s.accuracy_low, s.accuracy_high
    interval = NOTHING if low is None else f"{percent(low, digits).removesuffix('%')} to {percent(high, digits)}"
    cells = [NOTHING if calibrated and key == "ece" else decimal(getattr(s, key)) for key, _ in SCORE_COLUMNS]
    return ScoreRow(stage, percent(s.accuracy, digits), interval, cells)


@dataclass(frozen=True)
class ConfusionCell:
    """One cell of the confusion matrix; `shade` is 0..1, `kind` is right, wrong or none, `place` (true, named)."""

    n: int
    shade: float
    kind: str
    share: str
    words: str
    place: tuple[int, int]


def matrix(files: RunFiles) -> list[tuple[str, list[ConfusionCell]]]:
    """(True class, cells by predicted class); empty when there are too many classes to read."""
    names, counts = files.classes, confusion(files.after, files)
    if not counts or len(names) > MATRIX_CLASSES:
        return []
    rows = [[0] * len(names) for _ in names]
    for i, j, n in counts:
        rows[i][j] = n
    return [(shown(name, 40), _cells(i, row, names)) for i, (name, row) in enumerate(zip(names, rows, strict=True))]


def _cells(true: int, row: list[int], names: list[str]) -> list[ConfusionCell]:
    total, cells = max(1, sum(row)), []
    for predicted, n in enumerate(row):
        kind = "none" if n == 0 else "right" if predicted == true else "wrong"
        shade = round(0.08 + 0.82 * (n / total) ** 0.5, 3) if n else 0.0  # the root keeps rare mistakes visible
        words = f"{count(n)} of {count(total)} {shown(names[true], 40)} predicted {shown(names[predicted], 40)}"
        cells.append(ConfusionCell(n, shade, kind, percent(n / total), words, (true, predicted)))
    return cells


def confused(files: RunFiles) -> dict[tuple[int, int], tuple[int, float]]:
    """The most frequent mistakes, worst first: by (true, predicted) the pictures and their share of the true class."""
    names, counts = files.classes, confusion(files.after, files)
    totals: dict[int, int] = {}
    for i, _, n in counts:
        totals[i] = totals.get(i, 0) + n
    pairs = [(n, n / totals[i], i, j) for i, j, n in counts if i != j]
    pairs.sort(key=lambda pair: (-pair[0], -pair[1], names[pair[2]], names[pair[3]]))
    return {(i, j): (n, share) for n, share, i, j in pairs[:LISTED_CONFUSIONS]}


def confusions(files: RunFiles) -> list[tuple[str, str, str, str, tuple[int, int]]]:
    """The same as text: (true, predicted, pictures, share of the true class, their numbers)."""
    names = files.classes
    return [
        (shown(names[i], 60), shown(names[j], 60), count(n), percent(share), (i, j))
        for (i, j), (n, share) in confused(files).items()
    ]


def confusion(block: Mapping[str, PartScores], files: RunFiles) -> list[tuple[int, int, int]]:
    """(true, predicted, count) of the judged part in a block of scores, `before` or `after`."""
    judged = block.get(files.judged)
    return counts_of(judged.confusion, len(files.classes)) if judged else []


def confusion_charts(files: RunFiles) -> list[ConfusionDisplay]:
    """The matrix of the judged part; none where nothing was judged."""
    cells = confusion(files.after, files)
    counts = np.zeros((len(files.classes),) * 2, dtype=np.int64)
    for true, predicted, n in cells:
        counts[true, predicted] = n
    return [ConfusionDisplay(counts, [shown(name, 40) for name in files.classes])] if cells else []


def per_class(files: RunFiles) -> list[list[str]]:
    """[class, pictures, precision, recall, F1]: in class order while readable, otherwise the worst F1 first."""
    rows = list(files.after[files.judged].per_class) if files.judged else []
    if len(rows) > MATRIX_CLASSES:
        rows.sort(key=lambda row: (row.f1 is None, row.f1 or 0.0, row.class_))
    return [
        [shown(row.class_, 60), count(row.n), *(decimal(score, 3) for score in (row.precision, row.recall, row.f1))]
        for row in rows[:LISTED_CLASSES]
    ]
