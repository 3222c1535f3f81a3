"""Exports as ONNX, run by onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headstart.backbones import onnx_file
from headstart.engines import Picture
from headstart.errors import UserError
from headstart.exported import GRAPHS, PICTURE
from headstart.exporting import pieces
from headstart.exporting.formats import Format, Run
from headstart.exporting.graph import FLOAT, IR_VERSION, OPSET, Piece, model
from headstart.exporting.parity import EXACT

if TYPE_CHECKING:
    from headstart.classifier import Classifier
    from headstart.preprocess import Preprocess

MOST_BYTES = 2_000_000_000
"""Of a network: a file of ONNX holds two GiB."""


def trunk(classifier: Classifier) -> Any | None:
    """The network up to the features as an `onnx.ModelProto`, every name of it beginning with `network/`."""
    from onnx import compose

    source = classifier.source
    if source.backbone is None:
        return None
    found = source.backbone.onnx_model(source.layer, (source.preprocess.height, source.preprocess.width))
    if found.ByteSize() > MOST_BYTES:
        raise UserError(f"{source.backbone.name} is too large for one ONNX file; use format=openvino.")
    return compose.add_prefix(found, "network/")


def whole(classifier: Classifier, network: Any | None) -> Any:
    """The graph from the picture to the answers."""
    between, element = Piece("between"), FLOAT
    steps: list[Any]
    if network is None:
        steps, opset, others = [], OPSET, []
    else:
        own = _input(network)
        element = own.type.tensor_type.elem_type
        between("Cast", pieces.NETWORK, name=own.name, to=element)
        last = Piece("last")
        last("Reshape", f"network/{pieces.FEATURES}", np.array([1, -1]), name=pieces.FEATURES)
        steps = [between, _Nodes(network), last]
        opset = next(each.version for each in network.opset_import if each.domain in ("", "ai.onnx"))
        others = [each for each in network.opset_import if each.domain not in ("", "ai.onnx")]
    before, behind = pieces.before(classifier, pixels=element != FLOAT), pieces.behind(classifier)
    found = model([before, *steps, behind], pieces.given(), pieces.answered(classifier), opset)
    found.opset_import.extend(others)
    found.ir_version = max(IR_VERSION, network.ir_version if network is not None else 0)
    if network is not None:
        found.functions.extend(network.functions)
    return found


class _Nodes:
    """A network's graph as a piece."""

    def __init__(self, network: Any) -> None:
        self.nodes, self.constants = list(network.graph.node), list(network.graph.initializer)


def _input(network: Any) -> Any:
    """The one input that is no constant."""
    constants = {each.name for each in network.graph.initializer}
    return next(each for each in network.graph.input if each.name not in constants)


def write(graph: Any, folder: Path) -> None:
    """Write the graph."""
    import onnx

    onnx.checker.check_model(graph)
    onnx.save(graph, folder / GRAPHS["onnx"][0])
    onnx_file.trust(folder / GRAPHS["onnx"][0])


def run(folder: Path) -> Run:
    """The graph in a folder, by onnxruntime on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / GRAPHS["onnx"][0], providers=["CPUExecutionProvider"])

    def answer(picture: Picture) -> NDArray[np.float32]:
        return np.concatenate([each.ravel() for each in session.run(None, {PICTURE: picture[None]})])

    return answer


def fed(network: Any, levels: NDArray[np.uint8], preprocess: Preprocess) -> dict[str, NDArray[Any]]:
    """What the network by itself is given for grey levels (1, c, h, w)."""
    own = _input(network)
    return {own.name: levels if own.type.tensor_type.elem_type != FLOAT else preprocess.normalised(levels)}


FORMAT = Format("onnx", trunk, whole, write, run, fed, EXACT, ("onnx", "onnxruntime"))
