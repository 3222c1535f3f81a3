"""Where architectures come from, and the one table of them. A new source is a module and a line here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version

from headstart.backbones.from_embedded import EmbeddedSource
from headstart.backbones.from_timm import TimmSource
from headstart.backbones.from_torchvision import TorchvisionSource
from headstart.backbones.keras.source import KerasSource
from headstart.backbones.library import Source
from headstart.backbones.names import ALIASES, canonical
from headstart.errors import UnknownName

SOURCES: dict[str, Source] = {
    "embedded": EmbeddedSource(),  # first: it knows its names without importing a library
    "timm": TimmSource(),
    "torchvision": TorchvisionSource(),
    "keras": KerasSource(),
}

WEIGHTS = (".safetensors", ".pth", ".pt", ".h5", ".keras")
"""How the names of weights files end."""


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
    hint = f"The weights of {bare.partition('.')[0]} have the tags {', '.join(tags)}." if tags else _meant(name)
    raise UnknownName("backbone", name, known([prefix] if colon else SOURCES), hint)


def _meant(name: str) -> str:
    """What to write where a name looks like that of a weights file or of a model page."""
    if name.lower().endswith(WEIGHTS):
        return "A weights file goes in `weights`, and the name of the network it is for in `backbone`."
    return f"For a model page write hf-hub:{name}." if name.count("/") == 1 and ":" not in name else ""


def known(sources: Iterable[str]) -> list[str]:
    """Every name that `find` takes, aliases first."""
    return [*ALIASES, *dict.fromkeys(name for source in sources for name in SOURCES[source].names())]
