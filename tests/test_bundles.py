"""What a stranger writes into a bundle, a sidecar or a weights file is checked before it is used."""

from __future__ import annotations

import json
import runpy
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from headstart import bundle, documents, machine, tensors
from headstart.backbones import arguments, build, resolve
from headstart.backbones.weights import Weights
from headstart.classifier import Classifier
from headstart.engines import choose
from headstart.errors import BundleError, UserError, WeightsError
from headstart.features.source import FeatureSource
from headstart.heads import make_head
from headstart.preprocess import Preprocess

SIDE = 4
AUGMENT = {"name": "mine", "transforms": [{"name": "open"}]}
HUGE = {"name": "mine", "transforms": [{"name": "RandomInvert", "p": 10**400}]}
HEADS: dict[str, dict[str, Any]] = {
    "logistic": {"C": 1.0},
    "ridge": {"alpha": 1.0},
    "knn": {"k": 3},
    "prototype": {"temperature": 1.0},
    "mlp": {"hidden": [5], "epochs": 1},
    "linear": {"epochs": 1},
}
HEAD, ENTRY = "head.safetensors", {"bytes": 1, "sha256": "0" * 64}
ROWS = np.random.default_rng(0).random((24, SIDE * SIDE * 3)).astype(np.float32)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A bundle of each head on pixels, and of a network from a file."""
    folder = tmp_path_factory.mktemp("bundles")
    pixels = FeatureSource(Preprocess(SIDE, SIDE, crop_pct=1.0))
    found = {}
    for name, settings in HEADS.items():
        head = make_head(name, **settings).fit(ROWS, np.arange(24) % 3)
        found[name] = bundle.save(Classifier(pixels, head, ("ant", "bee", "wasp")), folder / name)
    network = resolve("small_cnn", resolve("small_cnn", "none", seed=1).save(folder / "weights"))
    features = np.random.default_rng(0).random((12, 576))
    head = make_head("ridge", alpha=1.0).fit(features, np.arange(12) % 2)
    source = FeatureSource(Preprocess(8, 8, crop_pct=1.0), network, "pooled", choose("torch"))
    found["network"] = bundle.save(Classifier(source, head, ("ant", "bee")), folder / "network")
    return found


@pytest.fixture
def ridge(made: dict[str, Path], tmp_path: Path) -> Path:
    return shutil.copytree(made["ridge"], tmp_path / "bundle")


@pytest.fixture
def network(made: dict[str, Path], tmp_path: Path) -> Path:
    return shutil.copytree(made["network"], tmp_path / "bundle")


def changed(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """The bundle with another manifest."""
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def corrected(folder: Path) -> Path:
    """The bundle with every checksum as its files now have it."""
    sidecar = folder / "backbone.json"
    if sidecar.is_file():
        told = json.loads(sidecar.read_text()) | {"sha256": tensors.sha256(folder / "backbone.safetensors")}
        sidecar.write_text(json.dumps(told))
    files = {p.name: {"bytes": p.stat().st_size, "sha256": tensors.sha256(p)} for p in folder.iterdir()}
    return changed(folder, lambda m: m.update(files={n: files[n] for n in m["files"]}))


def with_arrays(folder: Path, file: str, change: Callable[[dict[str, np.ndarray]], object]) -> Path:
    arrays = {name: array.copy() for name, array in load_file(folder / file).items()}
    change(arrays)
    save_file({name: array.copy(order="C") for name, array in arrays.items()}, folder / file)
    return corrected(folder)


# ---- the manifest


@pytest.mark.parametrize("name", [*HEADS, "network"])
def test_a_bundle_as_it_was_saved_is_taken(made: dict[str, Path], name: str) -> None:
    classifier = bundle.load_classifier(made[name])
    assert np.isfinite(classifier.probabilities(np.zeros((2, classifier.head.n_features_in_)))).all()


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        ("temperature", float("nan"), "NaN is not a number"),
        ("temperature", 0, "temperature is 0"),
        ("temperature", -1.0, r"temperature is -1\.0"),
        ("temperature", 1e300, r"temperature is 1e\+300"),
        ("temperature", "1", "temperature is '1'"),
        ("classes", ["ant", "bee", "bee"], "the class 'bee' is listed twice"),
        ("classes", ["ant", "bee", "wasp", "fly"], "the class 'fly' is neither known to the head"),
        ("classes", ["ant", "bee"], "the head knows class 2 of 2"),
        ("classes", ["ant", "bee", 7], r"classes\.2: it is 7 and not text"),
        ("classes", ["ant", "bee", ""], r"classes\.2: it is '' and not text"),
        ("classes", ["ant", "bee", "\ud800"], "not valid in text"),
        ("untrained", ["ant"], "the class 'ant' is neither"),
        ("head.name", "logistics", "Unknown head 'logistics': did you mean logistic"),
        ("head.config.params", {"alfa": 1}, "no parameter 'alfa': did you mean alpha"),
        ("head.config.params", {"alpha": -1.0}, "alpha is -1.0"),
        ("head.config.params", {"name": "mlp"}, "Head 'ridge' has no parameter 'name'"),
        ("head.config.params", {"alpha": "x"}, "takes a number for alpha, not 'x'"),
        ("head.config.classes", [0, 2, 1], "in order"),
        ("head.config.classes", [0, 1, 10**400], r"head\.config\.classes\.2 is a number of 1,329 bits"),
        ("head.config.classes_dtype", "<U1000000000", "classes_dtype is '<U1000000000'"),
        ("head.config.n_features", 47, "takes 47 features"),
        ("layer", "pooled", "features of the layer 'pooled'"),
        ("preprocess.size", [10**400, 4], "input size"),
        ("preprocess.crop_pct", 1e-300, "crop_pct must be"),
        ("preprocess.std", [1e-320] * 3, "std positive"),
        ("preprocess.mean", "111", "mean and std"),
        ("backbone", {"name": "small_cnn", "weights": "/etc/passwd"}, r"backbone\.weights is '/etc/passwd'"),
        ("backbone", {"name": "small_cnn", "weights": "../w.safetensors"}, r"backbone\.weights is"),
        ("backbone", {"name": "../net.onnx", "weights": "none", "seed": 0}, "has the name of a file"),
        ("backbone", {"name": "small_cnn", "weights": "none", "seed": 2**64}, r"backbone\.seed"),
        ("averaging", {"augment": AUGMENT, "seed": 0, "views": 2}, "Unknown transform 'open'"),
        ("averaging", {"augment": HUGE, "seed": 0, "views": 2}, "p = a number of 1,329 bits is not possible"),
        ("files", {}, "do not list head.safetensors"),
        ("files", {"../x": {"bytes": 1, "sha256": "0" * 64}}, "not a file inside the bundle"),
        ("files", {"x" * 999: ENTRY, HEAD: ENTRY, "golden.safetensors": ENTRY}, "cannot be read: File name too long"),
        ("files", {"/x": {"bytes": 1, "sha256": "0" * 64}}, "not a file inside the bundle"),
        ("novelty", {"threshold": 1.0}, "do not list novelty.safetensors"),
        ("novelty", {"threshold": 3.0}, r"novelty\.threshold is 3\.0"),
        ("hooks", "import os", "the unknown key 'hooks'"),
        ("version", 2, "is version 2; this program reads version 1"),
    ],
)  # fmt: skip
def test_a_manifest_is_refused_in_a_sentence_that_names_what_is_wrong(
    ridge: Path, keys: str, value: Any, message: str
) -> None:
    def change(manifest: dict[str, Any]) -> None:
        *outer, last = keys.split(".")
        for key in outer:
            manifest = manifest[key]
        manifest[last] = value

    with pytest.raises(BundleError, match=message):
        bundle.load_classifier(changed(ridge, change))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"[" * 100_000, "nested more than 64 deep"),
        (b'{"a": ' * 100_000, "nested more than 64 deep"),
        (b'{"a": 1, "a": 2}', "the key 'a' twice"),
        (b'{"a": 1e999}', "1e999 is too large"),
        (b'{"a": Infinity}', "Infinity is not a number"),
        (b'{"a": "\xff"}', "utf-8"),
        (b"{", "not JSON"),
        (b"1" * 5000, "digits"),
        (b" " * (documents.MAX_BYTES + 1), "over 4,194,304 bytes"),
        (b"[]", "not a table"),
        (b"", "not JSON"),
    ],
)
def test_json_that_is_none_or_without_end_is_refused_whatever_it_would_say(
    ridge: Path, text: bytes, message: str
) -> None:
    (ridge / "manifest.json").write_bytes(text)
    with pytest.raises(BundleError, match=message):
        bundle.load_classifier(ridge)


def test_brackets_within_strings_do_not_count_as_depth() -> None:
    text = json.dumps({"[" * 1000: '\\"' + "{" * 1000}).encode()
    assert documents.parse(text) == json.loads(text)


def test_numbers_that_json_cannot_hold_are_left_out_of_a_bundle_that_is_written(
    made: dict[str, Path], tmp_path: Path
) -> None:
    classifier = bundle.load_classifier(made["ridge"])
    classifier.head.history_ = [{"alpha": float("inf"), "val_loss": float("nan")}]
    again = bundle.load_classifier(bundle.save(classifier, tmp_path / "bundle"))
    assert again.head.history_ == [{"alpha": None, "val_loss": None}]


def test_a_class_name_that_is_not_utf_8_is_kept(made: dict[str, Path], tmp_path: Path) -> None:
    classifier = bundle.load_classifier(made["ridge"])
    odd = Classifier(classifier.source, classifier.head, ("ant", "bee", "w\udcffsp"))
    assert bundle.load_classifier(bundle.save(odd, tmp_path / "bundle")).classes[2] == "w\udcffsp"


def test_a_class_without_training_pictures_is_kept_because_the_bundle_says_so(
    made: dict[str, Path], tmp_path: Path
) -> None:
    classifier = bundle.load_classifier(made["ridge"])
    wider = Classifier(classifier.source, classifier.head, (*classifier.classes, "fly"))
    again = bundle.load_classifier(bundle.save(wider, tmp_path / "bundle"))
    assert again.classes == ("ant", "bee", "wasp", "fly")
    assert (again.probabilities(ROWS)[:, 3] == 0).all()


# ---- the files


def test_a_file_that_the_manifest_does_not_list_is_refused_and_a_note_beside_it_is_not(ridge: Path) -> None:
    (ridge / "README.md").write_text("ants and bees")
    (ridge / ".DS_Store").write_bytes(b"\0")
    bundle.load_classifier(ridge)
    (ridge / "more").mkdir()
    (ridge / "more" / "backbone.json").write_text("{}")
    with pytest.raises(BundleError, match=r"holds 'more/backbone\.json', which its manifest does not list"):
        bundle.load_classifier(ridge)


@pytest.mark.parametrize("name", ["head.safetensors", "manifest.json"])
def test_a_link_out_of_the_bundle_is_refused_though_its_checksum_is_right(ridge: Path, name: str) -> None:
    shutil.move(ridge / name, ridge.parent / "elsewhere")
    (ridge / name).symlink_to(ridge.parent / "elsewhere")
    with pytest.raises(BundleError, match="a link out of its folder"):
        bundle.load_classifier(ridge)


# ---- arrays of heads


@pytest.mark.parametrize(
    ("name", "array", "change", "message"),
    [
        ("ridge", "coef", lambda a: a[:-1], "coef is 47x3, not 48x3"),
        ("ridge", "coef", lambda a: a.T, "coef is 3x48, not 48x3"),
        ("ridge", "coef", lambda a: a.astype(np.int64), "coef is of type int64"),
        ("ridge", "coef", lambda a: a.astype(np.float16), "coef is of type float16"),
        ("ridge", "intercept", lambda a: a + np.nan, "not finite"),
        ("ridge", "intercept", lambda a: a + 1e200, "beyond"),
        ("knn", "codes", lambda a: a + 1, "codes holds numbers beyond 0 to 2"),
        ("knn", "features", lambda a: a[:0], "features is 0x48"),
        ("knn", "features", lambda a: a[:2], "codes is 24, not 2"),
        ("knn", "scale", lambda a: a * 0, "scale holds numbers beyond"),
        ("prototype", "temperature", lambda a: -a, "temperature holds numbers beyond"),
        ("logistic", "normalised", lambda a: a + 2, "normalised holds numbers beyond 0 to 1"),
        ("mlp", "weight_1", lambda a: a[:, :2], "weight_1 is 5x2, not 5x3"),
    ],
)
def test_arrays_that_do_not_fit_the_head_are_refused(
    made: dict[str, Path], tmp_path: Path, name: str, array: str, change: Callable[[Any], Any], message: str
) -> None:
    folder = shutil.copytree(made[name], tmp_path / "bundle")
    with pytest.raises(BundleError, match=message):
        bundle.load_classifier(
            with_arrays(folder, "head.safetensors", lambda arrays: arrays.update({array: change(arrays[array])}))
        )


@pytest.mark.parametrize("name", HEADS)
def test_a_head_with_an_array_more_is_refused(made: dict[str, Path], tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(made[name], tmp_path / "bundle")
    with pytest.raises(BundleError, match="the array 'other', which a head of this kind does not have"):
        bundle.load_classifier(with_arrays(folder, "head.safetensors", lambda a: a.update(other=np.zeros(1))))


def test_a_number_of_neighbours_beyond_the_rows_is_refused(made: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(made["knn"], tmp_path / "bundle")
    with pytest.raises(BundleError, match="k is 25, not 1 to 24"):
        bundle.load_classifier(changed(folder, lambda m: m["head"]["config"]["report"].update(k=25)))


# ---- networks


def test_a_bundle_that_has_worked_is_loaded_again_without_building_its_network(made: dict[str, Path]) -> None:
    """The answer is remembered when the bundle is written, so the first prediction elsewhere is as quick as before."""
    backbone = bundle.load_classifier(made["network"]).source.backbone
    assert backbone is not None and backbone.built is None and "_network" not in vars(backbone)


def test_weights_that_do_not_fit_or_overflow_are_found_when_the_bundle_is_loaded(network: Path) -> None:
    name = "blocks.0.conv.weight"
    with pytest.raises(BundleError, match="features that are not finite"):
        bundle.load_classifier(
            with_arrays(
                network, "backbone.safetensors", lambda a: a.update({"norm.running_var": -a["norm.running_var"]})
            )
        )
    with pytest.raises(BundleError, match=f"1 tensor missing: {name}"):
        bundle.load_classifier(with_arrays(network, "backbone.safetensors", lambda a: a.pop(name)))


@pytest.mark.parametrize(
    ("side", "why"),
    [
        (64, "takes 576 features, and pooled of torchvision:vgg16 gives 512"),
        (8, "cannot take pictures of 8x8 pixels for the layer pooled: the smallest larger ones that work are 32x32"),
    ],
)
def test_random_weights_of_another_network_are_refused_without_building_it(
    side: int, why: str, made: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name alone could ask for gigabytes; the number of its features is found without memory."""
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    head = bundle.load_classifier(made["network"]).head
    network = resolve("small_cnn", "none", seed=1)
    source = FeatureSource(Preprocess(side, side, crop_pct=1.0), network, "pooled", choose("torch"))
    folder = bundle.save(Classifier(source, head, ("ant", "bee")), tmp_path / "bundle")
    backbone = bundle.load_classifier(folder).source.backbone
    assert backbone is not None and backbone.built is None and "_network" not in vars(backbone)
    before = machine.peak_memory_mb()
    with pytest.raises(BundleError, match=why):
        bundle.load_classifier(changed(folder, lambda m: m["backbone"].update(name="torchvision:vgg16")))
    assert machine.peak_memory_mb() < before + 250  # its weights would take 530


def test_a_weight_that_no_training_gives_is_refused_though_it_is_finite(network: Path) -> None:
    """Two of them, or one and a bright picture, would overflow."""

    def change(arrays: dict[str, np.ndarray]) -> None:
        arrays["blocks.2.conv.weight"][0, 0, 0, 0] = 3e38

    with pytest.raises(BundleError, match=r"not finite, or beyond 1e\+15"):
        bundle.load_classifier(with_arrays(network, "backbone.safetensors", change))


def test_a_head_for_another_number_of_features_than_the_network_gives_is_refused(network: Path) -> None:
    with_arrays(network, "head.safetensors", lambda a: a.update(coef=a["coef"][:-1]))
    with pytest.raises(BundleError, match="the head takes 575 features, and pooled of small_cnn gives 576"):
        bundle.load_classifier(changed(network, lambda m: m["head"]["config"].update(n_features=575)))


@pytest.mark.parametrize(
    ("architecture", "kwargs", "message"),
    [
        ("timm:resnet18", {"checkpoint_path": "x.pth"}, "'checkpoint_path' is not among"),
        ("timm:resnet18", {"pretrained_cfg_overlay": {"file": "x"}}, "is not among"),
        ("timm:resnet18", {"pad_type": ["same"]}, "pad_type is a list of 1; it must be one of '', 'same'"),
        ("timm:resnet18", {"img_size": 10**9}, "img_size is 1000000000; it must be one whole number"),
        ("timm:resnet18", {"in_chans": True}, "in_chans is True"),
        ("timm:resnet18", {"num_classes": 3}, "a key of its own"),
        ("torchvision:resnet18", {"weights": "DEFAULT"}, "'weights' is not among"),
        ("torchvision:resnet18", {"block": "x"}, "'block' is not among"),
        ("embedded:sprout", {"stem": 1}, "'stem' is not among"),
        ("keras:VGG16", {"pad_type": "same"}, "there are none"),
        ("onnx:net", {"external": 1}, "there are none"),
        ("hub:net", {"a": 1}, "Unknown source"),
    ],
)
def test_an_argument_that_is_not_listed_is_refused_before_a_library_is_asked(
    tmp_path: Path, architecture: str, kwargs: dict[str, Any], message: str
) -> None:
    """Through the sidecar of a weights file, as a stranger would send it."""
    file = tmp_path / "w.safetensors"
    save_file({"x": np.zeros(1)}, file)
    preprocess = Preprocess(8, 8).to_dict()
    told = {"architecture": architecture, "kwargs": kwargs, "preprocess": preprocess, "sha256": tensors.sha256(file)}
    file.with_suffix(".json").write_text(json.dumps(told))
    with pytest.raises(WeightsError, match=message):
        resolve(architecture, file)


TAKEN: list[tuple[str, dict[str, Any]]] = [
    ("timm:test_efficientnet", {"pad_type": "same", "in_chans": 1, "bn_eps": 1e-3, "output_stride": 16}),
    ("timm:test_vit", {"img_size": [64, 96], "global_pool": "avg", "class_token": False, "dynamic_img_size": True}),
    ("torchvision:googlenet", {"aux_logits": False, "transform_input": True, "init_weights": False}),
    ("torchvision:vit_b_16", {"image_size": 32}),
    ("embedded:sprout", {"edition": 2}),
]


@pytest.mark.parametrize(("architecture", "kwargs"), TAKEN)
def test_an_argument_that_is_listed_is_one_that_a_network_takes(architecture: str, kwargs: dict[str, Any]) -> None:
    arguments.check(architecture, kwargs)
    assert build.create(architecture, Weights("none", kwargs=kwargs))


def test_every_argument_that_is_listed_is_tried_above() -> None:
    tried = {(architecture.partition(":")[0], name) for architecture, kwargs in TAKEN for name in kwargs}
    assert tried == {(library, name) for library, names in arguments.ARGUMENTS.items() for name in names}


def test_a_network_far_larger_than_its_file_is_refused_before_it_is_built(tmp_path: Path) -> None:
    """A hundred thousand classes of a wide network would take gigabytes."""
    file = tmp_path / "w.safetensors"
    save_file({"x": np.zeros(1, np.float32)}, file)
    weights = Weights("file", file, num_classes=100_000)
    with pytest.raises(WeightsError, match="it holds 1 numbers, and the network has"):
        build.build_network("torchvision:resnet18", weights)


# ---- safetensors


def written(path: Path, header: Any, body: bytes = b"\0" * 8) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
    return path


def described(**changes: Any) -> dict[str, Any]:
    return {"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | changes}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (described(dtype="F8_E4M3"), "the type 'F8_E4M3'"),
        (described(dtype=7), "the type 7"),
        (described(shape=[-2]), "the shape of its tensor 'x'"),
        (described(shape="2"), "the shape of its tensor 'x'"),
        (described(shape=[2**40, 2**40]), "does not have as many bytes"),
        (described(shape=[True, 2]), "the shape"),
        (described(data_offsets=[0, 4]), "does not have as many bytes"),
        (described(data_offsets=[4, 12]), "it should have"),
        (described(data_offsets=[8, 0]), "does not have as many bytes"),
        (described(data_offsets=None), "data_offsets"),
        (described(more=1), "is not described by"),
        ({"x": 1}, "is not described by"),
        (described() | {"y": described()["x"]}, "does not begin where"),
        ({"a" * 2000: described()["x"]}, "more than 1,000 characters"),
        ({f"t{i}": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for i in range(20_001)}, "over the limit"),
        (b'{"x": ' * 10_000, "nested more than 64 deep"),
        ([], "not a table"),
    ],
)
def test_a_header_is_checked_before_any_number_is_read(tmp_path: Path, header: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tensors.header(written(tmp_path / "w.safetensors", header))


def test_types_that_are_read_come_back_as_they_were_written(tmp_path: Path) -> None:
    from safetensors.torch import save_file as save

    kinds = (torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.uint8, torch.bool)
    stored = {str(kind): torch.ones(3, dtype=kind) for kind in kinds} | {
        "empty": torch.zeros(0),
        "one": torch.tensor(2.0),
    }
    save(stored, tmp_path / "w.safetensors", {"made": "here"})
    found = tensors.state(tmp_path / "w.safetensors")
    assert {k: (v.dtype, v.tolist()) for k, v in found.items()} == {k: (v.dtype, v.tolist()) for k, v in stored.items()}


def test_whole_numbers_are_no_weights(tmp_path: Path) -> None:
    untrained = resolve("small_cnn", "none")
    state = untrained.network().state_dict()
    file = tmp_path / "w.safetensors"
    changed = {k: v.numpy() for k, v in state.items()} | {"norm.bias": np.zeros(576, np.int32)}
    save_file(changed, file)
    with pytest.raises(WeightsError, match=r"of another kind: norm\.bias torch\.int32"):
        resolve("small_cnn", file).network()


@pytest.mark.slow
def test_mutations_of_bundles_and_weights_are_refused_or_work_and_run_no_code() -> None:
    benchmark = runpy.run_path(str(Path(__file__).parent.parent / "benchmarks" / "faults" / "bundles.py"))
    assert [(what, failed) for what, _, failed, _ in benchmark["rows"](0.002) if failed] == []


@pytest.mark.parametrize(
    ("name", "settings"), [("knn", {"metric": "x" * 9999}), ("prototype", {"normalise": "x" * 9999})]
)
def test_a_setting_of_a_head_is_cut_in_the_message(name: str, settings: dict[str, str]) -> None:
    with pytest.raises(UserError) as told:
        make_head(name, **settings)._check_settings()
    assert len(str(told.value)) < 200
