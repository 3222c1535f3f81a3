"""From PyTorch to ONNX, and an ONNX file cut at its outputs: float32 or pixels (1, 3, h, w) -> float32 (1, d)."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.errors import UserError

if TYPE_CHECKING:
    from torch import nn

OPSET = 18
OLDEST = 13
"""The operators that are written around a network have the same form from this version on."""


def convert(module: nn.Module, size: tuple[int, int], name: str) -> Any:
    """A float (1, 3, *size) -> (1, d) module as an `onnx.ModelProto` with the output `features`. Raises UserError."""
    import onnx
    import torch

    file: Any = io.BytesIO()
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its tracing, and sizes that become constants: they are constant
            example = torch.zeros(1, 3, *size)
            trace: Any = torch.jit.trace
            traced = trace(module, example)  # first by itself: there a size is a number, not a tensor
            torch.onnx.export(
                traced, (example,), file, dynamo=False, opset_version=OPSET,
                input_names=["network"], output_names=["features"],
            )  # fmt: skip
    except (RuntimeError, ValueError, torch.onnx.errors.OnnxExporterError) as error:
        raise UserError(f"PyTorch cannot write {name} as ONNX; try format=openvino.") from error
    return _without_last_cast(onnx.load_from_string(file.getvalue()))


def _without_last_cast(model: Any) -> Any:
    """The model; a last cast that changes no type is an identity, since NNCF fails where it takes such a cast away."""
    import onnx

    last = model.graph.node[-1]
    if last.op_type == "Cast":
        known = {
            each.name: each.type.tensor_type.elem_type
            for each in onnx.shape_inference.infer_shapes(model).graph.value_info
        }
        if known.get(last.input[0]) == last.attribute[0].i:
            last.op_type = "Identity"
            del last.attribute[:]
    return model


def cut(path: Path, parts: list[str]) -> Any:
    """An ONNX file up to some outputs, side by side, as an `onnx.ModelProto` with the output `features`."""
    import numpy as np
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(path)
    if model.opset_import[0].version < OLDEST:
        model = onnx.version_converter.convert_version(model, OLDEST)
    graph = model.graph
    graph.initializer.append(numpy_helper.from_array(np.array([1, -1]), "features/shape"))
    rows = [f"features/{number}" for number in range(len(parts))]
    for part, row in zip(parts, rows, strict=True):
        graph.node.append(helper.make_node("Reshape", [part, "features/shape"], [row]))
    graph.node.append(helper.make_node("Concat", rows, ["features"], axis=1))
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("features", onnx.TensorProto.FLOAT, [1, None]))
    _without_spares(graph)
    return model


def _without_spares(graph: Any) -> None:
    """Leave out nodes and constants that the outputs do not depend on."""
    needed, kept = {each.name for each in graph.output}, []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
            for attribute in node.attribute:  # branches and loops see the values around them
                needed.update(name for inner in attribute.g.node for name in inner.input)
    constants = [each for each in graph.initializer if each.name in needed]
    for field, values in ((graph.node, kept[::-1]), (graph.initializer, constants)):
        values = [type(each).FromString(each.SerializeToString()) for each in values]
        del field[:]
        field.extend(values)
