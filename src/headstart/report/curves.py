"""The learning history as charts: loss and accuracy by epoch, or validation loss against what was searched."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from headstart.phrases import joined, percent
from headstart.report.charts.lines import Line, LinesDisplay
from headstart.report.files import RunFiles
from headstart.report.head import CHOICES, CHOSEN_WORDS, CRITERIA, best_epoch
from headstart.report.numbers import plain
from headstart.report.parts import PART_WORDS
from headstart.report.ways import ways_charts

TABLE_ROWS = 300
DRAWN = ("train", "val", "test")
START, SOLVED = 0, 1
"""`phase` in the history of a trained network: a head of zeros, a head solved on frozen features."""
TITLES = {"log_loss": "Log loss", "loss": "Log loss", "squared_error": "Squared error", "accuracy": "Accuracy"}
HARDER = {"label_smoothing": "label smoothing", "mixup": "mixup"}
"""Settings that only the training loss is computed with."""


@dataclass(frozen=True)
class History:
    """Charts of the learning history, and the numbers themselves."""

    charts: list[LinesDisplay]
    columns: list[str]
    rows: list[list[str]]


def history(files: RunFiles) -> History | None:
    """The learning history; None when the head has none worth drawing (fewer than two points)."""
    keys = list(dict.fromkeys(key for row in files.history for key in row))
    if found := ways_charts(files.history, _head(files)):
        return History(found, keys, _table(files, keys))
    x = next((key for key in ("epoch", *CHOICES) if key in keys), None)
    if x is None:
        return None
    rows = sorted((row for row in files.history if x == "epoch" or row.get(x, 0) > 0), key=lambda row: row.get(x, 0))
    start, rows = _without_start(rows)
    mark = _mark(files, x, rows)
    names = {part: PART_WORDS[part].capitalize() for part in DRAWN}
    if "choice" in _head(files):  # rows of its trials, held out of pictures that it was then fitted on
        names["val"] = "Held out"
    kinds = (tuple(CRITERIA), ("accuracy",))
    charts = [chart for chart in (_chart(rows, x, each, mark, start, names) for each in kinds) if chart]
    return History(charts, keys, _table(files, keys)) if charts else None


def _head(files: RunFiles) -> dict[str, Any]:
    return dict(files.scores.head)


def _table(files: RunFiles, keys: Sequence[str]) -> list[list[str]]:
    return [[plain(row.get(key)) for key in keys] for row in files.history[:TABLE_ROWS]]


def start_words(files: RunFiles) -> str:
    """What epoch 0 is, where the head was solved before the network was trained, and what test pictures are for."""
    solved = any(row.get("phase") == SOLVED for row in files.history)
    told = ["Epoch 0 is the head fitted on frozen features, before any block was changed."] if solved else []
    if any("test_loss" in row for row in files.history):
        told.append(
            "Test scores are for you to look at: they are of up to a few hundred test pictures, and nothing was chosen "
            "by them."
        )
    plan = (files.scores.training or {}).get("plan") or {}
    if harder := [words for key, words in HARDER.items() if plan.get(key)]:
        told.append(
            f"The training loss is computed with {joined(harder)}, the other losses without, so it may lie above them."
        )
    if files.scores.training and files.scores.training.get("blend") not in (None, 1):
        told.append(
            "The network that is kept lies between the one before training and the last one here (WiSE-FT), so its "
            "scores are not those of an epoch."
        )
    return " ".join(told)


def _mark(files: RunFiles, x: str, rows: Sequence[dict[str, float]]) -> tuple[float | None, str]:
    if x == "epoch":
        best = best_epoch(files)
        verb = "chosen" if "choice" in _head(files) else "kept"
        return best, "" if best is None else f"epoch {best:g}, {verb}"
    said = _head(files).get(x)
    if not isinstance(said, int | float):
        return None, ""
    near = min((row[x] for row in rows), key=lambda value: abs(value - said), default=said)
    mark = near if math.isclose(near, said, rel_tol=1e-4) else float(said)
    return mark, f"{CHOSEN_WORDS[x]} = {said:g}, chosen"


def _without_start(rows: list[dict[str, float]]) -> tuple[dict[str, float], list[dict[str, float]]]:
    """The row of a head of zeros apart, where one of the head solved on frozen features follows it: it would make the
    scale so large that nothing could be read from the rest."""
    judged = ("val_loss", "test_loss")
    solved = any(row.get("phase") == SOLVED and any(key in row for key in judged) for row in rows)
    start = next((row for row in rows if solved and row.get("phase") == START), {})
    return start, [row for row in rows if row is not start]


def _chart(
    rows: Sequence[dict[str, float]],
    x: str,
    kinds: Sequence[str],
    mark: tuple[float | None, str],
    start: dict[str, float],
    names: dict[str, str],
) -> LinesDisplay | None:
    """Curves of the first of `kinds` that the history has, of training and of validation or else of test; None with
    fewer than two points."""
    kind = next((kind for kind in kinds if rows and any(f"{p}_{kind}" in rows[-1] for p in DRAWN)), "")
    keys = {part: f"{part}_{kind}" for part in DRAWN}
    points = {part: [(r[x], r[k]) for r in rows if k in r and math.isfinite(r[k])] for part, k in keys.items()}
    lines = [Line(names[part], part, found) for part, found in points.items() if found]
    values = [at for line in lines for at, _ in line.points]
    if len(set(values)) < 2:
        return None
    begun = next((start[keys[part]] for part in ("val", "test", "train") if keys[part] in start), None)
    told = percent(begun) if kind == "accuracy" else f"{begun or 0:.3g}"
    axis = CHOSEN_WORDS.get(x, x)
    return LinesDisplay(
        TITLES[kind],
        axis[0].upper() + axis[1:],
        lines,
        log=x != "epoch" and max(values) > 20 * min(values),
        percent=kind == "accuracy",
        whole=x == "epoch",
        mark=mark[0],
        marked=[point for line in lines for point in line.points if point[0] == mark[0]],
        said=mark[1],
        remark="" if begun is None else f"a head of zeros had {told}",
    )
