"""`Backbone`: an architecture with weights and what they expect of a picture; cut at a layer, it gives features."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from headstart.backbones import sidecar
from headstart.backbones.facts import Layer
from headstart.errors import UserError, WeightsError
from headstart.preprocess import Preprocess

if TYPE_CHECKING:
    import torch
    from torch import nn

    from headstart.backbones.body import Body, Unit
    from headstart.backbones.layers import LayerTable
    from headstart.backbones.split import Split

Kind = Literal["imagenet", "file", "none", "tuned"]
CUT = "cut:"
"""Before a layer's name: everything that a cut behind it carries, not the layer's output alone."""


@dataclass(frozen=True)
class Weights:
    """Which weights: `kwargs` and `num_classes` build the architecture they fit (None: the library's own number).

    `sha256` is of the file; for `imagenet` of the file that `Backbone.save` writes. `seed` counts for `none` alone.
    """

    kind: Kind
    path: Path | None = None
    sha256: str | None = None
    seed: int = 0
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    num_classes: int | None = None
    licence: str = "unknown"


@dataclass(frozen=True, eq=False)
class Backbone:
    """See `resolve`. Its attributes are known without torch; the methods import it.

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

    def network(self) -> nn.Module:
        """The whole network, (b, 3, h, w) float32 -> (b, classes): eval mode, float32, on the CPU; built once.

        Raises WeightsError when a file does not fit, Offline when a download is needed and fails.
        """
        return self._network

    @cached_property
    def _network(self) -> nn.Module:
        from headstart.backbones.build import build

        return build(self.architecture, self.weights)

    @cached_property
    def _table(self) -> LayerTable | None:
        from headstart.backbones.layers import LayerTable
        from headstart.backbones.trace import trace

        size = self.fixed_size or (self.preprocess.height, self.preprocess.width)
        traced = trace(self.network(), size)
        return LayerTable(traced, self.name) if traced else None

    def layers(self) -> tuple[Layer, ...]:
        """`pooled`, `last_conv` where there is one, and the blocks, with their shapes at the network's own size."""
        if self._table is None:
            from headstart.backbones.untraced import layers

            return layers(self.network(), (self.preprocess.height, self.preprocess.width), self.name)
        return self._table.layers()

    def split(self, layer: str) -> Split:
        """Cut behind a layer: `tail(*trunk(x))` equals `network()(x)` and `trunk(x)[0]` is the layer's output.

        Raises UnknownName with the layers that exist.
        """
        if self._table is None:
            from headstart.backbones.untraced import split

            return split(self.network(), layer, self.name)
        from headstart.backbones.split import cut

        table = self._table
        return cut(table.traced, table.node(layer), layer)

    def features(self, layer: str) -> nn.Module:
        """A module float32 (b, 3, h, w), normalised -> (b, d) float32: the layer's output, flattened in C order.

        `cut:NAME` is all that a cut behind NAME carries, side by side. Raises UnknownName with the layers that exist.
        """
        if self._table is None:
            from headstart.backbones.untraced import features

            return features(self.network(), layer, self.name)
        from headstart.backbones.split import carried_features
        from headstart.backbones.split import features as trunk_alone

        table = self._table
        if layer.startswith(CUT):
            return carried_features(table.traced, table.node(layer.removeprefix(CUT)))
        return trunk_alone(table.traced, table.node(layer))

    def body(self, layer: str | None, end: str) -> Body:
        """A copy to be trained of what lies between `layer` (None: the picture) and the layer `end`.

        Raises UnknownName with the layers that exist, UserError where the network cannot be cut there.
        """
        from headstart.backbones.body import body

        return body(self, layer, end)

    def units(self, end: str | None = None) -> tuple[Unit, ...]:
        """The blocks with weights from input to output: what `--unfreeze N` counts."""
        from headstart.backbones.body import units

        return units(self, end)

    def tuned(self, state: Mapping[str, torch.Tensor]) -> Backbone:
        """This network with some of its weights replaced by those in `state`, by name: a backbone of its own."""
        from headstart.backbones.body import tuned

        return tuned(self, state)

    def openvino_model(self, layer: str, size: tuple[int, int]) -> Any:
        """An `openvino.Model`: normalised float32 (1, 3, *size) -> (1, d) float32. Raises as `check` does."""
        from headstart.backbones.to_openvino import convert

        self.check(layer, size)
        return convert(self.features(layer), size)

    def check(self, layer: str, size: tuple[int, int]) -> None:
        """Raise UserError when the layer cannot be computed of pictures of (height, width), with the size to give.

        The answer is remembered. Raises UnknownName with the layers that exist.
        """
        from headstart.backbones.sizes import check

        self._check_fixed(size)
        check(self, layer, size)

    def save(self, folder: Path) -> Path:
        """Write `backbone.safetensors` and its sidecar into `folder`; `resolve(self.name, that file)` is this backbone.

        For random weights too. A weights file that was a safetensors file is copied as it is.
        """
        if not self._described_by_its_file():
            from headstart.backbones.build import write

            return write(self, folder)
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "backbone.safetensors"
        shutil.copyfile(weights_path(self.weights), file)
        sidecar.write(sidecar.of(self, file, self.weights.num_classes or 0), file)
        return file

    def _described_by_its_file(self) -> bool:
        """Whether a copy of the weights file is all there is to save, so that no network need be built."""
        path, classes = self.weights.path, self.weights.num_classes
        return path is not None and path.suffix.lower() == ".safetensors" and classes is not None

    def _check_fixed(self, size: tuple[int, int]) -> None:
        if self.fixed_size is not None and size != self.fixed_size:
            raise UserError(
                f"{self.name} takes pictures of {_pixels(self.fixed_size)} only, not {_pixels(size)}; "
                "leave `image_size` out."
            )


@dataclass(frozen=True, eq=False)
class OnnxBackbone(Backbone):
    """A frozen network from an ONNX file. Its layers are the file's named outputs; OpenVINO runs it, PyTorch cannot."""

    outputs: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def network(self) -> nn.Module:
        """Raises UserError: an ONNX file is frozen."""
        raise UserError(f"{self.name} is an ONNX file: it is frozen and runs with engine=openvino only.")

    def layers(self) -> tuple[Layer, ...]:
        """The named outputs with their shapes, without the batch."""
        from headstart.backbones.from_onnx import layers

        return layers(self.outputs)

    def split(self, layer: str) -> Split:
        """Raises UserError: an ONNX file is frozen."""
        self.network()
        raise AssertionError

    def features(self, layer: str) -> nn.Module:
        """Raises UserError: an ONNX file is frozen."""
        return self.network()

    def openvino_model(self, layer: str, size: tuple[int, int]) -> Any:
        """See `Backbone.openvino_model`; `layer` is one of the file's outputs."""
        from headstart.backbones.from_onnx import convert

        self.check(layer, size)
        return convert(self, layer, size)

    def check(self, layer: str, size: tuple[int, int]) -> None:
        """See `Backbone.check`; what a file of free size takes is found when it is opened."""
        self._check_fixed(size)

    def save(self, folder: Path) -> Path:
        """Copy the file as `backbone.onnx`, with its external data and a sidecar."""
        from headstart.backbones.from_onnx import write

        return write(self, folder)


def _pixels(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]} pixels"


def weights_path(weights: Weights) -> Path:
    """The file of weights of kind `file`, which must still be there."""
    if weights.path is None or not weights.path.is_file():
        raise WeightsError(f"The weights file {weights.path} is not there any more.")
    return weights.path
