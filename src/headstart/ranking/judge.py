"""One backbone on the pictures: features, out-of-fold answers, cheap hints, speed, size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from headstart.backbones import Backbone, memory
from headstart.backbones.spelling import spell
from headstart.evidence.transferability import h_score_regularised, leep, logme
from headstart.features.extract import Settings, extract
from headstart.features.source import FeatureSource
from headstart.images import ImageSet
from headstart.learner import Learner
from headstart.logits import apply_temperature
from headstart.pictures import Pictures
from headstart.progress import Progress
from headstart.ranking.candidates import Candidate
from headstart.ranking.folds import Codes
from headstart.schema.ranking import HINTS
from headstart.statistics import share_interval
from headstart.threads import single_threaded_blas


@dataclass(frozen=True)
class Cost:
    """What a backbone costs; None where it is not known. `parameters` count a classifier too, where there is one."""

    images_per_s: float | None = None
    parameters: int | None = None
    multiply_adds: int | None = None
    licence: str = ""


@dataclass(frozen=True, eq=False)
class Scores:
    """What features (n, d) come to: right (n,) bool, which pictures are named correctly out of fold, and two hints.

    Copies, near copies and what the data say belongs together share a number in `together` (n,).
    """

    right: NDArray[np.bool_]
    n_features: int
    logme: float
    h_score: float
    notes: tuple[str, ...] = ()
    together: Codes | None = None

    @property
    def accuracy(self) -> float:
        """The share of right answers."""
        return float(self.right.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95% interval, which counts pictures that belong together as what they are worth."""
        return share_interval(self.right, self.together)


@dataclass(frozen=True, eq=False)
class Judged:
    """A backbone, or the raw pixels, where `spelled` is empty. `size` is the input's (height, width).

    `leep` is None without a source classifier, the speed until `speed.measured`.
    """

    label: str
    spelled: str
    size: tuple[int, int]
    scores: Scores
    leep: float | None = None
    cost: Cost = Cost()
    notes: tuple[str, ...] = ()

    @property
    def hints(self) -> dict[str, float | None]:
        """The cheap hints by name."""
        return dict(zip(HINTS, (self.scores.logme, self.scores.h_score, self.leep), strict=True))


@dataclass(frozen=True, eq=False)
class Judge:
    """Judges every candidate on the same n pictures; fold (n,) and `together` (n,) are the same for all.

    A method is given `tell`, which makes the Progress of a phase of its work.
    """

    images: ImageSet
    fold: Codes
    together: Codes
    settings: Settings

    def pixels(self, source: FeatureSource, X: NDArray[np.float32], tell: Callable[[str], Progress]) -> Judged:
        """The baseline: X (n, d) are the pixels themselves."""
        scores = self._score(X, tell("cross-validation"))
        return Judged("raw pixels", "", _size(source), scores, notes=scores.notes)

    def backbone(self, candidate: Candidate, tell: Callable[[str], Progress]) -> Judged:
        """A backbone. Raises HeadstartError as its extraction does."""
        source = candidate.source
        X = extract(self.images, source, self.settings, tell("features")).features
        parameters, multiply_adds, logits = figures(source)
        scores = self._score(X, tell("cross-validation"))
        return Judged(
            candidate.label,
            spell(candidate.spelled),
            _size(source),
            scores,
            None if logits is None else self._leep(replace(source, layer=logits), tell("source classes")),
            Cost(None, parameters, multiply_adds, candidate.backbone.weights.licence),
            (*candidate.backbone.notes, *scores.notes),
        )

    def _score(self, X: NDArray[np.float32], progress: Progress) -> Scores:
        return score(X, self.images.labels, self.fold, progress, self.together)

    def _leep(self, logits: FeatureSource, progress: Progress) -> float:
        rows = extract(self.images, logits, self.settings, progress).features
        return leep(apply_temperature(rows.astype(np.float64), 1.0), self.images.labels)


def score(X: NDArray[np.float32], y: Codes, fold: Codes, progress: Progress, together: Codes | None = None) -> Scores:
    """Cross-validation and the hints that need no source classifier: X (n, d), y (n,), the fold (n,) of each.

    Kornblith et al. 2019 rank networks by logistic regression on their features; its choices are made inside the folds.
    """
    found = Learner().cross_validate(Pictures(X, y), int(y.max()) + 1, progress, fold)
    with single_threaded_blas():  # sums in one order on any number of cores
        hints = logme(X, y), h_score_regularised(X, y)
    stopped, k = found.stopped_early, len(np.unique(fold))
    notes = (f"In {stopped} of {k} folds the regression did not converge.",) if stopped else ()
    return Scores(found.logits.argmax(axis=1) == y, X.shape[1], *hints, notes, together)


def _size(source: FeatureSource) -> tuple[int, int]:
    return source.preprocess.height, source.preprocess.width


def figures(source: FeatureSource) -> tuple[int | None, int | None, str | None]:
    """Parameters, multiply-adds at this input size, and the layer with the logits of the source classes.

    None for what is not known of an ONNX file, and where there is no source classifier: random weights, weights without
    a classifier or without a sidecar that counts its classes.
    """
    backbone = source.backbone
    assert backbone is not None
    if not isinstance(backbone, Backbone):
        return None, None, "logits" if any(layer.name == "logits" for layer in backbone.layers()) else None
    classes = backbone.weights.num_classes if backbone.weights.kind != "none" else None
    question = ["figures", backbone.fingerprint, *_size(source), classes]
    known = memory.recall(question)
    if known is None:
        from headstart.backbones.measure import describe_built

        found = describe_built(replace(backbone, preprocess=source.preprocess))
        logits = [layer.name for layer in found.modules if classes and prod(layer.shape) == classes]
        known = {"figures": [found.row.parameters, found.row.multiply_adds, logits[-1] if logits else None]}
        memory.remember(question, known)
    parameters, multiply_adds, layer = known["figures"]
    return parameters, multiply_adds, layer
