"""Networks that come with Headstart, so that they work offline: `sprout` with weights trained by us, in the package,
and `small_cnn` to be trained from nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.backbones import sidecar
from headstart.backbones.facts import Facts
from headstart.backbones.library import Source
from headstart.errors import UnknownName, UserError
from headstart.preprocess import Preprocess

if TYPE_CHECKING:
    from torch import nn

UNTRAINED = {
    "small_cnn": Facts(
        Preprocess(64, 64, crop_pct=1.0, mean=(0.5,) * 3, std=(0.25,) * 3, small=(48, 0)), "none: it has no weights"
    )
}
"""Networks without weights of their own. The pictures that they are trained on settle the size of their input."""
NAMES = ("sprout", *UNTRAINED)
FOLDER = Path(__file__).parent / "data"


def embedded(name: str) -> str | None:
    """The bare name of an embedded network (`sprout`, `embedded:sprout`), None for a name of another library."""
    bare = name.removeprefix("embedded:")
    return bare if bare in NAMES else None


def weights_file(name: str) -> Path | None:
    """The weights in the package for a name, None for a name of another library.

    Raises UserError for a network that has none.
    """
    bare = embedded(name)
    if bare in UNTRAINED:
        raise UserError(
            f"{bare} has no pretrained weights; train it with method=scratch, make a weights file with headstart "
            f"pretrain DATA --architecture {bare}, or use random ones with weights=none."
        )
    return FOLDER / f"{bare}.safetensors" if bare else None


class EmbeddedSource(Source):
    """See `Source`."""

    package = "headstart"

    def names(self) -> list[str]:
        """See `Source.names`."""
        return list(NAMES)

    def has(self, name: str) -> bool:
        """See `Source.has`."""
        return name in NAMES

    def facts(self, name: str) -> Facts:
        """See `Source.facts`: what the sidecar says, where there are weights."""
        if name in UNTRAINED:
            return UNTRAINED[name]
        found = self._sidecar(name)
        return Facts(found.preprocess, found.licence, kwargs=found.kwargs)

    def build(self, name: str, kwargs: Mapping[str, Any], num_classes: int | None) -> nn.Module:
        """See `Source.build`. The library's own number of classes is none: the network gives features.

        Files of sprout's first edition do not name it, so that without arguments it is the first.
        """
        from headstart.backbones.small_cnn import SmallCnn
        from headstart.backbones.sprout import Sprout

        classes: dict[str, type[nn.Module]] = {"sprout": Sprout, "small_cnn": SmallCnn}
        return classes[name](num_classes or 0, **kwargs)

    def pretrained(self, name: str) -> nn.Module:
        """See `Source.pretrained`: the weights in the package."""
        from headstart.backbones import checkpoint

        network, file = self.build(name, self._sidecar(name).kwargs, 0), self._file(name)
        checkpoint.fill(network, checkpoint.read(file), file)
        return network

    def _sidecar(self, name: str) -> sidecar.Sidecar:
        file = self._file(name)
        return sidecar.read(file.with_suffix(".json"), file)

    def _file(self, name: str) -> Path:
        file = weights_file(name)
        if file is None:
            raise UnknownName("embedded backbone", name, NAMES)
        return file
