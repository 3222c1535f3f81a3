"""The tokens of a transformer as a map: channels x height x width, one cell for each place of the picture.

Class and register tokens, which belong to no place, come first and are left out. Imports torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

import torch
from torch import nn

SPECIAL = ("pooled", "last_conv", "cls", "mean")
"""Layers that are named by what they are; of several joined by JOIN the rows stand side by side."""
JOIN = "+"
PREFIXES = (0, 1, 2)
"""Tokens of no place that a network may have without saying so: none, a class token, DeiT's two."""


@dataclass(frozen=True)
class Grid:
    """`prefix` tokens of no place, then `height` x `width` of them, or a map with its channels last."""

    prefix: int
    height: int
    width: int


def grid_of(network: nn.Module, shape: tuple[int, ...]) -> Grid | None:
    """How tokens (b, n, c), or a map (b, h, w, c), lie on the picture; None where they lie on no grid."""
    if len(shape) == 4:
        return Grid(0, shape[1], shape[2])
    if len(shape) != 3:
        return None
    stated = getattr(network, "num_prefix_tokens", None)
    for prefix in PREFIXES if stated is None else (int(stated),):
        if (sides := _sides(network, shape[1] - prefix)) is not None:
            return Grid(prefix, *sides)
    return None


def as_map(tokens: torch.Tensor, prefix: int, height: int, width: int) -> torch.Tensor:
    """Tokens (b, prefix + h * w, c), or a map (b, h, w, c) -> (b, c, h, w)."""
    if tokens.ndim == 4:
        return tokens.permute(0, 3, 1, 2)
    cells = tokens[:, prefix:].transpose(1, 2)
    return cells.reshape(cells.shape[0], cells.shape[1], height, width)


def has_class_token(network: nn.Module, shape: tuple[int, ...]) -> bool:
    """Whether the first of the tokens (b, n, c) is the class token: of no place, and learned as one."""
    stated = getattr(network, "cls_token", getattr(network, "class_token", None))
    grid = grid_of(network, shape) if isinstance(stated, torch.Tensor) and len(shape) == 3 else None
    return grid is not None and grid.prefix > 0


def class_token(tokens: torch.Tensor) -> torch.Tensor:
    """Tokens (b, n, c) -> the first (b, c)."""
    return tokens[:, 0]


def joined_rows(*parts: torch.Tensor) -> torch.Tensor:
    """Tensors (b, ...) flattened and side by side: (b, d)."""
    return torch.cat([part.flatten(1) for part in parts], 1)


def _sides(network: nn.Module, cells: int) -> tuple[int, int] | None:
    """Height and width of so many cells: what the patches say, else a square; one cell is no grid."""
    stated = getattr(getattr(network, "patch_embed", None), "grid_size", None)
    if stated is not None and stated[0] * stated[1] == cells:
        return int(stated[0]), int(stated[1])
    side = isqrt(max(cells, 0))
    return (side, side) if side > 1 and side * side == cells else None
