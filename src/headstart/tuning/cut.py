"""Where a network is cut for training."""

from __future__ import annotations

from dataclasses import dataclass, replace

from headstart.backbones import Backbone
from headstart.backbones.body import PICTURE, Body
from headstart.errors import UnknownName, UserError
from headstart.features.extract import FeatureSource
from headstart.recipe import Recipe

DEFAULT_UNITS = 3
"""Blocks that are trained where `unfreeze` is left out."""


@dataclass(frozen=True)
class Cut:
    """`rows` makes the body's input of a picture; `end` is the source of features, up to the layer of the new top."""

    backbone: Backbone
    body: Body
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

    def row_bytes(self) -> int:
        """Bytes of one stored row."""
        shapes = self.body.shapes(self.backbone, self.size)
        return sum(_product(shape) for shape in shapes) * (1 if self.whole else 4)

    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the body's inputs for one picture, without the batch."""
        return self.body.shapes(self.backbone, self.size)


def cut(recipe: Recipe, end: FeatureSource) -> Cut:
    """Cut the backbone of `end` as the recipe says. Raises UserError or UnknownName where it cannot be cut there."""
    backbone = end.backbone
    if backbone is None:
        raise UserError("Without a backbone there is nothing to train; choose one with --backbone.")
    layer = None if recipe.method == "scratch" else below(backbone, recipe.training.unfreeze)
    body = backbone.body(layer, end.layer)
    if body.source == PICTURE:
        return Cut(backbone, body, FeatureSource(end.preprocess, layer=PICTURE), end)
    return Cut(backbone, body, replace(end, layer=body.source), end)


def below(backbone: Backbone, unfreeze: int | str | None) -> str | None:
    """The layer behind which `--unfreeze` cuts; None to train everything.

    A number counts blocks with weights from the output, a name is the first block to train. Raises UserError for a
    number below 1 and for a network that cannot be cut, UnknownName for a block that does not exist.
    """
    wanted = DEFAULT_UNITS if unfreeze is None else unfreeze
    if wanted == "all":
        return None
    units = backbone.units() if backbone.layers() else ()
    if not units:
        raise UserError(
            f"{backbone.name} cannot be traced into a graph, so it cannot be cut between blocks: use --unfreeze all."
        )
    if isinstance(wanted, str):
        names = [unit.name for unit in units]
        first = next((i for i, u in enumerate(units) if wanted in u.layers or u.name.startswith(f"{wanted}.")), None)
        if first is None:
            raise UnknownName(f"block of {backbone.name}", wanted, ["all", *names], f"Its blocks: {', '.join(names)}.")
    else:
        if wanted < 1:
            raise UserError(f"--unfreeze {wanted}: train at least 1 block; for none, use --method features.")
        first = max(0, len(units) - wanted)
    return units[first - 1].end if first else None


def _product(shape: tuple[int, ...]) -> int:
    total = 1
    for side in shape:
        total *= side
    return total
