"""`small_cnn`: the textbook's small convolutional network, to be trained from nothing. Imports torch.

The honest baseline of a transfer, that trains in seconds on one core: three 3 x 3 convolutions with batch normalisation
(Ioffe and Szegedy 2015) and ReLU, the map halved by its maxima between them (LeCun et al. 1998; maxima: Scherer et al.
2010). It takes pictures from 3 x 3 on; from 8 x 8 on the last map has 2 x 2 cells or more.
"""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from headstart.backbones.sprout import Block

WIDTHS = (16, 32, 64)
"""Channels of the three convolutions."""
CELLS = 3
"""The last map is pooled to CELLS x CELLS; its maxima keep where something is, which means alone would lose."""
FEATURES = WIDTHS[-1] * CELLS**2


class MaximaGrid(nn.Module):
    """Maxima of a map in a grid of overlapping cells: (b, c, h, w) -> (b, 9 c)."""

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return F.adaptive_max_pool2d(x, CELLS).flatten(1)


class SmallCnn(nn.Module):
    """(b, 3, h, w) float32, normalised, h and w from 3 -> (b, num_classes), or without classes the features (b, d)."""

    pooled_layer = "norm"
    """The layer that `pooled` means."""
    pretrained_cfg: ClassVar = {"classifier": "classifier"}
    """Where the classifier is, in timm's words."""

    def __init__(self, num_classes: int = 0) -> None:
        super().__init__()
        first, second, third = WIDTHS
        self.blocks = nn.Sequential(Block(3, first), _halved(), Block(first, second), _halved(), Block(second, third))
        self.global_pool = MaximaGrid()
        self.norm = nn.BatchNorm1d(FEATURES)
        self.classifier = nn.Linear(FEATURES, num_classes) if num_classes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        out: Tensor = self.classifier(self.norm(self.global_pool(self.blocks(x))))
        return out


def _halved() -> nn.MaxPool2d:
    """Rounded up: no edge is dropped, and no map comes to nothing."""
    return nn.MaxPool2d(2, ceil_mode=True)
