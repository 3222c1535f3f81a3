"""The contract of today's encoders: each at its own size and at another, by every layer, on the whole way to a bundle.

Random weights, small pictures. `test_vit` is timm's smallest; the families themselves take longer and are marked slow,
some of them exhaustive.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from colours import two_colours
from headstart import Recipe, execute, load_classifier
from headstart.backbones import Backbone, encoders, resolve
from headstart.engines import choose
from headstart.errors import UnknownName, UserError
from headstart.feature_source import feature_source
from headstart.images import load

pytestmark = pytest.mark.usefixtures("one_thread")


class Family(NamedTuple):
    """A network, its own side, another that it takes, one that it does not, and the sides that are then named."""

    name: str
    own: int
    other: int
    wrong: int | None
    named: tuple[int, ...]
    has_cls: bool


EVERYDAY = [Family("test_vit", 160, 96, 100, (96, 112), True)]
SLOW = [
    Family("test_maxvit", 160, 128, 100, (96, 128), False),
    Family("vit_small_patch14_reg4_dinov2", 518, 112, 113, (112, 126), True),
    Family("vit_small_patch16_dinov3", 256, 96, 100, (96, 112), True),
    Family("mobilenetv4_conv_small", 224, 96, None, (), False),
]
MORE = [
    Family("swin_tiny_patch4_window7_224", 224, 128, 101, (100, 104), False),
    Family("eva02_tiny_patch14_224", 224, 112, 100, (98, 112), True),
    Family("vit_small_patch14_dinov2", 518, 112, 100, (98, 112), True),
    Family("vit_base_patch32_clip_224", 224, 96, 100, (96, 128), True),
    Family("vit_base_patch32_siglip_256", 256, 96, 100, (96, 128), False),
    Family("convnext_atto", 224, 96, None, (), False),
]
FAMILIES = [
    *EVERYDAY,
    *(pytest.param(f, marks=pytest.mark.slow) for f in SLOW),
    *(pytest.param(f, marks=[pytest.mark.slow, pytest.mark.exhaustive]) for f in MORE),
]
TUNED = [
    *EVERYDAY,
    pytest.param(SLOW[0], marks=pytest.mark.slow),
    *(pytest.param(f, marks=[pytest.mark.slow, pytest.mark.exhaustive]) for f in (*SLOW[1:], *MORE)),
]
"""Those that go the whole way to a bundle, frozen and with a block that is fine-tuned."""
PICTURES = 8
"""Of each of two classes."""


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda f: f.name)
def family(request: pytest.FixtureRequest) -> Family:
    found: Family = request.param
    return found


@pytest.fixture(scope="module")
def native(family: Family) -> Backbone:
    found = resolve(family.name, "none")
    assert isinstance(found, Backbone)
    return found


@pytest.fixture(scope="module")
def other(family: Family, native: Backbone) -> Backbone:
    return native.at((family.other, family.other))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes that differ in colour."""
    return two_colours(tmp_path_factory.mktemp("pictures"), PICTURES, 110)


def noise(side: int, n: int = 2) -> torch.Tensor:
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(1))


def close(a: torch.Tensor, b: torch.Tensor, within: float = 1e-4) -> bool:
    return a.shape == b.shape and float((a - b).abs().max()) <= within * float(b.abs().max())


@torch.no_grad()
def test_at_its_own_size_features_are_the_networks_own(family: Family, native: Backbone) -> None:
    """`pooled` is what timm's network has before its classifier, and asking for the own size changes nothing."""
    assert native.at((family.own, family.own)) is native
    if native.fixed_size is None:
        return
    x, network = noise(family.own, 1), native.network()
    assert close(native.features("pooled")(x), network.forward_head(network.forward_features(x), pre_logits=True))


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence:UserWarning:timm")
@torch.no_grad()
def test_at_another_size_the_network_is_the_one_that_timm_makes(
    family: Family, native: Backbone, other: Backbone, tmp_path: Path
) -> None:
    """timm's own way of loading weights into a network of another size gives the same answers."""
    if native.fixed_size is None:
        assert other is native
        return
    assert other.fixed_size == (family.other, family.other) and other.fingerprint != native.fingerprint
    import timm

    source = {"file": str(native.save(tmp_path)), "num_classes": native.network().num_classes}
    own = {"num_classes": native.network().num_classes, "pretrained_cfg_overlay": source}
    reference = timm.create_model(family.name, pretrained=True, img_size=family.other, **own).eval()
    x = noise(family.other)
    assert close(other.network()(x), reference(x))


def test_a_size_that_does_not_fit_is_refused_with_the_nearest_that_do(family: Family, native: Backbone) -> None:
    """In one sentence, and each of those that it names works."""
    if family.wrong is None:
        return
    ways = " or ".join(f"image_size={side}" for side in family.named)
    with pytest.raises(UserError, match=f"cannot take pictures of {family.wrong}x{family.wrong} .*: give {ways}\\.$"):
        native.at((family.wrong, family.wrong))
    for side in family.named:
        assert native.at((side, side)).fixed_size == (side, side)


@torch.no_grad()
def test_layers_are_the_tokens_of_the_last_features(family: Family, other: Backbone) -> None:
    """`cls` is the first, `mean` that of the patches without prefix tokens, `A+B` two layers side by side."""
    x, network = noise(family.other), other.network()
    features = network.forward_features(x)
    grid = other.split("last_conv").trunk(x)[0]
    assert close(other.features("mean")(x), grid.mean((2, 3)))
    if features.ndim == 3:
        assert close(other.features("mean")(x), features[:, network.num_prefix_tokens :].mean(1))
    wanted = torch.cat([grid.mean((2, 3)), grid.flatten(1)], 1)
    assert close(other.features("mean+last_conv")(x), wanted)
    if family.has_cls:
        assert close(other.features("cls")(x), features[:, 0])
        assert close(other.features("cls+mean")(x), torch.cat([features[:, 0], other.features("mean")(x)], 1))
        assert {"cls", "mean"} < {layer.name for layer in other.layers()}
    else:
        with pytest.raises(UserError, match=r"has no class token at its end, so no cls\. Its layers are pooled"):
            other.features("cls+mean")
    with pytest.raises(UnknownName, match="nothing"):
        other.features("mean+nothing")


@torch.no_grad()
def test_at_every_block_trunk_and_tail_are_the_network(family: Family, other: Backbone) -> None:
    """At another size, and at the layers that join others too."""
    x = noise(family.other, 1)
    wanted = other.network()(x)
    for name in [*(layer.name for layer in other.layers()), "mean+pooled"]:
        split = other.split(name)
        assert close(split.tail(*split.trunk(x)), wanted), name


def test_both_engines_agree_at_another_size(family: Family, other: Backbone) -> None:
    """Within 1e-4 of the largest value, at the layers side by side."""
    pixels = np.random.default_rng(0).integers(0, 256, (2, family.other, family.other, 3), dtype=np.uint8)
    preprocess = other.preprocess.resized(family.other)
    rows = [choose(e, "cpu").open(other, "mean+pooled", preprocess).run(pixels) for e in ("openvino", "torch")]
    assert np.abs(rows[0] - rows[1]).max() <= 1e-4 * np.abs(rows[1]).max()


@pytest.mark.parametrize("family", TUNED, ids=lambda f: f.name, indirect=True)
def test_a_fine_tuned_block_goes_into_a_bundle_that_says_what_the_run_said(
    family: Family, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One epoch at another size; the bundle, opened where nothing is remembered, says what predictions.csv says."""
    asked = {
        "method": "finetune",
        "data": {"source": str(folder)},
        "backbone": {"name": family.name, "weights": "none", "image_size": family.other},
        "engine": {"name": "torch", "device": "cpu"},
        "head": {"name": "linear", "options": {"epochs": 2}},
        "training": {"unfreeze": 1, "epochs": 1, "threads": 1, "blend": False, "head_first": False},
    }
    run = execute(Recipe.from_dict(asked), tmp_path / "run")
    assert run.scores["run"]["layer"] == encoders.usual_layer(f"timm:{family.name}")
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "elsewhere"))
    classifier = load_classifier(run.folder)
    assert classifier.source.preprocess.height == family.other
    probabilities, _ = classifier.predict_proba(run.images)
    with (run.folder / "predictions.csv").open(newline="", encoding="utf-8") as file:
        told = [[float(row[f"p:{c}"]) for c in classifier.classes] for row in csv.DictReader(file)]
    np.testing.assert_allclose(probabilities, told, atol=1e-4)


@pytest.mark.parametrize("family", TUNED, ids=lambda f: f.name, indirect=True)
def test_a_frozen_network_in_a_bundle_gives_the_same_features(
    family: Family, native: Backbone, other: Backbone, tmp_path: Path
) -> None:
    """Saved at another size and read again it has the same fingerprint, so that stored features are found, and gives
    the same answers; weights that were saved at their own size are resampled to the same."""
    again = resolve(other.name, other.save(tmp_path / "other"))
    if native.fixed_size is not None:
        assert again.fixed_size == other.fixed_size and again.fingerprint == other.fingerprint
    own = resolve(native.name, native.save(tmp_path / "own")).at((family.other, family.other))
    wanted = other.network().state_dict()
    for each in (again, own):
        found = each.network().state_dict()
        assert found.keys() == wanted.keys() and all(torch.equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.slow
def test_a_second_run_at_another_size_needs_no_library(tmp_path: Path) -> None:
    """What a size comes to is remembered: a run whose features are stored builds no network."""
    asked = {"data": {"source": "digits"}, "backbone": {"name": "test_vit", "weights": "none", "image_size": 96}}
    code = (
        "import sys\nfrom headstart import Recipe\nfrom headstart.feature_source import feature_source\n"
        f"from headstart.images import load\nfeature_source(Recipe.from_dict({asked}), load('digits'))\n"
        "print([name for name in ('torch', 'timm') if name in sys.modules])"
    )
    env = {**os.environ, "HEADSTART_CACHE": str(tmp_path)}
    said = [
        subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert said[0].strip() == "['torch', 'timm']" and said[1].strip() == "[]"


# Which size pays


def chosen(name: str, data: str = "digits", **backbone: object) -> tuple[int, str]:
    recipe = Recipe.from_dict({"data": {"source": data}, "backbone": {"name": name, "weights": "none", **backbone}})
    found = feature_source(recipe, load(data))
    return found.preprocess.height, " ".join(found.backbone.notes if found.backbone else ())


@pytest.mark.slow
def test_small_pictures_are_shown_small_and_windows_keep_their_size(folder: Path) -> None:
    """Under 96 pixels: 128 where patches allow it, never less than eight of them, and a note says what it saves."""
    side, note = chosen("vit_tiny_patch16_224")
    assert side == 128
    assert "128x128 pixels, 64 patches instead of 196; image_size=224 is its native size" in note
    assert chosen("vit_base_patch32_clip_224") == (224, "")
    assert chosen("swin_tiny_patch4_window7_224") == (224, "")
    assert chosen("vit_tiny_patch16_224", image_size=224) == (224, "")
    assert chosen("vit_tiny_patch16_224", str(folder)) == (224, "")


@pytest.mark.parametrize(
    ("name", "own", "small", "size"),
    [
        ("vit_small_patch14_dinov2.lvd142m", 518, False, 224),
        ("vit_small_patch14_dinov2.lvd142m", 518, True, 126),
        ("vit_base_patch16_siglip_512.v2_webli", 512, False, 224),
        ("eva02_large_patch14_448.mim_m38m_ft_in22k_in1k", 448, False, 448),
        ("vit_small_patch16_dinov3", 256, False, 256),
        ("efficientnet_b7", 600, False, 600),
    ],
)
def test_a_network_of_far_larger_pictures_is_run_at_224(name: str, own: int, small: bool, size: int) -> None:
    """DINOv2 at 518 costs six times the patches; what does not fit keeps its own size."""
    own_size = (own, own)
    assert encoders.usual_size(f"timm:{name}", own_size, small, lambda _: True) == (size, size)
    assert encoders.usual_size(f"timm:{name}", own_size, small, lambda _: False) == own_size


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("vit_small_patch14_dinov2.lvd142m", "cls+mean"),
        ("vit_base_patch16_224.dino", "cls+mean"),
        ("vit_small_patch16_224.dino", "cls"),
        ("vit_small_patch16_dinov3.lvd1689m", "cls"),
        ("convnext_tiny.dinov3_lvd1689m", "pooled"),
        ("vit_base_patch16_clip_224.openai", "pooled"),
        ("resnet50", "pooled"),
    ],
)
def test_a_family_is_read_as_its_authors_probe_it(name: str, layer: str) -> None:
    """The table, which `layer=auto` goes by."""
    assert encoders.usual_layer(f"timm:{name}") == layer
