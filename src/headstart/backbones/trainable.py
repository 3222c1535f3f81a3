"""The part of a network that is trained, between a cut and its features, and the blocks it has. Imports torch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from headstart.backbones.grid import SPECIAL
from headstart.backbones.layers import CUT, TracedLayers
from headstart.backbones.split import Split, carried, tail_features
from headstart.backbones.table import LayerTable
from headstart.errors import UserError

PICTURE = "input"
UNTRACED = "trunk.network."


@dataclass(frozen=True)
class TrainableBlock:
    """A block with weights, and the layers without any that follow it; a cut behind the block is behind `end`."""

    name: str
    layers: tuple[str, ...]

    @property
    def end(self) -> str:
        """The last of its layers."""
        return self.layers[-1]


@dataclass(frozen=True)
class TrainablePart:
    """`module(*carried)` gives the features (b, d) float32; a copy, so that training leaves the backbone as it is.

    `source` is the layer whose rows it takes (`cut:NAME` where a cut carries several tensors, `input` for the picture);
    `blocks` are those that are in it, whole or in part, from input to output. `prefix` stands before the names that
    its weights have in the network.
    """

    module: nn.Module
    source: str
    blocks: tuple[TrainableBlock, ...]
    prefix: str = ""

    def shapes(self, split: Callable[[str], Split], size: tuple[int, int]) -> list[tuple[int, ...]]:
        """The shapes of the carried tensors for one picture of `size`, without the batch; `split` is the backbone's."""
        if self.source == PICTURE:
            return [(3, *size)]
        trunk = split(self.source.removeprefix(CUT)).trunk
        with torch.no_grad():
            return [tuple(t.shape[1:]) for t in trunk(torch.zeros(1, 3, *size))]


def blocks_of(network: nn.Module, table: LayerTable, end: str | None = None) -> tuple[TrainableBlock, ...]:
    """See `Backbone.trainable_blocks`."""
    if end is not None:
        return _within(network, table, table.features(end))
    found: list[TrainableBlock] = []
    for layer in table.layers():
        if layer.name in SPECIAL:
            continue
        weighty = any(p.ndim > 1 for p in network.get_submodule(layer.name).parameters())
        if weighty or not found:
            found.append(TrainableBlock(layer.name, (layer.name,)))
        else:
            found[-1] = TrainableBlock(found[-1].name, (*found[-1].layers, layer.name))
    return tuple(found)


def part_between(network: nn.Module, table: LayerTable, layer: str | None, end: str) -> TrainablePart:
    """See `Backbone.trainable_part`."""
    if layer is None:
        whole = table.features(end)
        if not isinstance(table, TracedLayers):
            return TrainablePart(copy.deepcopy(whole), PICTURE, (), UNTRACED)
        module = _copied(network, whole)
        return TrainablePart(module, PICTURE, _within(network, table, module))
    if not isinstance(table, TracedLayers):
        raise UserError(
            f"{table.name} cannot be traced into a graph, so it cannot be cut at {layer}: "
            "fine-tune all of it (unfreeze=all), or choose another backbone."
        )
    final, node = table.node(end), table.node(layer)
    order = {n: i for i, n in enumerate(table.traced.graph.nodes)}
    if order[node] > order[final]:
        raise UserError(f"{layer} of {table.name} comes after {end}: there is nothing between them to train.")
    module = _copied(network, tail_features(table.traced, node, final))
    source = f"{CUT}{layer}" if len(carried(table.traced, node)) > 1 else layer
    return TrainablePart(module, source, _within(network, table, module))


def _copied(network: nn.Module, module: nn.Module) -> nn.Module:
    """A copy whose state has the network's names alone: constants that tracing made into buffers are no weights."""
    own = copy.deepcopy(module)
    for name in own.state_dict().keys() - network.state_dict().keys():
        owner, _, last = name.rpartition(".")
        own.get_submodule(owner).register_buffer(last, own.get_buffer(name), persistent=False)
    return own


def _within(network: nn.Module, table: LayerTable, module: nn.Module) -> tuple[TrainableBlock, ...]:
    names = [name for name, _ in module.named_parameters()]
    return tuple(
        b for b in blocks_of(network, table) if any(n.startswith(f"{layer}.") for n in names for layer in b.layers)
    )
