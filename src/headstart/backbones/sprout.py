"""`sprout`: a small convolutional network of our own, for pictures from 28 x 28 on. Imports torch.

Plain 3 x 3 convolutions with batch normalisation (Ioffe and Szegedy 2015) and ReLU, which a processor without a GPU
trains fastest. Its `pooled` features are the mean of the last map and of its four quarters, with batch normalisation:
where something is counts for characters, that it is there for textures.
"""

from __future__ import annotations

import itertools
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = (24, 48, 96, 192)
"""Channels of the stem, at the size of the picture, and of three stages that each halve it."""


class Block(nn.Module):
    """Convolution, batch normalisation, ReLU: (b, c, h, w) -> (b, width, h / stride, w / stride)."""

    def __init__(self, channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        out: Tensor = self.act(self.norm(self.conv(x)))
        return out


class Quarters(nn.Module):
    """Means of a map and of its four quarters: (b, c, h, w) -> (b, 5 c)."""

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return torch.cat([x.mean((2, 3)), F.adaptive_avg_pool2d(x, 2).flatten(1)], 1)


class Sprout(nn.Module):
    """(b, 3, h, w) float32, normalised, h and w from 28 -> (b, num_classes), or without classes the features (b, d)."""

    pooled_layer = "norm"
    """The layer that `pooled` means."""
    pretrained_cfg: ClassVar = {"classifier": "classifier"}
    """Where the classifier is, in timm's words."""

    def __init__(self, num_classes: int = 0) -> None:
        super().__init__()
        self.stem = Block(3, WIDTHS[0])
        self.stages = nn.Sequential(
            *(nn.Sequential(Block(a, b, stride=2), Block(b, b)) for a, b in itertools.pairwise(WIDTHS))
        )
        self.global_pool = Quarters()
        self.norm = nn.BatchNorm1d(5 * WIDTHS[-1])
        self.classifier = nn.Linear(5 * WIDTHS[-1], num_classes) if num_classes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        out: Tensor = self.classifier(self.norm(self.global_pool(self.stages(self.stem(x)))))
        return out
