"""The same work on a cluster of two nodes, made on this machine, as by one process; each node has one core."""

from __future__ import annotations

import errno
import json
import logging
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from headstart import api, feature_files, inference
from headstart.cluster.connect import load_ray
from headstart.cluster.features import features
from headstart.cluster.predict import Asked, predict
from headstart.cluster.tasks import spread_on
from headstart.errors import DataError, HeadstartError, UserError
from headstart.features.shards import FeatureShards
from headstart.heads import make_head
from headstart.heads.solver import blocks
from headstart.images import load
from headstart.recipe import Recipe
from headstart.run import Run
from headstart.sharded import Sharded

pytest.importorskip("ray", reason="Ray is not installed: pip install 'headstart[cluster]'")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")]  # of its own settings
STORE = 200_000_000


@dataclass
class TwoNodes:
    """The cluster, and the node that a test may end."""

    cluster: Any
    second: Any

    def end_second(self) -> None:
        """As a machine that is switched off."""
        self.cluster.remove_node(self.second, allow_graceful=False)
        self.second = None

    def kill_worker(self) -> int:
        """End the process that trains on the second node, as when its memory is full."""
        raylet = self.second.all_processes["raylet"][0].process.pid
        for pid in Path(f"/proc/{raylet}/task/{raylet}/children").read_text().split():
            if b"TrainWorker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(int(pid), signal.SIGKILL)
                return int(pid)
        return 0

    def mend(self) -> None:
        """Two nodes again."""
        if self.second is None:
            self.second = self.cluster.add_node(num_cpus=1, object_store_memory=STORE)
            self.cluster.wait_for_nodes()


@pytest.fixture(scope="module")
def started() -> Iterator[TwoNodes]:
    ray = load_ray()
    from ray.cluster_utils import Cluster

    prompt = {  # a lost node is missed at once, and workers do not step back behind the tests beside them
        "health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 3,
        "worker_niceness": 0,
    }  # fmt: skip
    head = {"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False, "_system_config": prompt}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    second = cluster.add_node(num_cpus=1, object_store_memory=STORE)
    ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR)
    yield TwoNodes(cluster, second)
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def nodes(started: TwoNodes) -> TwoNodes:
    started.mend()
    return started


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 digits as PNG files, and one that is none."""
    root, digits = tmp_path_factory.mktemp("photos"), load("digits")
    for i in range(600):
        folder = root / digits.classes[digits.labels[i]]
        folder.mkdir(exist_ok=True)
        Image.fromarray(digits.read(i)).save(folder / f"{i:04d}.png")
    (root / "0" / "broken.png").write_bytes(b"no picture")
    return root


def recipe(photos: Path | str) -> Recipe:
    """Features of sprout."""
    return Recipe.from_dict({"data": {"source": str(photos)}, "backbone": {"name": "sprout"}})


@pytest.fixture(scope="module")
def alone(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The extraction of one process."""
    return feature_files.features(recipe(photos), tmp_path_factory.mktemp("alone") / "features.npz")


@pytest.fixture(scope="module")
def shards(started: TwoNodes, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The features of the pictures, by the cluster."""
    started.mend()
    out = tmp_path_factory.mktemp("shards") / "features"
    features(recipe(photos), str(out), "auto")
    return out


@pytest.fixture(scope="module")
def run(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A classifier of some of the pictures."""
    return api.fit(photos, backbone="sprout", head="ridge", limit=300, out=tmp_path_factory.mktemp("fitted") / "run")


def rows_of(folder: Path) -> np.ndarray:
    found = FeatureShards.at(folder)
    assert found is not None
    return np.concatenate([rows for rows, _ in found.rows()])


def test_features_are_those_of_one_process_also_when_a_node_is_lost_and_none_is_computed_twice(
    nodes: TwoNodes, photos: Path, alone: Any, tmp_path: Path
) -> None:
    def ended(stage: str, done: int, total: int) -> None:
        if done and nodes.second is not None:
            nodes.end_second()

    first = features(recipe(photos), str(tmp_path / "shards"), "auto", ended)
    assert nodes.second is None and first.computed == 601
    assert np.array_equal(rows_of(tmp_path / "shards"), alone.features)
    assert [(r.name, r.reason) for r in first.refused] == [("0/broken.png", "not-an-image")]
    again = features(recipe(photos), str(tmp_path / "shards"), "auto")
    assert again.computed == 0 and again.manifest == first.manifest
    shard = tmp_path / "shards" / first.manifest.shards[1].file
    shard.unlink()
    (tmp_path / "shards" / "manifest.json").unlink()
    assert features(recipe(photos.as_uri()), str(tmp_path / "other"), "auto").computed == 601
    assert np.array_equal(rows_of(tmp_path / "other"), alone.features)
    mended = features(recipe(photos), str(tmp_path / "shards"), "auto")
    assert mended.computed == 256 and mended.manifest == first.manifest


def test_a_strict_extraction_ends_with_its_own_sentence_and_relative_paths_are_found(
    nodes: TwoNodes, photos: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = recipe(photos).model_copy(update={"data": recipe(photos).data.model_copy(update={"strict": True})})
    with pytest.raises(UserError, match=r"^0/broken.png cannot be used \(not-an-image"):
        features(strict, str(tmp_path / "strict"), "auto")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "1.png").write_bytes((photos / load(photos).names[0]).read_bytes())
    monkeypatch.chdir(tmp_path)
    found = predict(str(run.folder), ["here"], str(tmp_path / "out"), "auto")  # workers are in another folder
    assert found.manifest.rows == 1


def test_predictions_are_those_of_one_process(nodes: TwoNodes, photos: Path, run: Run, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    told = inference.predict(run.folder, [str(photos)], coverage=0.9)
    made = predict(str(run.folder), [str(photos)], str(tmp_path / "out"), "auto", Asked(topk=2, coverage=0.9))
    rows = [row for shard in made.manifest.shards for row in pq.read_table(tmp_path / "out" / shard.file).to_pylist()]
    assert rows == told.rows(2)
    assert made.refused == told.refused and made.manifest.classes == told.classes


def test_predictions_of_no_usable_picture_are_an_error(nodes: TwoNodes, run: Run, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    for _ in range(2):  # the second finds the refused picture of the first
        with pytest.raises(DataError, match=r"^None of the 1 pictures of .* can be used; .* lists why\.$"):
            predict(str(run.folder), [str(tmp_path / "broken.png")], str(tmp_path / "out"), "auto")


def test_a_damaged_shard_is_named_and_a_folder_with_other_files_is_left_alone(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(UserError, match=r"holds other files"):
        features(recipe(photos), str(tmp_path), "auto")
    assert FeatureShards.at(tmp_path) is None
    with pytest.raises(DataError, match="holds no file"):
        features(recipe((tmp_path / "nothing").as_uri()), str(tmp_path / "out"), "auto")


def test_a_head_on_shards_scores_as_one_on_pictures_and_says_how_it_was_fitted(
    shards: Path, photos: Path, tmp_path: Path
) -> None:
    asked: dict[str, Any] = {"evaluate": "holdout"}
    plain = api.fit(photos, backbone="sprout", out=tmp_path / "plain", **asked)
    found = api.fit(shards, out=tmp_path / "run", **asked)
    test, known = found.scores["after"]["test"], plain.scores["after"]["test"]
    assert test["n"] == known["n"] and test["accuracy"] == pytest.approx(known["accuracy"], abs=0.005)
    assert test["log_loss"] == pytest.approx(known["log_loss"], abs=0.01)  # folds: near copies are not told apart
    assert any("exactly, in memory, on features of 600 x 2,880" in note for note in found.scores["notes"])
    answer = api.predict(found.folder, [str(photos / "3")])
    again = api.predict(plain.folder, [str(photos / "3")])
    assert np.allclose(answer.probabilities, again.probabilities, atol=0.01)
    with pytest.raises(UserError, match="hold features of sprout; leave `backbone` out"):
        api.fit(shards, backbone="resnet18", out=tmp_path / "other")


@pytest.mark.parametrize(("head", "used"), [("ridge", "ridge"), ("logistic", "linear")])
def test_features_too_large_for_memory_give_the_accuracy_of_those_that_are_not(
    shards: Path, head: str, used: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ridge by accumulated statistics is exact; logistic regression is fitted by mini-batches, and says so."""
    asked = Recipe.from_dict({"data": {"source": str(shards)}, "head": {"name": head}})
    small = Sharded.of(asked, memory=1000)
    assert small is not None and not small.fits
    chosen = small.recipe(asked)
    assert chosen.head.name == used and "shards" in small.way(used)
    images = small.images
    rows = small.extraction(images).features
    train, test = np.flatnonzero(np.arange(len(images)) % 3), np.flatnonzero(np.arange(len(images)) % 3 == 0)
    exact = make_head(head).fit(rows[train], images.labels[train])
    monkeypatch.setattr(blocks, "VERY_LARGE", 1)
    streamed = make_head(used).fit(rows[train], images.labels[train])
    right = [float((fit.predict(rows[test]) == images.labels[test]).mean()) for fit in (exact, streamed)]
    assert right[0] > 0.9 and abs(right[0] - right[1]) < 0.01
    if head == used:
        assert np.allclose(exact.coef_, streamed.coef_, atol=1e-8)
    with pytest.raises(UserError, match="use ridge, linear or mlp"):
        small.recipe(Recipe.from_dict({"data": {"source": str(shards)}, "head": {"name": "knn"}}))


def cells_of(study: Path) -> dict[str, Any]:
    """What each cell answered, by its file."""
    found = {}
    for file in sorted((study / "cells").glob("*/*-*.json")):
        cell = json.loads(file.read_text())
        found[f"{file.parent.name}/{file.name}"] = [cell[key] for key in ("predicted", "log_loss", "history", "chosen")]
    return found


def test_a_study_whose_node_is_lost_ends_complete_and_equal(nodes: TwoNodes, tmp_path: Path) -> None:
    asked: dict[str, Any] = {
        "arms": ["pixels", "scratch"], "sizes": [2, 4], "repeats": 10, "limit": 200, "training": {"epochs": 1},
        "store": False,
    }  # fmt: skip
    told = []

    def ended(stage: str, done: int, total: int) -> None:
        told.append((stage, done))
        if done > 22 and nodes.second is not None:  # networks are being trained
            nodes.end_second()

    found = api.compare("digits", out=tmp_path / "spread", cluster="auto", progress=ended, **asked)
    alone = api.compare("digits", out=tmp_path / "alone", **asked)
    assert nodes.second is None and len(cells_of(found.folder)) == 40
    assert cells_of(found.folder) == cells_of(alone.folder)
    assert found.verdicts["comparisons"] == alone.verdicts["comparisons"]
    assert any("accuracy" in stage for stage, _ in told)


def test_a_ranking_on_a_cluster_is_that_of_one_process(nodes: TwoNodes, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"limit": 200, "store": False}
    names = ["sprout", "sprout@none"]
    spread = api.rank("digits", names, out=tmp_path / "spread", cluster="auto", **asked)
    alone = api.rank("digits", names, out=tmp_path / "alone", **asked)

    def told(saved: Any) -> Any:
        """Without the measured rate, and the front, which depends on it."""
        measured = ("images_per_s", "on_front")
        return [{k: v for k, v in row.items() if k not in measured} for row in saved.ranking["backbones"]]

    assert told(spread) == told(alone) and not spread.ranking["failed"]


def test_what_fails_on_a_worker_is_told_in_one_sentence(nodes: TwoNodes) -> None:
    def full_disk(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/data")

    def wrong(_: int) -> None:
        raise DataError("The pictures are of one class.")

    told = {
        lambda n: (
            1 // n
        ): r"^A worker of the cluster failed \(ZeroDivisionError: .*\)\. What was done is kept: run the same .*\.$",
        wrong: r"^The pictures are of one class\.$",
        full_disk: "^The disk of /data is full on a node of the cluster: free some space there.",
        os._exit: r"^A worker of the cluster was lost and could not be replaced \(.*\)\.",
    }
    for work, words in told.items():
        with pytest.raises(HeadstartError, match=words) as error, spread_on("auto") as spread:
            assert spread is not None
            list(spread(work, [0]))
        assert "\n" not in str(error.value)


def history_of(run: Path) -> list[float]:
    """The training loss of every epoch."""
    rows = [row.split(",") for row in (run / "history.csv").read_text().splitlines()]
    place = rows[0].index("train_loss")
    return [float(row[place]) for row in rows[1:] if row[place]]


def test_workers_train_to_the_losses_of_one_process_also_when_one_is_lost(nodes: TwoNodes, tmp_path: Path) -> None:
    asked: dict[str, Any] = {
        "backbone": "sprout", "method": "finetune", "limit": 130, "image_size": 32, "augment": "none",
        "training": {"epochs": 12, "batch_size": 25, "unfreeze": 1, "threads": 1, "mixup": 0.2},
    }  # fmt: skip
    killed = []

    def ended(stage: str, done: int, total: int) -> None:
        if stage.startswith("train") and 3 <= done < total and not killed:
            killed.append(nodes.kill_worker())

    plain = api.fit("digits", out=tmp_path / "plain", **asked)
    two = api.fit("digits", out=tmp_path / "two", workers=2, cluster="auto", progress=ended, **asked)
    assert killed and len(history_of(plain.folder)) >= 13
    assert history_of(two.folder) == pytest.approx(history_of(plain.folder), abs=1e-4)
    assert not (two.folder / "training").exists()
    assert two.scores["after"]["test"]["accuracy"] == plain.scores["after"]["test"]["accuracy"]


def test_what_workers_cannot_do_is_said_before_they_begin(nodes: TwoNodes, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="workers=3: the cluster has room for 2"):
        api.fit("digits", method="finetune", backbone="sprout", workers=3, cluster="auto", out=tmp_path / "run")
    with pytest.raises(UserError, match="with method=features only a head is fitted"):
        api.fit("digits", backbone="sprout", workers=2, out=tmp_path / "run")
    with pytest.raises(UserError, match="add workers=2"):
        api.fit("digits", backbone="sprout", cluster="auto", out=tmp_path / "run")
    with pytest.raises(UserError, match=r"learns from whole batches.*or workers=1"):
        api.fit(
            "digits", method="finetune", backbone="sprout", workers=2, cluster="auto", out=tmp_path / "run", limit=100,
            image_size=32, training={"batchnorm": "trained", "unfreeze": 1}, augment="none",
        )  # fmt: skip
    assert not (tmp_path / "run" / "training").exists()
