"""A network to tune: rows of stored trunk activations (or of pixels) in, logits out. Imports torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from headstart.training.fold import folded
from headstart.training.optimiser import Group

if TYPE_CHECKING:
    from headstart.backbones.trainable import TrainableBlock, TrainablePart
    from headstart.preprocess import Preprocess

BatchNorm = Literal["frozen", "trained"]
HEAD = "head"
BLOCKS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
Layers = Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]]
"""Weights (d, k) and biases (k,) of dense layers, ReLU between them."""


class Tunable(nn.Module):
    """A body and a new top. `forward` takes rows (b, d): float32 activations, or uint8 pixels (h, w, c) in a row.

    With `batchnorm` `frozen` the batch normalisations of the body use their stored statistics and keep them, also
    while everything else is trained: little data would spoil them.
    """

    top: nn.Sequential
    _mean: torch.Tensor
    _std: torch.Tensor

    def __init__(
        self,
        body: TrainablePart,
        shapes: Sequence[tuple[int, ...]],
        preprocess: Preprocess,
        top: nn.Sequential,
        batchnorm: BatchNorm = "frozen",
    ) -> None:
        super().__init__()
        self.body = folded(body.module) if batchnorm == "frozen" else body.module
        self._prefix = body.prefix
        self.top = top
        self.batchnorm = batchnorm
        self._pixels = body.source == "input"
        self._shapes = [tuple(s) for s in shapes]
        self._sizes = [math.prod(s) for s in self._shapes]
        mean, std = (torch.tensor(v, dtype=torch.float32) * 255 for v in (preprocess.mean, preprocess.std))
        self.register_buffer("_mean", mean.view(1, -1, 1, 1), persistent=False)
        self.register_buffer("_std", std.view(1, -1, 1, 1), persistent=False)

    def features(self, rows: torch.Tensor) -> torch.Tensor:
        """(b, d) rows -> (b, f) float32, what the top is given."""
        value: torch.Tensor = self.body(*self._carried(rows))
        return value

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """(b, d) rows -> (b, k) logits."""
        logits: torch.Tensor = self.top(self.features(rows))
        return logits

    def _carried(self, rows: torch.Tensor) -> list[torch.Tensor]:
        b = len(rows)
        if self._pixels:
            channels, height, width = self._shapes[0]
            x = rows.view(b, height, width, channels).permute(0, 3, 1, 2).float()
            return [((x - self._mean) / self._std).contiguous(memory_format=torch.channels_last)]
        parts = torch.split(rows, self._sizes, dim=1)
        return [_laid_out(part.reshape(b, *shape)) for part, shape in zip(parts, self._shapes, strict=True)]

    def train(self, mode: bool = True) -> Tunable:
        """Train or eval mode; frozen batch normalisations stay in eval mode."""
        super().train(mode)
        if self.batchnorm == "frozen":
            for module in self.body.modules():
                if isinstance(module, BLOCKS):
                    module.eval()
        return self

    def body_state(self) -> dict[str, torch.Tensor]:
        """Copies of the body's weights and statistics, under the names they have in the whole network."""
        state = self.body.state_dict()
        return {name.removeprefix(self._prefix): value.detach().cpu().clone() for name, value in state.items()}


def _laid_out(x: torch.Tensor) -> torch.Tensor:
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


def dense(widths: Sequence[int], dropout: float = 0.0) -> nn.Sequential:
    """Dense layers of these widths, (b, widths[0]) -> (b, widths[-1]), with ReLU and dropout between; all zero.

    A top that starts at zero gives every class the same probability, whatever the features.
    """
    modules: list[nn.Module] = []
    for i, (fan_in, fan_out) in enumerate(pairwise(widths)):
        if i:
            modules += [nn.ReLU(), nn.Dropout(dropout)]
        linear = nn.Linear(fan_in, fan_out, device="meta")  # draws no random numbers
        linear.weight = nn.Parameter(torch.zeros(fan_out, fan_in))
        linear.bias = nn.Parameter(torch.zeros(fan_out))
        modules.append(linear)
    return nn.Sequential(*modules)


def draw(top: nn.Sequential, seed: int) -> None:
    """He initialisation (He et al. 2015) of the hidden layers; the last one stays zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for linear in _linears(top)[:-1]:
            linear.weight.normal_(0.0, (2.0 / linear.in_features) ** 0.5, generator=generator)


def fill(top: nn.Sequential, layers: Layers) -> None:
    """Give the dense layers these weights (d, k) and biases (k,)."""
    with torch.no_grad():
        for linear, (weights, bias) in zip(_linears(top), layers, strict=True):
            linear.weight.copy_(torch.from_numpy(np.asarray(weights).T))
            linear.bias.copy_(torch.from_numpy(np.asarray(bias)))


def read(top: nn.Sequential) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """The inverse of `fill`, float64."""
    return [
        (linear.weight.detach().cpu().double().numpy().T.copy(), linear.bias.detach().cpu().double().numpy())
        for linear in _linears(top)
    ]


def _linears(top: nn.Sequential) -> list[nn.Linear]:
    return [m for m in top if isinstance(m, nn.Linear)]


def groups(
    network: Tunable, blocks: Sequence[TrainableBlock], decay: float, pull: float, gradual: int = 0
) -> list[Group]:
    """The top at the full learning rate, and each block of the body, from output to input, at `decay` times the last.

    With `gradual` > 0 the blocks begin to learn one after another, so many epochs apart, the top first (ULMFiT, Howard
    and Ruder 2018). `pull` is L2-SP's, on the body.
    """
    found = [Group(HEAD, {f"top.{n}": p for n, p in network.top.named_parameters()})]
    members: dict[str, dict[str, nn.Parameter]] = {block.name: {} for block in blocks} or {"body": {}}
    block = next(iter(members))
    for name, parameter in network.body.named_parameters():  # in the order of use; one of no block joins the one before
        block = next((b.name for b in blocks for layer in b.layers if name.startswith(f"{layer}.")), block)
        members[block][f"body.{name}"] = parameter
    for depth, (block, parameters) in enumerate(reversed(members.items()), start=1):
        if parameters:
            found.append(Group(block, parameters, decay**depth, pull, 1 + gradual * depth))
    return found


def blended(start: Mapping[str, torch.Tensor], end: Mapping[str, torch.Tensor], share: float) -> dict[str, Any]:
    """WiSE-FT (Wortsman et al. 2022): (1 - share) start + share end; whole numbers are those of `end`."""
    return {n: torch.lerp(start[n], v, share) if v.is_floating_point() else v for n, v in end.items()}
