"""A training told: notes in sentences, and the block `training` of scores.json."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from headstart.training.batches import StoredRows
from headstart.training.loop import Trained
from headstart.tuning.rows import TrainingRows
from headstart.tuning.settings import TrainingSettings
from headstart.tuning.training_split import TrainingSplit


@dataclass(frozen=True)
class Course:
    """How a training went: `share` is the blend's, None without one; `solved` whether it began with a solved top."""

    trained: Trained
    share: float | None
    seconds: float
    validated: bool
    solved: bool

    @property
    def epochs(self) -> int:
        """Epochs that were run."""
        return len(self.trained.history) - 1

    @property
    def frozen(self) -> bool:
        """Whether nothing was gained, so that the result is the frozen network's."""
        return self.solved and 0 in (self.trained.best_epoch, self.share)


def notes(course: Course, planned: int) -> list[str]:
    """Sentences on how it ended."""
    trained, last, told = course.trained, course.epochs, []
    if not course.validated:
        run = (
            "the one epoch was run and its weights"
            if planned == 1
            else f"all {planned} epochs were run and the last one"
        )
        told.append(f"No validation pictures: {run} kept.")
    elif trained.best_epoch == 0:
        whose = "network and head are those of method=features" if course.solved else "whose weights are kept"
        told.append(f"No epoch had a lower validation loss than the start: {whose}.")
    elif trained.stopped_early:
        told.append(f"Stopped after epoch {last} of {planned}; epoch {trained.best_epoch} was the best on validation.")
    elif trained.best_epoch == last:
        told.append(f"The last epoch, {last}, was the best: more epochs may do better.")
    if course.share is not None and not course.validated:
        told.append("The weights are half way from the frozen to the fine-tuned ones (WiSE-FT), as without validation.")
    elif course.share == 0:
        told.append("The frozen network did best on validation: network and head are those of method=features.")
    elif course.share is not None and course.share < 1:
        told.append(f"The weights are {course.share:.0%} of the way from the frozen to the fine-tuned ones (WiSE-FT).")
    return told


def report(
    course: Course, split: TrainingSplit, rows: TrainingRows, settings: TrainingSettings, parameters: int, judged: int
) -> dict[str, Any]:
    """The block, JSON-able; `parameters` were trained, `judged` rows of validation are read in every epoch."""
    body, trained = split.body, course.trained
    return {
        "trained_from": body.blocks[0].name if body.blocks else "input",
        "blocks": len(body.blocks),
        "whole": split.whole,
        "parameters": parameters,
        "parameters_of_network": sum(p.numel() for p in split.backbone.network().parameters()),
        "rows": len(rows.train_labels),
        "augment": rows.varied.augment.name,
        "stored_mb": round(rows.stored_bytes / 1e6, 3),
        "trunk_runs_saved": course.epochs * _stored_rows(split, rows, judged),
        "plan": settings.plan.to_dict(),
        "gradual": settings.gradual,
        "sampler": settings.sampler,
        "choices": [asdict(choice) for choice in settings.choices],
        "best_epoch": trained.best_epoch,
        "blend": course.share,
        "resumed_at": list(trained.resumed_at) if trained.resumed_at else None,
        "train_s": round(course.seconds, 3),
    }


def _stored_rows(split: TrainingSplit, rows: TrainingRows, judged: int) -> int:
    """Rows of an epoch for which the frozen part need not run: none of fresh views, none if nothing is frozen."""
    if split.whole or not rows.stored_bytes:
        return 0
    return judged + (len(rows.train_labels) if isinstance(rows.train, StoredRows) else 0)
