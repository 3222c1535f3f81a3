"""What of a network is trained: the body between a cut and its features, and the network with new weights.

Imports torch.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import nn

from headstart.backbones.backbone import CUT, Backbone, Weights
from headstart.backbones.fingerprint import fingerprint
from headstart.backbones.sources import Architecture
from headstart.errors import UserError
from headstart.preprocess import Preprocess

PICTURE = "input"
UNTRACED = "trunk.network."


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
    `units` are the blocks that are in it, whole or in part, from input to output. `prefix` stands before the names
    that its weights have in the network.
    """

    module: nn.Module
    source: str
    units: tuple[Unit, ...]
    carried: int
    prefix: str = ""

    def shapes(self, backbone: Backbone, size: tuple[int, int]) -> list[tuple[int, ...]]:
        """The shapes of the carried tensors for one picture of `size`, without the batch."""
        if self.source == PICTURE:
            return [(3, *size)]
        trunk = backbone.split(self.source.removeprefix(CUT)).trunk
        with torch.no_grad():
            return [tuple(t.shape[1:]) for t in trunk(torch.zeros(1, 3, *size))]


def units(backbone: Backbone, end: str | None = None) -> tuple[Unit, ...]:
    """See `Backbone.units`."""
    if end is not None:
        return _within(backbone, backbone.features(end))
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
        whole = backbone.features(end)
        if table is None:
            return Body(copy.deepcopy(whole), PICTURE, (), 1, UNTRACED)
        module = _copied(backbone, whole)
        return Body(module, PICTURE, _within(backbone, module), 1)
    if table is None:
        raise UserError(
            f"{backbone.name} cannot be traced into a graph, so it cannot be cut at {layer}: "
            "fine-tune all of it (unfreeze=all), or choose another backbone."
        )
    from headstart.backbones.split import carried, tail_features

    final, node = table.node(end), table.node(layer)
    order = {n: i for i, n in enumerate(table.traced.graph.nodes)}
    if order[node] > order[final]:
        raise UserError(f"{layer} of {backbone.name} lies behind {end}: there is nothing between them to train.")
    count = len(carried(table.traced, node))
    module = _copied(backbone, tail_features(table.traced, node, final))
    return Body(module, f"{CUT}{layer}" if count > 1 else layer, _within(backbone, module), count)


def _copied(backbone: Backbone, module: nn.Module) -> nn.Module:
    """A copy whose state has the network's names alone: constants that tracing made into buffers are no weights."""
    own = copy.deepcopy(module)
    for name in own.state_dict().keys() - backbone.network().state_dict().keys():
        owner, _, last = name.rpartition(".")
        own.get_submodule(owner).register_buffer(last, own.get_buffer(name), persistent=False)
    return own


def _within(backbone: Backbone, module: nn.Module) -> tuple[Unit, ...]:
    names = [name for name, _ in module.named_parameters()]
    return tuple(u for u in units(backbone) if any(n.startswith(f"{layer}.") for n in names for layer in u.layers))


def tuned(backbone: Backbone, state: Mapping[str, torch.Tensor]) -> Backbone:
    """See `Backbone.tuned`. Raises KeyError when the network has not what `state` names."""
    network = copy.deepcopy(backbone.network())
    own = network.state_dict()
    with torch.no_grad():
        for name, value in state.items():
            own[name].copy_(value)
    return _of(backbone, network, backbone.weights.licence)


def headless(backbone: Backbone, preprocess: Preprocess, licence: str) -> Backbone:
    """The same network without its classifier, as a source model is kept; `preprocess` is what it was trained with."""
    from headstart.backbones.build import create

    network = create(backbone.architecture, Weights("none", kwargs=backbone.weights.kwargs, num_classes=0))
    own, theirs = network.state_dict(), backbone.network().state_dict()
    with torch.no_grad():
        for name in own:
            own[name].copy_(theirs[name])
    return _of(replace(backbone, preprocess=preprocess), network, licence)


def _of(backbone: Backbone, network: nn.Module, licence: str) -> Backbone:
    from headstart.backbones.build import content

    sha256, classes = content(network.eval())
    weights = Weights("tuned", sha256=sha256, kwargs=backbone.weights.kwargs, num_classes=classes, licence=licence)
    library = Architecture.of(backbone.architecture).library
    mark = fingerprint(backbone.architecture, weights.kwargs, classes, sha256, library)
    new = replace(backbone, weights=weights, fingerprint=mark)
    new.__dict__["_network"] = network  # fills the cached property
    return new
