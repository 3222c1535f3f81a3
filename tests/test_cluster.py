"""The same work on a cluster of two nodes, made on this machine, as by one process; each node has one core."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from headstart import api, inference
from headstart.cluster.connect import load_ray
from headstart.cluster.features import features
from headstart.cluster.predict import Asked, predict
from headstart.errors import DataError, UserError
from headstart.features.shards import FeatureShards
from headstart.heads import make_head
from headstart.heads.solver import blocks
from headstart.images import load
from headstart.recipe import Recipe
from headstart.sharded import Sharded

pytest.importorskip("ray", reason="Ray is not installed: pip install 'headstart[cluster]'")
pytestmark = [pytest.mark.slow]
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

    def mend(self) -> None:
        """Two nodes again."""
        if self.second is None:
            self.second = self.cluster.add_node(num_cpus=1, object_store_memory=STORE)
            self.cluster.wait_for_nodes()


@pytest.fixture(scope="module")
def started() -> Iterator[TwoNodes]:
    ray = load_ray()
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False}
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
    """1,200 digits as PNG files, and one that is none."""
    root, digits = tmp_path_factory.mktemp("photos"), load("digits")
    for i in range(1200):
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
    return inference.features(recipe(photos), tmp_path_factory.mktemp("alone") / "features.npz")


@pytest.fixture(scope="module")
def shards(started: TwoNodes, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The features of the pictures, by the cluster."""
    started.mend()
    out = tmp_path_factory.mktemp("shards") / "features"
    features(recipe(photos), str(out), "auto")
    return out


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
    assert nodes.second is None and first.computed == 1201
    assert np.array_equal(rows_of(tmp_path / "shards"), alone.features)
    assert [(r.name, r.reason) for r in first.refused] == [("0/broken.png", "not-an-image")]
    again = features(recipe(photos), str(tmp_path / "shards"), "auto")
    assert again.computed == 0 and again.manifest == first.manifest
    shard = tmp_path / "shards" / first.manifest.shards[1].file
    shard.unlink()
    (tmp_path / "shards" / "manifest.json").unlink()
    assert features(recipe(photos.as_uri()), str(tmp_path / "other"), "auto").computed == 1201
    assert np.array_equal(rows_of(tmp_path / "other"), alone.features)
    mended = features(recipe(photos), str(tmp_path / "shards"), "auto")
    assert mended.computed == 256 and mended.manifest == first.manifest


def test_predictions_are_those_of_one_process(nodes: TwoNodes, photos: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    run = api.fit(photos, backbone="sprout", limit=300, out=tmp_path / "run")
    told = inference.predict(run.folder, [str(photos)], coverage=0.9)
    made = predict(str(run.folder), [str(photos)], str(tmp_path / "out"), "auto", Asked(topk=2, coverage=0.9))
    rows = [row for shard in made.manifest.shards for row in pq.read_table(tmp_path / "out" / shard.file).to_pylist()]
    assert rows == told.rows(2)
    assert made.refused == told.refused and made.manifest.classes == told.classes


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
    assert test["log_loss"] == pytest.approx(known["log_loss"], abs=0.001)  # folds: near copies are not told apart
    assert any("exactly, in memory, on features of 1,200 x 960" in note for note in found.scores["notes"])
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
