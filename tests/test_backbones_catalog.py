"""The catalog is what the libraries build, and any other name is measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.backbones import Row, catalog, describe, resolve, search
from headstart.backbones.measure import FAMILIES, measure
from headstart.backbones.names import ALIASES
from headstart.errors import UnknownName

ROWS = {row.name: row for row in catalog()}
QUICK = [
    "torchvision:squeezenet1_0",
    "timm:mobilenetv2_100",
    "timm:resnet18",
    "timm:vit_tiny_patch16_224",
    "timm:vgg16",
]


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in FAMILIES])
def test_a_row_is_what_is_measured(name: str) -> None:
    """Parameters, shapes, multiply-adds and licence of the file equal those of the network built now."""
    assert measure(name) == ROWS[name]


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
    assert "_network" not in described.backbone.__dict__
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
