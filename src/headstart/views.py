"""Views: a picture as an augmentation draws it, by (seed, content, number) alone and so the same in every process.

    View(augment, seed, number).picture(...) -> (h, w, c) uint8

`RandomResizedCrop` sees the whole decoded picture and takes the place of the preprocessing's resize and crop; all other
transforms act on the picture at the size of the network's input. What a transform uncovers gets the colour of the
picture's own border. PyTorch is imported when the first picture is drawn, not before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from headstart.augment import AUGMENTS, FORMAT, Augment, Step
from headstart.errors import UserError
from headstart.preprocess import Preprocess
from headstart.transforms import CROP


@dataclass(frozen=True)
class View:
    """One way to see every picture: drawn from `augment` by a generator seeded with (seed, content, number) alone."""

    augment: Augment
    seed: int
    number: int

    def to_dict(self) -> dict[str, Any]:
        """What a view depends on, for the key of stored features; the name of the augmentation is no part of it."""
        return {"format": FORMAT, "transforms": self.augment.to_list(), "seed": self.seed, "number": self.number}

    def picture(self, image: Image.Image, content: bytes, preprocess: Preprocess) -> NDArray[np.uint8]:
        """A decoded picture and the digest of its content -> uint8 (height, width, c) as `Preprocess.apply` gives it.

        Number 0 is the plain picture. The result is the same in every process, thread and order, and no generator of
        the caller is touched. A training loop that wants fresh views takes another number every epoch. For a picture
        that is at the input's size already, give a preprocessing with `crop_pct` 1, or it is cropped a second time.
        Raises UserError where a transform cannot be applied to a picture of this size.
        """
        if self.number == 0 or not self.augment.steps:
            return preprocess.apply(image)
        text = b"%d/%d/" % (self.seed, self.number) + content
        seed = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()) >> 1
        try:
            with _drawing()(seed):
                return self._drawn(image, preprocess)
        except (ValueError, RuntimeError, TypeError) as error:
            size = f"{preprocess.height} x {preprocess.width}"
            message = f"The augmentation {self.augment.name} cannot be applied to pictures of {size}: {error}."
            raise UserError(" ".join(message.split())) from error

    def _drawn(self, image: Image.Image, preprocess: Preprocess) -> NDArray[np.uint8]:
        steps, exact = self.augment.steps, replace(preprocess, crop_pct=1.0)
        if steps[0].name == CROP:
            size = (preprocess.height, preprocess.width)
            crop = _made(steps[0], size=size, interpolation=_interpolation(preprocess.interpolation))
            image, steps = crop(_in_mode(image, preprocess)), steps[1:]
        pixels = exact.apply(image) if steps != self.augment.steps else preprocess.apply(image)
        changed = Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[:, :, 0])
        fill = border_colour(pixels)
        for step in steps:
            changed = _made(step, **_extras(step.name, fill))(changed)
        return exact.apply(changed)


@dataclass(frozen=True)
class Views:
    """Views 1 to `count` of every picture; view 0 is the plain picture."""

    augment: Augment = AUGMENTS["none"]
    seed: int = 0
    count: int = 0

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[View]:
        return (View(self.augment, self.seed, number) for number in range(1, self.count + 1))


NO_VIEWS = Views()


def border_colour(pixels: NDArray[np.uint8]) -> list[int]:
    """(h, w, c) uint8 -> the median of the outermost pixels, for each channel: what a moved picture is set on."""
    edges = (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])
    return [int(v) for v in np.median(np.concatenate(edges), axis=0)]


def _in_mode(image: Image.Image, preprocess: Preprocess) -> Image.Image:
    return image.convert("L") if preprocess.color == "L" and image.mode != "L" else image


def _made(step: Step, **extras: Any) -> Any:
    """The torchvision transform of a step. Made for each picture: it holds the picture's border colour."""
    from torchvision.transforms import v2

    return getattr(v2, step.name)(**dict(step.settings), **extras)


_FILLED = (
    "RandomRotation",
    "RandomAffine",
    "RandomPerspective",
    "ElasticTransform",
    "RandAugment",
    "TrivialAugmentWide",
)


def _extras(name: str, fill: list[int]) -> dict[str, Any]:
    """What a transform is given beside its settings: the colour of what it uncovers, and smooth interpolation."""
    if name == "RandomErasing":
        return {"value": fill}
    return {"fill": fill, "interpolation": _interpolation("bilinear")} if name in _FILLED else {}


def _interpolation(name: str) -> Any:
    from torchvision.transforms import InterpolationMode

    return InterpolationMode(name)


@cache
def _drawing() -> Any:
    """A context in which this thread's random draws of PyTorch come from a generator of their own.

    torchvision v2 draws from PyTorch's global generator, which all threads share. A function mode acts on one thread
    only and hands every drawing function another generator, so that nothing is locked and nothing global is changed.
    """
    import torch
    from torch.overrides import TorchFunctionMode

    drawing = {
        torch.rand, torch.randn, torch.randint, torch.randperm, torch.normal, torch.multinomial, torch.bernoulli,
        torch.Tensor.uniform_, torch.Tensor.normal_, torch.Tensor.random_, torch.Tensor.bernoulli_,
        torch.Tensor.exponential_,
    }  # fmt: skip

    class Drawing(TorchFunctionMode):
        def __init__(self, seed: int) -> None:
            super().__init__()
            self.generator = torch.Generator().manual_seed(seed)

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            given = dict(kwargs or {})
            if func in drawing:
                given["generator"] = self.generator
            return func(*args, **given)

    return Drawing
