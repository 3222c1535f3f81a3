"""Textures by one formula of twelve numbers: gratings, plaids, marble, grain, clouds, fur. A class is one set of them.

value = sum of two waves and two noises, each with its own direction and scale, where noise also bends the waves.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

NUMBERS = 12
GRAIN = 24  # cells of the noise that is stretched over a picture


def recipes(count: int, generator: torch.Generator) -> Tensor:
    """(count, NUMBERS) float32: directions, frequencies, weights, sharpness, bend, and the noises' scales."""
    u = torch.rand(count, NUMBERS, generator=generator)
    kind = torch.rand(count, 4, generator=generator)
    weights = (kind < torch.tensor([0.6, 0.35, 0.7, 0.4])) * (0.3 + u[:, 4:8])
    frequency = 2 ** (0.5 + 3 * u[:, 2:4])  # cycles a picture: 1.4 to 11
    scale = 2 ** (-2.5 + 2.5 * u[:, 10:12])  # of the noise: large clouds to single grains
    return torch.cat([math.pi * u[:, :2], frequency, weights, 0.3 + 4 * u[:, 8:9], 2 * u[:, 9:10] ** 2, scale], 1)


def texture(numbers: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """(b, NUMBERS) -> (b, size, size) float32, mean about 0, deviation about 1; noise and phases are new each time."""
    b = len(numbers)
    x, y = _grid(size)
    angle = numbers[:, 0:2, None, None]
    along = torch.cos(angle) * x + torch.sin(angle) * y  # (b, 2, size, size), -1..1 and a little more
    across = torch.cos(angle) * y - torch.sin(angle) * x
    stretch = numbers[:, 10:12, None, None]
    noise = torch.randn(2 * b, 1, GRAIN, GRAIN, generator=generator)
    slide = 0.5 * torch.rand(b, 2, 1, 1, generator=generator)
    at = torch.stack([stretch * along + slide, stretch * across * stretch.clamp(0.4, 1).flip(1) + slide], -1)
    noises = F.grid_sample(
        noise, at.reshape(2 * b, size, size, 2), padding_mode="reflection", align_corners=False
    ).reshape(b, 2, size, size)
    phase = 2 * math.pi * torch.rand(b, 2, 1, 1, generator=generator)
    bend = numbers[:, 9, None, None, None] * noises[:, :1]
    waves = torch.sin(math.pi * numbers[:, 2:4, None, None] * along + phase + bend)
    sharp = numbers[:, 8, None, None, None]
    waves = torch.tanh(sharp * waves)
    weights = numbers[:, 4:8, None, None]
    value = (weights * torch.cat([waves, noises], 1)).sum(1) + 0.2 * noises[:, 0]
    value = value - value.mean((1, 2), keepdim=True)
    return value / (value.std((1, 2), keepdim=True) + 1e-3)


def _grid(size: int) -> tuple[Tensor, Tensor]:
    side = (torch.arange(size) * 2 + 1) / size - 1
    return side[None, None, None, :], side[None, None, :, None]
