"""Fine-tuning and training from scratch, as runs: what is trained, what is kept, and that it can be repeated."""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from headstart import Recipe, execute, fit, load_classifier
from headstart.augment import named
from headstart.backbones import resolve
from headstart.cli import _main
from headstart.division import prepare
from headstart.errors import NotConverged, UserError
from headstart.feature_source import feature_source
from headstart.features import extract as extraction
from headstart.features import matrix
from headstart.features.extract import Extractor, Settings
from headstart.features.live import LiveRows
from headstart.features.matrix import allocate
from headstart.features.source import FeatureSource
from headstart.features.spaces import list_spaces, verify
from headstart.fitting import STATE
from headstart.heads import make_head
from headstart.images import ImageSet, write_split
from headstart.progress import silent
from headstart.recipe import TRAINED
from headstart.run import Run, with_split_beside
from headstart.tuning import state as saved
from headstart.tuning import tune as tuning
from headstart.tuning.rows import training_rows
from headstart.tuning.training_split import split_for_training
from headstart.tuning.tune import Tuned, tune_network
from headstart.views import NO_VIEWS, Views
from reading import table

GENTLE = 3e-5
"""A learning rate with which these few steps on an untrained network lower the validation loss."""
SPROUT = {"name": "sprout", "weights": "none", "image_size": 32}


pytestmark = pytest.mark.usefixtures("one_thread")


@cache
def brought() -> str:
    """A split.csv of 150 digits whose data bring 20 validation and 10 calibration pictures beside train and test."""
    data = {"source": "digits", "limit": 150, "evaluate": "holdout"}
    images = prepare(Recipe.from_dict({"method": "pixels", "data": data}))
    for part, n in (("val", 2), ("calibration", 1)):
        for k in range(10):
            own = np.flatnonzero((images.parts == "train") & (images.labels == k))
            images.parts[own[-n:]] = part
    path = Path(mkdtemp()) / "split.csv"
    write_split(images, path)
    return str(path)


def recipe(method: str = "finetune", engine: str = "torch", **sections: Any) -> Recipe:
    """A short training of the last two blocks of an untrained network on a few digits, some of them to validate."""
    data = sections.pop("data", {"split": brought()})
    training = {"threads": 1, "epochs": 3, "learning_rate": GENTLE, **sections.pop("training", {})}
    if method == "finetune":
        training.setdefault("unfreeze", 2)
    return Recipe.from_dict(
        {
            "method": method,
            "data": {"source": "digits", "limit": 150, **data},
            "backbone": {**SPROUT, **sections.pop("backbone", {})},
            "engine": {"name": engine},
            "training": training if method in TRAINED else {},
            **sections,
        }
    )


def timeless(history: Path) -> list[dict[str, str]]:
    return [{k: v for k, v in row.items() if not k.endswith("_s")} for row in table(history)]


def content(folder: Path) -> dict[str, bytes]:
    """The bundle's files; they hold no date."""
    return {file.name: file.read_bytes() for file in sorted((folder / "bundle").iterdir())}


def weights_in(folder: Path) -> dict[str, bytes]:
    """The bundle's files without the manifest and the card, in which notes are."""
    return {name: held for name, held in content(folder).items() if name not in ("manifest.json", "MODEL_CARD.md")}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return execute(recipe(), tmp_path_factory.mktemp("base") / "run")


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Run:
    chosen = recipe("scratch", training={"epochs": 4, "batch_size": 16, "learning_rate": 0.01})
    return execute(chosen, tmp_path_factory.mktemp("scratch") / "run")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two classes that differ in colour, and three files that are no pictures."""
    rng = np.random.default_rng(0)
    for name, colour in (("blue", (30, 30, 200)), ("red", (200, 30, 30))):
        folder = tmp_path / "pictures" / name
        folder.mkdir(parents=True)
        for i in range(20):
            pixels = np.clip(rng.normal(colour, 40, size=(32, 32, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{i:02d}.png")
        for i in (7, 13):
            (folder / f"{i:02d}.png").write_bytes(b"not a picture")
    return tmp_path / "pictures"


# ---- what a run writes


def test_the_history_begins_at_chance_then_comes_the_solved_top_then_the_epochs(base: Run) -> None:
    rows = table(base.folder / "history.csv")
    assert [(float(r["phase"]), float(r["epoch"])) for r in rows] == [(0, 0), (1, 0), (2, 1), (2, 2), (2, 3)]
    assert float(rows[0]["train_loss"]) == float(rows[0]["val_loss"]) == pytest.approx(math.log(10))
    assert float(rows[0]["val_accuracy"]) <= 0.3
    assert float(rows[1]["val_loss"]) < 0.5 * math.log(10)
    assert all(math.isfinite(float(r["val_loss"])) for r in rows)


def test_from_scratch_there_is_no_solved_top(scratch: Run) -> None:
    rows, told = table(scratch.folder / "history.csv"), scratch.scores["training"]
    assert [float(r["phase"]) for r in rows] == [0, 2, 2, 2, 2]
    assert float(rows[0]["val_loss"]) == pytest.approx(math.log(10))
    assert "frozen" not in told
    assert told["whole"] and told["blend"] is None


def test_the_scores_say_what_was_trained_and_with_which_numbers(base: Run) -> None:
    told, plan = base.scores["training"], base.scores["training"]["plan"]
    assert (told["trained_from"], told["blocks"], told["whole"]) == ("stages.2.0", 2, False)
    assert told["rows"] == base.scores["counts"]["train"]
    assert 0 < told["parameters"] < told["parameters_of_network"]
    assert (plan["epochs"], plan["learning_rate"], plan["threads"], plan["batch_size"]) == (
        3,
        GENTLE,
        1,
        30,
    )  # 90 pictures in three batches
    sources = {c["name"]: (c["value"], c["source"]) for c in told["choices"]}
    assert sources["epochs"] == (3, "as asked")
    assert sources["layer_decay"][0] == 0.75 and sources["layer_decay"][1] != "as asked"
    assert told["best_epoch"] == 3


@pytest.mark.slow
def test_the_frozen_scores_are_those_of_the_method_features(base: Run, tmp_path: Path) -> None:
    """The same head on the same pictures' frozen features; where validation likes no epoch better, it is kept."""
    data = {"evaluate": "holdout"}  # nothing to validate: both learn from all but the test part
    plain = {"name": "logistic", "options": {"root": False, "normalise": False}}  # shaped rows are no network's layer
    features = execute(recipe("features", data=data, head=plain), tmp_path / "features").scores
    tuned = execute(recipe(data=data, head=plain, training={"epochs": 1}), tmp_path / "tuned").scores
    assert tuned["training"]["frozen"].keys() == features["after"].keys() == {"train", "test"}
    for part, frozen in tuned["training"]["frozen"].items():
        assert frozen["accuracy"] == features["after"][part]["accuracy"]
        assert frozen["log_loss"] == pytest.approx(features["after"][part]["log_loss_uncalibrated"], abs=1e-3)
    harsh = execute(recipe(training={"learning_rate": 0.01}), tmp_path / "harsh").scores
    assert harsh["training"]["best_epoch"] == 0
    assert harsh["after"]["test"]["accuracy"] == base.scores["training"]["frozen"]["test"]["accuracy"]
    assert any("No epoch" in note for note in harsh["notes"])


def test_only_the_blocks_behind_the_cut_change(base: Run) -> None:
    before = resolve("sprout", "none").network().state_dict()
    after = load_file(base.folder / "bundle" / "backbone.safetensors")
    changed = {name for name, value in after.items() if not np.array_equal(value, before[name].numpy())}
    trained = {name for name in after if name.startswith(("stages.2.", "norm."))}
    still = {name for name in trained if "running_" in name or name.endswith("num_batches_tracked")}
    assert changed == trained - still


def test_a_balanced_class_weight_weighs_the_losses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def caught(task: Any, *rest: Any, **more: Any) -> None:
        counts = np.bincount(task.batches.labels)
        np.testing.assert_allclose(task.class_weights.numpy(), counts.sum() / (len(counts) * counts), rtol=1e-6)
        raise UserError("seen")

    monkeypatch.setattr(tuning, "train", caught)
    with pytest.raises(UserError, match="seen"):
        execute(recipe(head={"class_weight": "balanced"}), tmp_path / "run")


# ---- the bundle


def agree(run: Run) -> None:
    """The whole network in the bundle says what the run's own body said on stored rows."""
    classifier = load_classifier(run.folder)
    assert classifier.source.engine.name == "openvino"
    probabilities, _ = classifier.predict_proba(run.images)
    columns = [f"p:{name}" for name in classifier.classes]
    told = np.array([[float(row[c]) for c in columns] for row in table(run.folder / "predictions.csv")])
    np.testing.assert_allclose(probabilities, told, atol=1e-4)


def test_the_bundle_says_what_the_run_said(base: Run) -> None:
    agree(base)


def test_the_bundle_of_a_network_from_scratch_says_what_the_run_said(scratch: Run) -> None:
    agree(scratch)


def test_the_bundle_agrees_for_the_flattened_last_map_and_a_head_with_a_hidden_layer(tmp_path: Path) -> None:
    head = {"name": "mlp", "options": {"hidden": [16], "epochs": 2}}
    run = execute(recipe(head=head, backbone={"layer": "last_conv"}, training={"epochs": 2}), tmp_path / "run")
    assert run.scores["run"]["n_features"] == 320 * 4 * 4
    agree(run)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size", "unfreeze", "method"),
    [
        pytest.param("nasnetalarge", 96, 1, "finetune", marks=pytest.mark.exhaustive),
        pytest.param("densenet121", 64, "features.denseblock4", "finetune", marks=pytest.mark.exhaustive),
        ("mobilenetv2_035", 64, "all", "finetune"),
        ("mobilenetv2_035", 64, None, "scratch"),
    ],
)
def test_the_bundle_agrees_for_real_architectures(
    name: str, size: int, unfreeze: Any, method: str, tmp_path: Path
) -> None:
    """A cut that carries two tensors (NASNet), one that carries one, and whole networks."""
    chosen = recipe(
        method,
        engine="openvino",
        data={"limit": 80},
        backbone={"name": name, "image_size": size},
        training={"unfreeze": unfreeze, "epochs": 1, "head_first": False, "blend": False},
    )
    run = execute(chosen, tmp_path / "run")
    assert run.scores["training"]["whole"] is (unfreeze in (None, "all"))
    agree(run)


def test_a_fine_tuned_file_can_be_fine_tuned_again(base: Run, tmp_path: Path) -> None:
    weights = base.folder / "bundle" / "backbone.safetensors"
    again = execute(recipe(backbone={"weights": str(weights)}, training={"unfreeze": 1}), tmp_path / "again")
    assert again.scores["training"]["trained_from"] == "stages.2.1"
    frozen, ended = again.scores["training"]["frozen"]["train"], base.scores["after"]["train"]
    assert frozen["accuracy"] == pytest.approx(ended["accuracy"], abs=0.1)


# ---- nothing is done twice


def test_a_second_run_and_another_head_on_the_same_cut_compute_nothing(base: Run, tmp_path: Path) -> None:
    second = execute(recipe(), tmp_path / "second")
    other = execute(recipe(head={"name": "linear"}, training={"epochs": 1}), tmp_path / "other")
    for run in (second, other):
        assert (run.scores["counts"]["decoded"], run.scores["counts"]["computed"]) == (0, 0)
        assert run.scores["counts"]["reused"] == run.scores["counts"]["images"] == 150
    assert content(second.folder) == content(base.folder)
    assert timeless(second.folder / "history.csv") == timeless(base.folder / "history.csv")


@pytest.mark.slow
def test_rows_that_are_stored_or_computed_anew_or_kept_in_memory_train_the_same_weights(
    base: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the matrix is a mapped file."""
    live = execute(recipe(training={"disk_gb": 0}), tmp_path / "live")
    assert any("disk_gb = 0" in note for note in live.scores["notes"])
    assert live.scores["training"]["stored_mb"] == live.scores["training"]["trunk_runs_saved"] == 0
    monkeypatch.setattr(matrix, "allocate", lambda shape, dtype: allocate(shape, dtype, in_memory=0))
    unstored = execute(recipe(), tmp_path / "unstored", store=False)
    assert unstored.scores["counts"]["computed"] == 150
    assert weights_in(live.folder) == weights_in(unstored.folder) == weights_in(base.folder)


def test_a_store_that_cannot_be_written_is_a_note(base: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setattr("headstart.run.features_dir", lambda: tmp_path / "file")
    run = execute(recipe(), tmp_path / "run")
    assert any("not stored" in note for note in run.scores["notes"])
    assert weights_in(run.folder) == weights_in(base.folder)


def test_the_written_recipe_repeats_the_run_to_the_same_weights(base: Run, tmp_path: Path) -> None:
    written = base.folder / "recipe.toml"
    again = execute(with_split_beside(Recipe.load(written), written), tmp_path / "again")
    assert content(again.folder) == content(base.folder)


def test_the_number_of_threads_that_was_measured_is_in_the_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(saved, "fastest_threads", lambda step: step() or 2)
    run = execute(recipe(training={"threads": None, "epochs": 1}, data={"limit": 60}), tmp_path / "run")
    assert Recipe.load(run.folder / "recipe.toml").training.threads == 2
    assert run.scores["training"]["plan"]["threads"] == 2


@pytest.mark.slow
def test_looking_for_a_learning_rate_changes_nothing(base: Run, tmp_path: Path) -> None:
    run = execute(recipe(training={"find_rate": True}), tmp_path / "run")
    assert content(run.folder) == content(base.folder)
    rates = [float(row["learning_rate"]) for row in table(run.folder / "learning_rates.csv")]
    assert len(rates) > 3 and rates == sorted(rates)
    assert not (base.folder / "learning_rates.csv").exists()


# ---- without validation pictures


def blind(tmp_path: Path, method: str = "finetune", **sections: Any) -> Recipe:
    """The same training where the data bring a test part and nothing is held back."""
    images = prepare(recipe(data={"limit": 60}))
    split = tmp_path / "split.csv"
    write_split(replace(images, parts=np.where(images.parts == "test", "test", "train")), split)
    return recipe(method, data={"limit": 60, "split": str(split)}, **sections)


def test_without_validation_all_pictures_train_and_the_last_epoch_is_kept(tmp_path: Path) -> None:
    run = execute(blind(tmp_path), tmp_path / "run")
    told = run.scores["training"]
    assert told["rows"] == 60 - run.scores["counts"]["test"]
    assert told["best_epoch"] == told["plan"]["epochs"] == 3
    assert told["plan"]["patience"] == 0 and told["blend"] == 0.5
    assert any("all 3 epochs were run and the last one kept" in note for note in run.scores["notes"])


def test_without_validation_the_weights_are_half_way_to_the_trained_ones(tmp_path: Path) -> None:
    half = execute(blind(tmp_path), tmp_path / "half")
    whole = execute(blind(tmp_path, training={"blend": False}), tmp_path / "whole")
    start = resolve("sprout", "none").network().state_dict()["stages.2.1.conv.weight"].numpy()
    ends = [load_file(r.folder / "bundle" / "backbone.safetensors")["stages.2.1.conv.weight"] for r in (half, whole)]
    np.testing.assert_allclose(ends[0], (start + ends[1]) / 2, atol=1e-6)


@pytest.mark.slow
def test_test_accuracy_by_epoch_is_measured_at_a_dozen_epochs_and_chooses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sorted(tuning.epochs_to_watch(40)) == [0, 1, 2, 3, 4, 5, 7, 10, 15, 20, 29, 40]
    chosen = blind(tmp_path, "scratch", training={"epochs": 12, "batch_size": 16})
    seen = execute(chosen, tmp_path / "seen")
    rows = [row for row in table(seen.folder / "history.csv") if row["test_accuracy"]]
    assert [int(float(row["epoch"])) for row in rows] == [0, 1, 2, 3, 4, 5, 6, 8, 10, 12]
    assert float(rows[-1]["test_accuracy"]) == pytest.approx(seen.scores["after"]["test"]["accuracy"])
    assert not any(row.get("val_loss") for row in table(seen.folder / "history.csv"))
    monkeypatch.setattr(tuning, "epochs_to_watch", lambda last: frozenset())
    assert weights_in(execute(chosen, tmp_path / "unseen").folder) == weights_in(seen.folder)


@pytest.mark.slow
def test_a_training_without_validation_that_was_stopped_goes_on_to_the_same_result(tmp_path: Path) -> None:
    """With the augmentation that was chosen for its pictures when it began."""
    chosen = blind(tmp_path, "scratch", training={"epochs": 6, "batch_size": 16})

    def stop(stage: str, done: int, total: int) -> None:
        if stage.startswith("train|") and done * 2 > total:
            raise Stopped

    with pytest.raises(Stopped):
        execute(chosen, tmp_path / "run", stop)
    execute(chosen, tmp_path / "run", resume=True)
    whole = execute(chosen, tmp_path / "whole")
    assert content(tmp_path / "run") == content(whole.folder)
    assert Recipe.load(whole.folder / "recipe.toml").augment.name == "digits"
    assert whole.scores["augment"]["name"] == "digits"


# ---- where the network is cut


@pytest.mark.parametrize(
    ("unfreeze", "first", "blocks"),
    [
        (None, "stages.1.2", 3),
        (1, "stages.2.1", 1),
        ("stages.2.1", "stages.2.1", 1),
        ("stages.1", "stages.1.0", 5),
        (6, "stages.0.1", 6),
        ("all", "stem", 8),
        (99, "stem", 8),
        ("stem", "stem", 8),
    ],
)
def test_a_number_a_block_or_a_stage_says_what_is_trained(unfreeze: Any, first: str, blocks: int) -> None:
    chosen = recipe(training={"unfreeze": unfreeze})
    place = split_for_training(chosen, feature_source(chosen, prepare(chosen)))
    assert (place.body.blocks[0].name, len(place.body.blocks)) == (first, blocks)
    assert place.whole is (blocks == 8)


def test_blocks_are_counted_from_the_layer_of_the_features() -> None:
    chosen = recipe(backbone={"layer": "stages.1.1"}, training={"unfreeze": 1})
    place = split_for_training(chosen, feature_source(chosen, prepare(chosen)))
    assert [unit.name for unit in place.body.blocks] == ["stages.1.1"]


# ---- a training that is stopped


class Stopped(Exception):
    """Stands for Ctrl-C, which the test's own runner would take for itself."""


@pytest.mark.slow
@pytest.mark.parametrize("epoch", [1, pytest.param(2, marks=pytest.mark.exhaustive)])
def test_a_stopped_training_goes_on_to_the_same_result(base: Run, tmp_path: Path, epoch: int) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        if stage.startswith("train|") and done * 3 > epoch * total:
            raise Stopped

    out, chosen = tmp_path / "run", recipe()
    with pytest.raises(Stopped):
        execute(chosen, out, stop)
    assert (out / STATE / "checkpoint.safetensors").is_file()
    for other in (recipe("features"), chosen):
        with pytest.raises(UserError, match=r"unfinished training: add `resume` .* or name another `out`"):
            execute(other, out)
    with pytest.raises(UserError, match=r"different settings; repeat them, see .*recipe\.toml"):
        execute(recipe(training={"epochs": 4}), out, resume=True)
    done = execute(chosen, out, resume=True)
    assert done.scores["training"]["resumed_at"] is not None
    assert content(out) == content(base.folder)
    assert [r["val_loss"] for r in table(out / "history.csv")] == [
        r["val_loss"] for r in table(base.folder / "history.csv")
    ]
    assert not (out / STATE).exists()


def test_other_pictures_are_refused_on_resume(pictures: Path, tmp_path: Path) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        if stage.startswith("train|") and done * 3 > total:
            raise Stopped

    chosen = recipe(data={"source": str(pictures), "limit": None})
    with pytest.raises(Stopped):
        execute(chosen, tmp_path / "run", stop)
    Image.new("RGB", (32, 32), (200, 40, 40)).save(pictures / "red" / "00.png")
    with pytest.raises(UserError, match="belongs to another training"):
        execute(chosen, tmp_path / "run", resume=True)


def test_resume_needs_a_run_that_was_stopped(base: Run, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="`resume` needs `out`"):
        execute(recipe(), resume=True)
    for folder in (base.folder, tmp_path / "new"):
        with pytest.raises(UserError, match="holds no unfinished training; leave `resume` out"):
            execute(recipe(), folder, resume=True)
    with pytest.raises(UserError, match="leave it out with method=features"):
        execute(recipe("features"), base.folder, resume=True)


COMMAND = [sys.executable, "-c", "from headstart.cli import main; main()"]
LONG = [
    "fit", "digits", "--limit", "300", "--backbone", "sprout", "--weights", "none",
    "--image-size", "32", "--method", "finetune",
    "--epochs", "12", "--learning-rate", "1e-5", "--train", "threads=1", "--train", "patience=0", "--engine", "torch",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.exhaustive
def test_a_process_killed_three_times_ends_in_the_same_run(tmp_path: Path) -> None:
    """SIGKILL at random moments after the state's folder appears."""
    environment = {**os.environ, "HEADSTART_CACHE": str(tmp_path / "cache")}
    whole, out = tmp_path / "whole", tmp_path / "killed"
    began = time.monotonic()
    subprocess.run([*COMMAND, *LONG, "--out", str(whole)], env=environment, check=True, capture_output=True)
    trained = json.loads((whole / "scores.json").read_text())["training"]["train_s"]
    assert time.monotonic() - began > trained
    kills = 0
    for resume in ([], ["--resume"], ["--resume"]):
        process = subprocess.Popen(
            [*COMMAND, *LONG, "--out", str(out), *resume],
            env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        while not (out / STATE / "checkpoint.safetensors").exists() and process.poll() is None:
            time.sleep(0.02)
        time.sleep(random.uniform(0, trained / 3) + (2 if resume else 0))
        process.kill()
        kills += process.wait() == -9
        if not (out / STATE).is_dir():
            break  # it came to its end before it was killed
    assert kills
    if (out / STATE).is_dir():
        subprocess.run(
            [*COMMAND, *LONG, "--out", str(out), "--resume"], env=environment, check=True, capture_output=True
        )
    assert content(out) == content(whole)
    kept = ("epoch", "phase", "train_loss", "test_loss", "train_accuracy", "test_accuracy")
    histories = [[[row[k] for k in kept] for row in table(folder / "history.csv")] for folder in (out, whole)]
    assert histories[0] == histories[1]
    assert not (out / STATE).exists()


# ---- settings of a training, one at a time


@pytest.fixture(scope="module")
def ready() -> tuple[ImageSet, FeatureSource]:
    chosen = recipe()
    images = prepare(chosen)
    return images, feature_source(chosen, images)


def trained(ready: tuple[ImageSet, FeatureSource], views: Views = NO_VIEWS, **training: Any) -> Tuned:
    images, source = ready
    chosen = recipe(training={"epochs": 2, **training})
    place = split_for_training(chosen, source)
    given = training_rows(place, images, views, Settings(), chosen, silent)
    head: Any = make_head("logistic", root=False, normalise=False)
    return tune_network(chosen, place, given, head, silent)


def weights_of(tuned: Tuned) -> dict[str, np.ndarray]:
    assert tuned.source.backbone is not None
    state = {name: value.numpy() for name, value in tuned.source.backbone.network().state_dict().items()}
    return state | {f"head.{i}": layer[0] for i, layer in enumerate(tuned.head.dense_layers())}


def differ(a: Tuned, b: Tuned) -> set[str]:
    one, other = weights_of(a), weights_of(b)
    return {name for name in one if not np.array_equal(one[name], other[name])}


OPEN = {"blend": False, "patience": 0, "head_first": False, "learning_rate": 1e-4, "epochs": 1}


@pytest.fixture
def last_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last epoch is kept, whatever validation says of so few pictures."""
    monkeypatch.setattr(tuning._Tuning, "_evaluate", lambda self, network, epoch: {})


@pytest.fixture(scope="module")
def ordinary(ready: tuple[ImageSet, FeatureSource]) -> Tuned:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning._Tuning, "_evaluate", lambda self, network, epoch: {})
        return trained(ready, **OPEN)


@pytest.mark.parametrize(
    "setting",
    [
        {"sampler": "balanced"}, {"optimiser": "sgd"}, {"mixup": 0.4}, {"clip": 0.001}, {"layer_decay": 0.3},
        *(pytest.param(setting, marks=pytest.mark.slow) for setting in (
            {"gradual": 1}, {"ema": 0.5}, {"label_smoothing": 0.2}, {"warmup": 0.5}, {"batch_size": 16},
            {"weight_decay": 0.9}, {"head_first": True},
        )),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.usefixtures("last_epoch")
def test_a_setting_changes_the_training(
    ready: tuple[ImageSet, FeatureSource], ordinary: Tuned, setting: dict[str, Any]
) -> None:
    told = trained(ready, **{**OPEN, **setting})
    changed = differ(ordinary, told)
    assert changed and not any("running_" in name for name in changed)
    assert {c["name"]: c["value"] for c in told.record.report["choices"]}.items() >= {
        k: v for k, v in setting.items() if k in ("mixup", "layer_decay", "batch_size", "head_first")
    }.items()


def test_blocks_that_wait_do_not_learn(ready: tuple[ImageSet, FeatureSource]) -> None:
    """With `gradual` beyond the last epoch the top alone is trained."""
    tuned = trained(ready, blend=False, gradual=9)
    assert tuned.record.report["gradual"] == 9
    before = resolve("sprout", "none").network().state_dict()
    after = weights_of(tuned)
    assert all(np.array_equal(after[name], value.numpy()) for name, value in before.items())


@pytest.mark.usefixtures("last_epoch")
def test_statistics_of_normalisations_move_only_where_they_are_trained(ready: tuple[ImageSet, FeatureSource]) -> None:
    before = resolve("sprout", "none").network().state_dict()
    for rule, moves in (("frozen", False), ("trained", True)):
        after = weights_of(trained(ready, **OPEN, batchnorm=rule))
        same = np.array_equal(after["stages.2.1.norm.running_mean"], before["stages.2.1.norm.running_mean"].numpy())
        assert same is not moves
        assert np.array_equal(after["stages.1.1.norm.running_mean"], before["stages.1.1.norm.running_mean"].numpy())


def test_without_blending_and_without_a_solved_top_the_report_says_so(ready: tuple[ImageSet, FeatureSource]) -> None:
    tuned = trained(ready, blend=False, head_first=False)
    assert tuned.record.report["blend"] is None
    assert tuned.record.frozen is None
    assert [row["phase"] for row in tuned.head.history_] == [0, 2, 2]


# ---- views


@pytest.mark.slow
@pytest.mark.usefixtures("last_epoch")
def test_stored_views_are_rows_like_any_other_and_train_as_computed_ones_do(tmp_path: Path) -> None:
    chosen = recipe(
        augment={"name": "digits", "views": 2, "tta": 2},
        data={"limit": 80},
        training={"epochs": 1, "blend": False},
    )
    run = execute(chosen, tmp_path / "run")
    told = run.scores["training"]
    assert told["best_epoch"] == 1
    assert told["rows"] == 3 * run.scores["counts"]["train"]
    assert told["trunk_runs_saved"] == told["rows"] + run.scores["counts"]["val"]
    classifier = load_classifier(run.folder)
    assert len(classifier.averaging) == 1
    judged = run.images.take(run.images.parts == "test")
    probabilities, _ = classifier.predict_proba(judged)
    written = [float(r["confidence"]) for r in table(run.folder / "predictions.csv") if r["split"] == "test"]
    np.testing.assert_allclose(probabilities.max(axis=1), written, atol=1e-4)
    live = chosen.model_copy(update={"training": chosen.training.model_copy(update={"disk_gb": 0.0})})
    assert weights_in(execute(live, tmp_path / "live").folder) == weights_in(run.folder)


def test_fresh_views_differ_between_epochs_and_repeat_for_a_seed(ready: tuple[ImageSet, FeatureSource]) -> None:
    images, source = ready
    pixels = FeatureSource(source.preprocess, layer="input")
    which = np.arange(6)

    def rows(seed: int, epoch: int) -> np.ndarray:
        return LiveRows(images, Extractor(pixels), Views(named("digits"), seed, 0), fresh=True).take(which, epoch)

    np.testing.assert_array_equal(rows(0, 1), rows(0, 1))
    for seed, epoch in ((0, 0), (0, 2), (1, 1)):
        assert not np.array_equal(rows(0, 1), rows(seed, epoch))
    views = Views(named("digits"), 0, 0)
    once, again = trained(ready, views, blend=False), trained(ready, views, blend=False)
    assert differ(once, again) == set()
    assert once.record.report["rows"] == (images.parts == "train").sum()
    assert once.record.report["trunk_runs_saved"] == 2 * (images.parts == "val").sum()


@pytest.mark.parametrize("disk_gb", [10.0, 0.0])
def test_pictures_that_cannot_be_read_are_left_out_and_listed(pictures: Path, tmp_path: Path, disk_gb: float) -> None:
    data = {"source": str(pictures), "limit": None}
    run = execute(recipe(data=data, training={"disk_gb": disk_gb, "epochs": 1}), tmp_path / "run")
    names = {row["name"] for row in table(tmp_path / "run" / "refused.csv")}
    assert names == {f"{kind}/{i:02d}.png" for kind in ("blue", "red") for i in (7, 13)}
    assert run.scores["counts"]["refused"] == 4
    assert len(table(tmp_path / "run" / "predictions.csv")) == 36


# ---- a loss that is not finite


def test_a_training_that_blows_up_names_the_rate_and_can_be_begun_anew(tmp_path: Path) -> None:
    harsh = recipe(training={"learning_rate": 1e30})
    with pytest.raises(NotConverged, match=r"\(learning rate .*e\+\d+\): lower learning_rate \(now 1e\+30\)\.$"):
        execute(harsh, tmp_path / "run")
    assert not (tmp_path / "run" / STATE).exists()  # nothing was learnt, so there is nothing to go on from
    assert execute(recipe(training={"epochs": 1}), tmp_path / "run").scores["training"]["plan"]["epochs"] == 1


def test_a_training_that_blows_up_later_says_where_the_last_good_state_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headstart.training.loop import _Loop

    learn = _Loop._learn

    def spoilt(self: Any, batch: Any) -> float:
        if self.at.epoch == 2:
            batch = batch._replace(inputs=tuple(x * float("nan") for x in batch.inputs))
        return learn(self, batch)

    monkeypatch.setattr(_Loop, "_learn", spoilt)
    with pytest.raises(NotConverged, match=r"in epoch 2, .*last good state is in .*, so name another `out`") as caught:
        execute(recipe(), tmp_path / "run")
    assert str(tmp_path / "run" / STATE) in str(caught.value)
    assert (tmp_path / "run" / STATE / "checkpoint.safetensors").is_file()


# ---- mistakes


FINETUNE = ["--method", "finetune"]
MISTAKES = [
    ([*FINETUNE, "--unfreeze", "0"], "--unfreeze 0: train at least 1 block"),
    ([*FINETUNE, "--unfreeze", "-2"], "--unfreeze -2: train at least 1 block"),
    ([*FINETUNE, "--unfreeze=--5"], "Unknown block of sprout '--5'"),
    ([*FINETUNE, "--unfreeze", "stage.2.1"], "did you mean stages.2.1"),
    ([*FINETUNE, "--layer", "stages.0.1", "--unfreeze", "stages.2"], "Unknown block of sprout 'stages.2'"),
    ([*FINETUNE, "--head", "knn"], "--head knn does not support; choose one of logistic, linear, mlp"),
    ([*FINETUNE, "--head", "ridge"], "--head ridge does not support"),
    ([*FINETUNE, "--head", "prototype"], "--head prototype does not support"),
    ([*FINETUNE, "--set", "C=abc"], "The head logistic takes a number for C, not 'abc'."),
    ([*FINETUNE, "--train", "lerning_rate=1"], "did you mean learning_rate"),
    ([*FINETUNE, "--train", "mixup=inf"], "--train mixup=inf is not possible"),
    ([*FINETUNE, "--train", "ema=1"], "--train ema=1 is not possible"),
    ([*FINETUNE, "--train", "warmup=1.0"], "--train warmup=1.0 is not possible"),
    ([*FINETUNE, "--train", "threads=0"], "--train threads=0 is not possible"),
    ([*FINETUNE, "--train", "batchnorm=no"], "--train batchnorm='no' is not possible"),
    ([*FINETUNE, "--train", "sampler"], "write NAME=VALUE"),
    ([*FINETUNE, "--learning-rate", "0"], "--train learning_rate=0.0 is not possible"),
    ([*FINETUNE, "--learning-rate", "inf"], "--train learning_rate=inf is not possible"),
    ([*FINETUNE, "--learning-rate", "1e30"], "lower learning_rate (now 1e+30)"),
    ([*FINETUNE, "--resume"], "--resume needs --out"),
    (["--method", "features", "--epochs", "3"], "epochs: only for training a network; add --method finetune (or scr"),
    (["--method", "pixels", "--epochs", "3"], "epochs: only for training a network; add --method finetune"),
    (["--method", "features", "--train", "epochs=5", "--head", "mlp"], "or give the head its own with --set epochs=5."),
    (["--method", "scratch", "--weights", "own.safetensors"], "leave --weights own.safetensors out"),
    (["--method", "scratch", "--unfreeze", "2"], "leave --unfreeze 2 out"),
    (["--method", "scratch", "--train", "head_first=true"], "from scratch there are none"),
    (["--method", "scratch", "--head", "mlp", "--set", "dropout=2"], "cannot be fitted with dropout=2"),
]


@pytest.mark.parametrize(("arguments", "said"), MISTAKES, ids=[" ".join(a) for a, _ in MISTAKES])
def test_a_mistake_is_one_clear_sentence_and_exit_code_2(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    common = ["fit", "digits", "--limit", "60", "--backbone", "sprout", "--image-size", "32", "--engine", "torch"]
    common += ["--train", "threads=1"] if "threads" not in said and arguments[1] in TRAINED else []
    weights = [] if "--weights" in arguments else ["--weights", "none"]
    assert _main([*common, *weights, *arguments]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    told = [line for line in lines if line.startswith("Error: ")]
    assert len(told) == 1 and told[0] == lines[-1]
    assert said in told[0]


def test_raw_pixels_have_no_network_to_train() -> None:
    place = FeatureSource(feature_source(recipe(), prepare(recipe())).preprocess)
    with pytest.raises(UserError, match="Without a backbone there is nothing to train"):
        split_for_training(recipe(), place)


# ---- large matrices, and pixels in the store


def test_a_large_matrix_is_a_mapped_file_without_a_name(own_cache: Path) -> None:
    mapped = allocate((50, 7), np.float32, in_memory=0)
    assert isinstance(mapped, np.memmap)
    mapped[:] = np.arange(350).reshape(50, 7)
    assert mapped[49, 6] == 349
    assert isinstance(allocate((50, 7), np.float32), np.ndarray)
    assert list((own_cache / "scratch").iterdir()) == []


def test_a_matrix_for_which_the_disk_has_no_room_is_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Room is taken at once: a disk that fills up under a mapped file ends the process without a word."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    found = allocate((50, 7), np.uint8, in_memory=0)
    assert not isinstance(found, np.memmap) and found.shape == (50, 7)


def test_pixels_are_stored_as_bytes_and_a_flipped_one_is_seen(tmp_path: Path) -> None:
    chosen = recipe("scratch")
    images = prepare(chosen).take(np.arange(20))
    source = FeatureSource(feature_source(chosen, images).preprocess, layer="input")
    first = extraction.extract(images, source, Settings(tmp_path))
    assert first.features.dtype == np.uint8 and first.features.shape == (20, 32 * 32 * 3)
    again = extraction.extract(images, source, Settings(tmp_path))
    np.testing.assert_array_equal(first.features, again.features)
    assert again.counts.reused == 20 and again.features.dtype == np.uint8
    (space,) = list_spaces(tmp_path)
    assert space.rows == 20 and [bad for _, bad in verify(tmp_path)] == [0]

    data = tmp_path / space.id / "data.mdb"
    stored = bytearray(data.read_bytes())
    at = stored.find(first.features[3].tobytes()[:200])
    assert at > 0
    stored[at + 100] ^= 1
    stamp = data.stat()
    data.write_bytes(stored)
    os.utime(data, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert [bad for _, bad in verify(tmp_path)] == [1]
    mended = extraction.extract(images, source, Settings(tmp_path))
    assert mended.counts.corrupt == mended.counts.computed == 1
    np.testing.assert_array_equal(first.features, mended.features)


def test_a_mapped_matrix_gives_the_same_features(
    ready: tuple[ImageSet, FeatureSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    images, source = ready
    plain = extraction.extract(images, replace(source, layer="pooled"))
    monkeypatch.setattr(matrix, "allocate", lambda shape, dtype: allocate(shape, dtype, in_memory=0))
    mapped = extraction.extract(images, replace(source, layer="pooled"))
    assert isinstance(mapped.features, np.memmap)
    np.testing.assert_array_equal(plain.features, mapped.features)


def test_a_rate_that_makes_features_infinite_is_told_and_leaves_nothing_to_go_on_from(tmp_path: Path) -> None:
    """One step, after which no loss is computed: the weights are finite, and what they give is not."""
    asked = {"method": "finetune", "backbone": "sprout", "limit": 30, "store": False, "out": tmp_path / "run"}
    with pytest.raises(NotConverged, match=r"lower `?learning_rate"):
        fit("digits", training={"epochs": 1, "learning_rate": 1e6, "batch_size": 32}, **asked)
    assert not (tmp_path / "run" / "training").exists()
