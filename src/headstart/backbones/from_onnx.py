"""ONNX files as frozen backbones, run by OpenVINO: one picture input (b, 3, h, w), named outputs as layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from headstart import tensors
from headstart.backbones import external, openvino, sidecar
from headstart.backbones.base import BaseBackbone
from headstart.backbones.facts import Layer
from headstart.backbones.fingerprint import fingerprint_of
from headstart.backbones.onnx_file import assumed, check_values, outputs_of, picture_size, read, with_ports
from headstart.backbones.weights import Weights, weights_path
from headstart.errors import UnknownName, UserError, WeightsError


@dataclass(frozen=True, eq=False)
class OnnxBackbone(BaseBackbone):
    """A frozen network from an ONNX file. Its layers are the file's named outputs; OpenVINO runs it, PyTorch cannot."""

    outputs: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def plain_name(self) -> str:
        """The backbone's name: a file of its own need not be any architecture that others know."""
        return self.name

    def layers(self) -> tuple[Layer, ...]:
        """The named outputs with their shapes, without the batch."""
        return tuple(Layer(name, shape) for name, shape in self.outputs.items())

    def openvino_model(self, layer: str, size: tuple[int, int]) -> Any:
        """See `BaseBackbone.openvino_model`; `layer` is an output, or `A+B`. What a free size takes is found here."""
        self.check(layer, size)
        return _convert(self, layer, size)

    def onnx_model(self, layer: str, size: tuple[int, int]) -> Any:
        """See `BaseBackbone.onnx_model`."""
        from headstart.backbones.to_onnx import cut

        self.check(layer, size)
        return cut(_unchanged(self), _parts(self, layer))

    def save(self, folder: Path, stem: str = "backbone") -> Path:
        """Copy the file as `STEM.onnx`, with its external data and a sidecar."""
        return _write(self, folder / f"{stem}.onnx")


def resolve_onnx(path: Path) -> OnnxBackbone:
    """The backbone in an ONNX file; with a sidecar without opening it. Raises UserError, WeightsError."""
    if not path.is_file():
        raise UserError(f"There is no file {path}.")
    beside = sidecar.beside(path)
    found = sidecar.read(beside, path) if beside else None
    model = None
    if found is None or not found.inputs or not found.outputs:
        model = read(path)
        found = with_ports(path, found, model)
    fixed = picture_size(found.inputs, path)
    described = found.architecture
    weights = Weights("file", path.resolve(), found.sha256, licence=found.licence)
    return OnnxBackbone(
        name=path.stem if described == "onnx:backbone" else described.partition(":")[2] or path.stem,
        architecture=described,
        weights=weights,
        preprocess=found.preprocess,
        fingerprint=_mark(path, found.sha256),
        fixed_size=fixed,
        notes=() if beside else (assumed(model, path),),
        outputs=outputs_of(found, path),
    )


def _convert(backbone: OnnxBackbone, layer: str, size: tuple[int, int]) -> Any:
    """The file cut at an output: an `openvino.Model` (1, 3, *size) of the input's own type -> (1, d) float32."""
    ov = openvino.load()
    from openvino import opset13 as ops

    parts = _parts(backbone, layer)
    path = _unchanged(backbone)
    model = read(path)
    try:
        model.reshape([1, 3, *size])
    except RuntimeError as error:
        raise UserError(f"{backbone.name} cannot take pictures of {size[0]}x{size[1]} pixels.") from error
    check_values(model, path)
    try:
        values = [model.output(part).get_node().input_value(0) for part in parts]
        rows = [ops.reshape(value, [1, -1], special_zero=False) for value in values]
        flat = rows[0] if len(rows) == 1 else ops.concat(rows, 1)
        if not all(map(_numbers, values)):
            raise WeightsError(
                f"{path} gives no numbers at its output {layer}, so it cannot be used; name another layer."
            )
        flat.output(0).set_names({"features"})
        return ov.Model([ops.result(flat)], model.get_parameters(), backbone.name)
    except RuntimeError as error:
        raise WeightsError(f"{path} cannot be cut at its output {layer}.") from error


def _numbers(value: Any) -> bool:
    """Whether an output of a node gives numbers: no text, and at least one."""
    shape = value.get_partial_shape()
    empty = shape.is_static and 0 in value.get_shape()
    return not empty and value.get_element_type() != openvino.load().Type.string


def _parts(backbone: OnnxBackbone, layer: str) -> list[str]:
    """The outputs that a layer names. Raises UnknownName."""
    parts = [layer] if layer in backbone.outputs else layer.split("+")
    if unknown := [part for part in parts if part not in backbone.outputs]:
        listed = ", ".join(map(str, backbone.layers()))
        raise UnknownName(f"layer of {backbone.name}", unknown[0], backbone.outputs, hint=f"Its outputs are {listed}.")
    return parts


def _unchanged(backbone: OnnxBackbone) -> Path:
    """The file, which is still what the fingerprint was taken of. Raises WeightsError."""
    path = weights_path(backbone.weights)
    if _mark(path, tensors.sha256(path)) != backbone.fingerprint:
        raise WeightsError(f"{path} or its external data changed while this program ran; start it again.")
    return path


def _write(backbone: OnnxBackbone, file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    source = weights_path(backbone.weights)
    external.copy(source, file)
    beside = sidecar.beside(source)
    found = sidecar.read(beside, source) if beside else with_ports(source, None, read(source))
    described = replace(found, architecture=backbone.architecture, sha256=tensors.sha256(file))
    sidecar.write(described, file)
    return file


def _mark(path: Path, sha256: str) -> str:
    """The fingerprint; external data count as the file itself does."""
    return fingerprint_of("onnx", {}, None, external.content(path) or sha256, "2")  # 2: whole numbers get pixels
