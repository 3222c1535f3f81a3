"""Augmentation: which transforms a picture goes through, by a name or a file.

    AUGMENTS name | FILE.toml -> Augment (named transforms); `views` draws by it

The transforms are those of torchvision v2, from the list `TRANSFORMS`; `RandomResizedCrop` comes first.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.documents import shown
from headstart.errors import UnknownName, UserError
from headstart.paths import expanded
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
