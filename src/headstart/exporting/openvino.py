"""Exports as OpenVINO's own files, run by OpenVINO."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headstart.backbones import onnx_file, openvino
from headstart.backbones.onnx_file import takes_pixels
from headstart.engines import Picture
from headstart.engines.openvino import SETTINGS
from headstart.exported import GRAPHS, PICTURE
from headstart.exporting import pieces
from headstart.exporting.formats import Format, Run
from headstart.exporting.parity import LOOSE

if TYPE_CHECKING:
    from headstart.classifier import Classifier
    from headstart.preprocess import Preprocess


def trunk(classifier: Classifier) -> Any | None:
    """The network up to the features as an `openvino.Model`."""
    source = classifier.source
    if source.backbone is None:
        return None
    return source.backbone.openvino_model(source.layer, (source.preprocess.height, source.preprocess.width))


def whole(classifier: Classifier, network: Any | None) -> Any:
    """The graph from the picture to the answers."""
    if network is None:
        from headstart.exporting.onnx import whole as pixels_alone

        return _read(pixels_alone(classifier, None))
    from openvino import opset13 as ops

    pixels = takes_pixels(network, classifier.source.backbone)
    before, behind = _read(pieces.model_before(classifier, pixels=pixels)), _read(pieces.model_behind(classifier))
    network = network.clone()
    given = ops.convert(before.get_results()[0].input_value(0), network.input(0).get_element_type().to_string())
    _fed_by(network, given.output(0))
    _fed_by(behind, network.get_results()[0].input_value(0))
    return openvino.load().Model(behind.get_results(), before.get_parameters(), "headstart")


def _fed_by(graph: Any, value: Any) -> None:
    """Give a value to whatever the input of a graph goes to."""
    for target in graph.get_parameters()[0].output(0).get_target_inputs():
        target.replace_source_output(value)


def _read(graph: Any) -> Any:
    """An ONNX graph of ours in OpenVINO."""
    return openvino.load().Core().read_model(graph.SerializeToString())


def write(graph: Any, folder: Path) -> None:
    """Write the graph, its weights in float32 as they are."""
    file = folder / GRAPHS["openvino"][0]
    openvino.load().save_model(graph, file, compress_to_fp16=False)
    onnx_file.trust(file)


def run(folder: Path) -> Run:
    """The graph in a folder, of any format, by OpenVINO on the CPU; files are read, not mapped: they may change."""
    core = openvino.load().Core()
    kind = next(kind for kind, names in GRAPHS.items() if (folder / names[0]).is_file())
    model = core.read_model(*((folder / name).read_bytes() for name in GRAPHS[kind]))
    compiled = core.compile_model(model, "CPU", SETTINGS)

    def answer(picture: Picture) -> NDArray[np.float32]:
        found = compiled({PICTURE: picture[None]})
        return np.concatenate([found[each].ravel() for each in compiled.outputs])

    return answer


def fed(network: Any, levels: NDArray[np.uint8], preprocess: Preprocess) -> NDArray[Any]:
    """What the network by itself is given for grey levels (1, c, h, w)."""
    return levels if takes_pixels(network, "the network") else preprocess.normalised(levels)


FORMAT = Format("openvino", trunk, whole, write, run, fed, LOOSE, ("onnx",))
