"""Stored pictures, each in another view every epoch, drawn for a whole batch at once. Imports torch.

Drawing one picture by torchvision costs a millisecond and more, most of it spent before a pixel is touched: many times
what a small network needs to learn from it. Here the transforms of a batch are one array of maps and one sampling. The
views are those of the same transforms with the same ranges, but other ones than `View` draws. A crop is taken of the
picture as it is stored, at the size of the network's input.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from headstart.augment import Augment, Step

PLAIN = 0.5
"""The share of pictures that an epoch shows as they are."""
AT_ONCE = 512
"""Pictures that are drawn together: few of them cost hardly less than many, so several epochs are drawn ahead."""
Drawn = Callable[[], Tensor]
"""(b,) numbers evenly from 0 to 1, others at every call."""
NUMBERS = 24
"""Random numbers of a row in an epoch: more than the longest list of transforms takes."""
GREY = (0.299, 0.587, 0.114)


def can_vary(augment: Augment) -> bool:
    """Whether all its transforms can be drawn for a whole batch."""
    return bool(augment.steps) and all(_known(step) for step in augment.steps)


class Varied:
    """Rows (h, w, c) uint8 of n pictures in `X` (n, h * w * c); the view is a function of (seed, row, epoch) alone.

    Epoch 0 gives the plain pictures, every other one about half of them: what is moved is drawn anew between its
    pixels, which blurs small pictures, and those to be judged are sharp.
    """

    def __init__(self, X: NDArray[Any], size: tuple[int, int, int], augment: Augment, seed: int) -> None:
        self.X, self.size, self.augment, self.seed = X, size, augment, seed
        self._ahead = max(1, AT_ONCE // max(1, len(X)))
        self._block: tuple[int, NDArray[Any]] = (-1, np.empty((0, 0, 0), np.uint8))
        self._numbers: tuple[int, NDArray[np.float32]] = (0, np.empty((0, 0), np.float32))

    def __len__(self) -> int:
        return len(self.X)

    def take(self, indices: NDArray[np.int64], epoch: int) -> NDArray[Any]:
        """See `Rows`."""
        if epoch == 0:
            plain: NDArray[Any] = self.X[indices]
            return plain
        if self._ahead > 1:
            few: NDArray[Any] = self._few(epoch)[indices]
            return few
        if self._numbers[0] != epoch:
            self._numbers = (epoch, self._drawn(epoch))
        return self._varied(self.X[indices], self._numbers[1][indices])

    def _few(self, epoch: int) -> NDArray[Any]:
        """All rows of an epoch, from a block of epochs that are drawn together."""
        block = epoch // self._ahead
        if self._block[0] != block:
            epochs = range(block * self._ahead, (block + 1) * self._ahead)
            numbers = np.concatenate([self._drawn(each) for each in epochs])
            found = self._varied(np.tile(self.X, (self._ahead, 1)), numbers)
            self._block = (block, found.reshape(self._ahead, *self.X.shape))
        own: NDArray[Any] = self._block[1][epoch % self._ahead]
        return own

    def _varied(self, X: NDArray[Any], numbers: NDArray[np.float32]) -> NDArray[Any]:
        """Rows in their views; those that the last of their numbers leaves plain as they are."""
        found, chosen = X.copy(), np.flatnonzero(numbers[:, -1] >= PLAIN)
        if len(chosen):
            pictures = torch.from_numpy(X[chosen]).view(len(chosen), *self.size).permute(0, 3, 1, 2).float()
            columns = iter(torch.from_numpy(numbers[chosen]).unbind(1))
            varied = vary(pictures, self.augment.steps, lambda: next(columns))
            found[chosen] = varied.permute(0, 2, 3, 1).reshape(len(chosen), -1).round().byte().numpy()
        return found

    def _drawn(self, epoch: int) -> NDArray[np.float32]:
        """Random numbers (n, NUMBERS) of an epoch."""
        generator = np.random.default_rng([self.seed, epoch, 1])
        return generator.random((len(self.X), NUMBERS), dtype=np.float32)


def vary(pictures: Tensor, steps: Sequence[Step], drawn: Drawn) -> Tensor:
    """(b, c, h, w) float32 of 0..255 -> the same size, each moved and coloured in its own way."""
    moved = torch.eye(3).expand(len(pictures), 3, 3)
    for step in steps:
        if step.name in MOVES:
            moved = moved @ MOVES[step.name](dict(step.settings), (pictures.shape[2], pictures.shape[3]), drawn)
    pictures = sampled(pictures, moved)
    for step in steps:
        if step.name in COLOURS:
            pictures = COLOURS[step.name](pictures, dict(step.settings), drawn)
    return pictures.clamp(0, 255)


def sampled(pictures: Tensor, moved: Tensor) -> Tensor:
    """The pictures seen through maps (b, 3, 3) from where a pixel is to where it was, in pixels from the centre.

    What lies outside a picture has the colour of its border.
    """
    b, _, height, width = pictures.shape
    y, x = torch.meshgrid(_centres(height), _centres(width), indexing="ij")
    places = torch.stack([x, y, torch.ones_like(x)]).view(1, 3, -1)
    at = (moved @ places).view(b, 3, height, width)
    half = torch.tensor([width / 2, height / 2]).view(1, 2, 1, 1)
    grid = (at[:, :2] / at[:, 2:] / half).permute(0, 2, 3, 1)
    fill = border(pictures)
    return F.grid_sample(pictures - fill, grid, padding_mode="zeros", align_corners=False) + fill


def border(pictures: Tensor) -> Tensor:
    """(b, c, h, w) -> (b, c, 1, 1): the median of the outermost pixels, for each channel."""
    edges = (pictures[:, :, 0], pictures[:, :, -1], pictures[:, :, :, 0], pictures[:, :, :, -1])
    return torch.cat(edges, dim=2).median(dim=2).values[:, :, None, None]


def _centres(side: int) -> Tensor:
    return torch.arange(side, dtype=torch.float32) - (side - 1) / 2


def _map(rows: Sequence[Sequence[Tensor | float]]) -> Tensor:
    """(b, 3, 3) of 3 x 3 numbers, each (b,) or one for all."""
    b = next(len(v) for row in rows for v in row if isinstance(v, Tensor))
    full = [[v if isinstance(v, Tensor) else torch.full((b,), float(v)) for v in row] for row in rows]
    return torch.stack([torch.stack(row, dim=1) for row in full], dim=1)


def _between(drawn: Drawn, low: float, high: float) -> Tensor:
    return low + (high - low) * drawn()


def _span(value: object, about: float = 0.0) -> tuple[float, float]:
    """15 -> (about - 15, about + 15); (a, b) stays."""
    if isinstance(value, tuple):
        return float(value[0]), float(value[1])
    assert isinstance(value, int | float)
    return about - float(value), about + float(value)


def _affine(settings: dict[str, Any], size: tuple[int, int], drawn: Drawn) -> Tensor:
    """The inverse of: shear, turn, scale, then move."""
    turned = torch.deg2rad(_between(drawn, *_span(settings["degrees"])))
    sheared = torch.tan(torch.deg2rad(_between(drawn, *_span(settings.get("shear", 0)))))
    scaled = _between(drawn, *_span(settings.get("scale", (1, 1))))
    right, down = settings.get("translate", (0, 0))
    dx = _between(drawn, -right * size[1], right * size[1])
    dy = _between(drawn, -down * size[0], down * size[0])
    cos, sin = torch.cos(turned) / scaled, torch.sin(turned) / scaled
    turn = _map([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    shear, move = _map([[1, sheared, 0], [0, 1, 0], [0, 0, 1]]), _map([[1, 0, -dx], [0, 1, -dy], [0, 0, 1]])
    return shear @ turn @ move


def _crop(settings: dict[str, Any], size: tuple[int, int], drawn: Drawn) -> Tensor:
    """A window of part of the area and of another ratio, as large as fits, seen at the size of the whole."""
    area = _between(drawn, *_span(settings["scale"]))
    ratio = torch.exp(_between(drawn, *(math.log(v) for v in _span(settings["ratio"]))))
    pixels = area * size[0] * size[1]
    wide, high = ((pixels * ratio).sqrt() / size[1]).clamp(max=1), ((pixels / ratio).sqrt() / size[0]).clamp(max=1)
    dx, dy = (drawn() - 0.5) * (1 - wide) * size[1], (drawn() - 0.5) * (1 - high) * size[0]
    return _map([[wide, 0, dx], [0, high, dy], [0, 0, 1]])


def _mirror(settings: dict[str, Any], size: tuple[int, int], drawn: Drawn) -> Tensor:
    return _map([[1 - 2 * (drawn() < settings["p"]).float(), 0, 0], [0, 1, 0], [0, 0, 1]])


def _upside_down(settings: dict[str, Any], size: tuple[int, int], drawn: Drawn) -> Tensor:
    return _map([[1, 0, 0], [0, 1 - 2 * (drawn() < settings["p"]).float(), 0], [0, 0, 1]])


def _perspective(settings: dict[str, Any], size: tuple[int, int], drawn: Drawn) -> Tensor:
    """The map that takes four corners, each moved inwards by up to the distortion, back to those of the picture."""
    on = (drawn() < settings["p"]).float() * settings["distortion_scale"]
    half = (size[1] / 2, size[0] / 2)
    equations, wanted = [], []
    for right, down in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        x, y = right * half[0] * (1 - on * drawn()), down * half[1] * (1 - on * drawn())
        one, no = torch.ones_like(x), torch.zeros_like(x)
        u, v = right * half[0] * one, down * half[1] * one
        equations += [torch.stack([x, y, one, no, no, no, -u * x, -u * y], 1)]
        equations += [torch.stack([no, no, no, x, y, one, -v * x, -v * y], 1)]
        wanted += [u, v]
    found = torch.linalg.solve(torch.stack(equations, 1), torch.stack(wanted, 1))
    return torch.cat([found, torch.ones(len(found), 1)], dim=1).view(-1, 3, 3)


def _jitter(pictures: Tensor, settings: dict[str, Any], drawn: Drawn) -> Tensor:
    """Brightness, contrast, saturation, in this order."""

    def factor(name: str) -> Tensor:
        low, high = _span(settings[name], 1.0)
        return _between(drawn, max(0.0, low), high).view(-1, 1, 1, 1)

    pictures = (pictures * factor("brightness")).clamp(0, 255)
    mean = _grey(pictures).mean((1, 2, 3), keepdim=True)
    pictures = (mean + (pictures - mean) * factor("contrast")).clamp(0, 255)
    grey = _grey(pictures)
    return grey + (pictures - grey) * factor("saturation")


def _grey(pictures: Tensor) -> Tensor:
    if pictures.shape[1] != 3:
        return pictures
    return (pictures * torch.tensor(GREY).view(1, 3, 1, 1)).sum(1, keepdim=True)


Move = Callable[[dict[str, Any], tuple[int, int], Drawn], Tensor]
MOVES: dict[str, Move] = {
    "RandomAffine": _affine,
    "RandomRotation": _affine,
    "RandomPerspective": _perspective,
    "RandomResizedCrop": _crop,
    "RandomHorizontalFlip": _mirror,
    "RandomVerticalFlip": _upside_down,
}
COLOURS: dict[str, Callable[[Tensor, dict[str, Any], Drawn], Tensor]] = {"ColorJitter": _jitter}


def _known(step: Step) -> bool:
    settings = dict(step.settings)
    return step.name in MOVES or (step.name in COLOURS and settings.get("hue", 0) == 0)
