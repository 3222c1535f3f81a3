"""Networks that cannot be traced into a graph have `pooled` and `last_conv` alone, by timm's own two methods."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from headstart.backbones.facts import Layer
from headstart.backbones.grid import as_map, grid_of
from headstart.backbones.split import Split
from headstart.errors import UnknownName, UserError


class Trunk(nn.Module):
    """(b, 3, h, w) -> (layer, features): the layer's output first, then what the head needs."""

    def __init__(self, network: nn.Module, layer: str) -> None:
        super().__init__()
        self.network: Any = network
        self.layer = layer

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See the class."""
        last = self.network.forward_features(x)
        if self.layer == "last_conv":
            return _as_map(self.network, last), last
        if _is_map(self.network, last):
            return last.mean(dim=(2, 3)), last
        return self.network.forward_head(last, pre_logits=True), last


class Tail(nn.Module):
    """(layer, features) -> (b, classes)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network: Any = network

    def forward(self, _: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
        """See the class."""
        result: torch.Tensor = self.network.forward_head(last)
        return result


class Flat(nn.Module):
    """A trunk's layer as (b, d) float32."""

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        layer: torch.Tensor = self.trunk(x)[0]
        return layer.flatten(1).float()


def layers(network: nn.Module, size: tuple[int, int], name: str) -> tuple[Layer, ...]:
    """`pooled` and, where there is a map or a grid of tokens, `last_conv`."""
    names = ["pooled"]
    with torch.no_grad():
        device = next((p.device for p in network.parameters()), torch.device("cpu"))
        picture = torch.zeros(1, 3, *size, device=device)
        last = _trunk(network, "pooled", name)(picture)[1]
        if _is_map(network, last) or grid_of(network, tuple(last.shape)) is not None:
            names.append("last_conv")
        return tuple(Layer(n, tuple(Trunk(network, n)(picture)[0].shape[1:])) for n in names)


def split(network: nn.Module, layer: str, name: str) -> Split:
    """See `Backbone.split`."""
    return Split(_trunk(network, layer, name), Tail(network).eval(), (layer, "forward_features"))


def features(network: nn.Module, layer: str, name: str) -> nn.Module:
    """See `Backbone.features`."""
    return Flat(_trunk(network, layer, name)).eval()


def _trunk(network: nn.Module, layer: str, name: str) -> Trunk:
    if not hasattr(network, "forward_features") or not hasattr(network, "forward_head"):
        raise UserError(f"{name} can neither be traced nor cut at its classifier; choose another backbone.")
    if layer not in ("pooled", "last_conv"):
        hint = f"{name} cannot be traced, so the modules within it are not available as layers."
        raise UnknownName(f"layer of {name}", layer, ["pooled", "last_conv"], hint)
    return Trunk(network, layer).eval()


def _is_map(network: nn.Module, value: torch.Tensor) -> bool:
    return value.ndim == 4 and "NHWC" not in str(getattr(network, "output_fmt", ""))


def _as_map(network: nn.Module, value: torch.Tensor) -> torch.Tensor:
    """The last map (b, c, h, w), which a transformer's tokens are made into."""
    if _is_map(network, value):
        return value
    if (grid := grid_of(network, tuple(value.shape))) is None:
        raise UserError("This network has neither a map nor a grid of tokens at its end, so no last_conv.")
    return as_map(value, grid.prefix, grid.height, grid.width)
