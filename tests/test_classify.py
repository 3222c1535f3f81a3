"""Pictures are named among ImageNet's 1,000 classes by what the whole network puts out."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFont

from headstart.backbones import resolve
from headstart.cli.classify import short
from headstart.errors import DataError, UserError
from headstart.features.extract import Settings
from headstart.images import from_arrays
from headstart.naming import Named, Network, categories, classify, ids_in, named_by, write
from headstart.naming.sheet import FIRST, GAP, PAD, ROW, SIDE, contact_sheet, fitted
from headstart.phrases import percent

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """A tiny network with 1,000 classes in a weights file of its own."""
    file = resolve("test_resnet", "none").save(tmp_path_factory.mktemp("weights"))
    return Network("test_resnet", file)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("n01440764_tench.png", "n01443537_goldfish.png", "n02099601_golden.png"):
        Image.fromarray(rng.integers(0, 255, (90, 120, 3), dtype=np.uint8)).save(folder / name)
    return folder


def named(probabilities: list[dict[int, float]], stated: list[int] | None = None) -> Named:
    """Grey pictures with these probabilities of some classes."""
    rows = np.zeros((len(probabilities), 1000))
    for row, chosen in zip(rows, probabilities, strict=True):
        row[list(chosen)] = list(chosen.values())
    images = from_arrays(np.full((len(rows), 40, 60, 3), 90, np.uint8))
    return Named("net", images, rows, None if stated is None else np.array(stated))


def test_names_are_shown_without_the_folder_that_all_are_in() -> None:
    assert short(["/a/b/c.png", "/a/d.png"]) == ["b/c.png", "d.png"]
    assert short(["a/c.png", "d.png"]) == ["a/c.png", "d.png"]
    assert short(["/a/c.png", "d.png"]) == ["/a/c.png", "d.png"]


def test_the_classes_stand_in_the_order_of_imagenets_outputs() -> None:
    """Places that every list of ImageNet's classes has; ids sorted; no two classes with one name."""
    known = categories()
    assert [known[k].name for k in (0, 1, 207, 281, 985, 999)] == [
        "tench", "goldfish", "golden retriever", "tabby", "daisy", "toilet tissue"
    ]  # fmt: skip
    ids = [category.wordnet for category in known]
    assert ids == sorted(set(ids)) and len({category.name for category in known}) == 1000
    assert {known[134].name, known[517].name} == {"crane (n02012849)", "crane (n03126707)"}


def test_file_names_state_classes_only_where_all_of_them_do() -> None:
    found = ids_in(["a/n01440764_tench.JPEG", "n01443537/1.png", "n02099601.jpg"])
    assert found is not None and list(found) == [0, 1, 207]
    for other in ("cat.jpg", "n99999999_x.jpg", "n014407641.jpg", "xn01440764.jpg"):
        assert ids_in(["n01440764_tench.JPEG", other]) is None
    assert ids_in([]) is None


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_the_probabilities_are_the_softmax_of_the_networks_own_output(
    engine: str, network: Network, photos: Path
) -> None:
    found = classify([str(photos)], replace(network, engine=engine))
    backbone = resolve("test_resnet", network.weights)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (backbone.preprocess.mean, backbone.preprocess.std))
    files = sorted(photos.iterdir())
    x = np.stack([backbone.preprocess.apply(Image.open(file)) for file in files])
    with torch.no_grad():
        expected = backbone.network()((torch.from_numpy(x).permute(0, 3, 1, 2) / 255 - mean) / std).softmax(1).numpy()
    assert [Path(name).name for name in found.images.names] == [file.name for file in files]
    assert np.abs(found.probabilities - expected).max() < 1e-5
    assert found.stated is not None and list(found.stated) == [0, 1, 207]


@pytest.mark.slow
def test_a_network_of_two_classifiers_is_named_by_their_average(tmp_path: Path, photos: Path) -> None:
    """DeiT's distilled networks average two heads: no module gives what the network does."""
    file = resolve("deit_tiny_distilled_patch16_224", "none").save(tmp_path / "weights")
    backbone = resolve("deit_tiny_distilled_patch16_224", file)
    found = classify([str(photos)], Network(backbone.name, file, "torch"))
    picture = backbone.preprocess.apply(Image.open(sorted(photos.iterdir())[0])).copy()
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (backbone.preprocess.mean, backbone.preprocess.std))
    with torch.no_grad():
        logits = backbone.network()((torch.from_numpy(picture)[None].permute(0, 3, 1, 2) / 255 - mean) / std)
    assert np.abs(found.probabilities[0] - logits.softmax(1)[0].numpy()).max() < 1e-5


def test_a_picture_that_cannot_be_used_is_left_out_and_told(network: Network, photos: Path) -> None:
    (photos / "bad.png").write_bytes(b"no picture")
    found = classify([str(photos)], network)
    assert len(found.images) == 3 and [r.name.rpartition("/")[2] for r in found.refused] == ["bad.png"]
    with pytest.raises(DataError, match=r"bad\.png"):
        classify([str(photos)], network, Settings(strict=True))
    with pytest.raises(DataError, match=r"bad\.png cannot be used \(not-an-image\)"):
        classify([str(photos / "bad.png")], network)


def test_stored_outputs_are_not_computed_again(network: Network, photos: Path, tmp_path: Path) -> None:
    """The second time no network is opened, and the answer is the same."""
    store = Settings(tmp_path / "store")
    first = classify([str(photos)], network, store)
    stages: list[str] = []
    again = classify([str(photos)], network, store, lambda stage, done, total: stages.append(stage))
    assert np.array_equal(first.probabilities, again.probabilities)
    assert "open" not in stages


def ten_classes(folder: Path) -> Network:
    file = resolve("test_resnet", "none").save(folder)
    from safetensors.torch import load_file, save_file

    from headstart import tensors

    state = load_file(file)
    head = {key: value for key, value in state.items() if value.shape[:1] == (1000,)}
    save_file({**state, **{key: value[:10].contiguous() for key, value in head.items()}}, file)
    sidecar = file.with_suffix(".json")
    described = json.loads(sidecar.read_text())
    sidecar.write_text(json.dumps({**described, "num_classes": 10, "sha256": tensors.sha256(file)}))
    return Network("test_resnet", file, "torch")


def without_sidecar(folder: Path) -> Network:
    found = ten_classes(folder)
    Path(found.weights).with_suffix(".json").unlink()
    return found


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: Network("sprout"), "sprout has no classifier"),
        (lambda folder: Network("resnet18", "none"), "random weights, which name nothing"),
        (ten_classes, "gives 10 numbers, not the 1,000 classes"),
        (without_sidecar, "gives 10 numbers, not the 1,000 classes"),
    ],
)
def test_a_network_that_knows_no_imagenet_classes_is_one_sentence(
    make: Callable[[Path], Network], said: str, tmp_path: Path, photos: Path
) -> None:
    with pytest.raises(UserError, match=said):
        classify([str(photos)], make(tmp_path / "weights"))


def onnx(folder: Path, outputs: dict[str, list[int]]) -> Network:
    """A file that is described by its sidecar alone: it is never opened here."""
    from headstart import tensors

    file = folder / "net.onnx"
    file.write_bytes(b"a network")
    shapes = {name: ["batch", *shape] for name, shape in outputs.items()}
    preprocess = resolve("test_resnet", "none").preprocess.to_dict()
    described = {"architecture": "onnx:net", "preprocess": preprocess, "sha256": tensors.sha256(file)}
    described |= {"inputs": {"image": ["batch", 3, 64, 64]}, "outputs": shapes}
    file.with_suffix(".json").write_text(json.dumps(described))
    return Network(str(file), engine="openvino")


def test_an_onnx_file_names_by_its_logits_or_its_only_output_of_1000(tmp_path: Path) -> None:
    assert named_by(onnx(tmp_path, {"logits": [1000], "pooled": [1000]})).layer == "logits"
    assert named_by(onnx(tmp_path, {"scores": [1000], "pooled": [64]})).layer == "scores"
    with pytest.raises(UserError, match=r"no output `logits` of 1,000 classes.*pooled \(64\)"):
        named_by(onnx(tmp_path, {"logits": [10], "pooled": [64]}))


def test_top_k_accuracy_counts_the_stated_class_among_the_k_most_probable() -> None:
    """Of four pictures one is right at once, two among five. Wilson's intervals of 1/4 and 3/4 as published."""
    ranks = {0: 0.5, 1: 0.2, 2: 0.1, 3: 0.08, 4: 0.07, 5: 0.05}
    first, fifth = named([ranks] * 4, [0, 1, 4, 5]).scores()
    assert (first.right, fifth.right, fifth.total) == (1, 3, 4)
    assert first.interval == pytest.approx((0.0456, 0.6994), abs=1e-4)
    assert fifth.interval == pytest.approx((0.3006, 0.9544), abs=1e-4)
    assert named([ranks]).scores() == ()


def test_json_and_csv_tell_the_same(tmp_path: Path) -> None:
    found = named([{0: 0.6, 207: 0.4}, {999: 0.9, 1: 0.1}], [0, 1])
    write(found, tmp_path / "a.json", 2)
    write(found, tmp_path / "a.csv", 2)
    told = json.loads((tmp_path / "a.json").read_text())
    rows = list(csv.DictReader((tmp_path / "a.csv").open()))
    assert told["pictures"][0]["classes"][1] == {
        "wordnet": "n02099601", "class": "golden retriever", "confidence": 0.4
    }  # fmt: skip
    assert told["pictures"][1]["stated"]["class"] == "goldfish"
    assert [(s["top"], s["right"], s["total"]) for s in told["scores"]] == [(1, 1, 2), (5, 2, 2)]
    for row, picture in zip(rows, told["pictures"], strict=True):
        columns = [("predicted", "confidence"), ("predicted_2", "confidence_2")]
        assert row["name"] == picture["name"]
        assert [(row[c], float(row[p])) for c, p in columns] == [
            (each["class"], each["confidence"]) for each in picture["classes"]
        ]


@pytest.mark.parametrize("ending", ["png", "jpg", "webp"])
def test_a_contact_sheet_is_written_in_the_format_of_its_ending(ending: str, tmp_path: Path) -> None:
    write(named([{0: 0.6}]), tmp_path / f"a.{ending}", 1)
    with Image.open(tmp_path / f"a.{ending}") as picture:
        assert picture.format == {"png": "PNG", "jpg": "JPEG", "webp": "WEBP"}[ending]
        assert picture.mode == "RGB"
    assert [path.name for path in tmp_path.iterdir()] == [f"a.{ending}"]


def test_a_sheet_has_a_tile_for_each_picture_and_a_line_for_each_class() -> None:
    """Seven pictures stand in three columns; a class more, or a stated class that is missing, is a line more."""
    ranks = {0: 0.5, 1: 0.3, 2: 0.2}
    one, two = (contact_sheet(named([ranks] * 7), k) for k in (1, 2))
    missing = contact_sheet(named([ranks] * 7, [9] * 7), 1)
    assert two.height - one.height == missing.height - one.height == 3 * ROW
    assert one.width == 2 * 24 + 3 * (SIDE + GAP) - GAP
    photos = np.asarray(one) == (90, 90, 90)
    assert photos.all(axis=2).sum() == pytest.approx(7 * SIDE * SIDE, rel=0.001)
    assert PAD + FIRST < SIDE


def test_a_long_name_is_cut_to_its_room() -> None:
    font = ImageFont.load_default(13)
    longest = max((category.name for category in categories()), key=len)
    cut = fitted(longest, font, 100)
    assert font.getlength(cut) <= 100 and cut.endswith("…") and longest.startswith(cut[:-1])
    assert fitted("tench", font, 100) == "tench"


def test_a_confidence_is_never_rounded_to_none_or_all() -> None:
    assert [percent(p, 0, whole=False) for p in (0.0, 0.004, 0.006, 0.5, 0.99, 0.999)] == [
        "<1%",
        "<1%",
        "1%",
        "50%",
        "99%",
        ">99%",
    ]


@pytest.mark.parametrize("out", ["names.txt", "names", "names.gif"])
def test_a_file_of_another_kind_is_refused(out: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="must end in one of"):
        write(named([{0: 1.0}]), tmp_path / out)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "file", "engines", "least"),
    [
        ("mobilenetv2_100", "mobilenetv2_100.safetensors", ("openvino", "torch"), (83, 96)),
        ("squeezenet1_0", "squeezenet1_0.safetensors", ("openvino", "torch"), (57, 82)),
        ("mobilenetv1_075.onnx", "", ("openvino",), (79, 94)),
    ],
)
@pytest.mark.slow
def test_real_networks_name_the_samples(
    name: str, file: str, engines: tuple[str, ...], least: tuple[int, int], data_dir: Path, weights_dir: Path
) -> None:
    """Within what 100 pictures allow of the accuracies measured with a plain script; engines agree on every picture."""
    target = str(weights_dir / name) if not file else name
    weights = weights_dir / file if file else "pretrained"
    found = [
        classify([str(data_dir / "imagenet_samples")], Network(target, weights, engine, "cpu")) for engine in engines
    ]
    for each in found:
        first, fifth = each.scores()
        assert first.right >= least[0] and fifth.right >= least[1] and first.total == 100
    assert np.abs(found[0].probabilities - found[-1].probabilities).max() < 1e-3


@pytest.mark.data
def test_a_file_without_a_classifier_is_one_sentence(data_dir: Path, weights_dir: Path) -> None:
    file = weights_dir / "mobilenetv2_035.safetensors"
    with pytest.raises(UserError, match="mobilenetv2_035 has no classifier with these weights"):
        classify([str(data_dir / "imagenet_samples")], Network("mobilenetv2_035", file))
