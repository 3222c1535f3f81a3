"""Pictures of none of the classes are told, and sets of classes hold the true one as often as they should."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from headstart import api, bundle, tensors
from headstart.conformal import Conformal
from headstart.errors import BundleError, UserError
from headstart.inference import predict
from headstart.novelty import MOST, SPARSE, WIDTH, Novelty, Sketch
from headstart.predictions import Predictions, write_predictions
from headstart.statistics import conformal_quantile

NOISE = np.random.default_rng(0).integers(0, 256, (20, 8, 8), np.uint8)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits by their pixels: 400 pictures, judged by folds."""
    folder = tmp_path_factory.mktemp("novelty") / "run"
    return api.fit("digits", method="pixels", head="prototype", limit=400, store=False, out=folder).folder


@pytest.fixture
def broken(run: Path, tmp_path: Path) -> Callable[..., Path]:
    """The bundle with another array in one of its files, and every checksum right."""

    def change(file: str, **arrays: Any) -> Path:
        folder = tmp_path / "bundle"
        folder.mkdir()
        for path in (run / "bundle").iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        save_file({name: np.ascontiguousarray(each) for name, each in arrays.items()}, folder / file)
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["files"][file] = {"bytes": (folder / file).stat().st_size, "sha256": tensors.sha256(folder / file)}
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return folder

    return change


def gathered(n: int, d: int, seed: int = 0) -> np.ndarray:
    """n rows around one direction."""
    rng = np.random.default_rng(seed)
    return (np.random.default_rng(99).random(d) + 0.3 * rng.normal(size=(n, d))).astype(np.float32)


def test_a_row_like_those_fitted_on_is_taken_for_a_stranger_once_in_twenty() -> None:
    novelty = Novelty.fit(gathered(500, 20))
    assert 0.03 <= 1 - novelty.known(gathered(4000, 20, seed=1)).mean() <= 0.07
    assert not novelty.known(-gathered(10, 20)).any()


def test_with_fewer_than_19_pictures_there_is_no_threshold() -> None:
    assert Novelty.fit(gathered(18, 20)).threshold is None
    assert Novelty.fit(gathered(19, 20)).threshold is not None


def test_copies_do_not_make_others_strange() -> None:
    rows = gathered(100, 20)
    alone, twice = Novelty.fit(rows), Novelty.fit(np.repeat(rows, 2, axis=0), np.repeat(np.arange(100), 2))
    assert twice.threshold == pytest.approx(alone.threshold, abs=0.01)


def test_what_is_kept_of_wide_features_and_of_many_pictures_is_bounded() -> None:
    rows = gathered(MOST + 300, 3 * WIDTH)
    novelty = Novelty.fit(rows)
    assert novelty.reference.shape == (MOST, WIDTH)
    assert 0.02 <= 1 - novelty.known(gathered(500, 3 * WIDTH, seed=1)).mean() <= 0.08
    assert not novelty.known(-rows[:10]).any()


def test_which_pictures_are_kept_does_not_depend_on_their_order() -> None:
    rows, order = gathered(MOST + 50, 3), np.random.default_rng(1).permutation(MOST + 50)
    marks = [row.tobytes() for row in rows]
    one, other = Novelty.fit(rows, marks=marks), Novelty.fit(rows[order], marks=[marks[i] for i in order])
    assert {r.tobytes() for r in one.reference} == {r.tobytes() for r in other.reference}
    assert one.threshold == other.threshold


def test_a_bundle_tells_strangers_as_the_classifier_that_was_saved(run: Path) -> None:
    found = predict(run, NOISE)
    assert found.known is not None
    assert found.known.tolist() == [False] * 20
    assert found.rows(topk=2)[0].keys() == {
        "name", "predicted", "confidence", "predicted_2", "confidence_2", "known",
    }  # fmt: skip
    scores = api.evaluate(run, "digits")
    assert 0 <= scores["strangers"] <= 0.1


def test_a_table_says_true_or_false(run: Path, tmp_path: Path) -> None:
    found = predict(run, NOISE[:2], coverage=0.9)
    write_predictions(found, tmp_path / "found.csv", 1)
    rows = list(csv.DictReader((tmp_path / "found.csv").open(encoding="utf-8-sig")))
    assert [row["known"] for row in rows] == ["false", "false"]
    assert [[part for part in row["set"].split("; ") if part] for row in rows] == [found.set_of(i) for i in (0, 1)]


def test_a_bundle_from_before_predicts_and_does_not_say_what_it_cannot_tell(run: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    classifier = bundle.load_classifier(run)
    folder = bundle.save(replace(classifier, novelty=None, conformal=None), tmp_path / "bundle")
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["novelty"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    found = predict(folder, NOISE)
    assert found.known is None
    assert "known" not in found.rows(1)[0]
    with pytest.raises(UserError, match="predictions for pictures that the run had not seen, and it has none"):
        predict(folder, NOISE, coverage=0.9)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"reference": np.zeros((3, 63), np.float16)}, "do not fit 64 features"),
        ({"reference": np.zeros((3, 64), np.float32)}, "does not hold what is needed to recognise strangers"),
        ({"reference": np.full((3, 64), np.inf, np.float16)}, "not finite"),
        ({"reference": np.ones((3, 64), np.float16)}, "longer than 1"),
        ({"reference": np.zeros((MOST + 1, 64), np.float16)}, "do not fit 64 features"),
        ({"others": np.zeros((3, 64), np.float16)}, "does not hold what is needed to recognise strangers"),
    ],
)
def test_what_no_fit_writes_is_refused(broken: Callable[..., Path], arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        bundle.load_classifier(broken("novelty.safetensors", **arrays))


@pytest.mark.parametrize("scores", [[0.2, 0.1], [0.5, 1.5], [np.nan, 0.1]])
def test_scores_that_are_none_are_refused(broken: Callable[..., Path], scores: list[float]) -> None:
    with pytest.raises(BundleError, match=r"conformal\.safetensors|not finite"):
        bundle.load_classifier(broken("conformal.safetensors", scores=np.array(scores, np.float32)))


# ---- sets


def test_the_quantile_is_the_k_th_smallest() -> None:
    scores = np.arange(1, 20) / 20
    assert conformal_quantile(scores, 0.95) == 0.95  # k = ceil(20 x 0.95) = 19 of 19
    assert conformal_quantile(scores, 0.9) == 0.9
    assert conformal_quantile(scores[:18], 0.95) is None


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_sets_hold_the_true_class_as_often_as_was_asked(coverage: float) -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet([0.5] * 4, size=6000)
    y = np.array([rng.choice(4, p=row) for row in p])
    sets = Conformal.of(p[:2000], y[:2000]).sets(p[2000:], coverage)
    assert abs(sets[np.arange(4000), y[2000:]].mean() - coverage) < 0.02


def test_sets_are_full_with_a_reason_where_pictures_are_too_few(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    api.fit("digits", method="pixels", head="prototype", limit=30, store=False, out=folder)
    found = predict(folder, NOISE[:1], coverage=0.99)
    assert found.sets is not None
    assert found.sets.all()
    assert "a coverage of 0.99 needs 99 pictures with out-of-fold answers, and there are" in found.notes[0]


@pytest.mark.parametrize("coverage", [0, 1, 1.5, -1, float("nan")])
def test_a_coverage_is_a_share(run: Path, coverage: float) -> None:
    with pytest.raises(UserError, match="not a share between 0 and 1"):
        predict(run, NOISE, coverage=coverage)


def test_a_set_names_its_classes_from_the_most_probable_on() -> None:
    p, sets = np.array([[0.2, 0.5, 0.3]]), np.array([[True, True, False]])
    assert Predictions(("a",), p, ("x", "y", "z"), (), sets=sets).rows(1)[0]["set"] == ["y", "x"]


def test_scores_of_a_run_are_its_out_of_fold_answers(run: Path) -> None:
    scores = load_file(run / "bundle" / "conformal.safetensors")["scores"]
    assert len(scores) == json.loads((run / "scores.json").read_text())["after"]["cv"]["n"]


@pytest.mark.parametrize("d", [3_000, 40_000])
def test_a_row_is_sketched_to_the_last_bit_alike_alone_and_among_many(d: int) -> None:
    sketch, X = Sketch.drawn(d), np.random.default_rng(0).normal(size=(SPARSE + 2, d)).astype(np.float32)
    among_many = sketch(X)
    assert among_many.shape == (SPARSE + 2, WIDTH)
    assert np.array_equal(among_many[:3], sketch(X[:3]))
    signed = np.zeros(WIDTH)
    np.add.at(signed, sketch.buckets, X[1].astype(np.float64) * sketch.signs)
    np.testing.assert_allclose(among_many[1], signed, rtol=1e-4, atol=1e-4)
