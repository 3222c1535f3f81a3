"""What every backbone has, a network of PyTorch or an ONNX file: all that extracting features needs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.backbones.facts import Layer
from headstart.backbones.weights import Weights
from headstart.errors import UserError
from headstart.preprocess import Preprocess


@dataclass(frozen=True, eq=False)
class BaseBackbone(ABC):
    """See `resolve`. The attributes are known without loading a library.

    `name` is what `resolve` takes again, `fingerprint` changes with weights, architecture, its arguments and the
    library's version, `fixed_size` is the only (height, width) it takes as it is, or None; see `at`.
    """

    name: str
    architecture: str
    weights: Weights
    preprocess: Preprocess
    fingerprint: str
    fixed_size: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()

    @property
    def plain_name(self) -> str:
        """One name for `VGG16`, `vgg16` and `timm:vgg16`: that of the architecture without its library."""
        return self.architecture.partition(":")[2]

    @abstractmethod
    def layers(self) -> tuple[Layer, ...]:
        """The layers that give features, with their shapes at the network's own size."""

    @abstractmethod
    def openvino_model(self, layer: str, size: tuple[int, int]) -> Any:
        """An `openvino.Model`: normalised float32 (1, 3, *size) -> (1, d) float32. Raises as `check` does."""

    @abstractmethod
    def onnx_model(self, layer: str, size: tuple[int, int]) -> Any:
        """An `onnx.ModelProto` that does the same, with the output `features`. Raises as `check` does."""

    @abstractmethod
    def save(self, folder: Path, stem: str = "backbone") -> Path:
        """Write the weights and a sidecar into `folder`, called `stem`; `resolve(self.name, that file)` is this one."""

    def at(self, size: tuple[int, int]) -> BaseBackbone:
        """The backbone for pictures of (height, width): another one where its network is made for one size alone.

        Raises UserError with the sizes to give where it cannot take such pictures whatever the layer.
        """
        if self.fixed_size not in (None, size):
            raise UserError(self._refusal(size))
        return self

    def usual_size(self, *, small: bool) -> tuple[int, int]:
        """The (height, width) that pays for a network of fixed size, for `small` pictures or others: see `encoders`."""
        assert self.fixed_size is not None
        return self.fixed_size

    def check(self, layer: str, size: tuple[int, int]) -> None:
        """Raise UserError when the layer cannot be computed of pictures of (height, width), with the size to give."""
        if self.fixed_size not in (None, size):
            raise UserError(self._refusal(size))

    def _refusal(self, size: tuple[int, int]) -> str:
        own = f"{self.name} takes pictures of {_pixels(self.fixed_size or size)} only"
        return f"{own}, not {_pixels(size)}; leave `image_size` out."


def _pixels(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]} pixels"
