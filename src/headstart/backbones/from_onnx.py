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
from headstart.backbones.sidecar import Shape, Sidecar
from headstart.backbones.weights import Weights, weights_path
from headstart.errors import UnknownName, UserError, WeightsError
from headstart.preprocess import Preprocess

OWN_SIZE = 224
ASSUMED = (
    "{name} has no sidecar: pictures are scaled to 0..1 and normalised with ImageNet's mean and standard deviation, "
    "which is an assumption; write {sidecar} to state what it expects."
)

WHOLE = (
    "{name} takes whole numbers ({type}): it is given the pixels 0..255 as they are; how they are resized is an "
    "assumption, write {sidecar} to state it."
)


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
        found = _opened(path, found, model)
    fixed = _picture_size(found.inputs, path)
    described = found.architecture
    weights = Weights("file", path.resolve(), found.sha256, licence=found.licence)
    return OnnxBackbone(
        name=path.stem if described == "onnx:backbone" else described.partition(":")[2] or path.stem,
        architecture=described,
        weights=weights,
        preprocess=found.preprocess,
        fingerprint=_mark(path, found.sha256),
        fixed_size=fixed,
        notes=() if beside else (_assumed(model, path),),
        outputs=_outputs(found, path),
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
    try:
        values = [model.output(part).get_node().input_value(0) for part in parts]
        rows = [ops.reshape(value, [1, -1], special_zero=False) for value in values]
        flat = rows[0] if len(rows) == 1 else ops.concat(rows, 1)
        flat.output(0).set_names({"features"})
        return ov.Model([ops.result(flat)], model.get_parameters(), backbone.name)
    except RuntimeError as error:
        raise WeightsError(f"{path} cannot be cut at its output {layer}.") from error


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


def takes_pixels(model: Any, name: object) -> bool:
    """Whether the input of an `openvino.Model` is of whole numbers, so that it takes 0..255 and no normalised values.

    Raises WeightsError for numbers that cannot be those of pixels.
    """
    element = model.input(0).get_element_type()
    if not element.is_integral():
        return False
    if element.bitwidth < 8 or (element.bitwidth == 8 and element.is_signed()):
        raise WeightsError(
            f"{name} takes {_type(model)}, which cannot hold pixels from 0 to 255; export it for float32."
        )
    return True


def _assumed(model: Any, path: Path) -> str:
    """What is assumed of a file without a sidecar, in a sentence."""
    told = WHOLE if takes_pixels(model, path) else ASSUMED
    return told.format(name=path.name, sidecar=path.with_suffix(".json").name, type=_type(model))


def _type(model: Any) -> str:
    return str(model.input(0).get_element_type().to_string())


def _write(backbone: OnnxBackbone, file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    source = weights_path(backbone.weights)
    external.copy(source, file)
    beside = sidecar.beside(source)
    found = sidecar.read(beside, source) if beside else _opened(source, None, read(source))
    described = replace(found, architecture=backbone.architecture, sha256=tensors.sha256(file))
    sidecar.write(described, file)
    return file


def _mark(path: Path, sha256: str) -> str:
    """The fingerprint; external data count as the file itself does."""
    return fingerprint_of("onnx", {}, None, external.content(path) or sha256, "2")  # 2: whole numbers get pixels


def read(path: Path) -> Any:
    """The network, read as ONNX alone: OpenVINO's own choice by content would also open its other formats."""
    openvino.load()
    from openvino.frontend import FrontEndManager

    external.check(path)  # before OpenVINO opens what the file names
    try:
        reader = FrontEndManager().load_by_framework("onnx")
        return reader.convert(reader.load(str(path)))
    except Exception as error:  # a dozen kinds, without a common base
        raise WeightsError(f"{path} cannot be read as an ONNX network.") from error


def _opened(path: Path, found: Sidecar | None, model: Any) -> Sidecar:
    """A sidecar with the inputs and outputs of the file itself."""
    try:
        inputs = {port.get_any_name(): _shape(port) for port in model.inputs}
        outputs = {port.get_any_name(): _shape(port) for port in model.outputs}
    except RuntimeError as error:
        raise WeightsError(f"{path} has an input or an output without a name.") from error
    if found is not None:
        return replace(found, inputs=inputs, outputs=outputs)
    size = _picture_size(inputs, path) or (OWN_SIZE, OWN_SIZE)
    preprocess = Preprocess(*size)
    if takes_pixels(model, path):
        preprocess = replace(preprocess, mean=(0.0,) * 3, std=(1 / 255,) * 3)  # pixels stay in 0..255
    return Sidecar(f"onnx:{path.stem}", preprocess, tensors.sha256(path), inputs=inputs, outputs=outputs)


def _shape(port: Any) -> Shape:
    return tuple(None if size.is_dynamic else int(size.get_length()) for size in port.get_partial_shape())


def _picture_size(inputs: Mapping[str, Shape], path: Path) -> tuple[int, int] | None:
    """The static (height, width) of the one input, None when it is free."""
    shapes = list(inputs.values())
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][1] not in (3, None):
        shown = ", ".join(f"{name} {list(shape)}" for name, shape in inputs.items())
        raise WeightsError(f"{path} must have one input (batch, 3, height, width); it has {shown}.")
    height, width = shapes[0][2:]
    return (height, width) if height is not None and width is not None else None


def _outputs(found: Sidecar, path: Path) -> dict[str, tuple[int, ...]]:
    """Shapes without the batch; a network of free size is measured at its preprocessing's size."""
    if all(None not in shape[1:] for shape in found.outputs.values()):
        return {name: tuple(int(s or 0) for s in shape[1:]) for name, shape in found.outputs.items()}
    model = read(path)
    height, width = found.preprocess.height, found.preprocess.width
    try:
        model.reshape([1, 3, height, width])
        return {p.get_any_name(): tuple(int(s or 0) for s in _shape(p)[1:]) for p in model.outputs}
    except RuntimeError as error:
        raise WeightsError(f"{path} cannot take pictures of {height}x{width} pixels.") from error
