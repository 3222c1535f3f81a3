"""ONNX files as backbones, and the conversion of PyTorch networks to OpenVINO."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from headstart import tensors
from headstart.backbones import Backbone, OnnxBackbone, as_pytorch, resolve
from headstart.errors import UnknownName, UserError, WeightsError

KERNEL = np.random.default_rng(0).normal(size=(5, 3, 3, 3)).astype(np.float32)


def write(path: Path, shape: list[Any]) -> Path:
    """A network of one convolution: outputs `last_conv` (5, h, w) and `pooled` (5, 1, 1)."""
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["last_conv"], pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["last_conv"], ["pooled"]),
    ]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("last_conv", "pooled")]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "net", [image], outputs, [numpy_helper.from_array(KERNEL, "kernel")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


def run(model: Any, x: NDArray[np.float32]) -> NDArray[np.float32]:
    import openvino as ov

    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.asarray(compiled(x)[0])


def test_the_outputs_of_a_file_are_its_layers(tmp_path: Path) -> None:
    """Names and shapes are the file's; a static input is the only size it takes."""
    backbone = resolve(str(write(tmp_path / "net.onnx", ["n", 3, 8, 6])))
    assert [(layer.name, layer.shape) for layer in backbone.layers()] == [
        ("last_conv", (5, 8, 6)),
        ("pooled", (5, 1, 1)),
    ]
    assert backbone.fixed_size == (8, 6)
    with pytest.raises(UserError, match="8x6 pixels only"):
        backbone.openvino_model("pooled", (8, 8))


def test_a_file_of_free_size_takes_any_size(tmp_path: Path) -> None:
    """Its outputs are flattened in C order and agree with PyTorch's convolution."""
    backbone = resolve(str(write(tmp_path / "net.onnx", ["n", 3, "h", "w"])))
    assert backbone.fixed_size is None
    x = np.random.default_rng(1).normal(size=(1, 3, 10, 12)).astype(np.float32)
    wanted = torch.conv2d(torch.from_numpy(x), torch.from_numpy(KERNEL), padding=1)
    np.testing.assert_allclose(
        run(backbone.openvino_model("last_conv", (10, 12)), x), wanted.flatten(1), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        run(backbone.openvino_model("pooled", (10, 12)), x), wanted.mean((2, 3)), rtol=1e-4, atol=1e-5
    )


def test_without_a_sidecar_the_assumed_normalisation_is_noted(tmp_path: Path) -> None:
    """ImageNet's mean and deviation on 0..1, and a note that says so."""
    backbone = resolve(str(write(tmp_path / "net.onnx", ["n", 3, 8, 8])))
    assert backbone.preprocess.mean == (0.485, 0.456, 0.406)
    assert "net.onnx has no sidecar" in backbone.notes[0]


def test_a_sidecar_states_preprocessing_and_checksum(tmp_path: Path) -> None:
    """Its figures are used, its checksum holds, and a changed file is refused."""
    path = write(tmp_path / "net.onnx", ["n", 3, 8, 8])
    preprocess = {"size": [8, 8], "mean": [0.5] * 3, "std": [0.25] * 3, "range": "0..1"}
    sidecar = {"architecture": "onnx:tiny", "preprocess": preprocess, "license": "CC0", "sha256": tensors.sha256(path)}
    path.with_suffix(".json").write_text(json.dumps(sidecar))
    backbone = resolve(str(path))
    assert (backbone.name, backbone.weights.licence, backbone.preprocess.std) == ("tiny", "CC0", (0.25,) * 3)
    write(path, ["n", 3, 9, 9])
    with pytest.raises(WeightsError, match="sha256"):
        resolve(str(path))


def test_a_saved_file_is_the_same_backbone(tmp_path: Path) -> None:
    """With or without a sidecar before; afterwards it has one, with the shapes of its outputs."""
    backbone = resolve(str(write(tmp_path / "net.onnx", ["n", 3, 8, 6])))
    again = resolve(str(backbone.save(tmp_path / "bundle")))
    assert (again.name, again.fingerprint, again.preprocess) == (
        backbone.name,
        backbone.fingerprint,
        backbone.preprocess,
    )
    assert again.layers() == backbone.layers()
    assert again.fixed_size == (8, 6)


def test_a_wrong_output_lists_what_exists(tmp_path: Path) -> None:
    """With shapes."""
    backbone = resolve(str(write(tmp_path / "net.onnx", ["n", 3, 8, 6])))
    with pytest.raises(UnknownName, match=r"did you mean pooled.*last_conv \(5x8x6\)"):
        backbone.openvino_model("pool", (8, 6))


def test_what_is_no_backbone_is_refused(tmp_path: Path) -> None:
    """A missing file, noise, an input of other shape, weights beside an ONNX file, and PyTorch for one."""
    good = write(tmp_path / "net.onnx", ["n", 3, 8, 6])
    (tmp_path / "noise.onnx").write_bytes(b"noise" * 100)
    flat = write(tmp_path / "flat.onnx", ["n", 7, 8, 6])
    for name, weights, message in (
        (tmp_path / "none.onnx", "imagenet", "no file"),
        (tmp_path / "noise.onnx", "imagenet", "cannot be read as an ONNX network"),
        (flat, "imagenet", r"\[None, 7, 8, 6\]|cannot be read"),
        (good, "none", "holds its own weights"),
    ):
        with pytest.raises(UserError, match=message):
            resolve(str(name), weights)
    with pytest.raises(UserError, match="engine=openvino only"):
        as_pytorch(resolve(str(good)))


@pytest.mark.data
def test_the_real_file_is_resolved_without_any_library(weights_dir: Path) -> None:
    """Its sidecar has the shapes, so neither OpenVINO nor torch is imported."""
    path = str(weights_dir / "mobilenetv1_075.onnx")
    code = f"""
import sys
from headstart.backbones import resolve
b = resolve({path!r})
heavy = [m for m in ('torch', 'timm', 'openvino') if m in sys.modules]
print([str(layer) for layer in b.layers()], b.fixed_size, heavy)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == ("['logits (1000)', 'last_conv (768x7x7)', 'pooled (768)'] (224, 224) []")


@pytest.mark.data
def test_the_real_files_pooled_output_is_the_mean_of_its_last_conv(weights_dir: Path) -> None:
    """Two outputs of the real network, cut separately, agree."""
    backbone = resolve(str(weights_dir / "mobilenetv1_075.onnx"))
    assert isinstance(backbone, OnnxBackbone)
    x = np.random.default_rng(0).uniform(-1, 1, size=(1, 3, 224, 224)).astype(np.float32)
    conv = run(backbone.openvino_model("last_conv", (224, 224)), x)
    pooled = run(backbone.openvino_model("pooled", (224, 224)), x)
    assert conv.shape == (1, 37632)
    np.testing.assert_allclose(conv.reshape(1, 768, 49).mean(2), pooled, rtol=1e-4, atol=1e-5)


def difference(backbone: Backbone, layer: str, size: int) -> float:
    """Largest difference between OpenVINO and PyTorch, relative to the largest value."""
    x = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = backbone.features(layer)(x).numpy()
    got = run(backbone.openvino_model(layer, (size, size)), x.numpy())
    assert got.shape == wanted.shape
    return float(np.abs(got - wanted).max() / np.abs(wanted).max())


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "file", "layer"),
    [
        ("mobilenetv2_100", "mobilenetv2_100", "pooled"),
        ("mobilenetv2_035", "mobilenetv2_035", "blocks.3.1.conv_dw"),
        ("squeezenet1_0", "squeezenet1_0", "last_conv"),
    ],
)
def test_openvino_agrees_with_torch_on_real_weights(weights_dir: Path, name: str, file: str, layer: str) -> None:
    """Within 1e-4 relative, padding as TensorFlow does included."""
    assert difference(resolve(name, weights_dir / f"{file}.safetensors"), layer, 96) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size", "layer"),
    [
        ("ResNet50", 64, "layer3.1.conv2"),
        ("DenseNet121", 64, "features.denseblock3.denselayer5"),
        ("VGG16", 64, "last_conv"),
        ("vit_tiny_patch16_224", 224, "pooled"),
        ("swin_tiny_patch4_window7_224", 224, "pooled"),
        ("ConvNeXtTiny", 64, "stages.2.blocks.3"),
        pytest.param("InceptionResNetV2", 96, "pooled", marks=pytest.mark.exhaustive),
        pytest.param("NASNetLarge", 96, "cell_8", marks=pytest.mark.exhaustive),
    ],
)
def test_openvino_agrees_with_torch_on_random_weights(name: str, size: int, layer: str) -> None:
    """Within 1e-4 relative, at ends, blocks and layers within blocks."""
    assert difference(resolve(name, "none"), layer, size) < 1e-4


def test_a_picture_too_small_for_the_network_is_refused() -> None:
    """In one sentence with the smallest that works."""
    with pytest.raises(UserError, match=r"inception_v3 cannot take pictures of 32x32 pixels.*image_size=75"):
        resolve("inception_v3", "none").openvino_model("pooled", (32, 32))


def outside(path: Path, place: str = "net.data", seed: int = 0) -> Path:
    """The network of `write` with its kernel in another file, under any name."""
    write(path, ["n", 3, 8, 6])
    model = onnx.load(path)
    kernel = model.graph.initializer[0]
    (path.parent / "net.data").write_bytes(
        np.random.default_rng(seed).normal(size=KERNEL.shape).astype("<f4").tobytes()
    )
    kernel.ClearField("raw_data")
    kernel.data_location = TensorProto.EXTERNAL
    for key, value in (("location", place), ("offset", "0"), ("length", str(KERNEL.nbytes))):
        kernel.external_data.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())
    return path


def test_external_data_count_for_the_fingerprint_and_their_names_do_not(tmp_path: Path) -> None:
    """Other weights under the same names make another network; the same under other names do not."""
    first = resolve(str(outside(tmp_path / "net.onnx"))).fingerprint
    assert resolve(str(outside(tmp_path / "net.onnx", seed=1))).fingerprint != first
    outside(tmp_path / "net.onnx", "sub/other.data")
    (tmp_path / "sub").mkdir()
    (tmp_path / "net.data").rename(tmp_path / "sub" / "other.data")
    assert resolve(str(tmp_path / "net.onnx")).fingerprint == first


def test_a_saved_network_brings_its_external_data_under_names_of_ours(tmp_path: Path) -> None:
    """It has the same fingerprint and features where it is alone, and writes over nothing."""
    made = resolve(str(outside(tmp_path / "net.onnx")))
    moved = tmp_path / "elsewhere"
    made.save(moved)
    (tmp_path / "net.data").unlink()
    assert sorted(p.name for p in moved.iterdir()) == ["backbone.json", "backbone.onnx", "backbone.onnx.1.data"]
    again = resolve(str(moved / "backbone.onnx"))
    assert again.fingerprint == made.fingerprint
    x = np.ones((1, 3, 8, 6), np.float32)
    kernel = np.random.default_rng(0).normal(size=KERNEL.shape).astype(np.float32)
    wanted = torch.conv2d(torch.from_numpy(x), torch.from_numpy(kernel), padding=1).mean((2, 3)).numpy()
    np.testing.assert_allclose(run(again.openvino_model("pooled", (8, 6)), x), wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("../secret", "not a path inside its folder"),
        ("{folder}/secret", "not a path inside its folder"),
        ("*/_ORT_MEM_ADDR_/*", "not a path inside its folder"),
        ("", "not a path inside its folder"),
        ("link", "which links out of its folder"),
        ("folder/secret", "which links out of its folder"),
        ("none.data", "needs the external data 'none.data'"),
    ],
)
def test_external_data_outside_the_folder_are_refused(tmp_path: Path, place: str, said: str) -> None:
    """By name, by link, or by a link to a folder; none of it is opened."""
    (tmp_path / "secret").write_bytes(bytes(KERNEL.nbytes))
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "net" / "folder").symlink_to(tmp_path)
    path = outside(tmp_path / "net" / "net.onnx", place.format(folder=tmp_path))
    with pytest.raises(WeightsError, match=said):
        resolve(str(path))


def test_external_data_that_change_while_the_program_runs_are_noticed(tmp_path: Path) -> None:
    """No feature of the new weights is stored as one of the old."""
    made = resolve(str(outside(tmp_path / "net.onnx")))
    outside(tmp_path / "net.onnx", seed=1)
    with pytest.raises(WeightsError, match="changed while this program ran"):
        made.openvino_model("pooled", (8, 6))


def test_a_file_at_which_openvino_crashes_is_refused(tmp_path: Path) -> None:
    """A convolution without its kernel ends the process that reads it, which is none of the user's."""
    picture = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])
    kernel = numpy_helper.from_array(np.zeros((4, 3, 3, 3), np.float32), "k")
    for inputs in (["k"], ["image"]):
        nodes = [helper.make_node("Conv", inputs, ["c"]), helper.make_node("GlobalAveragePool", ["c"], ["pooled"])]
        end = helper.make_tensor_value_info("pooled", TensorProto.FLOAT, [1, 4, 1, 1])
        graph = helper.make_graph(nodes, "net", [picture], [end], [kernel])
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), tmp_path / "a.onnx")
        with pytest.raises(WeightsError, match="cannot be read as an ONNX network"):
            resolve(str(tmp_path / "a.onnx"))


def test_a_network_of_another_format_is_no_onnx_whatever_its_name(tmp_path: Path) -> None:
    """OpenVINO's own format would read a second file that nobody checked."""
    import openvino as ov

    ov.save_model(
        resolve(str(write(tmp_path / "net.onnx", ["n", 3, 8, 6]))).openvino_model("pooled", (8, 6)), tmp_path / "a.xml"
    )
    (tmp_path / "a.xml").rename(tmp_path / "a.onnx")
    with pytest.raises(WeightsError, match="cannot be read as an ONNX network"):
        resolve(str(tmp_path / "a.onnx"))


def typed(path: Path, kind: int) -> Path:
    """A network that casts its input to float32, divides it by 255 and takes the mean of each channel."""
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["float", "white"], ["scaled"]),
        helper.make_node("GlobalAveragePool", ["scaled"], ["pooled"]),
    ]
    image = helper.make_tensor_value_info("image", kind, ["n", 3, 4, 4])
    pooled = helper.make_tensor_value_info("pooled", TensorProto.FLOAT, ["n", 3, 1, 1])
    graph = helper.make_graph(nodes, "net", [image], [pooled], [numpy_helper.from_array(np.float32(255), "white")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


@pytest.mark.parametrize("kind", ["UINT8", "INT32", "FLOAT16", "DOUBLE"])
def test_an_input_of_whole_numbers_gets_pixels_and_one_of_floats_normalised_values(tmp_path: Path, kind: str) -> None:
    from headstart.engines.openvino import OpenVINOEngine

    backbone = resolve(str(typed(tmp_path / "net.onnx", getattr(TensorProto, kind))))
    whole = "INT" in kind
    assert ("takes whole numbers" in backbone.notes[0]) == whole
    pixels = np.random.default_rng(0).integers(0, 256, (1, 4, 4, 3)).astype(np.uint8)
    imagenet = (pixels / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    wanted = (pixels if whole else imagenet).mean((1, 2)) / 255
    found = OpenVINOEngine(backbone, "pooled", backbone.preprocess).run(pixels)
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    saved = resolve(str(backbone.save(tmp_path / "bundle")))
    assert saved.preprocess == backbone.preprocess
    np.testing.assert_array_equal(OpenVINOEngine(saved, "pooled", saved.preprocess).run(pixels), found)


def test_an_input_that_cannot_hold_pixels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="i8, which cannot hold pixels from 0 to 255"):
        resolve(str(typed(tmp_path / "net.onnx", TensorProto.INT8)))


@pytest.mark.parametrize("side", [30_000, 2**20, 2**62])
def test_a_file_whose_constants_take_gigabytes_is_refused(tmp_path: Path, side: int) -> None:
    """A kilobyte that stands for numbers without end: they would be computed when the network is compiled."""
    picture = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])
    shape = numpy_helper.from_array(np.array([side, side], np.int64), "shape")
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["mean"]),
        helper.make_node("ConstantOfShape", ["shape"], ["many"]),
        helper.make_node("ReduceSum", ["many"], ["sum"], keepdims=0),
        helper.make_node("Add", ["mean", "sum"], ["pooled"]),
    ]
    end = helper.make_tensor_value_info("pooled", TensorProto.FLOAT, [1, 3, 1, 1])
    graph = helper.make_graph(nodes, "net", [picture], [end], [shape])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), tmp_path / "a.onnx")
    with pytest.raises(WeightsError, match="take more memory or time than its weights explain"):
        resolve(str(tmp_path / "a.onnx"))


def test_a_sparse_constant_of_gigabytes_is_refused(tmp_path: Path) -> None:
    """One number among 15,000 x 15,000, which is made whole when the file is read, before constants are computed."""
    value, place = (
        helper.make_tensor("v", TensorProto.FLOAT, [1], [1.0]),
        helper.make_tensor("i", TensorProto.INT64, [1], [5]),
    )
    nodes = [
        helper.make_node("Constant", [], ["many"], sparse_value=helper.make_sparse_tensor(value, place, [15_000] * 2)),
        helper.make_node("GlobalAveragePool", ["image"], ["mean"]),
        helper.make_node("ReduceMax", ["many"], ["most"], keepdims=0),
        helper.make_node("Add", ["mean", "most"], ["pooled"]),
    ]
    picture = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])
    end = helper.make_tensor_value_info("pooled", TensorProto.FLOAT, [1, 3, 1, 1])
    graph = helper.make_graph(nodes, "net", [picture], [end])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "a.onnx")
    with pytest.raises(WeightsError, match="take more memory or time than its weights explain"):
        resolve(str(tmp_path / "a.onnx"))


TEXT = helper.make_tensor("t", TensorProto.STRING, [2], [b"a", b"b"])
NONE = [
    numpy_helper.from_array(np.array([value], np.int64), name) for name, value in (("from", 0), ("to", 0), ("axis", 1))
]


@pytest.mark.parametrize(
    "node",
    [
        helper.make_node("Constant", [], ["pooled"], value=TEXT),
        helper.make_node("Slice", ["mean", "from", "to", "axis"], ["pooled"]),
    ],
    ids=["text", "nothing"],
)
def test_an_output_that_gives_no_numbers_is_refused(tmp_path: Path, node: Any) -> None:
    picture = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("mean", "pooled")]
    nodes = [helper.make_node("GlobalAveragePool", ["image"], ["mean"]), node]
    graph = helper.make_graph(nodes, "net", [picture], ends, NONE)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), tmp_path / "net.onnx")
    backbone = resolve(str(tmp_path / "net.onnx"))
    with pytest.raises(WeightsError, match="gives no numbers at its output pooled"):
        backbone.openvino_model("pooled", (8, 8))
    backbone.openvino_model("mean", (8, 8))


def looped(path: Path, steps: int | None) -> Path:
    """A network that adds 1 in a loop of so many steps, or of as many as the sum of the picture."""
    body = helper.make_graph(
        [helper.make_node("Add", ["value", "one"], ["more"]), helper.make_node("Identity", ["go"], ["on"])],
        "body",
        [
            helper.make_tensor_value_info("step", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value", TensorProto.FLOAT, [1, 3, 1, 1]),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("more", TensorProto.FLOAT, [1, 3, 1, 1]),
        ],
    )
    constants = [
        numpy_helper.from_array(np.array(1, np.float32), "one"),
        numpy_helper.from_array(np.array(True), "yes"),
    ]
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["mean"]),
        helper.make_node("Loop", ["steps", "yes", "mean"], ["pooled"], body=body),
    ]
    if steps is None:
        nodes.insert(0, helper.make_node("Cast", ["sum"], ["steps"], to=TensorProto.INT64))
        nodes.insert(0, helper.make_node("ReduceSum", ["image"], ["sum"], keepdims=0))
    else:
        constants.append(numpy_helper.from_array(np.array(steps, np.int64), "steps"))
    picture = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])
    end = helper.make_tensor_value_info("pooled", TensorProto.FLOAT, [1, 3, 1, 1])
    graph = helper.make_graph(nodes, "net", [picture], [end], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), path)
    return path


@pytest.mark.parametrize("steps", [2**62, 10_001, None])
def test_a_loop_that_may_not_end_is_refused(tmp_path: Path, steps: int | None) -> None:
    with pytest.raises(WeightsError, match="a loop of over 10,000 steps, or of a number that the file does not state"):
        resolve(str(looped(tmp_path / "net.onnx", steps)))


def test_a_loop_of_a_few_steps_runs(tmp_path: Path) -> None:
    from headstart.engines.openvino import OpenVINOEngine

    backbone = resolve(str(looped(tmp_path / "net.onnx", 5)))
    pixels = np.full((1, 8, 8, 3), 255, np.uint8)
    found = OpenVINOEngine(backbone, "pooled", backbone.preprocess).run(pixels)
    np.testing.assert_allclose(
        found[0], (1 - np.array(backbone.preprocess.mean)) / backbone.preprocess.std + 5, rtol=1e-5
    )


def saved(path: Path, nodes: list[Any], end: list[int | str] | None) -> Path:
    """A network of these nodes, from `image` to `y`."""
    picture = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])
    graph = helper.make_graph(nodes, "net", [picture], [helper.make_tensor_value_info("y", TensorProto.FLOAT, end)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), path)
    return path


@pytest.mark.parametrize("kind", ["RandomNormalLike", "RandomUniformLike"])
def test_a_network_that_draws_random_numbers_is_refused(tmp_path: Path, kind: str) -> None:
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["mean"]),
        helper.make_node(kind, ["mean"], ["noise"]),
        helper.make_node("Add", ["mean", "noise"], ["y"]),
    ]
    with pytest.raises(WeightsError, match="draws random numbers, so each answer would be another"):
        resolve(str(saved(tmp_path / "net.onnx", nodes, [1, 3, 1, 1])))


def test_a_layer_whose_size_depends_on_the_picture_is_told(tmp_path: Path) -> None:
    """The places of what is brighter than the mean: as many as there are."""
    from headstart.features.extract import extract
    from headstart.features.source import FeatureSource
    from headstart.images import from_arrays

    nodes = [
        helper.make_node("Relu", ["image"], ["bright"]),
        helper.make_node("NonZero", ["bright"], ["places"]),
        helper.make_node("Cast", ["places"], ["y"], to=TensorProto.FLOAT),
    ]
    backbone = resolve(str(saved(tmp_path / "net.onnx", nodes, None)))
    pictures = from_arrays(np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8))
    with pytest.raises(WeightsError, match="features for one picture and"):
        extract(pictures, FeatureSource(backbone.preprocess, backbone, "y"))


def test_a_value_of_gigabytes_is_refused_before_it_is_computed(tmp_path: Path) -> None:
    """A kilobyte that repeats a picture a hundred million times."""
    times = numpy_helper.from_array(np.array([1, 100_000_000, 1, 1], np.int64), "times")
    nodes = [
        helper.make_node("Tile", ["image", "times"], ["many"]),
        helper.make_node("GlobalAveragePool", ["many"], ["pooled"]),
    ]
    picture = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])
    end = helper.make_tensor_value_info("pooled", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "net", [picture], [end], [times])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), tmp_path / "net.onnx")
    backbone = resolve(str(tmp_path / "net.onnx"))
    with pytest.raises(WeightsError, match=r"computes a value of 71\.5 GiB for one picture, over 2 GiB"):
        backbone.openvino_model("pooled", (8, 8))


def test_a_field_whose_number_other_readers_cut_off_hides_no_external_data(tmp_path: Path) -> None:
    """Five bytes for the field 7, with a bit above the 32 that OpenVINO keeps."""
    whole = outside(tmp_path / "net.onnx").read_bytes()
    model = onnx.load(tmp_path / "net.onnx", load_external_data=False)
    graph = model.graph.SerializeToString()
    model.ClearField("graph")
    length = bytearray()
    left = len(graph)
    while left > 127:
        length.append(left & 127 | 128)
        left >>= 7
    hidden = model.SerializeToString() + b"\xba\x80\x80\x80\x10" + bytes([*length, left]) + graph
    assert len(hidden) > len(whole) - 10
    (tmp_path / "net.onnx").write_bytes(hidden)
    with pytest.raises(WeightsError, match="it is damaged"):
        resolve(str(tmp_path / "net.onnx"))
