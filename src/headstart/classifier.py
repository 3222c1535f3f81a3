"""Classifier: a feature source, a head, the class names and a temperature. Pictures in, probabilities out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headstart.features.extract import Extraction, FeatureSource, Progress, Settings, extract, silent
from headstart.images import ImageSet
from headstart.metrics import apply_temperature

if TYPE_CHECKING:
    from headstart.heads import Head


@dataclass(frozen=True)
class Classifier:
    """What a run makes and a bundle keeps.

    `head.classes_` are indices into `classes`, so a class without training pictures has no column in the head; its
    probability is 0.
    """

    source: FeatureSource
    head: Head
    classes: tuple[str, ...]
    temperature: float = 1.0

    def logits(self, features: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """(n, d) features -> (n, k) unnormalised log-probabilities before the temperature, one column per class."""
        known: NDArray[np.float64] = self.head.logits(features)
        full = np.tile(known.min(axis=1, keepdims=True) - 1e3, len(self.classes))  # finite, and probability 0
        full[:, np.asarray(self.head.classes_, dtype=np.int64)] = known
        return full

    def probabilities(self, features: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """(n, d) features -> (n, k) calibrated probabilities; rows sum to 1."""
        return apply_temperature(self.logits(features), self.temperature)

    def predict_proba(
        self, images: ImageSet, settings: Settings | None = None, progress: Progress = silent
    ) -> tuple[NDArray[np.float64], Extraction]:
        """Probabilities (m, k) of the m pictures that could be used, and the extraction that says which those are."""
        extraction = extract(images, self.source, settings, progress)
        return self.probabilities(extraction.features), extraction

    def predict(self, pictures: Any, settings: Settings | None = None) -> list[str]:
        """Class names of pictures given as paths, PIL images or an (n, h, w[, 3]) uint8 array.

        Raises DataError at the first picture that cannot be used, so that the answer has one name for each picture.
        """
        from headstart.images import from_arrays

        settings = settings or Settings()
        strict = Settings(settings.store, settings.threads, strict=True)
        probabilities, _ = self.predict_proba(from_arrays(pictures), strict)
        return [self.classes[k] for k in probabilities.argmax(axis=1)]


def top(probabilities: NDArray[np.float64], k: int) -> NDArray[np.int64]:
    """(n, c) probabilities -> (n, min(k, c)) class indices, the most probable first."""
    order: NDArray[np.int64] = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return order


def match_classes(theirs: Sequence[str], ours: Sequence[str]) -> NDArray[np.int64]:
    """For each of their class names its index in ours, -1 where we do not know it. By name, never by position."""
    index = {name: i for i, name in enumerate(ours)}
    return np.array([index.get(name, -1) for name in theirs], dtype=np.int64)
