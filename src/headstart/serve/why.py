"""Why a picture has its answer: where it speaks for its class, and the training pictures nearest to it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from headstart.classifier import Classifier
from headstart.errors import UserError
from headstart.explaining.explainer import Explainer
from headstart.explaining.nearest import TrainingPictures
from headstart.explaining.overlay import overlay
from headstart.features.extract import Extractor
from headstart.images import ImageSet, decode, digest
from headstart.report.examples import embedded

SIDE, SMALL = 480, 120
"""Pixels of a map's longer side, and of a training picture's."""
NEAREST = 3


class Why:
    """Explains by a classifier whose extractor is open, in the thread that has it."""

    def __init__(self, classifier: Classifier, extractor: Extractor, training: TrainingPictures | None) -> None:
        self.classifier, self.training = classifier, training
        self._explainer = Explainer(classifier, extractor=extractor)

    def of(
        self, images: ImageSet, i: int, probabilities: NDArray[np.float64], features: NDArray[np.float32]
    ) -> dict[str, Any]:
        """`map`, a PNG as a data URI, how it was `made`, and the `nearest` training pictures, of picture i."""
        raw = images.raw(i)
        image = decode(raw, images.limits)
        told: dict[str, Any] = {}
        try:
            found = self._explainer.explain(image, int(probabilities.argmax()))
            told = {"map": embedded(overlay(image, found, most=SIDE), "png"), "made": found.method}
        except UserError as error:
            told = {"map": None, "why_not": str(error)}
        if self.training is None:
            return told
        (near,) = self.training.nearest(features[None], NEAREST, [digest(raw)])
        rows = []
        for one in near:
            picture = self.training.picture(one.name, SMALL)
            shown = None if picture is None else embedded(thumbnail(picture), "png")
            rows.append({"class": one.label, "similarity": one.similarity, "picture": shown})
        return {**told, "nearest": rows}


def thumbnail(picture: Image.Image) -> Image.Image:
    """RGB, its longer side SMALL pixels at most."""
    found = picture.convert("RGB")
    found.thumbnail((SMALL, SMALL))
    return found
