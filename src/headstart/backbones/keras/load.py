"""Which family of Keras a name means, and the layers of a weights file that are its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headstart.backbones import names
from headstart.backbones.keras.densenet import DENSENET121
from headstart.backbones.keras.family import Family
from headstart.backbones.keras.inception import INCEPTIONV3
from headstart.backbones.keras.match import Matched, match_layers
from headstart.backbones.keras.mobilenet import MOBILENET, MOBILENETV2
from headstart.backbones.keras.reader import StoredLayer, stored_layers
from headstart.backbones.keras.resnet import RESNET50
from headstart.backbones.keras.vgg import VGG16, VGG19
from headstart.backbones.keras.xception import XCEPTION
from headstart.errors import WeightsError

_ALL = (VGG16, VGG19, RESNET50, MOBILENET, MOBILENETV2, INCEPTIONV3, XCEPTION, DENSENET121)
FAMILIES: dict[str, Family] = {family.name: family for family in _ALL}


def family_of(name: str) -> Family:
    """The family that a name means: `VGG16`, `vgg16`, `timm:vgg16` or `keras:VGG16`. Raises WeightsError."""
    for family in _ALL:
        if names.same(name, family.architecture):
            return family
    raise WeightsError(f"Keras weights of {name} are not supported yet; supported: {', '.join(FAMILIES)}.")


def classes(family: Family, path: Path) -> int:
    """How many classes the top of a file has, 0 for a file without. Reads no array. Raises WeightsError."""
    with stored_layers(path) as layers:
        return _matched(family, layers, path).classes


@contextmanager
def opened(architecture: str, path: Path) -> Iterator[Matched]:
    """The layers of a file that are those of `architecture`, their arrays to be read while it is open.

    Raises WeightsError.
    """
    if not architecture.startswith("keras:"):
        raise WeightsError(f"{path} is a Keras file, which {architecture} cannot read; use keras:NAME.")
    with stored_layers(path, values=True) as layers:
        yield _matched(family_of(architecture), layers, path)


def _matched(family: Family, layers: list[StoredLayer], path: Path) -> Matched:
    """As `match_layers`, and where the file is of another family the message says of which."""
    try:
        return match_layers(family, layers, path)
    except WeightsError as error:
        fitting = next((other.name for other in _ALL if _fits(other, layers, path)), None)
        if fitting is None:
            raise
        raise WeightsError(
            f"{path} holds weights of {fitting}, not of {family.name}: use backbone={fitting}."
        ) from error


def _fits(family: Family, layers: list[StoredLayer], path: Path) -> bool:
    try:
        match_layers(family, layers, path)
    except WeightsError:
        return False
    return True
