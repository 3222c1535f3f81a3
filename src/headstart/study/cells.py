"""One cell of a study: an arm fitted on one labelled subset, and its answers on the test pictures."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.errors import UserError
from headstart.features.extract import Settings
from headstart.fitted import Fitted
from headstart.fitting import learner_of, train_network, unfinished
from headstart.images import ImageSet
from headstart.images.parts import part_rows, rows_in
from headstart.logits import apply_temperature, full_logits
from headstart.metrics import log_loss
from headstart.pictures import Pictures
from headstart.progress import Progress
from headstart.recipe import Recipe

HISTORY = (
    "epoch", "phase", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "test_loss", "test_accuracy",
)  # fmt: skip


@dataclass(frozen=True)
class Where:
    """Which cell of an arm, and the mark of its pictures."""

    size: str
    repeat: int
    pictures: str

    def failed(self, why: object) -> str:
        """The sentence on why there is no such cell."""
        return f"{self.size} labelled {'picture' if self.size == '1' else 'pictures'} per class: {why}"


@dataclass(frozen=True)
class Cell:
    """What came of a cell; JSON-able. `predicted` (m,) are class indices of the test pictures in their order.

    `pictures` marks the content of all that it was fitted and judged on. `parameters` were trained; `chosen` says what
    validation chose and `tried` from what, in words; `converged` is None for a head without iterations; `history` has a
    row for each epoch of a network that was trained; `fit_s` are seconds of fitting alone.
    """

    size: str
    repeat: int
    pictures: str
    train: int
    val: int
    accuracy: float
    log_loss: float
    predicted: list[int]
    fit_s: float
    features: int
    parameters: int
    chosen: str
    tried: str
    converged: bool | None
    steps: int | None = None
    network_parameters: int | None = None
    history: list[dict[str, float]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Cell:
        """Read `to_dict`'s result; raises KeyError or TypeError for anything else."""
        return cls(**{f.name: values[f.name] for f in fields(cls)})


def fit_features(
    recipe: Recipe,
    images: ImageSet,
    features: NDArray[np.float32],
    where: Where,
    copies: NDArray[np.int64],
) -> Cell:
    """Fit the recipe's head on features (n, d) of the cell's n pictures, whose parts lie side by side.

    Near copies share a number in `copies` (n,).
    """
    train, test = (part_rows(images)[part] for part in ("train", "test"))
    X, names = features[train], images.names[train]
    marks = [name.encode("utf-8", "surrogatepass") for name in names]  # the same folds for every arm
    pictures = Pictures(X, images.labels[train], groups=copies[train], marks=marks)
    head, _, _, seconds, _ = learner_of(recipe).fit(pictures)
    logits = full_logits(head, features[test], len(images.classes))
    about = {
        "features": features.shape[1],
        "parameters": head.report_.get("parameters", 0),
        "chosen": head.describe_choice().partition(":")[0],
        "tried": head.describe_budget(),
        "converged": head.report_.get("converged"),
    }
    return _cell(where, images, logits, seconds, about)


def fit_network(
    recipe: Recipe, images: ImageSet, folder: Path, settings: Settings, where: Where, progress: Progress
) -> Cell:
    """Train the recipe's network on the cell's pictures; `folder` keeps the training's state until it is done."""
    started = time.perf_counter()
    try:
        fitted = train_network(recipe, folder, settings, progress, images, resume=unfinished(folder))
    except UserError:
        if not unfinished(folder):
            shutil.rmtree(folder, ignore_errors=True)
        raise
    logits = fitted.classifier.logits(fitted.extraction.features[part_rows(fitted.images)["test"]])
    found = _cell(where, fitted.images, logits, time.perf_counter() - started, _about(fitted))
    fitted.done()
    shutil.rmtree(folder, ignore_errors=True)
    return found


def _cell(
    where: Where, images: ImageSet, logits: NDArray[np.float64], seconds: float, about: Mapping[str, Any]
) -> Cell:
    parts = part_rows(images)
    labels, predicted = images.labels[parts["test"]], logits.argmax(axis=1)
    return Cell(
        **asdict(where),
        train=rows_in(parts["train"]),
        val=rows_in(parts["val"]),
        accuracy=float((predicted == labels).mean()),
        log_loss=log_loss(labels, apply_temperature(logits, 1.0)),
        predicted=predicted.tolist(),
        fit_s=round(seconds, 4),
        **about,
    )


def _about(fitted: Fitted) -> dict[str, Any]:
    assert fitted.record is not None
    told, history = fitted.record.report, fitted.classifier.head.history_
    plan = told["plan"]
    epochs = int(history[-1]["epoch"]) if history else 0
    top = "top solved first, " if any(row.get("phase") == 1 for row in history) else ""
    steps = -(-told["rows"] // plan["batch_size"]) * epochs
    kept = "one of them chosen by validation" if "val_loss" in history[-1] else "the last one kept"
    judged = [row for row in history if "val_loss" in row or "test_loss" in row]
    return {
        "features": int(fitted.extraction.features.shape[1]),
        "parameters": told["parameters"],
        "network_parameters": told["parameters_of_network"],
        "chosen": f"epoch {told['best_epoch']} of {epochs}",
        "tried": f"{top}one learning rate, {epochs:,} epochs ({steps:,} steps), {kept}, {_varied(told)}",
        "converged": None,
        "steps": steps,
        "history": [{key: float(row[key]) for key in HISTORY if row.get(key) is not None} for row in judged],
    }


def _varied(told: Mapping[str, Any]) -> str:
    """How the pictures were varied, from the block `training`."""
    name = told["augment"]
    return "pictures as they are" if name == "none" else f"pictures varied ({name})"
