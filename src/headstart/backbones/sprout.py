"""`sprout`: a small convolutional network of our own, for pictures from 28 x 28 on. Imports torch.

Plain 3 x 3 convolutions with batch normalisation (Ioffe and Szegedy 2015) and ReLU, which a processor without a GPU
trains fastest. Its `pooled` features are means of maps and of parts of them, with batch normalisation: where something
is counts for characters, that it is there for textures.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Shape:
    """`widths`: channels of the stem, at the size of the picture, and of three stages that each halve it.

    `blocks`: convolutions of each stage; those after the second have a connection around them. `thirds`: whether the
    features are means over 3 x 3 overlapping parts of the last two maps, or over the last map and its four quarters.
    """

    widths: tuple[int, int, int, int]
    blocks: tuple[int, int, int]
    thirds: bool

    @property
    def features(self) -> int:
        """How many features there are."""
        return 9 * sum(self.widths[2:]) if self.thirds else 5 * self.widths[3]


EDITIONS = {1: Shape((24, 48, 96, 192), (2, 2, 2), False), 2: Shape((32, 64, 128, 192), (2, 3, 2), True)}


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


class Around(Block):
    """The same with a connection around convolution and normalisation (He et al. 2016)."""

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        out: Tensor = self.act(self.norm(self.conv(x)) + x)
        return out


class Quarters(nn.Module):
    """Means of a map and of its four quarters: (b, c, h, w) -> (b, 5 c)."""

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return torch.cat([x.mean((2, 3)), F.adaptive_avg_pool2d(x, 2).flatten(1)], 1)


class Both(nn.Module):
    """The last map and the one before it, halved, as one map: (b, c, h, w), (b, d, 2 h, 2 w) -> (b, c + d, h, w)."""

    def forward(self, last: Tensor, before: Tensor) -> Tensor:
        """See the class."""
        return torch.cat([last, F.avg_pool2d(before, 2, ceil_mode=True)], 1)


class Thirds(nn.Module):
    """Means of 3 x 3 parts of a map, each half as high and as wide: (b, c, h, w) -> (b, 9 c)."""

    def forward(self, x: Tensor) -> Tensor:
        """See the class; h and w from 4."""
        return F.avg_pool2d(F.adaptive_avg_pool2d(x, 4), 2, stride=1).flatten(1)


class Sprout(nn.Module):
    """(b, 3, h, w) float32, normalised, h and w from 28 -> (b, num_classes), or without classes the features (b, d).

    `edition` is the key of its shape in `EDITIONS`. Weights of the first edition do not name it.
    """

    pooled_layer = "norm"
    """The layer that `pooled` means."""
    pretrained_cfg: ClassVar = {"classifier": "classifier"}
    """Where the classifier is, in timm's words."""

    def __init__(self, num_classes: int = 0, edition: int = 1) -> None:
        super().__init__()
        shape = EDITIONS[edition]
        self.stem = Block(3, shape.widths[0])
        widths = itertools.pairwise(shape.widths)
        self.stages = nn.Sequential(*(_stage(a, b, n) for (a, b), n in zip(widths, shape.blocks, strict=True)))
        self.both = Both() if shape.thirds else None
        self.global_pool = Thirds() if shape.thirds else Quarters()
        self.norm = nn.BatchNorm1d(shape.features)
        self.classifier = nn.Linear(shape.features, num_classes) if num_classes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        first, second, third = self.stages
        before = second(first(self.stem(x)))
        last = third(before)
        whole = last if self.both is None else self.both(last, before)
        out: Tensor = self.classifier(self.norm(self.global_pool(whole)))
        return out


def _stage(channels: int, width: int, blocks: int) -> nn.Sequential:
    further = (Around(width, width) for _ in range(blocks - 2))
    return nn.Sequential(Block(channels, width, stride=2), Block(width, width), *further)
