"""The transforms that an augmentation may name, with their parameters: what each must be and what it is unless told.

Names and meanings are those of torchvision v2. Every parameter is checked here, so that a mistake is found before the
first picture is read and without importing PyTorch; nothing outside this table is ever called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

Setting: TypeAlias = "int | float | tuple[int | float, ...]"
CROP = "RandomResizedCrop"


class Kind(NamedTuple):
    """What a value must be, in words and as a test."""

    words: str
    holds: Callable[[Any], bool]


class Parameter(NamedTuple):
    """The kind of a parameter, and its value where it is left out (None: it cannot be)."""

    kind: Kind
    default: Any = None


def _within(low: float, high: float) -> Callable[[Any], bool]:
    """Whether a value is a number from low to high, which NaN is not."""
    return lambda v: isinstance(v, int | float) and not isinstance(v, bool) and low <= v <= high


def _whole(low: int, high: int) -> Callable[[Any], bool]:
    return lambda v: isinstance(v, int) and not isinstance(v, bool) and low <= v <= high


def _two(each: Callable[[Any], bool], ordered: bool = True) -> Callable[[Any], bool]:
    """Whether a value is a list of two that hold, the smaller first."""
    return lambda v: isinstance(v, list | tuple) and len(v) == 2 and all(map(each, v)) and (not ordered or v[0] <= v[1])


def _either(*tests: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda v: any(test(v) for test in tests)


_LEAST = 1e-6
SHARE = Kind("a number from 0 to 1", _within(0, 1))
SHARES = Kind("two numbers from 0 to 1", _two(_within(0, 1), ordered=False))
AREA = Kind("two numbers over 0 and at most 1, the smaller first", _two(_within(_LEAST, 1)))
SPAN = Kind("two numbers over 0, the smaller first", _two(_within(_LEAST, 1e3)))
POSITIVE = Kind("a number over 0", _within(_LEAST, 1e4))
ANGLE = Kind(
    "an angle from 0 to 180 degrees, or two from -180 to 180, the smaller first",
    _either(_within(0, 180), _two(_within(-180, 180))),
)
SHEAR = Kind(
    "an angle from 0 to 89 degrees, or two from -89 to 89, the smaller first",
    _either(_within(0, 89), _two(_within(-89, 89))),
)
STRENGTH = Kind(
    "a number from 0 to 10, or two, the smaller first, where 1 changes nothing",
    _either(_within(0, 10), _two(_within(0, 10))),
)
HUE = Kind(
    "a number from 0 to 0.5, or two from -0.5 to 0.5, the smaller first",
    _either(_within(0, 0.5), _two(_within(-0.5, 0.5))),
)
ODD = Kind("an odd whole number from 1 to 99", lambda v: _whole(1, 99)(v) and v % 2 == 1)
BITS = Kind("a whole number from 1 to 8", _whole(1, 8))
LEVEL = Kind("a grey level from 0 to 255", _within(0, 255))
SHARPNESS = Kind("a number from 0 to 10, where 1 changes nothing", _within(0, 10))
OPERATIONS = Kind("a whole number from 1 to 10", _whole(1, 10))
MAGNITUDE = Kind("a whole number from 0 to 30", _whole(0, 30))

_HALF = Parameter(SHARE, 0.5)
TRANSFORMS: dict[str, dict[str, Parameter]] = {
    CROP: {"scale": Parameter(AREA, [0.08, 1.0]), "ratio": Parameter(SPAN, [0.75, 4 / 3])},
    "RandomHorizontalFlip": {"p": _HALF},
    "RandomVerticalFlip": {"p": _HALF},
    "RandomRotation": {"degrees": Parameter(ANGLE)},
    "RandomAffine": {
        "degrees": Parameter(ANGLE, 0),
        "translate": Parameter(SHARES, [0, 0]),
        "scale": Parameter(SPAN, [1, 1]),
        "shear": Parameter(SHEAR, 0),
    },
    "RandomPerspective": {"distortion_scale": _HALF, "p": _HALF},
    "ElasticTransform": {"alpha": Parameter(POSITIVE, 50.0), "sigma": Parameter(POSITIVE, 5.0)},
    "ColorJitter": {
        "brightness": Parameter(STRENGTH, 0),
        "contrast": Parameter(STRENGTH, 0),
        "saturation": Parameter(STRENGTH, 0),
        "hue": Parameter(HUE, 0),
    },
    "RandomGrayscale": {"p": Parameter(SHARE, 0.1)},
    "RandomInvert": {"p": _HALF},
    "RandomAutocontrast": {"p": _HALF},
    "RandomEqualize": {"p": _HALF},
    "RandomPosterize": {"bits": Parameter(BITS), "p": _HALF},
    "RandomSolarize": {"threshold": Parameter(LEVEL), "p": _HALF},
    "RandomAdjustSharpness": {"sharpness_factor": Parameter(SHARPNESS), "p": _HALF},
    "GaussianBlur": {"kernel_size": Parameter(ODD), "sigma": Parameter(SPAN, [0.1, 2.0])},
    "RandAugment": {"num_ops": Parameter(OPERATIONS, 2), "magnitude": Parameter(MAGNITUDE, 9)},
    "TrivialAugmentWide": {},
    "RandomErasing": {"p": _HALF, "scale": Parameter(AREA, [0.02, 0.33]), "ratio": Parameter(SPAN, [0.3, 3.3])},
}
