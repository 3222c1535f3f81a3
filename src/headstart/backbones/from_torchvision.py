"""torchvision: https://docs.pytorch.org/vision/stable/models.html, classification models only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headstart.backbones.facts import Facts
from headstart.backbones.library import Source
from headstart.preprocess import Preprocess

if TYPE_CHECKING:
    from torch import nn

LICENCE = "BSD-3-Clause (torchvision)"
FIXED = ("vit_", "maxvit")
"""Architectures that take pictures of one size only."""


class TorchvisionSource(Source):
    """See `Source`."""

    package = "torchvision"

    def names(self) -> list[str]:
        """See `Source.names`."""
        from torchvision import models

        return list(models.list_models(module=models))

    def has(self, name: str) -> bool:
        """See `Source.has`."""
        return name in self.names()

    def facts(self, name: str) -> Facts:
        """See `Source.facts`: the transforms and the metadata of the default weights."""
        from torchvision import models

        weights = models.get_model_weights(name).DEFAULT
        transforms = weights.transforms()
        size = int(transforms.crop_size[0])
        preprocess = Preprocess(
            size,
            size,
            crop_pct=size / transforms.resize_size[0],
            interpolation=transforms.interpolation.value,
            mean=tuple(transforms.mean),
            std=tuple(transforms.std),
        )
        fixed = (size, size) if name.startswith(FIXED) else None
        return Facts(preprocess, str(weights.meta.get("license", LICENCE)), fixed)

    def build(self, name: str, kwargs: Mapping[str, Any], num_classes: int | None) -> nn.Module:
        """See `Source.build`. Without a classifier its last layer is an identity."""
        from torchvision import models

        classes = {"num_classes": num_classes} if num_classes else {}
        if name in ("googlenet", "inception_v3"):
            kwargs = {"init_weights": True, **kwargs}
        if name.startswith("vit_"):  # its positions fit one size, that of the weights
            kwargs = {"image_size": self.facts(name).preprocess.height, **kwargs}
        network: nn.Module = models.get_model(name, weights=None, **classes, **kwargs)
        if num_classes == 0:
            _without_classifier(network)
        return network

    def pretrained(self, name: str) -> nn.Module:
        """See `Source.pretrained`."""
        from torchvision import models

        from headstart.backbones.hub import downloading

        weights = models.get_model_weights(name).DEFAULT
        with downloading(f"torchvision:{name}", weights.url):
            network: nn.Module = models.get_model(name, weights=weights)
        return network


def _without_classifier(network: nn.Module) -> None:
    from torch import nn

    from headstart.backbones.checkpoint import classifier_path

    parent, _, child = classifier_path(network).rpartition(".")
    setattr(network.get_submodule(parent), child, nn.Identity())
