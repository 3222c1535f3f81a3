"""From fields and textures to a batch of pictures: placed, bent, coloured, lit, blurred and noisy.

Everything is random and comes from the generator that is given. Imports torch, as `textures` and `bank` do.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from headstart.drawn import textures
from headstart.drawn.sheet import REACH, SIDE

ELASTIC = 4  # control points a side of the elastic grid


def figure_masks(fields: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """(b, SIDE, SIDE) uint8 fields -> (b, size, size) float32 masks, 0 outside and 1 inside."""
    b = len(fields)
    cells = (fields.float() - 128) * (REACH / 127)
    placed, scale = _placement(b, size, generator)
    sampled = F.grid_sample(cells[:, None], placed, padding_mode="border", align_corners=False)[:, 0]
    deepest = cells.amax((1, 2))
    thicker = _uniform(b, -0.9, 1.1, generator)
    thicker = torch.maximum(thicker, 0.7 / scale - deepest)  # thin lines do not vanish
    pixels = scale * size / SIDE  # of the picture in a cell of the field
    soft = torch.exp(_uniform(b, math.log(0.45), math.log(1.6), generator))
    slope = (pixels * soft)[:, None, None]
    return (0.5 + (sampled + thicker[:, None, None]) * slope).clamp(0, 1)


def _placement(b: int, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Where each pixel looks in its field, (b, size, size, 2), and how much larger the figure is drawn, (b,)."""
    angle = 0.22 * torch.randn(b, generator=generator)
    scale = torch.exp(_uniform(b, math.log(0.75), math.log(1.55), generator))
    stretch = torch.exp(0.14 * torch.randn(b, generator=generator))
    shear = 0.22 * torch.randn(b, generator=generator)
    c, s = torch.cos(angle), torch.sin(angle)
    rows = [
        torch.stack([c + shear * s, -s + shear * c], 1) * stretch[:, None],
        torch.stack([s, c], 1) / stretch[:, None],
    ]
    matrix = torch.stack(rows, 1) / scale[:, None, None]
    room = (1 - 0.625 * scale).clamp(min=0.05)  # what is left beside the figure
    shift = (torch.rand(b, 2, generator=generator) * 2 - 1) * (0.7 * room)[:, None]
    theta = torch.cat([matrix, (matrix @ -shift[:, :, None])], 2)
    grid = F.affine_grid(theta, [b, 1, size, size], align_corners=False)
    strength = 0.11 * torch.rand(b, 1, 1, 1, generator=generator)
    bends = strength * torch.randn(b, 2, ELASTIC, ELASTIC, generator=generator)
    bends = F.interpolate(bends, size=(size, size), mode="bicubic", align_corners=True)
    return grid + bends.permute(0, 2, 3, 1), scale


def coloured(masks: Tensor, generator: torch.Generator) -> Tensor:
    """(b, s, s) masks -> (b, 3, s, s) pictures 0..1: paper and ink of random colours, plain, textured or shaded."""
    b, size = masks.shape[:2]
    paper, ink = _two_colours(b, generator)
    surface = [_surface(colour, size, plain, generator) for colour, plain in ((paper, 0.55), (ink, 0.6))]
    mask = masks[:, None]
    return surface[0] * (1 - mask) + surface[1] * mask


def textured(numbers: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """(b, NUMBERS) -> (b, 3, s, s) pictures 0..1 of textures, between two random colours."""
    low, high = _two_colours(len(numbers), generator)
    value = torch.sigmoid(1.5 * textures.texture(numbers, size, generator))[:, None]
    return low[:, :, None, None] * (1 - value) + high[:, :, None, None] * value


def _two_colours(b: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Two (b, 3) colours at least 0.25 apart in brightness; half are grey, a third pure black and white or nearly."""
    gap = 0.25 + 0.75 * torch.rand(b, 1, generator=generator) ** 0.7
    low = (1 - gap) * torch.rand(b, 1, generator=generator)
    strong = _chance(b, 0.3, generator)[:, None]
    low, high = torch.where(strong, 0.05 * low, low), torch.where(strong, 1 - 0.1 * (1 - gap), low + gap)
    tint = 0.35 * torch.randn(2, b, 3, generator=generator) * ~_chance(b, 0.5, generator)[:, None]
    tint = tint - tint.mean(2, keepdim=True)
    swap = _chance(b, 0.4, generator)[:, None]
    low, high = torch.where(swap, high, low), torch.where(swap, low, high)
    return (low + tint[0]).clamp(0, 1), (high + tint[1]).clamp(0, 1)


def _surface(colour: Tensor, size: int, plain: float, generator: torch.Generator) -> Tensor:
    """(b, 3) colours -> (b, 3, s, s): as they are, or with a texture and a slope of light."""
    b = len(colour)
    numbers = textures.recipes(b, generator)
    rough = ~_chance(b, plain, generator) * 0.25 * torch.rand(b, generator=generator)
    value = textures.texture(numbers, size, generator) * rough[:, None, None]
    direction = torch.randn(b, 2, generator=generator) * (~_chance(b, 0.7, generator) * 0.15)[:, None]
    side = torch.linspace(-1, 1, size)
    value = value + direction[:, :1, None] * side[None, :, None] + direction[:, 1:, None] * side[None, None, :]
    lean = 1 + 0.5 * torch.randn(b, 3, 1, 1, generator=generator) * (colour.std(1) > 0.01)[:, None, None, None]
    return colour[:, :, None, None] + value[:, None] * lean


def camera(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """What a camera or scanner does: some are blurred, some coarse, some noisy; back to 0..1."""
    b, _, size, _ = pictures.shape
    pictures = torch.where(_picked(b, 0.2, generator), _blurred(pictures), pictures)
    coarse = (size // 2, size * 3 // 8, size // 4)[int(torch.randint(3, (), generator=generator))]
    small = F.interpolate(pictures, size=(coarse, coarse), mode="bilinear", antialias=True, align_corners=False)
    again = F.interpolate(small, size=(size, size), mode="bilinear", align_corners=False)
    pictures = torch.where(_picked(b, 0.15, generator), again, pictures)
    noise = torch.randn(pictures.shape[0], 1, size, size, generator=generator)
    level = (~_chance(b, 0.6, generator) * 0.12 * torch.rand(b, generator=generator))[:, None, None, None]
    return (pictures + noise * level).clamp(0, 1)


def _blurred(pictures: Tensor) -> Tensor:
    kernel = torch.tensor([0.25, 0.5, 0.25]).repeat(3, 1, 1, 1)
    wide = F.conv2d(pictures, kernel, padding=(0, 1), groups=3)
    return F.conv2d(wide, kernel.transpose(2, 3), padding=(1, 0), groups=3)


def _uniform(b: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(b, generator=generator)


def _chance(b: int, share: float, generator: torch.Generator) -> Tensor:
    return torch.rand(b, generator=generator) < share


def _picked(b: int, share: float, generator: torch.Generator) -> Tensor:
    return _chance(b, share, generator)[:, None, None, None]
