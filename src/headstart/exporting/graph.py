"""Pieces of ONNX graphs, written node by node."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

OPSET = 18
"""Of the graphs that are written here, from operators that have the same form from 13 on."""
IR_VERSION = 10
"""Of the file format: what runtimes from 2024 on read."""
FLOAT, INT32, INT64, DOUBLE = 1, 6, 7, 11
"""Types by their numbers in ONNX."""
Value = str | NDArray[Any] | int
"""A tensor of a graph by name, or one that becomes a constant; a whole number is a scalar of 64 bits."""


class Piece:
    """Nodes and constants of a graph that is being written; every name of it begins with `prefix`."""

    def __init__(self, prefix: str) -> None:
        self.prefix, self.nodes, self.constants = prefix, list[Any](), list[Any]()

    def __call__(self, operator: str, *inputs: Value, name: str = "", **attributes: Any) -> str:
        """Add a node; gives the name of its first output, by default one of the piece's own."""
        return self.several(operator, 1, *inputs, name=name, **attributes)[0]

    def several(self, operator: str, outputs: int, *inputs: Value, name: str = "", **attributes: Any) -> list[str]:
        """As a call, for a node of several outputs."""
        from onnx import helper

        own = f"{self.prefix}/{operator}_{len(self.nodes)}"
        names = [name] if name else [f"{own}:{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(operator, [self.named(each) for each in inputs], names, own, **attributes))
        return names

    def named(self, value: Value) -> str:
        """The name of a tensor, which becomes a constant of the graph where it is numbers."""
        from onnx import numpy_helper

        if isinstance(value, str):
            return value
        array = np.array(value, dtype=np.int64) if isinstance(value, int) else value
        name = f"{self.prefix}/constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name))
        return name


def single(value: float) -> NDArray[np.float32]:
    """A constant of single precision."""
    return np.array(value, dtype=np.float32)


def double(value: float) -> NDArray[np.float64]:
    """A constant of double precision."""
    return np.array(value, dtype=np.float64)


def shaped(name: str, element: str, shape: list[int | str | None]) -> Any:
    """An input or output of a graph: `element` is a type of ONNX, such as UINT8; a free size has a name."""
    from onnx import TensorProto, helper

    return helper.make_tensor_value_info(name, getattr(TensorProto, element), shape)


def model(pieces: list[Any], inputs: list[Any], outputs: list[Any], opset: int = OPSET) -> Any:
    """An `onnx.ModelProto` of pieces that follow each other."""
    from onnx import helper

    nodes = [node for piece in pieces for node in piece.nodes]
    constants = [constant for piece in pieces for constant in piece.constants]
    graph = helper.make_graph(nodes, "headstart", inputs, outputs, constants)
    return helper.make_model(
        graph, producer_name="headstart", opset_imports=[helper.make_opsetid("", opset)], ir_version=IR_VERSION
    )
