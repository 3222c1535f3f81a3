"""A source model: trained from nothing, written as weights that `--weights` takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from headstart import Recipe, compare, execute
from headstart.backbones import resolve
from headstart.backbones.with_weights import headless
from headstart.cli import _main
from headstart.errors import UserError
from headstart.features.extract import extract
from headstart.features.source import FeatureSource
from headstart.fitting import STATE
from headstart.pretraining.source import LICENCE, Pretrained, pretrain, run_folder
from headstart.report.headline import headline
from headstart.study.notes import SEEN

pytestmark = pytest.mark.usefixtures("one_thread")


def recipe(architecture: str = "sprout", **sections: Any) -> Recipe:
    training = {"threads": 1, "epochs": 3, "batch_size": 16, "learning_rate": 0.01, **sections.pop("training", {})}
    backbone = {"name": architecture, "image_size": 32, **sections.pop("backbone", {})}
    return Recipe.from_dict(
        {
            "data": {"source": "digits", "limit": 120},
            "backbone": backbone,
            "engine": {"name": "torch"},
            "training": training,
            **sections,
        }
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Pretrained:
    return pretrain(recipe(), tmp_path_factory.mktemp("source") / "own.safetensors")


def test_the_weights_are_written_with_their_sidecar_and_the_run_beside_them(made: Pretrained) -> None:
    folder = made.weights.parent
    assert {path.name for path in folder.iterdir()} == {"own.safetensors", "own.json", "own-run"}
    assert resolve("sprout", made.weights).weights.licence == LICENCE
    assert made.run.folder == run_folder(made.weights) == folder / "own-run"
    assert made.run.scores["run"]["method"] == "scratch"
    assert made.run.scores["training"]["whole"]


@pytest.mark.parametrize("name", ["own.safetensors", "own.json"])
def test_files_that_were_not_pretrained_here_are_never_replaced(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(UserError, match="would be replaced"):
        pretrain(recipe(), tmp_path / "own.safetensors")
    assert (tmp_path / name).read_text() == "mine"


def test_the_classifier_is_left_out(made: Pretrained) -> None:
    assert not any(name.startswith("classifier") for name in load_file(made.weights))


def test_features_of_the_written_weights_are_those_of_the_network_that_was_trained(made: Pretrained) -> None:
    own = made.run.classifier.source
    read = resolve("sprout", made.weights)
    assert (read.preprocess.height, read.preprocess.width) == (32, 32)
    images = made.run.images.take(np.arange(12))
    features = [extract(images, source).features for source in (own, FeatureSource(own.preprocess, read, "pooled"))]
    np.testing.assert_allclose(features[0], features[1], rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "judge"), [("features", "cv"), ("finetune", "test")])
def test_a_head_is_fitted_on_the_weights_and_they_are_trained_on(
    made: Pretrained, tmp_path: Path, method: str, judge: str
) -> None:
    chosen = recipe(
        method=method, backbone={"weights": str(made.weights)}, training={"epochs": 1, "learning_rate": 1e-5}
    )
    scores = execute(chosen, tmp_path / "run").scores
    assert scores["run"]["weights"] == str(made.weights)
    assert 0 <= scores["after"][judge]["accuracy"] <= 1


@pytest.mark.parametrize("name", ["own.pth", "own", "own.safetensors.zip"])
def test_another_ending_is_refused_before_anything_is_done(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"must end in \.safetensors"):
        pretrain(recipe(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


class Stopped(Exception):
    """Stands for Ctrl-C."""


@pytest.mark.slow
def test_a_stopped_one_goes_on_to_the_same_weights(made: Pretrained, tmp_path: Path) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        if stage.startswith("train|") and 2 * done > total:
            raise Stopped

    out = tmp_path / "own.safetensors"
    with pytest.raises(Stopped):
        pretrain(recipe(), out, stop)
    assert not out.exists() and (run_folder(out) / STATE).is_dir()
    with pytest.raises(UserError, match="unfinished training: add `resume`"):
        pretrain(recipe(), out)
    assert pretrain(recipe(), out, resume=True).run.scores["training"]["resumed_at"]
    assert out.read_bytes() == made.weights.read_bytes()
    assert not (run_folder(out) / STATE).exists()


def test_sprout_refuses_options_that_it_would_ignore(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert _main(["pretrain", "sprout", "--limit", "5", "--train", "mixup=0.2", "--group-column", "g"]) == 2
    assert "leave --limit, --train and --group-column out" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--out is missing"),
        (["--out", "own.pth"], "must end in .safetensors"),
        (["--out", "own.safetensors", "--architecture", "sprot"], "did you mean sprout"),
        (["--out", "own.safetensors", "--resume"], "holds no unfinished training"),
        (["--out", "own.safetensors", "--train", "mixxup=1"], "did you mean mixup"),
        (["--out", "own.safetensors", "--train", "unfreeze=2"], "leave --unfreeze 2 out"),
    ],
    ids=str,
)
def test_a_mistake_is_one_sentence(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert _main(["pretrain", "digits", "--limit", "60", "--image-size", "32", "--epochs", "1", *arguments]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1 and said in errors[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenetv2_035", "torchvision:squeezenet1_1", "torchvision:alexnet", "vgg11"])
def test_networks_of_libraries_lose_their_classifier_and_nothing_else(name: str) -> None:
    whole = resolve(name, "none")
    bare = headless(whole, whole.preprocess, LICENCE)
    x = torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        torch.testing.assert_close(bare.features("pooled")(x), whole.features("pooled")(x))


@pytest.mark.slow
def test_another_architecture_is_trained_and_used(tmp_path: Path) -> None:
    chosen = recipe("mobilenetv2_035", training={"epochs": 1}, backbone={"image_size": 64})
    written = pretrain(chosen, tmp_path / "mobile.safetensors")
    use = recipe("mobilenetv2_035", method="features", backbone={"weights": str(written.weights), "image_size": 64})
    assert execute(
        use.model_copy(update={"training": Recipe.from_dict({"data": {"source": "digits"}}).training}), tmp_path / "run"
    ).scores


def test_pictures_that_the_source_model_was_trained_on_are_told_where_they_judge(
    made: Pretrained, tmp_path: Path
) -> None:
    """By fit in its headline and its notes, by a study in its notes; other pictures say nothing."""
    weights = {"name": "sprout", "weights": str(made.weights)}
    data = {"source": "digits", "limit": 120}
    again = execute(Recipe.from_dict({"data": data, "backbone": weights}), tmp_path / "again", store=False)
    seen = again.content.seen_by_network
    assert seen == 120 - made.run.scores["counts"].get("test", 0) > 0
    assert f"named correctly, but the network itself was trained on {seen} of them" in headline(again.content)
    assert any(note.startswith("The network itself (own.safetensors) was trained on") for note in again.content.notes)
    bundled = {"name": "sprout", "weights": str(again.folder / "bundle" / "backbone.safetensors")}
    frozen = execute(Recipe.from_dict({"data": data, "backbone": bundled}), tmp_path / "frozen", store=False)
    assert frozen.content.seen_by_network is None  # a bundle whose network was not trained on its pictures
    mine = execute(Recipe.from_dict({"data": data, "backbone": {"name": "sprout"}}), tmp_path / "mine", store=False)
    assert mine.content.seen_by_network is None
    study = compare(
        "digits", arms=[f"sprout@{made.weights}", "pixels"], sizes=[2], repeats=2, limit=120, store=False,
        out=tmp_path / "study",
    )  # fmt: skip
    (note,) = [note for note in study.verdicts["notes"] if note.startswith(SEEN)]
    assert re.search(r"\(own\.safetensors\) was trained on \d+ of the \d+ pictures of this study", note)
    assert note.endswith(("so its accuracy here is too good.", "so it knew more of them than the other arms."))
