"""The embedded backbone: what is in the package, what it takes, and that it helps."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from headstart import tensors
from headstart.backbones import catalog_rows, resolve, sidecar
from headstart.backbones.from_embedded import FOLDER, weights_file
from headstart.backbones.sprout import Sprout
from headstart.backbones.weights_files import KINDS
from headstart.cli import _main as cli
from headstart.drawn import strokes
from headstart.drawn.bank import Bank
from headstart.engines import EngineChoice
from headstart.errors import UserError
from headstart.images import Probe
from headstart.pretraining import sprout as pretraining
from headstart.recipe import Recipe
from headstart.run import execute

torch.set_num_threads(1)
MNIST = {5: 0.955, 10: 0.97, 50: 0.987, 100: 0.99}
"""What the logistic head must reach, by labelled pictures of each class."""
DEAR = (5, 50, 100)
"""What fails with these most likely fails with more."""


def recipe(source: str, per_class: int, seed: int, **changes: object) -> Recipe:
    data = {"source": source, "train_per_class": per_class}
    return Recipe.from_dict({"seed": seed, "data": data, "backbone": {"name": "sprout"}, **changes})


def accuracy(chosen: Recipe, folder: Path) -> float:
    run = execute(chosen, folder)
    return float(run.scores["after"]["test"]["accuracy"])


def test_the_weights_are_under_two_megabytes() -> None:
    """All that the package holds for sprout."""
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 2_000_000


def test_its_own_weights_are_the_default_and_imagenet_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """No network connection is tried; `none` is another network; the message says what to do."""
    monkeypatch.setattr("socket.socket.connect", lambda *a: pytest.fail("a connection was tried"))
    default, named, untrained = resolve("sprout"), resolve("embedded:sprout", "pretrained"), resolve("sprout", "none")
    assert default.fingerprint == named.fingerprint != untrained.fingerprint
    assert default.weights.path == weights_file("sprout")
    assert default.weights.licence == "Apache-2.0"
    weights = [b.network().state_dict()["stem.conv.weight"] for b in (default, named, untrained)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    with pytest.raises(UserError, match=r"sprout was not trained on ImageNet; leave `weights` out"):
        resolve("sprout", "imagenet")


def test_the_word_pretrained_means_imagenet_for_the_networks_of_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recipes that say `imagenet` go on working."""
    assert KINDS == ("pretrained", "imagenet", "none")
    asked = []
    module = sys.modules[resolve.__module__]
    monkeypatch.setattr(module, "_known", lambda name, kind, seed: asked.append((name, kind)))
    for word in KINDS:
        resolve("vgg16", word)
    assert asked == [("vgg16", "imagenet"), ("vgg16", "imagenet"), ("vgg16", "none")]


def test_the_catalog_lists_it_first() -> None:
    """With its size, so that `headstart backbones` shows what works offline."""
    row = catalog_rows()[0]
    assert row.name == "embedded:sprout"
    assert row.parameters is not None
    assert row.parameters < 1_000_000


@torch.no_grad()
@pytest.mark.parametrize("size", [(28, 28), (29, 33), (31, 47), (64, 64), (97, 130)])
def test_it_takes_any_size_from_28(size: tuple[int, int]) -> None:
    """The features are as many, finite, and not all alike."""
    features = resolve("sprout").features("pooled")(
        torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    )
    assert features.shape == (2, 2880)
    assert bool(torch.isfinite(features).all())
    assert float(features.std()) > 0.01


def test_weights_that_name_no_edition_are_of_the_first(tmp_path: Path) -> None:
    """Bundles and weights files written before there was a second one go on meaning what they meant."""
    first = Sprout()
    file = tmp_path / "first.safetensors"
    save_file(first.state_dict(), file)
    found = sidecar.Sidecar("embedded:sprout", pretraining.PREPROCESS, tensors.sha256(file), num_classes=0)
    sidecar.write(found, file)
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(resolve("sprout", file).network()(x), first.eval()(x))
    assert resolve("sprout", "none").features("pooled")(x).shape == (1, 2880)


@pytest.mark.parametrize(
    ("sides", "input_"), [((8, 8), 32), ((28, 28), 32), ((47, 48), 32), ((48, 48), 192), ((500, 400), 192)]
)
def test_small_pictures_are_shown_small(sides: tuple[int, int], input_: int) -> None:
    """The size rule of its weights: whole at 32 pixels, or as a photo."""
    chosen = resolve("sprout").preprocess.for_images(Probe(*sides, uniform=True, grey=False))
    assert (chosen.height, chosen.width) == (input_, input_)
    assert (chosen.crop_pct == 1.0) is (input_ == 32)


@pytest.mark.parametrize("size", [28, *(pytest.param(size, marks=pytest.mark.slow) for size in (32, 45, 128))])
def test_the_engines_agree(size: int) -> None:
    """OpenVINO and PyTorch differ by less than 1e-4 of the largest feature."""
    backbone = resolve("sprout")
    preprocess = backbone.preprocess.resized(size)
    pictures = np.random.default_rng(0).integers(0, 256, (3, size, size, 3), dtype=np.uint8)
    rows = [
        EngineChoice(name, "cpu", "float32").open(backbone, "pooled", preprocess).run(pictures)
        for name in ("openvino", "torch")
    ]
    assert np.abs(rows[0] - rows[1]).max() < 1e-4 * np.abs(rows[1]).max()


def test_a_saved_sprout_is_the_same_backbone(tmp_path: Path) -> None:
    """A bundle that holds it needs no package data: same fingerprint, same preprocessing, same features."""
    backbone = resolve("sprout")
    again = resolve("sprout", backbone.save(tmp_path))
    assert again.fingerprint == backbone.fingerprint
    assert again.preprocess == backbone.preprocess
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(again.network()(x), backbone.network()(x))


@pytest.mark.slow
def test_it_beats_raw_pixels_on_digits_with_five_of_each(tmp_path: Path) -> None:
    """Digits that it never saw; mean of three seeds, the same pictures for both."""
    seeds = range(3)
    with_it = [accuracy(recipe("digits", 5, s), tmp_path / f"s{s}") for s in seeds]
    without = [accuracy(recipe("digits", 5, s, method="pixels"), tmp_path / f"p{s}") for s in seeds]
    assert np.mean(with_it) > np.mean(without)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> pretraining.SproutRecipe:
    """A recipe of seconds that needs no fonts."""
    bank = Bank({"strokes": strokes.draw_strokes(8, 2, 0)}, {"strokes": 1.0})
    monkeypatch.setattr(pretraining, "draw_bank", lambda *a: bank)
    shipped = pretraining.SproutRecipe.shipped()
    return replace(shipped, textures=4, steps=3, plan=replace(shipped.plan, epochs=2, batch_size=16))


@pytest.mark.slow
def test_pretraining_writes_weights_that_resolve_reads(few: pretraining.SproutRecipe, tmp_path: Path) -> None:
    """Twice the same bytes; a log with a row for each epoch; no checkpoint is left."""
    told: list[str] = []
    files = [pretraining.pretrain_sprout(tmp_path / name, few, report=told.append) for name in "ab"]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert "epoch 2 of 2" in told[-1]
    assert len((tmp_path / "a" / pretraining.LOG).read_text().splitlines()) == 3
    assert not list((tmp_path / "a").rglob("checkpoint.safetensors"))
    backbone = resolve("sprout", files[0])
    assert backbone.preprocess == resolve("sprout").preprocess
    assert backbone.network()(torch.zeros(1, 3, 32, 32)).shape == (1, 2880)


def test_pretraining_without_fonts_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command says what to install and leaves no folder behind."""
    monkeypatch.setattr("headstart.drawn.fonts.folders", lambda: (tmp_path / "fonts",))
    assert cli(["pretrain", "sprout", "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("Error: 0 usable fonts were found")
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_the_shipped_weights_are_of_the_shipped_recipe() -> None:
    """Sidecar and recipe agree on what the pictures are expected to be."""
    assert resolve("sprout").preprocess == pretraining.PREPROCESS
    assert pretraining.SproutRecipe.shipped().plan.seed == 0


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize(
    ("per_class", "wanted"),
    [pytest.param(n, least, marks=[pytest.mark.exhaustive] * (n in DEAR)) for n, least in MNIST.items()],
)
def test_it_reads_mnist_from_few_examples(data_dir: Path, tmp_path: Path, per_class: int, wanted: float) -> None:
    """Logistic head, test set of 10,000, mean of five seeded subsets, or of two where the case is not exhaustive."""
    found = [accuracy(recipe("mnist", per_class, n), tmp_path / str(n)) for n in range(5 if per_class in DEAR else 2)]
    assert np.mean(found) >= wanted
