"""Augmentation: a picture as it might also have been taken, drawn for each view of it, the same in every process.

    AUGMENTS name | FILE.toml -> Augment (named transforms) -> View(augment, seed, number).picture(...) (h, w, c) uint8

The transforms are those of torchvision v2, from the list `TRANSFORMS`. `RandomResizedCrop` comes first, sees the whole
decoded picture and takes the place of the preprocessing's resize and crop; all others act on the picture at the size
of the network's input. What a transform uncovers gets the colour of the picture's own border. PyTorch is imported when
the first picture is drawn, not before.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from headstart.documents import shown
from headstart.errors import UnknownName, UserError
from headstart.paths import expanded
from headstart.preprocess import Preprocess
from headstart.recipe import AUTO
from headstart.transforms import CROP, TRANSFORMS, Setting

FORMAT = 1
"""Raised when the same specification comes to draw other pictures, so that stored views are drawn again."""
TOML = "write [[transform]] tables with a name and its parameters, see docs/augment.md"


@dataclass(frozen=True)
class Step:
    """One transform by its torchvision name, with every parameter spelt out."""

    name: str
    settings: tuple[tuple[str, Setting], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """`{"name": ..., parameter: value, ...}`, plain JSON values."""
        values = {key: list(value) if isinstance(value, tuple) else value for key, value in self.settings}
        return {"name": self.name, **values}


@dataclass(frozen=True)
class Augment:
    """A list of transforms under a name; without transforms it is the identity."""

    name: str = "none"
    steps: tuple[Step, ...] = ()

    @classmethod
    def of(cls, name: str, transforms: Sequence[Mapping[str, Any]], where: str) -> Augment:
        """Check `[{"name": "RandomRotation", "degrees": 15}, ...]`; raises UserError that names `where` and the key."""
        steps = tuple(_step(values, f"{where}, transform {i}") for i, values in enumerate(transforms, start=1))
        for i, step in enumerate(steps[1:], start=2):
            if step.name == CROP:
                raise UserError(f"{where}, transform {i}: {CROP} replaces resizing, so it must be the first transform.")
        return cls(name, steps)

    def to_list(self) -> list[dict[str, Any]]:
        """The transforms as `of` reads them, plain JSON values."""
        return [step.to_dict() for step in self.steps]

    def fingerprint(self) -> str:
        """32 hexadecimal digits that change with any transform or parameter, whatever the name."""
        text = json.dumps([FORMAT, self.to_list()], sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def for_recipe(self) -> dict[str, Any]:
        """The name, and the transforms too where the name alone does not say them."""
        return (
            {"name": self.name} if AUGMENTS.get(self.name) == self else {"name": self.name, "transform": self.to_list()}
        )


def _step(values: Mapping[str, Any], where: str) -> Step:
    name = values.get("name") if isinstance(values, Mapping) else None
    if not isinstance(name, str):
        raise UserError(f"{where} has no name; there are: {', '.join(TRANSFORMS)}.")
    if name not in TRANSFORMS:
        raise UnknownName("transform", name, TRANSFORMS, f"(in {where})")
    parameters = TRANSFORMS[name]
    for key, value in values.items():
        if key != "name" and key not in parameters:
            raise UnknownName("parameter", key, parameters, f"(in {where}, {name})")
        if key != "name" and not parameters[key].kind.holds(value):
            words = parameters[key].kind.words
            raise UserError(f"{where}, {name}: {key} = {shown(value)} is not possible; it must be {words}.")
    settings = {key: values.get(key, parameter.default) for key, parameter in parameters.items()}
    for key, value in settings.items():
        if value is None:
            raise UserError(f"{where}, {name}: {key} is missing; it must be {parameters[key].kind.words}.")
    return Step(name, tuple((k, tuple(v) if isinstance(v, list) else v) for k, v in settings.items()))


def _augment(name: str, *transforms: dict[str, Any]) -> Augment:
    return Augment.of(name, transforms, f"the augmentation {name}")


AUGMENTS: dict[str, Augment] = {
    augment.name: augment
    for augment in (
        _augment("none"),
        # Photographs: most of the picture, either way round, in slightly other light.
        _augment(
            "light",
            {"name": "RandomResizedCrop", "scale": [0.6, 1.0], "ratio": [0.8, 1.25]},
            {"name": "RandomHorizontalFlip"},
            {"name": "ColorJitter", "brightness": 0.2, "contrast": 0.2, "saturation": 0.2},
        ),
        # Photographs, when there are few: TrivialAugment (Müller & Hutter 2021) and erasing (Zhong et al. 2020).
        _augment(
            "strong",
            {"name": "RandomResizedCrop", "scale": [0.3, 1.0]},
            {"name": "RandomHorizontalFlip"},
            {"name": "TrivialAugmentWide"},
            {"name": "RandomErasing", "p": 0.25, "scale": [0.02, 0.2]},
        ),
        # Digits and letters: as another hand would have written them. Never mirrored: that is another letter.
        _augment(
            "digits",
            {"name": "RandomAffine", "degrees": 12, "translate": [0.08, 0.08], "scale": [0.85, 1.12], "shear": 10},
            {"name": "RandomPerspective", "distortion_scale": 0.25, "p": 0.5},
        ),
    )
}


def named(name: str) -> Augment:
    """An augmentation of the table, or of a FILE.toml with `[[transform]]` tables. Raises UnknownName or UserError."""
    if name.endswith(".toml"):
        return load(expanded(name))
    if name not in AUGMENTS:
        raise UnknownName("augmentation", name, [AUTO, *AUGMENTS], "(or FILE.toml)")
    return AUGMENTS[name]


def for_recipe(name: str) -> dict[str, Any]:
    """What a recipe holds of an augmentation by this name: `auto` stays, the transforms of a FILE.toml are read."""
    return {"name": AUTO} if name == AUTO else named(name).for_recipe()


def load(path: Path) -> Augment:
    """Read a FILE.toml, named after it. Raises UserError with one sentence that names the file and the key."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The augmentation {path} cannot be read: {error}.") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid TOML: {error}.") from error
    for key in values:
        if key != "transform":
            raise UnknownName("key", key, ["transform"], f"(in {path}: {TOML})")
    transforms = values.get("transform")
    if not isinstance(transforms, list) or not transforms or not all(isinstance(t, dict) for t in transforms):
        raise UserError(f"{path} lists no transform: {TOML}.")
    return Augment.of(path.stem, transforms, str(path))


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
