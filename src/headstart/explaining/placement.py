"""Which cell of a map each feature comes from: features that are means over parts of a map, or the map itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headstart.backbones import memory

if TYPE_CHECKING:
    from headstart.backbones import BaseBackbone
    from headstart.backbones.facts import Layer
    from headstart.features.source import FeatureSource

Matrix = NDArray[np.float64]
MAP = "last_conv"
SPROUT = "embedded:sprout"


@dataclass(frozen=True, eq=False)
class Placement:
    """Features (d,) = scale * [means of a map (c, h, w) over gy x gx parts, for each (gy, gx) of `parts`] + shift.

    (1, 1) is the mean over the whole map and (h, w) the map itself; where parts `overlap`, those are of one row and one
    column more, and neighbours are taken two by two.  `layer` names the map, which is of `channels`.
    The pixels of a picture lie (h, w, c), `last`.
    """

    layer: str
    channels: int
    parts: tuple[tuple[int, int], ...]
    scale: Matrix | float = 1.0
    shift: Matrix | float = 0.0
    last: bool = False
    overlap: bool = False

    def evidence(self, cells: NDArray[np.floating[Any]], weights: Matrix, bias: float) -> Matrix:
        """(h, w): what each cell of a map (c, h, w) adds to the score `features @ weights + bias`; the mean is it.

        So it is the score of a picture that looks like that cell all over, where features are means over all cells.
        """
        c, h, w = cells.shape
        own, found = weights * self.scale, np.full((h, w), bias + float(np.sum(weights * self.shift)))
        begin = 0
        for gy, gx in self.parts:
            part = own[begin : begin + c * gy * gx]
            part = part.reshape(gy, gx, c).transpose(2, 0, 1) if self.last else part.reshape(c, gy, gx)
            rows, columns = (self._parting(cells, parts) for cells, parts in ((h, gy), (w, gx)))
            spread = np.einsum("iy,cij,jx->cyx", rows, part, columns, optimize=True)
            found += h * w * np.einsum("cyx,cyx->yx", np.asarray(cells, dtype=np.float64), spread)
            begin += c * gy * gx
        return found

    def _parting(self, cells: int, parts: int) -> Matrix:
        if not self.overlap:
            return parting(cells, parts)
        finer = parting(cells, parts + 1)
        return (finer[:-1] + finer[1:]) / 2


def parting(cells: int, parts: int) -> Matrix:
    """(parts, cells): the weights of the mean over each part of a row of cells, as adaptive pooling cuts it."""
    found = np.zeros((parts, cells))
    for i in range(parts):
        begin, end = i * cells // parts, math.ceil((i + 1) * cells / parts)
        found[i, begin:end] = 1 / (end - begin)
    return found


def grid(cells: int, height: int, width: int) -> tuple[int, int]:
    """Rows and columns of so many cells over a picture: those whose ratio is nearest to the picture's."""
    pairs = [(h, cells // h) for h in range(1, cells + 1) if cells % h == 0]
    return min(pairs, key=lambda pair: abs(math.log(pair[0] * width / (pair[1] * height))))


def placement_of(source: FeatureSource, features: int) -> Placement | None:
    """Where so many features of a source come from; None where nothing says that.

    That `pooled` is the mean of the map is the rule (decision 4) and not true of every network: `exact` checks it.
    """
    if source.backbone is None:
        p = source.preprocess
        return Placement("pixels", features // (p.height * p.width), ((p.height, p.width),), last=True)
    known = map_of(source.backbone, source.layer)
    if known is None:
        return None
    layer, channels = known
    if layer == source.layer:
        p = source.preprocess
        return Placement(layer, channels, (grid(features // channels, p.height, p.width),))
    if source.backbone.architecture == SPROUT:
        return _of_sprout(source.backbone, channels)
    return Placement(layer, channels, ((1, 1),)) if features == channels else None


def map_of(backbone: BaseBackbone, layer: str) -> tuple[str, int] | None:
    """The map that a layer is, or is made of, and its channels; None where there is none. Remembered.

    A layer within a convolutional network is a map itself; in a transformer only `last_conv` is.
    """
    question = ["map", backbone.fingerprint, layer]
    found = memory.recall(question)
    if found is None:
        shapes = {known.name: known.shape for known in (*_modules(backbone), *backbone.layers())}
        convolutional = MAP in shapes and "mean" not in shapes
        own = shapes.get(layer) if convolutional or layer == MAP else None
        means = ("mean",) if "cls" in shapes else ("mean", "pooled")  # what the class token gives lies nowhere
        name = layer if own is not None and len(own) == 3 else MAP if layer in means and MAP in shapes else ""
        found = {"layer": name, "channels": shapes[name][0] if name else 0}
        memory.remember(question, found)
    return (str(found["layer"]), int(found["channels"])) if found["layer"] else None


def _modules(backbone: BaseBackbone) -> tuple[Layer, ...]:
    from headstart.backbones.backbone import Backbone

    return backbone.modules() if isinstance(backbone, Backbone) else ()


def _of_sprout(backbone: BaseBackbone, channels: int) -> Placement:
    """sprout's features: means of the map and its quarters, or of its thirds, through the normalisation behind them."""
    from headstart.backbones import as_pytorch

    norm: Any = as_pytorch(backbone).network().get_submodule("norm")
    tensors = (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    weight, bias, mean, var = (t.detach().numpy().astype(np.float64) for t in tensors)
    scale = weight / np.sqrt(var + norm.eps)
    shift = bias - mean * scale
    if backbone.weights.kwargs.get("edition", 1) == 1:
        return Placement(MAP, channels, ((1, 1), (2, 2)), scale, shift)
    return Placement(MAP, channels, ((3, 3),), scale, shift, overlap=True)
