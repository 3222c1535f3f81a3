"""`Backbone`: an architecture with weights and what they expect of a picture; cut at a layer, it gives features."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart import tensors
from headstart.backbones import encoders, sidecar, sizes
from headstart.backbones.base import BaseBackbone
from headstart.backbones.facts import Layer
from headstart.backbones.sidecar import Sidecar
from headstart.backbones.sources import Architecture
from headstart.backbones.weights import weights_path
from headstart.errors import UserError

if TYPE_CHECKING:
    from torch import nn

    from headstart.backbones.resizing import Made
    from headstart.backbones.split import Split
    from headstart.backbones.table import LayerTable
    from headstart.backbones.trainable import TrainableBlock, TrainablePart


@dataclass(frozen=True, eq=False)
class Backbone(BaseBackbone):
    """A network of PyTorch. Its attributes are known without torch; the methods import it.

    `built` is the network where it was built before; otherwise it is built when it is first needed.
    """

    built: nn.Module | None = field(default=None, repr=False)

    def network(self) -> nn.Module:
        """The whole network, (b, 3, h, w) float32 -> (b, classes): eval mode, float32, on the CPU; built once.

        Raises WeightsError when a file does not fit, Offline when a download is needed and fails.
        """
        return self._network

    @cached_property
    def _network(self) -> nn.Module:
        if self.built is not None:
            return self.built
        from headstart.backbones.build import build_network

        return build_network(self.architecture, self.weights).network

    @cached_property
    def _table(self) -> LayerTable:
        from headstart.backbones.table import layer_table

        return layer_table(self.network(), self.fixed_size or self._own_size, self.name)

    @property
    def _own_size(self) -> tuple[int, int]:
        return self.preprocess.height, self.preprocess.width

    def layers(self) -> tuple[Layer, ...]:
        """`pooled`, `last_conv` where there is one, and the blocks, with their shapes at the network's own size."""
        return self._table.layers()

    def modules(self) -> tuple[Layer, ...]:
        """Every module whose output is a layer, in the order they are computed."""
        return self._table.modules()

    def split(self, layer: str) -> Split:
        """Cut behind a layer: `tail(*trunk(x))` equals `network()(x)` and `trunk(x)[0]` is the layer's output.

        Raises UnknownName with the layers that exist.
        """
        return self._table.split(layer)

    def features(self, layer: str) -> nn.Module:
        """A module float32 (b, 3, h, w), normalised -> (b, d) float32: the layer's output, flattened in C order.

        `cut:NAME` is all that a cut behind NAME carries, side by side. Raises UnknownName with the layers that exist.
        """
        return self._table.features(layer)

    def trainable_part(self, layer: str | None, end: str) -> TrainablePart:
        """A copy to be trained of what lies between `layer` (None: the picture) and the layer `end`.

        Raises UnknownName with the layers that exist, UserError where the network cannot be cut there.
        """
        from headstart.backbones.trainable import part_between

        return part_between(self.network(), self._table, layer, end)

    def trainable_blocks(self, end: str | None = None) -> tuple[TrainableBlock, ...]:
        """The blocks with weights from input to output: what `--unfreeze N` counts; up to the layer `end`."""
        from headstart.backbones.trainable import blocks_of

        return blocks_of(self.network(), self._table, end)

    def openvino_model(self, layer: str, size: tuple[int, int]) -> Any:
        """See `BaseBackbone.openvino_model`."""
        from headstart.backbones.to_openvino import convert

        self.check(layer, size)
        return convert(self.features(layer), size)

    def onnx_model(self, layer: str, size: tuple[int, int]) -> Any:
        """See `BaseBackbone.onnx_model`."""
        from headstart.backbones.to_onnx import convert

        self.check(layer, size)
        return convert(self.features(layer), size, self.name)

    def at(self, size: tuple[int, int]) -> Backbone:
        """See `BaseBackbone.at`: positions are resampled as the library does it, and the answer is remembered."""
        if self.fixed_size in (None, size):
            return self
        from headstart.backbones.resizing import resized

        found = resized(self._made(), size, self.network)
        return replace(
            self,
            weights=found.weights,
            preprocess=self.preprocess.resized(size),
            fingerprint=found.fingerprint,
            fixed_size=size,
            built=found.network,
        )

    def _made(self) -> Made:
        from headstart.backbones.resizing import Made

        return Made(self.name, self.architecture, self.weights, self.fixed_size or self._own_size, self.fingerprint)

    def usual_size(self, *, small: bool) -> tuple[int, int]:
        """See `BaseBackbone.usual_size`."""

        def fits(size: tuple[int, int]) -> bool:
            from headstart.backbones.resizing import takes

            return takes(self._made(), size)

        return encoders.usual_size(self.architecture, super().usual_size(small=small), small, fits)

    def check(self, layer: str, size: tuple[int, int]) -> None:
        """See `BaseBackbone.check`; the answer is remembered. Raises UnknownName with the layers that exist."""
        super().check(layer, size)
        tried = self.tried(layer, size)
        if tried.failed:
            raise UserError(sizes.sentence(self.name, layer, size, tried))

    def tried(self, layer: str, size: tuple[int, int]) -> sizes.Tried:
        """What came of one picture of (height, width); remembered where it is clear."""
        question = [self.architecture, Architecture.of(self.architecture).library, dict(self.weights.kwargs), layer]
        return sizes.remembered(question, lambda: self.features(layer), size, max(self._own_size))

    def save(self, folder: Path, stem: str = "backbone") -> Path:
        """See `BaseBackbone.save`; for random weights too. A safetensors file is copied as it is."""
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{stem}.safetensors"
        classes = self._write_weights(file)
        described = Sidecar(
            architecture=self.architecture,
            preprocess=self.preprocess,
            sha256=tensors.sha256(file),
            kwargs=self.weights.kwargs,
            num_classes=classes,
            licence=self.weights.licence,
            fixed_size=self.fixed_size,
        )
        sidecar.write(described, file)
        return file

    def _write_weights(self, file: Path) -> int:
        """Write the weights, and say how many classes they have. The network is built only where a copy will not do."""
        path, classes = self.weights.path, self.weights.num_classes
        copied = path is not None and path.suffix.lower() == ".safetensors"  # no path: resampled for another size
        if copied:
            shutil.copyfile(weights_path(self.weights), file)
        if copied and classes is not None:
            return classes
        from headstart.backbones.build import serialised
        from headstart.backbones.checkpoint import classes_in

        network = self.network()
        if not copied:
            file.write_bytes(serialised(network))
        return classes_in(network.state_dict(), network)


def as_pytorch(backbone: BaseBackbone) -> Backbone:
    """The backbone where it is a network of PyTorch, which can be trained. Raises UserError for an ONNX file."""
    if isinstance(backbone, Backbone):
        return backbone
    raise UserError(f"{backbone.name} is an ONNX file: it is frozen and runs with engine=openvino only.")
