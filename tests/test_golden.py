"""A classifier from a bundle computes what it did when it was saved, or says that it does not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from headstart import bundle, golden, tensors
from headstart.classifier import Classifier, Predictor
from headstart.engines import choose
from headstart.errors import BundleError
from headstart.features.source import FeatureSource
from headstart.heads import make_head
from headstart.preprocess import Preprocess

ROWS = np.random.default_rng(0).random((24, 48)).astype(np.float32)
PICTURES = np.random.default_rng(0).integers(0, 256, (2, 9, 9, 3), np.uint8)


def saved(folder: Path, head: str = "logistic", **settings: Any) -> Path:
    settings = settings or {"C": 1.0}
    fitted = make_head(head, **settings).fit(ROWS, (ROWS[:, :24].sum(1) > ROWS[:, 24:].sum(1)).astype(np.int64))
    return bundle.save(Classifier(FeatureSource(Preprocess(4, 4, crop_pct=0.8)), fitted, ("ant", "bee")), folder)


def rewritten(folder: Path, change: dict[str, np.ndarray]) -> Path:
    """The bundle with other arrays among its golden ones, and the checksum right."""
    file = folder / golden.FILE
    save_file({**load_file(file), **change}, file)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][golden.FILE] = {"bytes": file.stat().st_size, "sha256": tensors.sha256(file)}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_golden_pictures_are_drawn_and_of_many_shapes(tmp_path: Path) -> None:
    first, second = (bundle.load_classifier(saved(tmp_path / name)).golden for name in "ab")
    assert first is not None and second is not None
    assert all((a == b).all() for a, b in zip(first.pictures, second.pictures, strict=True))
    sides = np.array([picture.shape[:2] for picture in first.pictures])
    assert len(first.pictures) == golden.COUNT
    assert (sides.min(), sides.max()) >= (20, 80)
    assert (sides[:, 0] > sides[:, 1]).any() and (sides[:, 0] < sides[:, 1]).any() and (sides % 2 == 1).any()


HEADS = [("logistic", {"C": 1.0}), ("knn", {"k": 3}), ("prototype", {"temperature": 1.0})]


@pytest.mark.parametrize(("head", "settings"), HEADS)
def test_a_bundle_as_it_was_saved_predicts(tmp_path: Path, head: str, settings: dict[str, Any]) -> None:
    classifier = bundle.load_classifier(saved(tmp_path / "bundle", head, **settings))
    assert len(classifier.predict(PICTURES)) == 2


def test_a_classifier_that_computes_something_else_is_refused_with_the_figures(tmp_path: Path) -> None:
    folder = saved(tmp_path / "bundle")
    p = load_file(folder / golden.FILE)["probabilities"]
    p[1] = [1.0, 0.0]
    classifier = bundle.load_classifier(rewritten(folder, {"probabilities": p}))
    with pytest.raises(
        BundleError,
        match=r"expected [01]\.000000 for the class (ant|bee) of golden picture 2, got 0\.\d{6} "
        r"\(a difference of 0\.0001 is allowed\)",
    ):
        Predictor(classifier).predict(PICTURES)


def test_another_preprocessing_is_noticed(tmp_path: Path) -> None:
    classifier = bundle.load_classifier(saved(tmp_path / "bundle"))
    preprocess = replace(classifier.source.preprocess, crop_pct=1.0)
    other = replace(classifier, source=replace(classifier.source, preprocess=preprocess))
    with pytest.raises(BundleError, match="gives other results here than"):
        other.predict(PICTURES)


def test_probabilities_that_are_no_numbers_or_of_other_classes_are_refused(tmp_path: Path) -> None:
    found = bundle.load_classifier(saved(tmp_path / "bundle")).golden
    assert found is not None
    with pytest.raises(BundleError, match="got nan"):
        found.check(lambda _: np.full((16, 2), np.nan), ("ant", "bee"))
    with pytest.raises(BundleError, match="16 x 2 probabilities for its golden pictures and gives 16 x 3"):
        found.check(lambda _: np.ones((16, 3)), ("ant", "bee"), "The export")
    found.check(lambda _: found.probabilities + 0.9e-4, ("ant", "bee"))


@pytest.mark.parametrize(
    "change",
    [
        {"picture.00": np.zeros((1025, 20, 3), np.uint8)},
        {"picture.00": np.zeros((20, 20), np.uint8)},
        {"picture.16": np.zeros((20, 20, 3), np.uint8)},
        {"probabilities": np.ones((16, 2))},
        {"probabilities": np.full((16, 2), np.nan)},
        {"probabilities": np.full((16, 3), 1 / 3)},
    ],
)
def test_what_no_save_writes_is_refused(tmp_path: Path, change: dict[str, np.ndarray]) -> None:
    with pytest.raises(BundleError, match=r"golden\.safetensors|not finite"):
        bundle.load_classifier(rewritten(saved(tmp_path / "bundle"), change))


def test_another_engine_computes_the_same(tmp_path: Path, one_thread: None) -> None:
    from headstart.backbones import resolve

    network = resolve("small_cnn", resolve("small_cnn", "none", seed=1).save(tmp_path / "weights"))
    head = make_head("ridge", alpha=1.0).fit(np.random.default_rng(0).random((12, 576)), np.arange(12) % 2)
    source = FeatureSource(Preprocess(8, 8, crop_pct=1.0), network, "pooled", choose("torch"))
    folder = bundle.save(Classifier(source, head, ("ant", "bee")), tmp_path / "bundle")
    classifier = bundle.load_classifier(folder)
    assert classifier.source.engine.name == "openvino"
    assert len(classifier.predict(PICTURES)) == 2
