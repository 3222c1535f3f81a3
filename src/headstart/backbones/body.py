"""What of a network is trained: the body between a cut and its features, and the network with new weights.

Imports torch.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import nn

from headstart.backbones.backbone import CUT, Backbone, Weights
from headstart.backbones.fingerprint import fingerprint
from headstart.backbones.sources import Architecture
from headstart.errors import UserError

PICTURE = "input"


@dataclass(frozen=True)
class Unit:
    """A block with weights, and the layers without any that follow it; a cut behind the unit is behind `end`."""

    name: str
    layers: tuple[str, ...]

    @property
    def end(self) -> str:
        """The last of its layers."""
        return self.layers[-1]


@dataclass(frozen=True)
class Body:
    """`module(*carried)` gives the features (b, d) float32; a copy, so that training leaves the backbone as it is.

    `source` is the layer whose rows it takes (`cut:NAME` where a cut carries several tensors, `input` for the picture);
    `units` are the blocks that are in it, from input to output.
    """

    module: nn.Module
    source: str
    units: tuple[Unit, ...]
    carried: int

    def shapes(self, backbone: Backbone, size: tuple[int, int]) -> list[tuple[int, ...]]:
        """The shapes of the carried tensors for one picture of `size`, without the batch."""
        if self.source == PICTURE:
            return [(3, *size)]
        trunk = backbone.split(self.source.removeprefix(CUT)).trunk
        with torch.no_grad():
            return [tuple(t.shape[1:]) for t in trunk(torch.zeros(1, 3, *size))]


def units(backbone: Backbone) -> tuple[Unit, ...]:
    """See `Backbone.units`."""
    network = backbone.network()
    found: list[Unit] = []
    for layer in backbone.layers():
        if layer.name in ("pooled", "last_conv"):
            continue
        weighty = any(p.ndim > 1 for p in network.get_submodule(layer.name).parameters())
        if weighty or not found:
            found.append(Unit(layer.name, (layer.name,)))
        else:
            found[-1] = Unit(found[-1].name, (*found[-1].layers, layer.name))
    return tuple(found)


def body(backbone: Backbone, layer: str | None, end: str) -> Body:
    """See `Backbone.body`."""
    table = backbone._table
    if layer is None:
        return Body(copy.deepcopy(backbone.features(end)), PICTURE, units(backbone) if table else (), 1)
    if table is None:
        raise UserError(
            f"{backbone.name} cannot be traced into a graph, so it cannot be cut at {layer}: "
            "fine-tune all of it (--unfreeze all), or choose another backbone."
        )
    from headstart.backbones.split import carried, tail_features

    known = units(backbone)
    final, node = table.node(end), table.node(layer)
    count = len(carried(table.traced, node))
    after = next((i + 1 for i, unit in enumerate(known) if layer in unit.layers), 0)
    module = copy.deepcopy(tail_features(table.traced, node, final))
    return Body(module, f"{CUT}{layer}" if count > 1 else layer, known[after:], count)


def tuned(backbone: Backbone, state: Mapping[str, torch.Tensor]) -> Backbone:
    """See `Backbone.tuned`. Raises KeyError when the network has not what `state` names."""
    from headstart.backbones.build import content

    network = copy.deepcopy(backbone.network())
    own = network.state_dict()
    with torch.no_grad():
        for name, value in state.items():
            own[name].copy_(value)
    network.eval()
    sha256, classes = content(network)
    weights = Weights(
        "tuned", sha256=sha256, kwargs=backbone.weights.kwargs, num_classes=classes, licence=backbone.weights.licence
    )
    library = Architecture.of(backbone.architecture).library
    mark = fingerprint(backbone.architecture, weights.kwargs, classes, sha256, library)
    new = replace(backbone, weights=weights, fingerprint=mark)
    new.__dict__["_network"] = network  # fills the cached property
    return new


def content_of(state: Mapping[str, torch.Tensor]) -> str:
    """A digest of named tensors."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(state):
        digest.update(name.encode())
        digest.update(state[name].detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
