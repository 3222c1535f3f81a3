"""Where a network is cut for training. Imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

import torch

from headstart.backbones import Backbone, as_pytorch
from headstart.backbones.trainable import PICTURE, TrainableBlock, TrainablePart
from headstart.errors import UnknownName, UserError
from headstart.features.source import FeatureSource
from headstart.recipe import Recipe

DEFAULT_UNITS = 3
"""Blocks that are trained where `unfreeze` is left out."""


@dataclass(frozen=True)
class TrainingSplit:
    """`rows` makes the body's input of a picture; `end` is the source of features, up to the layer of the new top."""

    backbone: Backbone
    body: TrainablePart
    rows: FeatureSource
    end: FeatureSource

    @property
    def whole(self) -> bool:
        """Whether the whole network is trained, so that its input are pixels."""
        return self.body.source == PICTURE

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the network's input."""
        return self.end.preprocess.height, self.end.preprocess.width

    @property
    def row_bytes(self) -> int:
        """Bytes of one stored row."""
        return sum(map(prod, self.shapes)) * (1 if self.whole else 4)

    @cached_property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the body's inputs for one picture, without the batch; the trunk runs once to know them."""
        return self.body.shapes(self.backbone.split, self.size)

    @cached_property
    def width(self) -> int:
        """The number of features that the top is given."""
        module = self.body.module.eval()
        with torch.no_grad():
            features: torch.Tensor = module(*(torch.zeros(1, *shape) for shape in self.shapes))
        return features.shape[1]


def split_for_training(recipe: Recipe, end: FeatureSource) -> TrainingSplit:
    """Cut the backbone of `end` as the recipe says. Raises UserError or UnknownName where it cannot be cut there."""
    if end.backbone is None:
        raise UserError("Without a backbone there is nothing to train; choose one with `backbone`.")
    backbone = as_pytorch(end.backbone)
    blocks, asked = backbone.trainable_blocks(end.layer), recipe.training.unfreeze
    layer = None if recipe.method == "scratch" else below(backbone.name, blocks, asked)
    body = backbone.trainable_part(layer, end.layer)
    rows = FeatureSource(end.preprocess, layer=PICTURE) if layer is None else replace(end, layer=body.source)
    return TrainingSplit(backbone, body, rows, end)


def below(network: str, blocks: Sequence[TrainableBlock], unfreeze: int | str | None) -> str | None:
    """The layer behind which `--unfreeze` cuts a network of these blocks; None to train everything.

    A number counts blocks with weights from the output, a name is the first block to train. Raises UserError for a
    number below 1 and for a network that cannot be cut, UnknownName for a block that does not exist.
    """
    wanted = DEFAULT_UNITS if unfreeze is None else unfreeze
    if wanted == "all":
        return None
    if not blocks:
        raise UserError(
            f"{network} cannot be traced into a graph, so it cannot be cut between blocks: use unfreeze=all."
        )
    if isinstance(wanted, int):
        if wanted < 1:
            raise UserError(f"unfreeze={wanted}: train at least 1 block; to train none, use method=features.")
        first = max(0, len(blocks) - wanted)
    else:
        first = _place(network, blocks, wanted)
    return blocks[first - 1].end if first else None


def _place(network: str, blocks: Sequence[TrainableBlock], name: str) -> int:
    """The first block with this name, or of the stage with this name."""
    found = [i for i, b in enumerate(blocks) if name in b.layers or b.name.startswith(f"{name}.")]
    if not found:
        names = [block.name for block in blocks]
        raise UnknownName(f"block of {network}", name, ["all", *names], f"Its blocks: {', '.join(names)}.")
    return found[0]
