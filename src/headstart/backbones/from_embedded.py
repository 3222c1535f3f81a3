"""Networks that come with Headstart: trained by us, weights and all in the package, so that they work offline."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.backbones import sidecar
from headstart.backbones.facts import Facts
from headstart.errors import UnknownName

if TYPE_CHECKING:
    from torch import nn

NAMES = ("sprout",)
FOLDER = Path(__file__).parent / "data"


def weights_file(name: str) -> Path | None:
    """The weights in the package for a name (`sprout`, `embedded:sprout`), None for a name of another library."""
    bare = name.removeprefix("embedded:")
    return FOLDER / f"{bare}.safetensors" if bare in NAMES else None


class EmbeddedSource:
    """See `sources.Source`."""

    package = "headstart"

    def names(self) -> list[str]:
        """See `Source.names`."""
        return list(NAMES)

    def has(self, name: str) -> bool:
        """See `Source.has`."""
        return name in NAMES

    def facts(self, name: str) -> Facts:
        """See `Source.facts`: what the sidecar says."""
        file = self._file(name)
        found = sidecar.read(file.with_suffix(".json"), file)
        return Facts(found.preprocess, found.licence)

    def build(self, name: str, kwargs: Mapping[str, Any], num_classes: int | None) -> nn.Module:
        """See `Source.build`. The library's own number of classes is none: the network gives features."""
        from headstart.backbones.sprout import Sprout

        return Sprout(num_classes or 0, **kwargs)

    def pretrained(self, name: str) -> nn.Module:
        """See `Source.pretrained`: the weights in the package."""
        from headstart.backbones import checkpoint

        network, file = self.build(name, {}, 0), self._file(name)
        checkpoint.fill(network, checkpoint.read(file), file)
        return network

    def _file(self, name: str) -> Path:
        file = weights_file(name)
        if file is None:
            raise UnknownName("embedded backbone", name, NAMES)
        return file
