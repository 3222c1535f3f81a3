"""Settings of a head tried on rows held out, and the one with the least loss there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.heads.base import Head, OutOfFold
from headstart.heads.folds import Codes, Folds

Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Trial:
    """Settings, the logits (m, k) they gave the rows judged, their mean loss, and how unlikely they were before."""

    settings: dict[str, float]
    logits: Matrix
    loss: float
    doubt: float = 0.0


@dataclass
class Trials:
    """Trials of one head on folds of rows with classes y (n,); `weights` (k,) are those of the classes."""

    y: Codes
    folds: Folds
    weights: Matrix
    criterion: str = "log loss"
    offered: int = 0  # settings to choose from, where the last are not tried once the loss has turned
    found: list[Trial] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rows = self.folds.judged(len(self.y))
        self.codes = self.y[self.rows]

    def add(
        self,
        settings: dict[str, float],
        logits: Sequence[Matrix],
        losses: Matrix | None = None,
        doubt: float = 0.0,
    ) -> float:
        """Note what settings came to; `logits` are those of each fold's judged rows. Returns the loss.

        `losses` (m,) of the judged rows take the place of their log losses; `doubt` weighs against the settings as much
        as if one row's loss were higher by it.
        """
        stacked = np.concatenate(list(logits))
        each = log_losses(stacked, self.codes) if losses is None else losses
        weights = self.weights[self.codes]
        self.found.append(Trial(settings, stacked, float(weights @ each / weights.sum()), doubt))
        return self.found[-1].loss

    def history(self, loss: str = "val_log_loss") -> list[dict[str, float]]:
        """A row for each trial: its settings, its loss and its accuracy on the rows judged."""
        return [
            {**t.settings, loss: t.loss, "val_accuracy": float(np.mean(t.logits.argmax(axis=1) == self.codes))}
            for t in self.found
        ]

    @property
    def best(self) -> Trial:
        """The first of least loss, with the doubt of all rows together."""
        n = len(np.unique(self.rows))
        return min(self.found, key=lambda trial: trial.loss + trial.doubt / n)

    def out_of_fold(self, trial: Trial) -> OutOfFold:
        """The answers of a trial."""
        return OutOfFold(self.rows, trial.logits)


def note_choice(head: Head, chosen: dict[str, float], trials: Trials | None, by: str) -> None:
    """Keep in the head's report what was chosen, for `describe_choice`; `by` says it where nothing was."""
    tried = max(trials.offered, len(trials.found)) if trials else 0
    told: dict[str, Any] = {"chosen": chosen, "tried": tried, "criterion": trials.criterion if trials else ""}
    head.report_["choice"] = told | {"by": trials.folds.words if trials and tried > 1 else by}


def at_the_edge(chosen: str) -> str:
    """The note on a value that was chosen from the end of those tried."""
    return f"{chosen} is at the edge of the grid: the best value may lie beyond."


def log_losses(logits: Matrix, codes: Codes) -> Matrix:
    """The log loss (m,) of each row."""
    top = logits.max(axis=1)
    losses: Matrix = np.log(np.exp(logits - top[:, None]).sum(axis=1)) + top - logits[np.arange(len(codes)), codes]
    return losses
