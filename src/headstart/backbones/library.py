"""What a library of architectures has to offer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from headstart.backbones.facts import Facts

if TYPE_CHECKING:
    import torch
    from torch import nn


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
        return state

    def sized(self, size: tuple[int, int]) -> Mapping[str, Any]:
        """Arguments that build a network of fixed size for another (height, width); empty where there are none."""
        return {}

    def pretrained(self, name: str) -> nn.Module:
        """The network with its default weights: ImageNet's from the library's hub and cache, or the package's."""
        ...
