"""The layers of a network by name. Imports torch.

`TracedLayers` for networks that can be traced into a graph, else `UntracedLayers`.
"""

from __future__ import annotations

from typing import Protocol

from torch import nn

from headstart.backbones.facts import Layer
from headstart.backbones.layers import TracedLayers
from headstart.backbones.split import Split
from headstart.backbones.trace import trace_network
from headstart.backbones.untraced import UntracedLayers


class LayerTable(Protocol):
    """See the methods of `Backbone` with these names."""

    name: str

    def layers(self) -> tuple[Layer, ...]:
        """See `Backbone.layers`."""
        ...

    def modules(self) -> tuple[Layer, ...]:
        """See `Backbone.modules`."""
        ...

    def split(self, layer: str) -> Split:
        """See `Backbone.split`."""
        ...

    def features(self, layer: str) -> nn.Module:
        """See `Backbone.features`."""
        ...


def layer_table(network: nn.Module, size: tuple[int, int], name: str) -> LayerTable:
    """The layers of a network for pictures of (height, width); `name` is what messages call it."""
    traced = trace_network(network, size)
    return TracedLayers(traced, name) if traced else UntracedLayers(network, size, name)
