"""What a report reads: the files of one run folder, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from headstart import documents
from headstart.errors import UserError
from headstart.records import read_csv
from headstart.report.parts import judged_part, scored
from headstart.schema.scores import AboutRun, PartScores, RunScores, read


class Prediction(NamedTuple):
    """One row of predictions.csv: class names, and the probability given to the predicted one."""

    name: str
    split: str
    label: str
    predicted: str
    confidence: float

    @property
    def right(self) -> bool:
        """Whether the predicted class is the true one."""
        return self.label == self.predicted


@dataclass(frozen=True)
class RunFiles:
    """The content of a run folder; a file that is not there is empty, only scores.json is required.

    `predictions` holds the rows of the judged part only. The split's counts come from the scores.
    """

    folder: Path
    scores: RunScores
    recipe: str
    environment: dict[str, Any]
    predictions: tuple[Prediction, ...]
    refused: tuple[dict[str, str], ...]
    history: tuple[dict[str, float], ...]
    tried: tuple[dict[str, float], ...] = ()
    """Learning rates that were tried before a network was trained, and the losses they led to."""

    @property
    def run(self) -> AboutRun:
        """The `run` block of scores.json."""
        return self.scores.run

    @property
    def before(self) -> Mapping[str, PartScores]:
        """Scores by part before training."""
        return self.scores.before

    @property
    def after(self) -> dict[str, PartScores]:
        """Scores by part after training; empty parts are absent."""
        return scored(self.scores)

    @property
    def classes(self) -> list[str]:
        """Class names in the order of the confusion matrix."""
        return list(self.run.classes)

    @property
    def judged(self) -> str:
        """See `parts.judged_part`."""
        return judged_part(self.scores)


def read_run(folder: Path) -> RunFiles:
    """Read a run folder.

    Raises:
        UserError: scores.json is missing or is not what a run writes, so the folder is no finished run (or not yet).
    """
    scores = read(folder)
    return RunFiles(
        folder=folder,
        scores=scores,
        recipe=_text(folder / "recipe.toml"),
        environment=_environment(folder / "environment.json"),
        predictions=tuple(_predictions(folder / "predictions.csv", judged_part(scores))),
        refused=tuple(_rows(folder / "refused.csv")),
        history=tuple(_numeric(row) for row in _rows(folder / "history.csv")),
        tried=tuple(_numeric(row) for row in _rows(folder / "learning_rates.csv")),
    )


def _environment(path: Path) -> dict[str, Any]:
    try:
        return documents.table(path) if path.is_file() else {}
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); run the recipe again.") from error


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="surrogateescape") if path.is_file() else ""


def _rows(path: Path) -> Iterator[dict[str, str]]:
    if path.is_file():
        rows = read_csv(path, "surrogateescape")
        header = next(rows, [])
        yield from (dict.fromkeys(header, "") | dict(zip(header, row, strict=False)) for row in rows if row)


def _predictions(path: Path, part: str) -> Iterator[Prediction]:
    """The rows of one part, read by column position: much faster than dictionaries on 70,000 rows."""
    if not path.is_file():
        return
    rows = read_csv(path, "surrogateescape")
    header = next(rows, list(Prediction._fields))
    name, split, label, predicted, confidence = map(header.index, Prediction._fields)
    for row in rows:
        if row[split] == part:
            yield Prediction(row[name], row[split], row[label], row[predicted], float(row[confidence]))


def _numeric(row: dict[str, str]) -> dict[str, float]:
    """The cells of a history row that hold a number."""
    numbers = {}
    for key, text in row.items():
        try:
            numbers[key] = float(text)
        except (TypeError, ValueError):
            continue
    return numbers
