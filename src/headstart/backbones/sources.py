"""Where architectures come from, and the one table of them. A new source is a module and a line here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol

from headstart.backbones.from_embedded import EmbeddedSource
from headstart.backbones.from_timm import TimmSource
from headstart.backbones.from_torchvision import TorchvisionSource
from headstart.backbones.keras.source import KerasSource
from headstart.backbones.names import ALIASES, canonical
from headstart.errors import UnknownName

if TYPE_CHECKING:
    import torch
    from torch import nn

    from headstart.backbones.facts import Facts


class Source(Protocol):
    """A library of architectures. Names are without the prefix."""

    package: str
    """The distribution whose version counts as the source's."""

    def names(self) -> list[str]:
        """All classification models."""
        ...

    def has(self, name: str) -> bool:
        """Whether the source can build `name`, which may carry a tag of weights."""
        ...

    def facts(self, name: str) -> Facts:
        """What the default weights expect and allow; builds no network and reads no hub."""
        ...

    def build(self, name: str, kwargs: Mapping[str, Any], num_classes: int | None) -> nn.Module:
        """The network with random weights; `num_classes` 0 is without classifier, None the library's own number."""
        ...

    def renamed(
        self, network: nn.Module, state: Mapping[str, torch.Tensor], made_for: tuple[int, int] | None = None
    ) -> Mapping[str, torch.Tensor]:
        """A checkpoint with older names under those of `network`, as the library has it; `state` where it has none.

        Positions are resampled to the network's size; `made_for` is the (height, width) of the checkpoint's pictures.
        """
        ...

    def sized(self, size: tuple[int, int]) -> Mapping[str, Any]:
        """Arguments that build a network of fixed size for another (height, width); empty where there are none."""
        ...

    def pretrained(self, name: str) -> nn.Module:
        """The network with its default weights: ImageNet's from the library's hub and cache, or the package's."""
        ...


SOURCES: dict[str, Source] = {
    "embedded": EmbeddedSource(),  # first: it knows its names without importing a library
    "timm": TimmSource(),
    "torchvision": TorchvisionSource(),
    "keras": KerasSource(),
}


@dataclass(frozen=True)
class Architecture:
    """A parsed `source:name`."""

    source: Source
    name: str

    @classmethod
    def of(cls, architecture: str) -> Architecture:
        """Parse `timm:vgg16`. Raises UnknownName for another prefix."""
        prefix, _, name = architecture.partition(":")
        if prefix not in SOURCES:
            raise UnknownName("source of backbones", prefix, [*SOURCES, "onnx"])
        return cls(SOURCES[prefix], name)

    @property
    def library(self) -> str:
        """For example `timm 1.0.31`."""
        return f"{self.source.package} {version(self.source.package)}"


def find(name: str) -> str:
    """The architecture, `source:name`, that a name means. Imports timm unless the name is an alias.

    A name without a prefix is looked up among the aliases, then in one source after another. Raises UnknownName with
    the nearest names.
    """
    if (architecture := canonical(name)) != name:
        return architecture
    prefix, colon, rest = name.partition(":")
    if colon and prefix not in SOURCES:
        raise UnknownName("source of backbones", prefix, SOURCES)
    for source in [prefix] if colon else SOURCES:
        if SOURCES[source].has(rest if colon else name):
            return f"{source}:{rest if colon else name}"
    bare = rest if colon else name
    tags = TimmSource().tags(bare) if "." in bare and (not colon or prefix == "timm") else []
    hint = f"The weights of {bare.partition('.')[0]} have the tags {', '.join(tags)}." if tags else _page(name)
    raise UnknownName("backbone", name, known([prefix] if colon else SOURCES), hint)


def _page(name: str) -> str:
    """What to write where a name looks like that of a model page."""
    return f"For a model page write hf-hub:{name}." if name.count("/") == 1 and ":" not in name else ""


def known(sources: Iterable[str]) -> list[str]:
    """Every name that `find` takes, aliases first."""
    return [*ALIASES, *dict.fromkeys(name for source in sources for name in SOURCES[source].names())]
