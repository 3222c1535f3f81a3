"""The contract of the families: each goes the whole way, from the list to a bundle that says what the run said.

Random weights and small pictures. Shapes inside the networks and cuts within blocks are in test_split_networks.py, the
bodies that are trained in test_trainable.py. The heavy families are run by `make exhaustive`.
"""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from colours import two_colours
from headstart import Recipe, execute, load_classifier
from headstart.backbones import Backbone, catalog_rows, resolve
from headstart.backbones.layers import CUT
from headstart.engines import choose
from headstart.errors import UnknownName, UserError
from headstart.feature_source import feature_source
from headstart.features.extract import Settings, extract
from headstart.features.source import FeatureSource
from headstart.heads import HEADS, make_head
from headstart.images import load

pytestmark = pytest.mark.usefixtures("one_thread")


class Family(NamedTuple):
    """A network, its published shapes at its own size, a small input, and the smallest that works (None: its own)."""

    name: str
    pooled: int
    last_conv: tuple[int, int, int]
    size: int
    smallest: int | None


EVERYDAY = [
    Family("SqueezeNet", 512, (512, 13, 13), 32, 21),
]
LIGHT = [
    Family("MobileNet", 1024, (1024, 7, 7), 32, 1),
    Family("MobileNetV2", 1280, (1280, 7, 7), 32, 1),
    Family("ResNet50", 2048, (2048, 7, 7), 48, 1),
    Family("DenseNet121", 1024, (1024, 7, 7), 48, 29),
    Family("ConvNeXtTiny", 768, (768, 7, 7), 64, 32),
    Family("vit_tiny_patch16_224", 192, (192, 14, 14), 224, None),
]
HEAVY = [
    Family("efficientnet_b0", 1280, (1280, 7, 7), 48, 1),
    Family("AlexNet", 256, (256, 6, 6), 64, 63),
    Family("Xception", 2048, (2048, 10, 10), 64, 7),
    Family("InceptionV3", 2048, (2048, 8, 8), 80, 75),
    Family("vit_small_patch16_224", 384, (384, 14, 14), 224, None),
    Family("VGG16", 512, (512, 7, 7), 48, 32),
    Family("VGG19", 512, (512, 7, 7), 48, 32),
    Family("InceptionResNetV2", 1536, (1536, 8, 8), 80, 75),
    Family("NASNetLarge", 4032, (4032, 11, 11), 64, 3),
]
FAMILIES = [*EVERYDAY, *LIGHT, *HEAVY]
EXHAUSTIVE = [pytest.mark.slow, pytest.mark.exhaustive]
PARTS = [(EVERYDAY, []), (LIGHT, [pytest.mark.slow]), (HEAVY, EXHAUSTIVE)]
TUNED = ("SqueezeNet", "DenseNet121", "vit_tiny_patch16_224")
"""A chain, a cut that carries several tensors, and a transformer; a block of the others is tuned before a release."""
PICTURES = 12
"""Of each of two classes."""


@pytest.fixture(
    scope="module",
    params=[pytest.param(f, id=f.name, marks=marks) for each, marks in PARTS for f in each],
)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Family]:
    """One family after the other, each with a cache of its own that goes with it: the heavy ones take gigabytes."""
    cache, before = tmp_path_factory.mktemp("family"), os.environ["HEADSTART_CACHE"]
    os.environ["HEADSTART_CACHE"] = str(cache)
    yield request.param
    os.environ["HEADSTART_CACHE"] = before
    shutil.rmtree(cache)


@pytest.fixture(scope="module")
def backbone(family: Family) -> Backbone:
    return resolve(family.name, "none")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes that differ in colour."""
    return two_colours(tmp_path_factory.mktemp("pictures"), PICTURES, 60)


def noise(size: int) -> torch.Tensor:
    return torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_the_list_has_every_family_with_its_published_shapes(family: Family) -> None:
    """The row of the catalog, by name or Keras spelling; VGG16's last map flattened is the 25,088 of its paper."""
    row = next(r for r in catalog_rows() if family.name in (r.alias, r.name.partition(":")[2]))
    assert (row.pooled, row.last_conv) == (family.pooled, family.last_conv)
    if family.name == "VGG16":
        assert int(np.prod(family.last_conv)) == 25_088


@torch.no_grad()
def test_a_picture_of_the_own_size_gives_the_published_shapes(family: Family, backbone: Backbone) -> None:
    """Measured by a forward; `layers` says the same without one."""
    x = noise(backbone.preprocess.height)
    assert backbone.split("last_conv").trunk(x)[0].shape[1:] == family.last_conv
    assert backbone.features("pooled")(x).shape == (1, family.pooled)
    listed = {layer.name: layer.shape for layer in backbone.layers()}
    assert (listed["pooled"], listed["last_conv"]) == ((family.pooled,), family.last_conv)


@torch.no_grad()
def test_at_every_block_trunk_and_tail_are_the_network(family: Family, backbone: Backbone) -> None:
    """Also at `pooled` and at `last_conv`, and what is stored for a cut that carries several tensors is all of them."""
    x, network = noise(family.size), backbone.network()
    wanted = network(x)
    names = [layer.name for layer in backbone.layers()]
    assert len(names) >= 5
    for name in names:
        split = backbone.split(name)
        between = split.trunk(x)
        torch.testing.assert_close(split.tail(*between), wanted, rtol=1e-4, atol=1e-6 * float(wanted.abs().max()))
    rows = backbone.features(f"{CUT}{names[-1]}")(x)
    assert torch.equal(rows, torch.cat([t.flatten(1) for t in between], 1))


def test_both_engines_agree_the_store_keeps_and_every_head_learns(
    family: Family, backbone: Backbone, folder: Path, tmp_path: Path
) -> None:
    """Rows of the last map within 1e-4 of the largest value; a second extraction computes none."""
    images = load(str(folder)).take(np.arange(0, 2 * PICTURES, 4))
    preprocess = backbone.preprocess.resized(family.size)
    sources = {n: FeatureSource(preprocess, backbone, "last_conv", choose(n, "cpu")) for n in ("openvino", "torch")}
    found = {name: extract(images, source, Settings(tmp_path)) for name, source in sources.items()}
    rows, others = found["openvino"].features, found["torch"].features
    assert rows.shape == others.shape
    assert np.abs(rows - others).max() <= 1e-4 * np.abs(others).max()
    again = extract(images, sources["openvino"], Settings(tmp_path))
    assert (again.counts.computed, again.counts.reused) == (0, len(images))
    assert np.array_equal(again.features, rows)
    for name in HEADS:
        head = make_head(name, **({"epochs": 5} if name in ("mlp", "linear") else {}))
        scores = head.fit(rows, images.labels).predict_proba(rows)
        assert scores.shape == (len(images), 2)
        np.testing.assert_allclose(scores.sum(1), 1, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    "family",
    [pytest.param(f, id=f.name, marks=[] if f.name in TUNED else pytest.mark.exhaustive) for f in FAMILIES],
    indirect=True,
)
def test_a_fine_tuned_block_goes_into_a_bundle_that_says_what_the_run_said(
    family: Family, backbone: Backbone, folder: Path, tmp_path: Path
) -> None:
    """One epoch of the last block and a new top by PyTorch; the bundle, by OpenVINO, says what predictions.csv says."""
    size = None if family.smallest is None else family.size
    asked = {
        "method": "finetune",
        "data": {"source": str(folder)},
        "backbone": {"name": family.name, "weights": "none", "image_size": size},
        "engine": {"name": "torch", "device": "cpu"},
        "head": {"name": "linear", "options": {"epochs": 2}},
        "training": {"unfreeze": 1, "epochs": 1, "threads": 1, "blend": False, "head_first": False},
    }
    run = execute(Recipe.from_dict(asked), tmp_path / "run")
    assert run.scores["training"]["trained_from"] == backbone.trainable_blocks("pooled")[-1].name
    classifier = load_classifier(run.folder)
    assert (run.classifier.source.engine.name, classifier.source.engine.name) == ("torch", "openvino")
    probabilities, _ = classifier.predict_proba(run.images)
    with (run.folder / "predictions.csv").open(newline="", encoding="utf-8") as file:
        told = [[float(row[f"p:{c}"]) for c in classifier.classes] for row in csv.DictReader(file)]
    np.testing.assert_allclose(probabilities, told, atol=1e-4)
    shutil.rmtree(run.folder)  # the heavy families' are large, and pytest keeps what three runs left


# Sizes


def test_the_smallest_picture_is_known_and_a_smaller_one_refused_in_a_sentence(
    family: Family, backbone: Backbone, capfd: pytest.CaptureFixture[str]
) -> None:
    """The sentence names the size to give; nothing is printed beside it, and a second look builds no network."""
    if family.smallest is None:
        with pytest.raises(UserError, match="224x224 pixels only, not 96x96 pixels; leave `image_size` out"):
            backbone.check("pooled", (96, 96))
        return
    backbone.check("pooled", (family.smallest, family.smallest))
    if family.smallest == 1:
        return
    for known in (backbone, resolve(family.name, "none", seed=1)):
        with pytest.raises(UserError, match=f"give image_size={family.smallest}\\.$") as caught:
            known.check("pooled", (family.smallest - 1,) * 2)
        assert "\n" not in str(caught.value)
    assert known.built is None and "_network" not in vars(known)
    assert capfd.readouterr().err == ""


def asked(name: str, **backbone: object) -> Recipe:
    return Recipe.from_dict({"data": {"source": "digits"}, "backbone": {"name": name, "weights": "none", **backbone}})


def test_a_run_is_refused_before_a_picture_is_read() -> None:
    """With the layer that was asked for: a shallow one takes pictures that are too small for the last."""
    digits = load("digits")
    with pytest.raises(UserError, match=r"SqueezeNet cannot take pictures of 16x16 pixels.*image_size=21"):
        feature_source(asked("SqueezeNet", image_size=16), digits)
    assert feature_source(asked("SqueezeNet", image_size=16, layer="features.3"), digits).preprocess.height == 16
    with pytest.raises(UnknownName, match="features"):
        feature_source(asked("SqueezeNet", image_size=16, layer="featurs"), digits)
    with pytest.raises(UserError, match=r"cannot take pictures of 100x100 pixels; .* image_size=96 or image_size=112"):
        feature_source(asked("test_vit", image_size=100), digits)
    assert feature_source(asked("test_vit", image_size=160), digits).preprocess.height == 160


class Picky(torch.nn.Module):
    """Takes pictures whose sides are multiples of `step` alone."""

    num_features = 4

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step, self.conv = step, torch.nn.Conv2d(3, 4, 3, stride=step, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[-1] % self.step:
            raise ValueError("sides are no multiples")
        return self.conv(x)


@pytest.mark.parametrize(("size", "works"), [(33, 64), (65, 96), (200, 224)])
def test_of_a_network_that_needs_whole_strides_the_next_multiple_is_named(size: int, works: int) -> None:
    """Halving the interval would name some larger one."""
    from headstart.backbones.sizes import _smallest

    assert _smallest(Picky(32), size, 224) == works
    assert _smallest(Picky(1000), size, 224) is None
