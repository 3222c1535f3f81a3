"""`Preprocess`: what a network's weights expect of a picture; it belongs to the weights and travels with them.

The picture is resized so that its shorter side is `size / crop_pct` and the centre is cropped, as timm and
torchvision evaluate; both at once, so that only the pixels of the crop are computed. The result is uint8; the
engine applies `mean` and `std` to values in 0..1. It equals torchvision's `Resize` and `CenterCrop` within one grey
level (two for at most one value in a thousand, where the ratio of sizes is a short fraction).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any, Literal, Protocol, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from headstart.documents import shown
from headstart.errors import UnknownName, UserError

RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
CHANNELS = {"RGB": 3, "L": 1}
Grey = Literal["repeat", "first", "colormap"]
GREYS: tuple[Grey, ...] = ("repeat", "first", "colormap")
Decoding = Literal["exact", "fast"]
DECODING: tuple[Decoding, ...] = ("exact", "fast")
Box = tuple[float, float, float, float]  # left, top, right, bottom
SMALL = (96, 128)  # BiT HyperRule: pictures under 96x96 -> input of 128x128
UNSEEN = (0, 0)
OWN = 0  # as a side in `small`: that of the pictures
LEAST = 8  # pixels of a side that is taken over from the pictures
GAP = 2
"""How many times larger than it will be a picture still is when it is decoded fast, as Pillow's `reducing_gap`."""
LEAST_CROP = 0.01  # a hundredth of the picture's side
MOST = 1e5  # of mean and of std, which are of the order of 1; from 1 / MOST on a std divides safely


class Sizes(Protocol):
    """Anything that knows a typical height and width in pixels, such as `images.Probe`."""

    @property
    def height(self) -> int:  # noqa: D102
        ...

    @property
    def width(self) -> int:  # noqa: D102
        ...

    @property
    def uniform(self) -> bool:  # noqa: D102
        ...


@dataclass(frozen=True)
class Preprocess:
    """Input height and width in pixels; crop_pct = crop / resized side; mean and std (of 0..1) for each channel.

    `small` = (side below which a picture is small, side of the input that it gets, 0 for its own): see `for_images`.
    `grey` says how a picture without colour (mode 'L') fills three channels: `repeat` shows it in all of them, `first`
    in the first, the others at their `mean`, which the network takes for nothing; `colormap` in false colours, see
    `false_colours`. Transparency lies over white. `white` is the range that fitting saw of (floats, integers) whose
    type declares none, 0 for none: see `images.ranges`. `decode` is `exact`, or `fast` (`least_side`, decision 46).
    Raises `UserError` for values that make no sense.
    """

    height: int
    width: int
    crop_pct: float = 0.875
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos"] = "bilinear"
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    color: Literal["RGB", "L"] = "RGB"
    grey: Grey = "repeat"
    alpha: Literal["white"] = "white"
    small: tuple[int, int] = SMALL
    white: tuple[int, int] = UNSEEN
    decode: Decoding = "exact"

    @property
    def least_side(self) -> int | None:
        """Pixels that decoding a JPEG must leave each side, where a part of its frequencies is enough; else None.

        The decoder then gives 1/2, 1/4 or 1/8 of the picture's size (Pillow's draft mode, libjpeg's scaled transform).
        """
        if self.decode == "exact":
            return None
        return GAP * math.ceil(max(self.height, self.width) / self.crop_pct)

    def __post_init__(self) -> None:
        object.__setattr__(self, "small", _pair(self.small))
        object.__setattr__(self, "white", _pair(self.white))
        object.__setattr__(self, "mean", tuple(float(m) for m in self.mean))
        object.__setattr__(self, "std", tuple(float(s) for s in self.std))
        _check(self)

    def apply(self, image: Image.Image) -> NDArray[np.uint8]:
        """A picture in mode 'L' or 'RGB' -> uint8 (height, width, 3), or (height, width, 1) if `color` is 'L'."""
        if self.color == "L" and image.mode != "L":
            image = image.convert("L")
        elif image.mode not in ("L", "RGB"):
            image = image.convert("RGB")
        pixels = np.asarray(self._resized_crop(image))
        if pixels.ndim == 3:
            return pixels
        if self.color == "RGB" and self.grey != "repeat":
            return false_colours()[pixels] if self.grey == "colormap" else self._in_the_first(pixels)
        return np.repeat(pixels[:, :, None], CHANNELS[self.color], axis=2)

    def _in_the_first(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        others = np.rint(255 * np.array(self.mean[1:])).clip(0, 255).astype(np.uint8)
        rest = np.broadcast_to(others, (*pixels.shape, len(others)))
        return np.concatenate([pixels[:, :, None], rest], axis=2)

    def _resized_crop(self, image: Image.Image) -> Image.Image:
        size = (self.width, self.height)
        box = crop_box(image.size, size, self.crop_pct)
        if image.size == size and box == (0, 0, *size):
            return image
        return _resize(image, size, self.interpolation, box)

    def normalised(self, levels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Grey levels (b, c, h, w) as networks take them: minus 255 mean, by 255 std."""
        mean, std = (255 * np.array(each, np.float32).reshape(1, -1, 1, 1) for each in (self.mean, self.std))
        found: NDArray[np.float32] = (levels - mean) / std
        return found

    def fingerprint(self) -> str:
        """32 hexadecimal digits that change with any setting, and are the same in every process."""
        return hashlib.blake2b(json.dumps(self.to_dict(), sort_keys=True).encode(), digest_size=16).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """The block `preprocess` of a weights sidecar: plain JSON values, read back by `from_dict`."""
        values = asdict(self)
        size = [values.pop("height"), values.pop("width")]
        if self.decode == "exact":
            del values["decode"]
        for key, usual in (("small", SMALL), ("white", UNSEEN)):
            if values.pop(key) != usual:
                values[key] = list(getattr(self, key))
        return {"size": size, **values, "mean": list(self.mean), "std": list(self.std), "range": "0..1"}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocess:
        """Read `to_dict`'s result, or the `preprocess` block of a weights sidecar. Raises `UserError`."""
        if not isinstance(values, Mapping):
            raise UserError("The preprocessing block is not a table of keys.")
        rest = dict(values)
        scale = _range(rest.pop("range", "0..1"))
        try:
            height, width = _pair(rest.pop("size"))
            mean, std = ([v / scale for v in _numbers(rest.pop(key))] for key in ("mean", "std"))
        except KeyError as missing:
            present = ", ".join(key for key in values if key in _KEYS)
            raise UserError(f"The preprocessing block lacks {missing}; it has {present or 'none'}.") from None
        except (TypeError, OverflowError):
            raise UserError(
                "The preprocessing block needs size (one or two whole numbers), mean and std (lists)."
            ) from None
        for key in rest:
            if key not in _OPTIONAL:
                raise UnknownName("preprocessing setting", str(key), _KEYS)
        return cls(height, width, mean=tuple(mean), std=tuple(std), **rest)

    def resized(self, size: int | tuple[int, int]) -> Preprocess:
        """The same for another input size: one number, or (height, width)."""
        height, width = _pair(size)
        return replace(self, height=height, width=width)

    def for_images(self, probe: Sizes) -> Preprocess:
        """The size rule: `small` pictures, under 96x96, get an input of 128x128 (at most the own size), uncropped.

        With the side 0, which is for networks yet to be trained, small pictures that are all of one size, at least
        8x8, keep it; the size is then settled, so that weights go on seeing what they were trained with.

        Source: BiT HyperRule, Kolesnikov et al. 2020, "Big Transfer", section 3.3.
        """
        below, side = self.small
        if side == OWN:
            return self._settled(probe)
        if probe.height * probe.width >= below**2:
            return self
        return replace(self, height=min(side, self.height), width=min(side, self.width), crop_pct=1.0)

    def _settled(self, probe: Sizes) -> Preprocess:
        """See `for_images`: below a side of 0 no picture is small, so the result stays as it is."""
        area, least = probe.height * probe.width, min(probe.height, probe.width)
        if probe.uniform and least >= LEAST and area < self.small[0] ** 2:
            return replace(self, height=probe.height, width=probe.width, crop_pct=1.0, small=(0, OWN))
        return replace(self, small=(0, OWN))


@cache
def false_colours() -> NDArray[np.uint8]:
    """(256, 3): the colour of each grey level, from dark blue over cyan, green and yellow to dark red ("jet").

    Source: Eitel et al. 2015, "Multimodal deep learning for robust RGB-D object recognition", section III-C, where it
    served a network of colour photographs better than repeated grey.
    """
    level = np.arange(256)[:, None] / 255
    colours: NDArray[np.uint8] = np.rint(255 * (1.5 - abs(4 * level - [3, 2, 1])).clip(0, 1)).astype(np.uint8)
    return colours


SUPPORT = 3  # half width of the widest filter (Lanczos), in pixels of the result or, enlarging, of the picture
WORTH_CROPPING = 0.85  # of the rows; copying the needed ones costs less than resizing all
_OPTIONAL = ("crop_pct", "interpolation", "color", "grey", "alpha", "small", "white", "decode")
_KEYS = ("size", "mean", "std", "range", *_OPTIONAL)


def crop_box(source: tuple[int, int], size: tuple[int, int], crop_pct: float) -> Box:
    """The part (left, top, right, bottom) of a (width, height) picture that fills the (width, height) input.

    The picture is thought resized to cover `size / crop_pct` and its centre cropped, with the rounding of timm
    (floor of the resized side) and torchvision (the longer side truncated, the crop's corner rounded).
    """
    target = [math.floor(side / crop_pct + 1e-6) for side in size]
    ratios = [t / s for t, s in zip(target, source, strict=True)]
    cover = 0 if ratios[0] >= ratios[1] else 1  # the side that is resized to its target exactly
    whole = [0, 0]
    whole[cover] = target[cover]
    whole[1 - cover] = max(int(target[cover] * source[1 - cover] / source[cover]), size[1 - cover])
    corner = [round((w - s) / 2.0) for w, s in zip(whole, size, strict=True)]
    left, top = (c * s / w for c, s, w in zip(corner, source, whole, strict=True))
    right, bottom = (min((c + z) * s / w, s) for c, z, s, w in zip(corner, size, source, whole, strict=True))
    return left, top, right, bottom


def _resize(image: Image.Image, size: tuple[int, int], interpolation: str, box: Box) -> Image.Image:
    """The box of the picture resized, along rows first and then along columns.

    The order is spelt out because Pillow chooses it by cost, from version 13 on also for a box: another order rounds
    otherwise and would differ from a resize of the whole picture. Rows that the result does not need are left out.
    """
    resampling = RESAMPLING[interpolation]
    if interpolation == "nearest":
        return image.resize(size, resampling, box=box)
    left, top, right, bottom = box
    margin = SUPPORT * max(1.0, (bottom - top) / size[1]) + 1
    first, last = max(math.floor(top - margin), 0), min(math.ceil(bottom + margin), image.height)
    if last - first < WORTH_CROPPING * image.height:
        image = image.crop((0, first, image.width, last))
        top, bottom = top - first, bottom - first
    narrow = image.resize((size[0], image.height), resampling, box=(left, 0, right, image.height))
    return narrow.resize(size, resampling, box=(0, top, size[0], bottom))


def _check(p: Preprocess) -> None:
    if not all(isinstance(side, int) and 1 <= side <= 4096 for side in (p.height, p.width)):
        raise UserError(f"The input size must be 1 to 4096 pixels, not {shown(p.height)}x{shown(p.width)}.")
    if not _is_number(p.crop_pct) or not LEAST_CROP <= p.crop_pct <= 1:
        raise UserError(f"crop_pct must be from {LEAST_CROP} to 1, not {shown(p.crop_pct)}.")
    if not all(0 <= side <= 4096 for side in p.small):
        raise UserError(f"small must be two sides from 0 to 4096, not {p.small}.")
    for kind, name, known in (
        ("interpolation", p.interpolation, tuple(RESAMPLING)),
        ("color", p.color, tuple(CHANNELS)),
        ("grey policy", p.grey, GREYS),
        ("alpha policy", p.alpha, ("white",)),
        ("way to decode", p.decode, DECODING),
    ):
        if not isinstance(name, str) or name not in known:
            raise UnknownName(kind, str(name), known)
    if p.white[0] not in (0, 1, 255, 65535) or p.white[1] not in (0, 255, 65535):
        raise UserError(f"white must be 0, 1, 255 or 65535 for floats and 0, 255 or 65535 for integers, not {p.white}.")
    if p.color == "L" and p.grey != "repeat":
        raise UserError(f"This network takes one channel, so grey pictures as they are: leave the policy {p.grey} out.")
    if len(p.mean) != CHANNELS[p.color] or len(p.std) != CHANNELS[p.color]:
        raise UserError(
            f"mean and std need {CHANNELS[p.color]} numbers for {p.color}, not {len(p.mean)} and {len(p.std)}."
        )
    if not all(abs(m) <= MOST for m in p.mean) or not all(1 / MOST <= s <= MOST for s in p.std):
        raise UserError(f"mean must be finite and std positive, both within {MOST:,.0f}, not {p.mean} and {p.std}.")


def _pair(size: Any) -> tuple[int, int]:
    """(height, width) from one number or two."""
    pair = (size, size) if isinstance(size, int) else size
    if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(_is_number(s, int | np.integer) for s in pair):
        raise UserError(f"A size is one whole number or two (height, width), not {shown(size)}.")
    return cast(tuple[int, int], tuple(map(int, pair)))


def _is_number(value: Any, kind: Any = int | float) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _numbers(values: Any) -> list[float]:
    """A list of numbers. Raises TypeError for anything else, OverflowError for whole numbers that no float holds."""
    if not isinstance(values, list | tuple) or not all(map(_is_number, values)):
        raise TypeError
    return [float(v) for v in values]


def _range(text: Any) -> float:
    ranges = {"0..1": 1.0, "0..255": 255.0}
    if not isinstance(text, str) or text not in ranges:
        raise UnknownName("value range", shown(text), ranges)
    return ranges[text]
