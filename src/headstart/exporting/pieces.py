"""A classifier's graph in pieces: before the network, and behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.exported import PICTURE, PROBABILITIES, STRANGENESS
from headstart.exporting import answer, picture
from headstart.exporting.graph import Piece, model, shaped

if TYPE_CHECKING:
    from headstart.classifier import Classifier

NETWORK, FEATURES = "network", "features"
"""What the network takes and what it gives."""


def before(classifier: Classifier, *, pixels: bool = False) -> Piece:
    """uint8 `picture` (1, h, w, 3) -> float32 `network` (1, c, height, width), grey levels as they are for `pixels`.

    Without a network `features` (1, d): the pixels in 0..1, row by row of the picture.
    """
    preprocess = classifier.source.preprocess
    g = Piece("before")
    levels = picture.network_input(g, PICTURE, preprocess)
    if classifier.source.backbone is None:
        rows = g("Reshape", g("Transpose", levels, perm=[0, 2, 3, 1]), np.array([1, -1]))
        g("Div", rows, np.array(255, dtype=np.float32), name=FEATURES)
    else:
        g("Identity", levels if pixels else picture.normalised(g, levels, preprocess), name=NETWORK)
    return g


def behind(classifier: Classifier) -> Piece:
    """float32 `features` (1, d) -> `probabilities` (1, k) and, where there is a threshold, `strangeness` (1,)."""
    g = Piece("behind")
    answer.probabilities(g, FEATURES, classifier.head, classifier.temperature, len(classifier.classes))
    if classifier.novelty is not None and tells_strangers(classifier):
        answer.strangeness(g, FEATURES, classifier.novelty)
    return g


def tells_strangers(classifier: Classifier) -> bool:
    """Whether the graph has a second output."""
    return classifier.novelty is not None and classifier.novelty.threshold is not None


def given() -> list[Any]:
    """The graph's input."""
    return [shaped(PICTURE, "UINT8", [1, "height", "width", 3])]


def answered(classifier: Classifier) -> list[Any]:
    """The graph's outputs."""
    strange = [shaped(STRANGENESS, "FLOAT", [1])] if tells_strangers(classifier) else []
    return [shaped(PROBABILITIES, "FLOAT", [1, len(classifier.classes)]), *strange]


def model_before(classifier: Classifier, *, pixels: bool = False) -> Any:
    """`before` as an ONNX model by itself."""
    p = classifier.source.preprocess
    shape = [1, len(p.mean), p.height, p.width]
    return model([before(classifier, pixels=pixels)], given(), [shaped(NETWORK, "FLOAT", list(shape))])


def model_behind(classifier: Classifier) -> Any:
    """`behind` as an ONNX model by itself."""
    features = shaped(FEATURES, "FLOAT", [1, classifier.head.n_features_in_])
    return model([behind(classifier)], [features], answered(classifier))
