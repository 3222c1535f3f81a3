"""Weights files of Keras, checked against Keras itself: the same pictures, the same features and probabilities."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from headstart import tensors
from headstart.backbones import Backbone, resolve, sidecar
from headstart.backbones.keras import networks
from headstart.backbones.keras.load import FAMILIES
from headstart.backbones.keras.reader import stored_layers
from headstart.backbones.sidecar import Sidecar
from headstart.errors import UserError, WeightsError

torch.set_num_threads(1)
os.environ["KERAS_BACKEND"] = "torch"  # before Keras is imported
FORMATS = ("w.h5", "w.weights.h5", "w.keras")
TOLERANCE = 1e-4
MODULES = {
    **{"VGG16": "vgg16", "VGG19": "vgg19", "ResNet50": "resnet50", "DenseNet121": "densenet"},
    **{"MobileNet": "mobilenet", "MobileNetV2": "mobilenet_v2"},
    **{"InceptionV3": "inception_v3", "Xception": "xception"},
}
"""The module of `keras.applications` that holds each architecture, and its `preprocess_input`."""
Layers = dict[str, list[NDArray[Any]]]


def applications(name: str) -> Any:
    """A module of `keras.applications`."""
    keras = pytest.importorskip("keras", reason="Keras is not installed")
    return getattr(keras.applications, name)


def model(name: str, size: int, classes: int = 0) -> Any:
    """Keras's own model with random weights and statistics: logits, or without classes the features, averaged."""
    make = getattr(applications(MODULES[name]), name)
    top = {"classes": classes, "classifier_activation": None} if classes else {"include_top": False, "pooling": "avg"}
    made = make(weights=None, input_shape=(size, size, 3), **top)
    rng = np.random.default_rng(3)
    for layer in made.layers:
        weights = layer.get_weights()
        if type(layer).__name__ == "BatchNormalization":
            layer.set_weights(statistics(weights, rng))
        elif weights:
            layer.set_weights([kernel(w, rng) if w.ndim > 1 else rng.normal(0, 3, w.shape) for w in weights])
    return made


def kernel(weight: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float64]:
    """With a spread by which signals neither swell nor fade: each output has as many inputs as the mean square says."""
    depthwise = weight.ndim == 4 and weight.shape[3] == 1
    inputs = np.prod(weight.shape[:2]) if depthwise else weight.size / weight.shape[-1]
    return rng.normal(0, np.sqrt(2 / inputs), weight.shape)


def statistics(weights: list[Any], rng: np.random.Generator) -> list[Any]:
    """Means, variances, scales and shifts far from 0 and 1; some variances are as small as an epsilon."""
    shape, scaled = weights[0].shape, len(weights) == 4
    variance = np.exp(rng.uniform(*np.log((1e-3, 10) if scaled else (0.1, 5)), shape))
    mean = rng.normal(0, 0.5, shape) * np.sqrt(variance)
    gamma = [np.sqrt(variance) * rng.uniform(0.7, 1.3, shape)] if scaled else []
    return [*gamma, rng.normal(0, 0.5, shape), mean, variance]


def save(made: Any, path: Path) -> Path:
    """In the format that the name says."""
    (made.save_weights if path.name.endswith(".weights.h5") else made.save)(path)
    return path


def pictures(size: int, seed: int = 0) -> NDArray[np.uint8]:
    """Two pictures, smooth as photographs are, (2, size, size, 3)."""
    coarse = np.random.default_rng(seed).uniform(0, 255, (2, 3, 5, 5)).astype(np.float32)
    fine = torch.nn.functional.interpolate(torch.from_numpy(coarse), size=(size, size), mode="bicubic")
    return fine.clamp(0, 255).permute(0, 2, 3, 1).numpy().astype(np.uint8)


def theirs(name: str, made: Any, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What Keras makes of pictures, prepared by its `preprocess_input`."""
    prepared = applications(MODULES[name]).preprocess_input(images.astype(np.float32))
    return np.asarray(made.predict(prepared, verbose=0))


def ours(backbone: Backbone, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the loaded network makes of them."""
    mean, std = (torch.tensor(v).reshape(3, 1, 1) for v in (backbone.preprocess.mean, backbone.preprocess.std))
    x = (torch.from_numpy(images).permute(0, 3, 1, 2) / 255 - mean) / std
    with torch.inference_mode():
        out = backbone.network()(x)
    return np.asarray(out)


def difference(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """The greatest difference, relative to the greatest between the two pictures: what all outputs share counts not."""
    assert one.shape == other.shape
    return float(np.abs(one - other).max() / np.ptp(other, axis=0).max())


CASES = [
    ("ResNet50", 97, 0),
    ("MobileNet", 88, 0),
    ("MobileNetV2", 224, 10),
    ("Xception", 128, 0),
]
"""Residual, separable and inverted blocks without their top, and one with it."""
MORE = [
    ("VGG19", 64, 0),
    ("InceptionV3", 160, 0),
    ("VGG16", 224, 10),
    ("MobileNet", 150, 0),
    ("MobileNetV2", 101, 0),
    ("DenseNet121", 101, 0),
    ("VGG16", 96, 0),
    ("VGG19", 224, 0),
    ("ResNet50", 224, 10),
    ("MobileNet", 224, 10),
    ("InceptionV3", 299, 10),
    ("Xception", 299, 10),
    ("DenseNet121", 224, 10),
]
"""The other families, a top with hidden layers (VGG16), tops like the one of MobileNetV2, and other sizes."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size", "classes"), [*CASES, *(pytest.param(*case, marks=pytest.mark.exhaustive) for case in MORE)]
)
def test_a_family_computes_what_keras_computes(tmp_path: Path, name: str, size: int, classes: int) -> None:
    """In every format; with a top the logits, without one the averaged features, also at odd sizes."""
    made, images = model(name, size, classes), pictures(size)
    expected = theirs(name, made, images)
    for file in FORMATS[:1] if name == "VGG16" and classes else FORMATS:
        backbone = resolve(name, save(made, tmp_path / file))
        assert backbone.weights.num_classes == classes
        assert difference(ours(backbone, images), expected) < TOLERANCE
        (tmp_path / file).unlink()


def mobilenet_layers() -> Layers:
    """MobileNet's layers in Keras's shapes, with random values."""
    rng, before = np.random.default_rng(5), 32
    found: Layers = {}

    def norm(name: str, channels: int) -> None:
        found[name] = statistics([np.empty(channels)] * 4, rng)

    found["conv1"] = [kernel(np.empty((3, 3, 3, 32)), rng)]
    norm("conv1_bn", 32)
    for number, width in enumerate(MOBILENET_WIDTHS, 1):
        found[f"conv_dw_{number}"] = [kernel(np.empty((3, 3, before, 1)), rng)]
        norm(f"conv_dw_{number}_bn", before)
        found[f"conv_pw_{number}"] = [kernel(np.empty((1, 1, before, width)), rng)]
        norm(f"conv_pw_{number}_bn", width)
        before = width
    return found


MOBILENET_WIDTHS = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
HALVING = (2, 4, 6, 12)
"""The blocks of MobileNet whose depthwise convolution has the stride 2."""


def mobilenet_by_hand(layers: Layers, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """MobileNet as Keras defines it, in NumPy: (n, h, w, 3) -> (n, 1024)."""

    def windows(x: NDArray[np.float64], stride: int, first: int) -> NDArray[np.float64]:
        padded = np.pad(x, ((0, 0), (first, 1), (first, 1), (0, 0)))
        return np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))[:, ::stride, ::stride]

    def normed(x: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        gamma, beta, mean, variance = layers[f"{name}_bn"]
        return np.clip((x - mean) / np.sqrt(variance + 1e-3) * gamma + beta, 0, 6)

    x = normed(np.einsum("nhwcij,ijco->nhwo", windows(x, 2, 0), layers["conv1"][0]), "conv1")
    for number in range(1, 14):
        stride, first = (2, 0) if number in HALVING else (1, 1)
        depthwise = np.einsum("nhwcij,ijc->nhwc", windows(x, stride, first), layers[f"conv_dw_{number}"][0][..., 0])
        x = normed(depthwise, f"conv_dw_{number}")
        x = normed(x @ layers[f"conv_pw_{number}"][0][0, 0], f"conv_pw_{number}")
    return x.mean((1, 2))


def test_mobilenet_computes_what_its_definition_says(tmp_path: Path) -> None:
    """Against NumPy, so that it is seen every day, and without Keras; maps of 40, 20, 10, 5, 2 and 1 cells."""
    layers, images = mobilenet_layers(), pictures(40)
    backbone = resolve("MobileNet", written(tmp_path / "w.h5", layers))
    assert difference(ours(backbone, images), mobilenet_by_hand(layers, images / 127.5 - 1)) < TOLERANCE


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["ResNet50", "MobileNet", "InceptionV3", "Xception", "DenseNet121", "MobileNetV2"])
def test_a_comparison_tells_timms_network_from_keras_own(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without what is altered in it, timm's network computes something else: the comparison would see it."""
    size = 88 if name == "MobileNet" else 148
    made, images = model(name, size), pictures(size)
    expected, path = theirs(name, made, images), save(made, tmp_path / "w.h5")
    if name in ("MobileNetV2", "DenseNet121"):
        monkeypatch.setattr(networks, "DEFAULT_EPSILON", 1e-5)
        monkeypatch.setattr(networks, "EPSILON", {"DenseNet121": 1e-3})
    else:
        entries = {"MobileNet": unpadded, "InceptionV3": uncorrected}
        monkeypatch.setitem(networks.ALTERED, name, entries.get(name, lambda network: None))
    assert difference(ours(resolve(name, path), images), expected) > 10 * TOLERANCE


def unpadded(network: Any) -> None:
    """MobileNet with padding `same` where Keras has its own."""
    for stage in network.blocks:
        if stage[0].conv_dw.stride == (2, 2):
            stage[0].conv_dw = torch.nn.Sequential(torch.nn.Identity(), stage[0].conv_dw)


def uncorrected(network: Any) -> None:
    """InceptionV3 with means that count the border."""
    for name, block in network.named_children():
        if name.startswith("Mixed_") and hasattr(block, "branch_pool"):
            block.branch_pool = torch.nn.Sequential(torch.nn.Identity(), block.branch_pool)


def older(path: Path, made: Any, rename: Callable[[str], str] = str) -> Path:
    """A file as Keras 1 wrote it: `block1_conv1/block1_conv1_W_1:0`, every layer listed, also those without weights."""
    letters = {1: ("beta",), 2: ("W", "b"), 4: ("gamma", "beta", "running_mean", "running_std")}
    with h5py.File(path, "w") as file:
        layers = list(made.layers)
        file.attrs["layer_names"] = [rename(layer.name).encode() for layer in layers]
        for layer in layers:
            name, values = rename(layer.name), layer.get_weights()
            group = file.create_group(name)
            names = [f"{name}_{letter}_1:0" for letter in letters[len(values)]] if values else []
            group.attrs["weight_names"] = [n.encode() for n in names]
            for each, value in zip(names, values, strict=True):
                group[each] = value
    return path


def first_resnet_name(name: str) -> str:
    """`conv2_block1_1_bn` -> `bn2a_branch2a`, as the first files have it."""
    found = re.fullmatch(r"conv(\d)_block(\d)_(\d)_(conv|bn)", name)
    if found:
        stage, block, n, kind = found.groups()
        branch = {"0": "branch1", "1": "branch2a", "2": "branch2b", "3": "branch2c"}[n]
        return f"{'res' if kind == 'conv' else 'bn'}{stage}{chr(96 + int(block))}_{branch}"
    return {"conv1_conv": "conv1", "conv1_bn": "bn_conv1", "predictions": "fc1000"}.get(name, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["VGG16", "ResNet50"])
def test_the_files_of_keras_1_are_read(tmp_path: Path, name: str) -> None:
    """Arrays called `block1_conv1_W_1:0`, and the first names of ResNet's layers."""
    made, images = model(name, 64), pictures(64)
    path = older(tmp_path / "tf_kernels_notop.h5", made, first_resnet_name if name == "ResNet50" else str)
    assert difference(ours(resolve(name, path), images), theirs(name, made, images)) < TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ResNet50", "Xception", "MobileNetV2"])
def test_a_file_without_names_is_read_by_the_order_of_its_layers(tmp_path: Path, name: str) -> None:
    """The class and the number of a layer are all that Keras 3 itself goes by."""
    made, images = model(name, 72), pictures(72)
    path = save(made, tmp_path / "w.weights.h5")
    with h5py.File(path, "r+") as file:
        for group in file["layers"].values():
            del group["vars"].attrs["name"]
    assert difference(ours(resolve(name, path), images), theirs(name, made, images)) < TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.exhaustive] * (name in ("VGG16", "VGG19", "Xception", "InceptionV3")))
        for name in FAMILIES
    ],
)
def test_a_family_can_be_cut_saved_and_converted(tmp_path: Path, name: str) -> None:
    """A cut leaves the network as it is, wherever it is; what is saved is the same; OpenVINO agrees."""
    import openvino as ov

    size = FAMILIES[name].preprocess.height
    backbone = resolve(f"keras:{name}", "none")
    x = torch.from_numpy(np.random.default_rng(1).normal(0, 1, (1, 3, size, size)).astype(np.float32))
    with torch.inference_mode():
        expected = backbone.network()(x)
        layers = backbone.layers()
        for layer in layers[2 :: len(layers) // 3]:
            cut = backbone.split(layer.name)
            torch.testing.assert_close(cut.tail(*cut.trunk(x)), expected)
        pooled = backbone.features("pooled")(x)
    again = resolve(name, backbone.save(tmp_path))
    assert again.architecture == f"keras:{name}"
    assert again.preprocess == backbone.preprocess
    with torch.inference_mode():
        torch.testing.assert_close(again.network()(x), expected)
    compiled = ov.compile_model(
        backbone.openvino_model("pooled", (size, size)), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    np.testing.assert_allclose(compiled(x.numpy())[0], pooled.numpy(), rtol=1e-3, atol=1e-4 * float(pooled.abs().max()))


def written(path: Path, layers: Layers) -> Path:
    """A file in the layout with `layer_names`."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in layers]
        for name, arrays in layers.items():
            names = [f"{name}/{i}:0" for i in range(len(arrays))]
            file.create_group(name).attrs["weight_names"] = [n.encode() for n in names]
            for each, array in zip(names, arrays, strict=True):
                file[name][each] = array
    return path


def small(name: str) -> Layers:
    """A layer for every entry of a family's table without top, with the right number of tiny arrays."""
    counts = {"norm": 4, "separable": 2, "depthwise": 1}
    return {
        entry.name: [np.zeros((1,) if entry.kind == "norm" else (1, 1, 1, 1), np.float32)] * counts.get(entry.kind, 1)
        for entry in FAMILIES[name].body
    }


def change_missing(layers: Layers) -> None:
    del layers["conv_dw_3_bn"]


def change_many(layers: Layers) -> None:
    for name in [n for n in layers if "pw" in n]:
        del layers[name]


def change_unknown(layers: Layers) -> None:
    layers["my_dense"] = [np.zeros((1, 1), np.float32)] * 2


def change_arrays(layers: Layers) -> None:
    layers["conv1_bn"] = layers["conv1_bn"][:3]


def change_shape(layers: Layers) -> None:
    layers["conv1"] = [np.zeros((3, 3, 3, 16), np.float32)]


def change_nan(layers: Layers) -> None:
    layers["conv1"] = [np.full((3, 3, 3, 32), np.nan, np.float32)]


def change_dimensions(layers: Layers) -> None:
    layers["conv1"] = [np.zeros((3, 3), np.float32)]


def change_type(layers: Layers) -> None:
    layers["conv1"] = [np.zeros((3, 3, 3, 32), np.int64)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (change_missing, "does not hold weights of MobileNet: it lacks layer conv_dw_3_bn"),
        pytest.param(
            change_many, "lacks layers conv_pw_1, conv_pw_1_bn, conv_pw_2 and 23 more", marks=pytest.mark.slow
        ),
        (change_unknown, "it holds the unknown layer my_dense"),
        pytest.param(change_arrays, "the layer conv1_bn has 3 arrays, not 4", marks=pytest.mark.slow),
        (change_shape, "the layer conv1 does not fit: its weight is 16x3x3x3 instead of 32x3x3x3"),
        (change_nan, "its layer conv1 holds values that are not finite"),
        pytest.param(change_dimensions, "the layer conv1 has an array of 2 dimensions, not 4", marks=pytest.mark.slow),
        (change_type, "values of type int64"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_the_name_of_its_layer(
    tmp_path: Path, change: Callable[[Layers], None], message: str
) -> None:
    """In Keras's words, before or as the network is built."""
    layers = small("MobileNet")
    change(layers)
    with pytest.raises(WeightsError, match=message):
        resolve("MobileNet", written(tmp_path / "w.h5", layers)).network()


def test_a_file_of_another_family_is_refused_with_its_name(tmp_path: Path) -> None:
    """The message says what to give."""
    path = written(tmp_path / "w.h5", small("ResNet50"))
    with pytest.raises(WeightsError, match="holds weights of ResNet50, not of VGG16: use backbone=ResNet50"):
        resolve("VGG16", path)


@pytest.mark.parametrize("name", ["EfficientNetB0", "resnet18", "torchvision:vgg16", "sprout"])
def test_a_backbone_that_keras_weights_are_not_read_for_is_refused(tmp_path: Path, name: str) -> None:
    """With the list of those that are."""
    with pytest.raises(WeightsError, match=f"{name} are not supported yet; supported: VGG16, VGG19, ResNet50"):
        resolve(name, written(tmp_path / "w.h5", small("VGG16")))


def test_weights_of_its_own_keras_has_none(tmp_path: Path) -> None:
    """`keras:VGG16` needs a file."""
    with pytest.raises(UserError, match=r"keras:VGG16 has no weights of its own: give weights=FILE\.h5"):
        resolve("keras:VGG16")


def test_every_name_of_an_architecture_takes_its_file_with_or_without_a_sidecar(tmp_path: Path) -> None:
    """The fingerprint is the same, whatever the name; reading what the file holds reads no array."""
    path = written(tmp_path / "w.h5", small("MobileNet"))
    spellings = ("MobileNet", "mobilenet", "mobilenetv1_100", "timm:mobilenetv1_100", "keras:MobileNet")
    found = [resolve(name, path) for name in spellings]
    assert {(b.architecture, b.weights.num_classes) for b in found} == {("keras:MobileNet", 0)}
    assert len({b.fingerprint for b in found}) == 1
    about = Sidecar(found[0].architecture, found[0].preprocess, tensors.sha256(path), num_classes=0)
    sidecar.write(about, path)
    assert {resolve(name, path).fingerprint for name in spellings} == {found[0].fingerprint}


def test_resolving_a_file_imports_no_library_of_networks(tmp_path: Path) -> None:
    """h5py and NumPy say all that is needed before a network is."""
    path = written(tmp_path / "w.h5", small("VGG16"))
    code = (
        f"import sys; from headstart.backbones import resolve; resolve('VGG16', {str(path)!r}).fingerprint; "
        "print([m for m in ('torch', 'timm', 'torchvision', 'keras', 'tensorflow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout.strip() == "[]"


def test_layer_names_that_are_cut_into_pieces_are_read(tmp_path: Path) -> None:
    """HDF5 holds 64 KiB in an attribute; Keras writes longer lists as `layer_names0`, `layer_names1`, ..."""
    path = written(tmp_path / "w.h5", small("VGG16"))
    with h5py.File(path, "r+") as file:
        names = file.attrs["layer_names"]
        del file.attrs["layer_names"]
        file.attrs["layer_names0"], file.attrs["layer_names1"] = names[:5], names[5:]
    with stored_layers(path) as layers:
        assert [layer.name for layer in layers] == list(small("VGG16"))


def test_a_model_within_a_model_is_refused_with_advice(tmp_path: Path) -> None:
    """As a transfer learning script in Keras leaves it."""
    with h5py.File(tmp_path / "w.weights.h5", "w") as file:
        file.create_group("layers/functional/layers/conv2d/vars")
    with pytest.raises(WeightsError, match=r"model within the model \(functional\): save the inner model by itself"):
        resolve("VGG16", tmp_path / "w.weights.h5")


def link_out(file: h5py.File, elsewhere: Path) -> None:
    file["conv1/conv1/0:0"] = h5py.ExternalLink(str(elsewhere), "secret")


def link_soft(file: h5py.File, elsewhere: Path) -> None:
    file["conv1/conv1/0:0"] = h5py.SoftLink("/conv1_bn/conv1_bn/0:0")


def stored_outside(file: h5py.File, elsewhere: Path) -> None:
    file["conv1/conv1"].create_dataset("0:0", (8,), "f4", external=[(str(elsewhere), 0, 32)])


def too_large(file: h5py.File, elsewhere: Path) -> None:
    file["conv1/conv1"].create_dataset("0:0", (1 << 10, 1 << 10, 1 << 10), "f4", chunks=True, compression="gzip")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (link_out, "is missing or is a link"),
        (link_soft, "is missing or is a link"),
        (stored_outside, "is not an array in this file"),
        (too_large, "over the limit"),
    ],
)
def test_a_file_reaches_nothing_but_itself_and_not_without_bound(
    tmp_path: Path, change: Callable[[h5py.File, Path], None], message: str
) -> None:
    """Links, arrays that lie in other files, and arrays larger than any network's are refused."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(bytes(64))
    path = written(tmp_path / "w.h5", small("MobileNet"))
    with h5py.File(path, "r+") as file:
        del file["conv1/conv1/0:0"]
        change(file, elsewhere)
    with pytest.raises(WeightsError, match=message):
        resolve("MobileNet", path)


def zipped(path: Path, members: dict[str, bytes], link: bool = False, method: int = zipfile.ZIP_STORED) -> Path:
    """An archive of these members."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            info.external_attr = (stat.S_IFLNK if link else stat.S_IFREG) << 16
            archive.writestr(info, content)
    return path


@pytest.mark.parametrize(
    ("members", "options", "message"),
    [
        ({"model.weights.h5": b"", "../evil": b""}, {}, "points out of the archive"),
        ({"model.weights.h5": b"", "/etc/evil": b""}, {}, "points out of the archive"),
        ({"model.weights.h5": b"", "C:\\evil": b""}, {}, "points out of the archive"),
        ({"model.weights.h5": b"elsewhere"}, {"link": True}, "is a link"),
        ({"model.weights.h5": bytes(10**6)}, {"method": zipfile.ZIP_DEFLATED}, "would expand from"),
        ({"config.json": b"{}"}, {}, r"holds 0 members model\.weights\.h5, not one"),
        ({"model.weights.h5": b"no HDF5"}, {}, "damaged, or of another format"),
    ],
)
def test_an_archive_that_keras_would_not_write_is_refused(
    tmp_path: Path, members: dict[str, bytes], options: dict[str, Any], message: str
) -> None:
    """Members that point out of it, links, and what expands beyond reason."""
    with pytest.raises(WeightsError, match=message):
        resolve("VGG16", zipped(tmp_path / "w.keras", members, **options))


@pytest.mark.parametrize("name", ["w.h5", pytest.param("w.keras", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "content",
    [
        b"\x89HDF\r\n\x1a\n",
        b"PK\x03\x04",
        *(pytest.param(x, marks=pytest.mark.slow) for x in (b"", bytes(range(256)) * 8)),
    ],
)
def test_noise_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    """An empty file, one that is only a signature, and noise."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match="damaged, or of another format"):
        resolve("VGG16", tmp_path / name)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    """At any length."""
    path = written(tmp_path / "w.h5", small("VGG16"))
    content = path.read_bytes()
    for share in (0.1, 0.5, 0.99):
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(WeightsError, match="cannot be used"):
            resolve("VGG16", path)


def test_a_file_that_hdf5_never_finishes_with_is_refused_in_time(tmp_path: Path) -> None:
    """It runs in a process that ends after a second of work, and says what it is."""
    path = written(tmp_path / "w.h5", {"a": [np.zeros((3, 3), np.float32)]})
    started = os.times()
    with pytest.raises(WeightsError, match="takes too long for its size"):
        asked(path, "while True: pass")
    assert os.times().children_user - started.children_user < 2


def test_a_file_that_crashes_hdf5_or_fills_the_memory_is_refused(tmp_path: Path) -> None:
    """The process of HDF5 ends; ours goes on."""
    path = written(tmp_path / "w.h5", {"a": [np.zeros((3, 3), np.float32)]})
    with pytest.raises(WeightsError, match="it is damaged"):
        asked(path, "import ctypes; ctypes.string_at(0)")
    with pytest.raises(WeightsError, match="too much memory"):
        asked(path, "bytearray(1 << 30)")


def asked(path: Path, code: str) -> None:
    """Read a file by the script, which does something else as it opens the file."""
    from headstart.backbones.keras import reader

    text = reader.SCRIPT.read_text(encoding="utf-8")
    script = path.with_name("script.py")
    script.write_text(
        text.replace('    if path.suffix.lower() != ".keras":', f'    {code}\n    if path.suffix != "":', 1)
    )
    before, reader.SCRIPT = reader.SCRIPT, script
    try:
        with stored_layers(path):
            pass
    finally:
        reader.SCRIPT = before


def fill(file: h5py.File, elsewhere: Path) -> None:
    file["conv1/conv1"].create_dataset("0:0", (1 << 12, 1 << 12), "f4", chunks=True, compression="gzip")


def empty(file: h5py.File, elsewhere: Path) -> None:
    file["conv1/conv1"].create_dataset("0:0", (0, 1 << 40), "f4", maxshape=(None, None))


def many_names(file: h5py.File, elsewhere: Path) -> None:
    file["conv1"].attrs["weight_names"] = np.array([b"x"] * 6_000)


@pytest.mark.parametrize(
    ("change", "message"),
    [(fill, "would expand to"), (empty, "so it holds no values"), (many_names, "more than 5,000 entries")],
)
def test_a_small_file_cannot_ask_for_much(
    tmp_path: Path, change: Callable[[h5py.File, Path], None], message: str
) -> None:
    """What its arrays would expand to is bounded by its size; so are names and dimensions."""
    path = written(tmp_path / "w.h5", {"conv1": [np.zeros((1, 1, 1, 1), np.float32)]})
    with h5py.File(path, "r+") as file:
        del file["conv1/conv1/0:0"]
        change(file, tmp_path)
    with pytest.raises(WeightsError, match=message):
        resolve("MobileNet", path)
