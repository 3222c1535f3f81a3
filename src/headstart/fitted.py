"""A fitted classifier with all that it was fitted on: what both ways to a head return."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.classifier import Classifier
from headstart.features.extraction import Extraction
from headstart.features.views import ViewExtractor
from headstart.images import ImageSet
from headstart.images.parts import part_rows
from headstart.learner import CrossValidated
from headstart.recipe import Recipe


@dataclass(frozen=True)
class TrainingRecord:
    """What a network's training leaves behind, beside the head: the block `training` of scores.json without scores.

    `frozen` are logits (n, k) of all pictures before any block was changed, None from scratch; `frozen_folds` are the
    same of the training pictures by cross-validation, where that judges; `tried` are learning rates and the losses they
    led to, where they were looked for.
    """

    report: Mapping[str, Any]
    frozen: NDArray[np.float64] | None = None
    frozen_folds: NDArray[np.float64] | None = None
    tried: Sequence[tuple[float, float]] = ()


@dataclass(frozen=True)
class Fitted:
    """A classifier, the n pictures that could be used, those of one part side by side, and their features (n, d).

    `recipe` has every choice that was made on the way. The classifier's temperature is by the head's own trials on
    `calibrated_on` pictures. `folds` are out-of-fold answers to the pictures that the head was fitted on, where these
    judge. `without_views` are logits (m, k) of the pictures judged by a head that was fitted on plain pictures alone,
    where there is one; `record` is a trained network's. `done` is called when the run is kept.
    """

    recipe: Recipe
    classifier: Classifier
    images: ImageSet
    extraction: Extraction
    views: ViewExtractor
    fit_s: float
    calibrated_on: int = 0
    folds: CrossValidated | None = None
    without_views: NDArray[np.float64] | None = None
    record: TrainingRecord | None = None
    done: Callable[[], None] = lambda: None

    @property
    def learned_parts(self) -> list[str]:
        """The parts that the classifier was fitted on: a head on all labelled pictures, a network not on val."""
        parts = ("train",) if self.record else ("train", "val")
        return [part for part in parts if (self.images.parts == part).any()]

    @property
    def judged(self) -> slice:
        """The pictures that test the classifier: those of the test part, or with folds those that they judge."""
        return part_rows(self.images)["test"] if self.folds is None else self.crossed

    @property
    def crossed(self) -> slice:
        """The pictures that cross-validation judges: those of train and val, which come first; none without folds."""
        return slice(0, 0 if self.folds is None else len(self.folds.fold))
