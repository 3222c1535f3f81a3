"""A trained network judged by cross-validation: trained once more without each of ten folds, where that is asked for.

Each fold's training keeps its state, and its answers when it is done, in the folder of the run's unfinished training:
`--resume` goes on in the middle.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart import tensors
from headstart.conformal import Conformal
from headstart.errors import DataError
from headstart.features.copies import marks, repeated
from headstart.features.extract import Settings
from headstart.fitted import Fitted
from headstart.fitting import STATE, train_network, unfinished
from headstart.heads.folds import numbers
from headstart.heads.solver.scale import temperature_of
from headstart.images.parts import PARTS, part_rows, rows_in
from headstart.learner import FEWEST, FOLDS, TOO_FEW, CrossValidated
from headstart.logits import apply_temperature
from headstart.progress import Progress, silent
from headstart.recipe import Recipe
from headstart.shared import replacing

Logits = NDArray[np.float64]
NAMES = ("plain", "averaged", "frozen")
"""What is kept of a fold: the network's logits, with views averaged, and those of the frozen network before it."""


def cross_validated(fitted: Fitted, folder: Path, settings: Settings, progress: Progress = silent) -> Fitted:
    """The fitted network with answers to each of its n training pictures by one that saw neither it nor its copies.

    `folder` is the run's. The temperature is by all these answers; in the probabilities of a fold it is by the answers
    to the other folds. Raises DataError where the pictures outside some fold are of one class.
    """
    started = time.perf_counter()
    n, k = rows_in(part_rows(fitted.images)["train"]), len(fitted.images.classes)
    y, done = fitted.images.labels[:n], fitted.extraction
    group = done.copies.together[:n]
    fold = numbers(y, min(FOLDS, n), marks(done.contents[:n]), group)
    parts = np.unique(fold)
    found = {name: np.empty((n, k)) for name in NAMES}
    for number, part in enumerate(parts, 1):
        told = _told(progress, f"fold {number} of {len(parts)}")
        kept = folder / STATE / "folds" / str(int(part))
        for name, logits in _answers(fitted, fold == part, kept, settings, told).items():
            found[name][fold == part] = logits
    known, probabilities = np.empty(n, dtype=bool), np.empty((n, k))
    for part in parts:
        known[fold == part] = np.isin(y[fold == part], y[fold != part])  # else its network has not seen its class
    for part in parts:
        temperature = _temperature(found["averaged"], y, known & (fold != part))
        probabilities[fold == part] = apply_temperature(found["averaged"][fold == part], temperature)
    crossed = CrossValidated(
        found["plain"], found["averaged"], probabilities, fold, 0,
        int(repeated(group).sum()), time.perf_counter() - started,
    )  # fmt: skip
    assert fitted.record is not None
    record = replace(fitted.record, frozen_folds=None if fitted.record.frozen is None else found["frozen"])
    temperature = _temperature(found["averaged"], y, known)
    conformal = Conformal.of(probabilities, y)
    classifier = replace(fitted.classifier, temperature=temperature, conformal=conformal)
    answered = int(known.sum())
    return replace(
        fitted, classifier=classifier, folds=crossed, record=record,
        calibrated_on=answered if answered >= FEWEST else 0,
    )  # fmt: skip


def _answers(
    fitted: Fitted, judged: NDArray[np.bool_], folder: Path, settings: Settings, progress: Progress
) -> dict[str, Logits]:
    """Logits (m, k) of the m training pictures that are `judged`, by a network trained on the others."""
    kept = folder / "answers.safetensors"
    if kept.is_file():
        return tensors.arrays(kept)
    whole = fitted.images
    parts = whole.parts.copy()
    parts[np.flatnonzero(judged)] = "test"
    if len(np.unique(whole.labels[parts == "train"])) < 2:
        raise DataError(TOO_FEW)
    images = replace(whole, parts=parts).take(np.concatenate([np.flatnonzero(parts == p) for p in PARTS]))
    one = train_network(_recipe(fitted), folder, settings, progress, images, resume=unfinished(folder))
    test = part_rows(one.images)["test"]
    if one.images.names[test] != whole.take(np.flatnonzero(judged)).names:
        raise DataError("Pictures changed or disappeared while networks were trained on them; start the run again.")
    classifier = replace(one.classifier, classes=whole.classes)
    plain = classifier.logits(one.extraction.features[test])
    found = {"plain": plain, "averaged": plain, "frozen": plain}
    if classifier.averaging:
        judged_images = one.images.take(np.arange(test.start, test.stop))
        found["averaged"] = classifier.averaged(plain, judged_images, one.views)
    if one.record is not None and one.record.frozen is not None:
        found["frozen"] = one.record.frozen[test]
    with replacing(kept) as beside:
        tensors.write(found, beside)
    one.done()
    return found


def _recipe(fitted: Fitted) -> Recipe:
    """The recipe of a fold. A whole network runs in PyTorch: for a few pictures that is quicker than converting it."""
    recipe = fitted.recipe
    if fitted.record is None or not fitted.record.report["whole"]:
        return recipe
    return recipe.model_copy(update={"engine": recipe.engine.model_copy(update={"name": "torch"})})


def _temperature(logits: Logits, y: NDArray[np.int64], rows: NDArray[np.bool_]) -> float:
    """By answers (n, k) to some rows with classes y (n,); 1 where they are too few."""
    return temperature_of(logits[rows], y[rows]) if rows.sum() >= FEWEST else 1.0


def _told(progress: Progress, fold: str) -> Progress:
    """Progress whose stages are a fold's."""

    def advance(stage: str, done: int, total: int) -> None:
        name, _, said = stage.partition("|")
        if name == "train":
            progress(f"{fold}|{said}", done, total)

    return advance
