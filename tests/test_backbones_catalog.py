"""The catalog is what the libraries build, and any other name is measured."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.backbones import Row, catalog_rows, describe, resolve, search
from headstart.backbones.catalog import select
from headstart.backbones.measure import FAMILIES, measure_row
from headstart.backbones.names import ALIASES
from headstart.backbones.spelling import parse_list
from headstart.errors import UnknownName, UserError
from headstart.ranking.bench import bench
from headstart.ranking.request import RankingRequest

ROWS = {row.name: row for row in catalog_rows()}
QUICK = [
    "torchvision:squeezenet1_0",
    "timm:mobilenetv2_100",
    "timm:resnet18",
    "timm:vit_tiny_patch16_224",
    "timm:vgg16",
]
EXHAUSTIVE = [pytest.mark.slow, pytest.mark.exhaustive]


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in QUICK else EXHAUSTIVE) for n in FAMILIES])
def test_a_row_is_what_is_measured(name: str) -> None:
    """Parameters, shapes, multiply-adds and licence of the file equal those of the network built now."""
    assert measure_row(name) == ROWS[name]


def test_the_catalog_has_every_alias() -> None:
    """Each Keras spelling has a row, and each row its spelling."""
    assert {row.alias: row.name for row in ROWS.values() if row.alias} == ALIASES


@pytest.mark.parametrize(
    ("name", "parameters", "giga"),
    [
        ("torchvision:alexnet", 61_100_840, 0.71),
        ("timm:vgg16", 138_357_544, 15.47),
        ("timm:resnet50", 25_557_032, 4.09),
        ("timm:mobilenetv2_100", 3_504_872, 0.30),
        ("timm:densenet121", 7_978_856, 2.83),
        ("timm:nasnetalarge", 88_753_150, 23.8),
        ("torchvision:squeezenet1_0", 1_248_424, 0.82),
    ],
)
def test_rows_agree_with_published_figures(name: str, parameters: int, giga: float) -> None:
    """Parameters and multiply-adds as the papers and torchvision's and timm's tables give them."""
    row = ROWS[name]
    assert row.parameters == parameters
    assert row.multiply_adds is not None
    assert row.multiply_adds / 1e9 == pytest.approx(giga, rel=0.02)


def test_every_published_accuracy_belongs_to_the_weights_that_are_loaded() -> None:
    """Each key of the table names timm's default weights of a catalogued network; torchvision's are its metadata's."""
    from torchvision import models

    table = tomllib.loads(files("headstart.backbones").joinpath("published.toml").read_text(encoding="utf-8"))["timm"]
    with_figure = {row.name for row in ROWS.values() if row.name.startswith("timm:") and row.top1 is not None}
    assert {f"timm:{name.partition('.')[0]}" for name in table} == with_figure
    for name in ("alexnet", "squeezenet1_0", "squeezenet1_1"):
        weights = models.get_model_weights(name).DEFAULT
        assert ROWS[f"torchvision:{name}"].top1 == weights.meta["_metrics"]["ImageNet-1K"]["acc@1"]


@pytest.mark.parametrize(
    ("name", "torchvisions"), [("timm:vgg16", "vgg16"), ("timm:vgg19", "vgg19"), ("timm:densenet201", "densenet201")]
)
def test_the_same_weights_have_about_the_same_accuracy_in_both_libraries(name: str, torchvisions: str) -> None:
    """timm carries torchvision's weights of these; it measures with another interpolation, worth half a point."""
    from torchvision import models

    metrics = models.get_model_weights(torchvisions).IMAGENET1K_V1.meta["_metrics"]["ImageNet-1K"]
    assert ROWS[name].top1 == pytest.approx(metrics["acc@1"], abs=0.5)


def test_a_weights_file_is_not_given_the_accuracy_of_other_weights(tmp_path: Path) -> None:
    file = resolve("squeezenet1_1", "none").save(tmp_path)
    assert describe("squeezenet1_1", str(file)).row.top1 is None
    assert describe("squeezenet1_1").row.top1 is not None


def test_the_catalog_is_sorted_and_filtered() -> None:
    """The best first, what is not known last; sizes are of the network's own input."""
    rows = select(catalog_rows(), "accuracy", 224, 10e6)
    known = [row.top1 for row in rows if row.top1 is not None]
    assert known == sorted(known, reverse=True) and len(known) < len(rows)
    assert all(row.top1 is None for row in rows[len(known) :])
    assert all(max(row.input_size) <= 224 and row.parameters and row.parameters <= 10e6 for row in rows)
    assert {row.name for row in catalog_rows()} - {row.name for row in rows} >= {"timm:vgg16", "timm:inception_v3"}
    costs = [row.multiply_adds for row in select(catalog_rows(), "speed")]
    assert costs == sorted(costs, key=lambda cost: cost or 0)
    assert select(catalog_rows(), "size")[0].name == "embedded:small_cnn"
    with pytest.raises(UnknownName, match="did you mean accuracy"):
        select(catalog_rows(), "acuracy")


def test_a_bench_measures_those_that_work_and_says_why_others_do_not(tmp_path: Path) -> None:
    """Without labels and without weights; the pictures are spread over the data; what fails is told."""
    rng = np.random.default_rng(0)
    for i in range(5):
        Image.fromarray(rng.integers(0, 255, (80, 80, 3), dtype=np.uint8)).save(tmp_path / f"{i}.png")
    broken = tmp_path / "weights" / "broken.safetensors"
    broken.parent.mkdir()
    broken.write_bytes(b"no weights")
    asked = tuple(parse_list(f"test_resnet,sprout@{broken},sprout"))
    found = bench(RankingRequest(str(tmp_path), asked, 3, 64, engine="torch", device="cpu"))
    assert found.pictures == 3 and found.engine == "torch on cpu"
    assert {network.label for network in found.networks} == {"test_resnet", "sprout"}
    rates = [network.images_per_s for network in found.networks]
    assert rates == sorted(rates, reverse=True) and min(rates) > 0
    assert found.networks[0].size == (64, 64) and found.networks[0].parameters
    assert [failure.backbone for failure in found.failures] == ["sprout@broken"]
    with pytest.raises(UserError, match="No network could be measured"):
        bench(RankingRequest(str(tmp_path), tuple(parse_list(f"sprout@{broken}")), 3, engine="torch"))
    with pytest.raises(UnknownName, match="no-such-network"):
        bench(RankingRequest(str(tmp_path), tuple(parse_list("sprout,no-such-network")), 3, engine="torch"))


def test_parameters_are_those_of_the_network_that_runs() -> None:
    """The count on torch's meta device is the count of the real network."""
    network = resolve("mobilenetv2_035", "none").network()
    assert ROWS["timm:mobilenetv2_035"].parameters == sum(p.numel() for p in network.parameters())


def test_a_search_measures_few_and_counts_all() -> None:
    """A glob or a part of a name; rows of the catalog among them are not measured again."""
    found = search("resnet1*", limit=2)
    assert found.total >= 4
    assert len(found.rows) == 2
    assert all(isinstance(row, Row) and row.parameters for row in found.rows)
    assert ROWS["timm:resnet18"] in search("timm:resnet18").rows
    assert search("no-such-network").total == 0


def test_a_description_needs_no_weights() -> None:
    """Layers with shapes, every module and the figures, without the weights and without a network connection."""
    described = describe("ResNet50")
    assert described.row == ROWS["timm:resnet50"]
    shapes = {layer.name: layer.shape for layer in described.modules}
    assert shapes["layer2.0.conv1"] == (128, 56, 56)
    assert [layer.name for layer in described.layers][:2] == ["pooled", "last_conv"]
    assert described.backbone.built is None and "_network" not in vars(described.backbone)
    with pytest.raises(UnknownName, match="did you mean"):
        describe("ResNet55")


@pytest.mark.data
def test_a_description_of_a_file_has_the_files_own_figures(weights_dir: Path) -> None:
    """The classifier that mobilenetv2_035's file lacks is not counted; its licence is the sidecar's."""
    described = describe("mobilenetv2_035", str(weights_dir / "mobilenetv2_035.safetensors"))
    whole = ROWS["timm:mobilenetv2_035"].parameters
    assert whole is not None
    assert described.row.parameters == whole - 1280 * 1000 - 1000
    assert described.row.licence == "Apache-2.0 (Keras MobileNetV2)"
    assert describe(str(weights_dir / "mobilenetv1_075.onnx")).row.pooled == 768
