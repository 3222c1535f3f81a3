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
    library's version, `fixed_size` is the only (height, width) it takes, or None.
    """

    name: str
    architecture: str
    weights: Weights
    preprocess: Preprocess
    fingerprint: str
    fixed_size: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()

    @abstractmethod
    def layers(self) -> tuple[Layer, ...]:
        """The layers that give features, with their shapes at the network's own size."""

    @abstractmethod
    def openvino_model(self, layer: str, size: tuple[int, int]) -> Any:
        """An `openvino.Model`: normalised float32 (1, 3, *size) -> (1, d) float32. Raises as `check` does."""

    @abstractmethod
    def save(self, folder: Path) -> Path:
        """Write the weights and their sidecar into `folder`; `resolve(self.name, that file)` is this backbone."""

    def check(self, layer: str, size: tuple[int, int]) -> None:
        """Raise UserError when the layer cannot be computed of pictures of (height, width), with the size to give."""
        if self.fixed_size is not None and size != self.fixed_size:
            raise UserError(
                f"{self.name} takes pictures of {_pixels(self.fixed_size)} only, not {_pixels(size)}; "
                "leave `image_size` out."
            )


def _pixels(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]} pixels"
