"""What is known of an architecture without building it, and the type of a layer. Imports no library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headstart.preprocess import Preprocess


@dataclass(frozen=True)
class Facts:
    """`fixed_size` is the one (height, width) that the network takes, or None when it takes any.

    `kwargs` are the arguments of a network that is built anew.
    """

    preprocess: Preprocess
    licence: str
    fixed_size: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Layer:
    """A name that `--layer` takes, and its shape for one picture of the network's own size, without the batch."""

    name: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name} ({'x'.join(map(str, self.shape))})"
