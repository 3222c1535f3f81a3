"""Maps by the gradient, for heads and layers that have no exact one: by Captum on PyTorch, an extra.

Gradient times activation, summed over channels: on the last map of a convolutional network (Draelos and Carin 2020,
HiResCAM, which is Grad-CAM where features are means of the map, and right where they are not), and on a transformer's
tokens as they enter its last block, because behind that block the class token stands alone.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headstart.backbones.backbone import Backbone
from headstart.classifier import Classifier
from headstart.errors import UnknownName, UserError
from headstart.explaining.placement import MAP, map_of

if TYPE_CHECKING:
    import torch
    from torch import nn


Matrix = NDArray[np.float64]
INSTALL = "Maps by the gradient need Captum: pip install 'headstart[explain]', or use method=occlusion."


def why_not(classifier: Classifier) -> str | None:
    """Why there can be no map by the gradient, in a sentence that says what to do; None where nothing speaks against.

    Imports no library.
    """
    source = classifier.source
    if source.backbone is None:
        return "Pixels have no layer for a map by the gradient: use method=occlusion."
    if not isinstance(source.backbone, Backbone):
        return f"{source.backbone.name} is an ONNX file, which has no gradient: use method=occlusion."
    if find_spec("captum") is None:
        return INSTALL
    return None


class GradientMaps:
    """Maps of a classifier by gradients. Raises UserError where `why_not`, or where the network cannot be cut."""

    def __init__(self, classifier: Classifier) -> None:
        if told := why_not(classifier):
            raise UserError(told)
        from captum.attr import LayerGradientXActivation

        from headstart.explaining.differentiable import Scored

        source = classifier.source
        assert isinstance(source.backbone, Backbone)
        self.preprocess = source.preprocess
        layer, tokens = _cut(source.backbone, source.layer)
        part = _tail(source.backbone, layer, source.layer)
        self._scored = Scored(source.backbone.split(layer).trunk, part, classifier.head).eval()
        self._network = source.backbone.network() if tokens else None
        self._way = LayerGradientXActivation(self._scored, self._scored.place)

    def of(self, picture: NDArray[np.uint8], column: int) -> Matrix:
        """(h, w) for a prepared picture (s, s, c) and a column of the head: what the cells add to its score."""
        import torch

        mean, std = (torch.tensor(v).view(1, -1, 1, 1) for v in (self.preprocess.mean, self.preprocess.std))
        x = (torch.from_numpy(picture[None].transpose(0, 3, 1, 2).copy()).float() / 255 - mean) / std
        with torch.enable_grad():
            found = self._way.attribute(x.requires_grad_(), target=column).detach()
        if self._network is not None:
            found = _on_grid(self._network, found)
        cells: Matrix = found[0].sum(dim=0).double().numpy()
        return cells


def _cut(backbone: Backbone, layer: str) -> tuple[str, bool]:
    """Where the map is for a head on this layer, and whether it is of tokens. Raises UserError where there is none."""
    layers = {known.name: known.shape for known in backbone.layers()}
    if MAP in layers and "mean" not in layers:
        own = map_of(backbone, layer)
        return (own[0] if own else MAP), False
    inner = [name for name in layers if "." in name]
    if len(inner) > 1 and layers[inner[-1]] == layers[inner[-2]]:
        return inner[-2], True
    raise UserError(f"{backbone.name} has no feature map for a gradient: use method=occlusion.")


def _tail(backbone: Backbone, layer: str, end: str) -> nn.Module:
    """From the cut to the head's features (b, d)."""
    from headstart.explaining.differentiable import Flat

    if layer == end:
        return Flat()
    try:
        return backbone.trainable_part(layer, end).module
    except UnknownName:
        raise
    except UserError as error:
        raise UserError(f"{backbone.name} cannot be cut at {layer} for a gradient: use method=occlusion.") from error


def _on_grid(network: Any, tokens: torch.Tensor) -> torch.Tensor:
    """What came of tokens (b, n, c), or of a map (b, h, w, c), as a map (b, c, h, w)."""
    from headstart.backbones.grid import as_map, grid_of

    grid = grid_of(network, tuple(tokens.shape))
    if grid is None:
        raise UserError("The tokens of this network do not form a grid: use method=occlusion.")
    return as_map(tokens, grid.prefix, grid.height, grid.width)
