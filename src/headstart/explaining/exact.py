"""Exact maps of a linear head: its weights times the map that its features are means of. No gradient is needed.

Zhou et al. 2016, "Learning deep features for discriminative localization" (class activation maps), with the head's
standardisation folded in and the bias spread over the cells, so that the mean of a map is the score it explains.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.classifier import Classifier
from headstart.engines import Engine
from headstart.errors import UserError
from headstart.explaining.linear import is_linear, linear_at
from headstart.explaining.placement import Placement, grid, placement_of

Matrix = NDArray[np.float64]
FAR = 1e-3
"""How far, in units of the scores, the mean of a map may be from what it explains before the map is no longer it."""


class NotExact(UserError):
    """The classifier's answers have no exact map; the message says why, and what to do."""


class ExactMaps:
    """Maps of a classifier whose head is linear, on means of a map, a map itself, or pixels. Raises NotExact.

    The engine gives the map and the features at once.
    """

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier
        head, source = classifier.head, classifier.source
        if not is_linear(head):
            raise NotExact(_no(f"the head {type(head).__name__.removesuffix('Head').lower()} is not linear"))
        placement = placement_of(source, head.n_features_in_)
        if placement is None:
            raise NotExact(_no(f"the features of the layer {source.layer} are not means of a map"))
        self.placement: Placement = placement
        own = source.backbone is None or placement.layer == source.layer
        joined = source if own else replace(source, layer=f"{placement.layer}+{source.layer}")
        self.engine: Engine = joined.open()

    def of(self, picture: NDArray[np.uint8], column: int) -> Matrix:
        """(h, w) for a prepared picture (s, s, c) and a column of the head; the mean is its logit above all's mean.

        Raises NotExact where that is not so.
        """
        cells, features = self.parts(picture)
        linear = linear_at(self.classifier.head, features)
        assert linear is not None
        weights, bias = linear.centred(column)
        found = self.placement.evidence(cells, weights, bias)
        logit = float(features @ weights + bias)
        if not abs(found.mean() - logit) <= FAR * (1 + abs(logit)):
            raise NotExact(_no(f"the features of the layer {self.classifier.source.layer} are not the map's means"))
        return found

    def parts(self, picture: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """A prepared picture (s, s, c) -> its map (c, h, w) and its features (d,)."""
        (row,) = self.engine.run(picture[None])
        d, place = self.classifier.head.n_features_in_, self.placement
        if place.last:
            return row.reshape(picture.shape).transpose(2, 0, 1), row
        flat: NDArray[Any] = row[: len(row) - d] if len(row) > d else row
        h, w = grid(len(flat) // place.channels, *picture.shape[:2])
        return flat.reshape(place.channels, h, w), row[-d:]


def _no(why: str) -> str:
    return f"There is no exact map: {why}; use method=gradient or method=occlusion."
