"""The embedded network without weights: what it takes, what it is trained on, and that it learns from little."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from headstart.backbones import catalog_rows, resolve, trace
from headstart.backbones.from_embedded import UNTRAINED
from headstart.backbones.measure import measure_row
from headstart.bundle import load_classifier
from headstart.cli import _main as cli
from headstart.engines import EngineChoice
from headstart.errors import UserError
from headstart.images import Probe
from headstart.preprocess import Preprocess
from headstart.pretraining.source import pretrain
from headstart.recipe import Recipe
from headstart.run import execute

pytestmark = pytest.mark.usefixtures("one_thread")


def recipe(method: str = "scratch", per_class: int = 10, seed: int = 0, **sections: Any) -> Recipe:
    training = {"threads": 1, "epochs": 2, **sections.pop("training", {})}
    return Recipe.from_dict(
        {
            "seed": seed,
            "method": method,
            "data": {"source": "digits", "train_per_class": per_class},
            "backbone": {"name": "small_cnn", **sections.pop("backbone", {})},
            "engine": {"name": "torch"},
            **({"training": training} if method in ("scratch", "finetune") else {}),
            **sections,
        }
    )


def small(height: int, width: int, uniform: bool = True) -> Preprocess:
    return resolve("small_cnn", "none").preprocess.for_images(Probe(height, width, uniform=uniform, grey=False))


@pytest.mark.parametrize("weights", ["pretrained", "imagenet"])
@pytest.mark.parametrize("name", ["small_cnn", "embedded:small_cnn"])
def test_it_has_no_pretrained_weights_and_says_what_to_do(name: str, weights: str) -> None:
    with pytest.raises(UserError, match=r"^small_cnn has no pretrained weights; .*method=scratch.*weights=none\.$"):
        resolve(name, weights)


def test_a_frozen_method_without_weights_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["fit", "digits", "--backbone", "small_cnn", "--out", str(tmp_path / "run")]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1 and "small_cnn has no pretrained weights" in errors[0]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", UNTRAINED)
def test_the_catalog_has_it_as_it_is_measured(name: str) -> None:
    """What `headstart backbones` lists is what is built, and says that there are no weights."""
    (row,) = (row for row in catalog_rows() if row.name == f"embedded:{name}")
    assert row == measure_row(row.name)
    assert row.licence == "none: it has no weights"


@pytest.mark.slow
def test_training_it_loads_no_other_library_of_networks_and_no_compiler(tmp_path: Path) -> None:
    """They take longer to load than a small training takes."""
    asked = "backbone='small_cnn', method='scratch', limit=30, augment='none', training={'epochs': 1}, store=False"
    code = (
        f"import sys, headstart; headstart.fit('digits', {asked})\n"
        "print([m for m in ('timm', 'torchvision', 'sympy', 'torch._dynamo') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", ["sprout", *UNTRAINED])
def test_layers_are_the_same_whether_a_network_is_run_or_its_shapes_alone_are_followed(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = resolve(name, "none").layers()
    monkeypatch.setattr(trace, "SMALL", 0)
    assert resolve(name, "none").layers() == run and len(run) > 3


@pytest.mark.parametrize("sides", [(8, 8), (28, 28), (47, 48), (12, 30)])
def test_small_pictures_of_one_size_keep_it(sides: tuple[int, int]) -> None:
    chosen = small(*sides)
    assert (chosen.height, chosen.width, chosen.crop_pct) == (*sides, 1.0)


@pytest.mark.parametrize(("sides", "uniform"), [((48, 48), True), ((7, 30), True), ((28, 28), False), ((9, 600), True)])
def test_other_pictures_are_shown_at_64(sides: tuple[int, int], uniform: bool) -> None:
    """Large ones, ones of many sizes, and ones too thin for the network."""
    chosen = small(*sides, uniform=uniform)
    assert (chosen.height, chosen.width, chosen.crop_pct) == (64, 64, 1.0)


@pytest.mark.parametrize("first", [(8, 8), (28, 28), (500, 400)])
def test_the_first_pictures_settle_the_size_for_all_others(first: tuple[int, int]) -> None:
    """Weights go on seeing what they were trained with, through JSON too."""
    settled = small(*first)
    again = Preprocess.from_dict(settled.to_dict())
    for other in ((8, 8), (32, 32), (500, 400)):
        assert again.for_images(Probe(*other, uniform=True, grey=True)) == settled


@torch.no_grad()
@pytest.mark.parametrize("size", [(3, 3), (4, 7), (8, 8), (28, 28), (31, 47), (64, 64)])
def test_it_takes_any_size_from_3(size: tuple[int, int]) -> None:
    """The features are as many, finite, and not all alike."""
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    features = resolve("small_cnn", "none").features("pooled")(x)
    assert features.shape == (2, 576)
    assert bool(torch.isfinite(features).all())
    assert float(features.std()) > 0.01


@torch.no_grad()
def test_every_block_can_be_trained_alone_with_those_behind_it() -> None:
    """`--unfreeze N`: three blocks with weights, and behind each cut the body gives the network's features."""
    backbone = resolve("small_cnn", "none")
    assert [block.name for block in backbone.trainable_blocks()] == ["blocks.0", "blocks.2", "blocks.4"]
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    wanted = backbone.features("pooled")(x)
    for block in backbone.trainable_blocks():
        body = backbone.trainable_part(block.end, "pooled")
        rows = backbone.features(body.source)(x).reshape(2, *body.shapes(backbone.split, (8, 8))[0])
        torch.testing.assert_close(body.module.eval()(rows), wanted)


@pytest.mark.parametrize("size", [3, 28])
def test_the_engines_agree(size: int) -> None:
    """OpenVINO and PyTorch differ by less than 1e-4 of the largest feature."""
    backbone = resolve("small_cnn", "none")
    pictures = np.random.default_rng(0).integers(0, 256, (3, size, size, 3), dtype=np.uint8)
    rows = [
        EngineChoice(name, "cpu", "float32").open(backbone, "pooled", backbone.preprocess.resized(size)).run(pictures)
        for name in ("openvino", "torch")
    ]
    assert np.abs(rows[0] - rows[1]).max() < 1e-4 * np.abs(rows[1]).max()


@pytest.mark.slow
def test_it_learns_digits_better_than_raw_pixels_from_fifty_of_each(tmp_path: Path) -> None:
    """From nothing, in their own size of 8 x 8, in a third of the steps that the rules choose."""
    learnt = execute(recipe(per_class=50, training={"epochs": 13}), tmp_path / "learnt")
    pixels = execute(recipe("pixels", per_class=50), tmp_path / "pixels")
    assert learnt.scores["run"]["image_size"] == [8, 8]
    accuracies = [run.scores["after"]["test"]["accuracy"] for run in (learnt, pixels)]
    assert accuracies[0] > accuracies[1] > 0.9


@pytest.mark.slow
def test_two_of_each_are_enough_to_beat_chance(tmp_path: Path) -> None:
    """Sixteen pictures to train on, far fewer than a batch: batch normalisation learns what it must."""
    run = execute(recipe(per_class=2, training={"epochs": 100}), tmp_path / "run")
    assert run.scores["after"]["test"]["accuracy"] > 0.3


def test_random_features_are_a_choice(tmp_path: Path) -> None:
    run = execute(recipe("features", backbone={"weights": "none"}), tmp_path / "run")
    assert run.scores["run"]["n_features"] == 576
    assert run.scores["after"]["test"]["accuracy"] > 0.5


def test_a_bundle_gives_the_answers_of_its_run(tmp_path: Path) -> None:
    run = execute(recipe(), tmp_path / "run")
    read = load_classifier(run.folder)
    assert (read.source.preprocess.height, read.source.preprocess.width) == (8, 8)
    own, theirs = (c.source.backbone.network().state_dict() for c in (run.classifier, read))
    assert all(torch.equal(own[name], theirs[name]) for name in own)


def test_its_weights_as_a_source_model_keep_their_size_and_are_trained_on(tmp_path: Path) -> None:
    """`headstart pretrain --architecture small_cnn`, then the last block of it on the same digits."""
    made = pretrain(recipe(), tmp_path / "own.safetensors")
    assert resolve("small_cnn", made.weights).preprocess == made.run.classifier.source.preprocess
    use = {"weights": str(made.weights)}
    run = execute(recipe("finetune", backbone=use, training={"unfreeze": 1}), tmp_path / "run")
    assert run.scores["training"]["blocks"] == 1
    assert run.scores["run"]["image_size"] == [8, 8]
