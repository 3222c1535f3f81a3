"""`keras:NAME`: the architectures of Keras's applications, for weights files of Keras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headstart.backbones.facts import Facts
from headstart.backbones.library import Source
from headstart.errors import UserError

if TYPE_CHECKING:
    from torch import nn

    from headstart.backbones.keras.family import Family


class KerasSource(Source):
    """See `Source`."""

    package = "timm"

    def names(self) -> list[str]:
        """See `Source.names`."""
        return list(_families())

    def has(self, name: str) -> bool:
        """See `Source.has`."""
        return name in _families()

    def facts(self, name: str) -> Facts:
        """See `Source.facts`: Keras's `preprocess_input`. How a picture is cut Keras leaves open."""
        return Facts(_families()[name].preprocess, "unknown")

    def build(self, name: str, kwargs: Mapping[str, Any], num_classes: int | None) -> nn.Module:
        """See `Source.build`."""
        from headstart.backbones.keras import networks

        return networks.build(_families()[name], kwargs, num_classes)

    def pretrained(self, name: str) -> nn.Module:
        """Raises UserError: weights come from a file."""
        raise UserError(
            f"keras:{name} has no weights of its own: give weights=FILE.h5, or use backbone={name}, which has some."
        )


def _families() -> Mapping[str, Family]:
    from headstart.backbones.keras.load import FAMILIES

    return FAMILIES
