"""Networks that cannot be traced into a graph have the layers at their end alone, by timm's own two methods."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from headstart.backbones.facts import Layer
from headstart.backbones.grid import JOIN, SPECIAL, as_map, class_token, grid_of, has_class_token, joined_rows
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
        parts = [self._part(name, last) for name in self.layer.split(JOIN)]
        return parts[0] if len(parts) == 1 else joined_rows(*parts), last

    def _part(self, name: str, last: torch.Tensor) -> torch.Tensor:
        if name == "last_conv":
            return _as_map(self.network, last)
        if name == "cls":
            return class_token(last)
        if name == "mean" or _is_map(self.network, last):
            return _as_map(self.network, last).mean(dim=(2, 3))
        pooled: torch.Tensor = self.network.forward_head(last, pre_logits=True)
        return pooled


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


class UntracedLayers:
    """The layers of a network whose graph cannot be had, for pictures of (height, width)."""

    def __init__(self, network: nn.Module, size: tuple[int, int], name: str) -> None:
        self.network = network
        self.size = size
        self.name = name

    def layers(self) -> tuple[Layer, ...]:
        """`pooled` and, where there is a map or a grid of tokens, `last_conv`; of tokens `cls` and `mean` too."""
        names = ["pooled"]
        with torch.no_grad():
            device = next((p.device for p in self.network.parameters()), torch.device("cpu"))
            picture = torch.zeros(1, 3, *self.size, device=device)
            last = self._trunk("pooled")(picture)[1]
            if _is_map(self.network, last) or grid_of(self.network, tuple(last.shape)) is not None:
                names.append("last_conv")
            if "last_conv" in names and not _is_map(self.network, last):
                names += [*(["cls"] if has_class_token(self.network, tuple(last.shape)) else []), "mean"]
            return tuple(Layer(n, tuple(Trunk(self.network, n)(picture)[0].shape[1:])) for n in names)

    def modules(self) -> tuple[Layer, ...]:
        """The same: the modules within are not available."""
        return self.layers()

    def split(self, layer: str) -> Split:
        """See `Backbone.split`."""
        return Split(self._trunk(layer), Tail(self.network).eval())

    def features(self, layer: str) -> nn.Module:
        """See `Backbone.features`."""
        return Flat(self._trunk(layer)).eval()

    def _trunk(self, layer: str) -> Trunk:
        if not hasattr(self.network, "forward_features") or not hasattr(self.network, "forward_head"):
            raise UserError(f"{self.name} can neither be traced nor cut at its classifier; choose another backbone.")
        if unknown := [part for part in layer.split(JOIN) if part not in SPECIAL]:
            hint = f"{self.name} cannot be traced, so the modules within it are not available as layers."
            raise UnknownName(f"layer of {self.name}", unknown[0], SPECIAL, hint)
        return Trunk(self.network, layer).eval()


def _is_map(network: nn.Module, value: torch.Tensor) -> bool:
    return value.ndim == 4 and "NHWC" not in str(getattr(network, "output_fmt", ""))


def _as_map(network: nn.Module, value: torch.Tensor) -> torch.Tensor:
    """The last map (b, c, h, w), which a transformer's tokens are made into."""
    if _is_map(network, value):
        return value
    if (grid := grid_of(network, tuple(value.shape))) is None:
        raise UserError("This network has neither a map nor a grid of tokens at its end, so no last_conv.")
    return as_map(value, grid.prefix, grid.height, grid.width)
