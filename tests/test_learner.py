"""One way to fit: choices, temperature and scores by pictures that the answering fit did not see."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_info, threadpool_limits

from headstart import TransferClassifier, load_classifier
from headstart.bundle import save
from headstart.errors import DataError, UserError
from headstart.heads.folds import contents, folds_for, numbers
from headstart.heads.solver.scale import temperature_of
from headstart.learner import FEWEST, Learner
from headstart.logits import apply_temperature, averaged_logits
from headstart.pictures import Pictures
from headstart.threads import single_threaded_blas

Rows = NDArray[np.float32]
Codes = NDArray[np.int64]
PLAIN = ("logistic", "ridge", "knn", "prototype")
GIVEN = Learner(options={"C": 0.1})
"""Quick: with nothing to choose."""


@pytest.fixture(scope="module")
def digits() -> tuple[Rows, Codes]:
    X, y = load_digits(return_X_y=True)
    return X.astype(np.float32), y.astype(np.int64)


def rows(n: int, d: int = 6, seed: int = 0) -> Rows:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def blobs(n: int, seed: int = 0, signal: float = 2.0) -> tuple[Rows, Codes]:
    y = np.arange(n) % 3
    return rows(n, 8, seed) + np.float32(signal) * rows(3, 8, 99)[y], y


# --- fit


@pytest.mark.parametrize("per_class", [1, 2, 3])
def test_the_log_loss_of_few_digits_is_below_that_of_guessing(per_class: int, digits: Any) -> None:
    X, y = digits
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(y))
        few = np.concatenate([order[y[order] == c][:per_class] for c in range(10)])
        rest = np.setdiff1d(order, few)
        fitted = Learner().fit(Pictures(X[few], y[few]))
        p = apply_temperature(fitted.head.logits(X[rest]), fitted.temperature)
        assert log_loss(y[rest], p) < 0.75 * np.log(10)


def test_a_temperature_is_fitted_from_twenty_pictures_on() -> None:
    for n in (FEWEST - 2, FEWEST - 1, FEWEST, FEWEST + 1):
        X, y = blobs(n, signal=0.7)
        fitted = Learner().fit(Pictures(X, y))
        assert fitted.calibrated_on == (n if n >= FEWEST else 0)
        assert (fitted.temperature == 1.0) is (n < FEWEST)


@pytest.mark.parametrize("name", PLAIN)
def test_where_features_say_nothing_the_temperature_is_a_hundred_at_most_and_the_bundle_is_taken(
    name: str, tmp_path: Path
) -> None:
    """Answers out of fold that are worse than guessing ask for a temperature without end."""
    for seed in (1, 3, 4):
        X, y = np.random.default_rng(seed).normal(size=(60, 8)).astype(np.float32), np.arange(60) % 2
        assert 0.01 <= Learner(name).fit(Pictures(X, y)).temperature <= 100
    noise = np.random.default_rng(1).integers(0, 255, (60, 8, 8)).astype(np.uint8)
    model = TransferClassifier(method="pixels", head=name, cache=False).fit(noise, np.arange(60) % 2)
    folder = save(model.classifier_, tmp_path / "bundle")
    assert load_classifier(folder).temperature == model.classifier_.temperature


def test_answers_worse_than_guessing_have_a_temperature_of_a_hundred() -> None:
    y = np.arange(40) % 2
    assert temperature_of(3.0 * np.eye(2)[1 - y], y) == 100
    assert 0.01 <= temperature_of(3.0 * np.eye(2)[y], y) < 1


def test_a_picture_judged_several_times_counts_once_towards_the_temperature() -> None:
    X, y = blobs(54, signal=0.7)
    fitted = Learner().fit(Pictures(X, y))
    assert fitted.head.out_of_fold_ is not None
    assert len(fitted.head.out_of_fold_.rows) == 108
    assert fitted.calibrated_on == 54


@pytest.mark.parametrize("name", PLAIN)
def test_the_fit_is_of_all_pictures_whoever_chose(name: str) -> None:
    X, y = blobs(90)
    Z = np.concatenate([X, X[:30] + 5 * rows(30, 8, 1)])
    fitted = Learner(name).fit(Pictures(Z, np.concatenate([y, y[:30]]), validation=30))
    assert "the 30 validation pictures" in fitted.head.describe_choice()
    assert fitted.head.out_of_fold_ is not None
    assert fitted.head.out_of_fold_.rows.tolist() == list(range(90, 120))
    option = {"logistic": "C", "ridge": "alpha", "knn": "k", "prototype": "temperature"}[name]
    options = {option: fitted.head.report_[option]}
    if name == "logistic":
        options |= {key: fitted.head.report_[key] for key in ("normalise", "whiten")}
    p = fitted.head.predict_proba(Z)
    whole = Learner(name, options).fit(Pictures(Z, np.concatenate([y, y[:30]]))).head.predict_proba(Z)
    part = Learner(name, options).fit(Pictures(X, y)).head.predict_proba(Z)
    error, other = (np.abs(np.log(p) - np.log(q)).max() for q in (whole, part))
    if name == "ridge":  # its factor is fitted on the rows judged, so that only the order of answers is its own
        assert (p.argsort(axis=1) == whole.argsort(axis=1)).all()
    else:
        assert error < 1e-2
    assert other > 0.05


@pytest.mark.parametrize("name", [*PLAIN, "linear"])
def test_validation_pictures_of_a_class_that_training_lacks_are_learned_and_do_not_choose(name: str) -> None:
    """They did: no penalty is strong enough to be right about a class that was never seen."""
    X, y = blobs(120)
    Z, labels = np.concatenate([X, rows(12, 8, 5) + 9]), np.concatenate([y, np.full(12, 3)])
    options = {"epochs": 5} if name == "linear" else {}
    mixed = Learner(name, options).fit(Pictures(Z, labels, validation=72))
    assert "60 validation pictures" in mixed.head.describe_choice() or "60 pictures" in mixed.head.describe_choice()
    assert mixed.calibrated_on == 60
    assert mixed.head.classes_.tolist() == [0, 1, 2, 3]
    only = Learner(name, options).fit(Pictures(Z, labels, validation=12))
    assert only.head.out_of_fold_ is None
    assert only.temperature == 1.0


@pytest.mark.parametrize("name", PLAIN)
def test_views_never_choose_not_even_where_there_is_nothing_else(name: str) -> None:
    """One picture of each class and three views of it: a view says nothing about another picture."""
    X, y = rows(6), np.arange(6)
    stacked = np.concatenate([X, *(X + 0.1 * rows(6, 6, seed) for seed in (1, 2, 3))])
    fitted = Learner(name).fit(Pictures(X, y, stacked=stacked))
    assert fitted.head.out_of_fold_ is None
    assert (fitted.temperature, fitted.calibrated_on) == (1.0, 0)
    assert fitted.head.score(stacked, np.tile(y, 4)) == 1.0 or name == "knn"


@pytest.mark.parametrize("name", PLAIN)
def test_copies_never_choose_where_there_is_nothing_else(name: str) -> None:
    X, y = np.repeat(rows(4), 5, axis=0), np.repeat(np.arange(4), 5)
    assert Learner(name).fit(Pictures(X, y, groups=y)).head.out_of_fold_ is None
    assert Learner(name).fit(Pictures(X, y)).head.out_of_fold_ is not None


def test_views_are_learned_from_beside_validation_pictures() -> None:
    X, y = blobs(110)
    stacked = np.concatenate([X[:60], X[:60] + rows(60, 8, 1)])
    fitted = Learner().fit(Pictures(X, y, 50, stacked))
    assert fitted.head.report_["rows"] == 170
    assert fitted.calibrated_on == 50


def test_the_order_of_pictures_does_not_matter() -> None:
    X, y = blobs(70, signal=0.8)
    groups, order = np.arange(70) // 2, np.random.default_rng(0).permutation(70)
    for name in PLAIN:
        a = Learner(name).fit(Pictures(X, y, groups=groups))
        b = Learner(name).fit(Pictures(X[order], y[order], groups=groups[order]))
        assert a.temperature == pytest.approx(b.temperature, rel=1e-5)
        assert np.abs(a.head.predict_proba(X) - b.head.predict_proba(X)).max() < 1e-4


def test_what_cannot_be_fitted_is_refused_in_a_sentence() -> None:
    with pytest.raises(DataError, match="No training picture"):
        Learner().fit(Pictures(rows(0), np.zeros(0, np.int64)))
    with pytest.raises(DataError, match="one class"):
        Learner().fit(Pictures(rows(5), np.zeros(5, np.int64)))
    with pytest.raises(UserError, match="did you mean logistic"):
        Learner("logistc").fit(Pictures(*blobs(9)))
    with pytest.raises(UserError, match="C is -1"):
        Learner("logistic", {"C": -1.0}).fit(Pictures(*blobs(9)))


def test_seed_and_class_weight_go_to_heads_that_have_them() -> None:
    assert Learner("mlp", seed=7).head().get_params()["seed"] == 7
    assert Learner("mlp", {"seed": 3}, seed=7).head().get_params()["seed"] == 3
    assert "seed" not in Learner("ridge", seed=7).head().get_params()
    assert Learner("ridge", class_weight="balanced").head().get_params()["class_weight"] == "balanced"
    assert Learner("ridge", class_weight="none").head().get_params()["class_weight"] is None


# --- cross-validation


def nearest(pictures: Pictures) -> float:
    """The share of right answers of the nearest neighbour in cross-validation."""
    found = Learner("knn", {"k": 1}).cross_validate(pictures, 2)
    return float((found.logits.argmax(axis=1) == pictures.y).mean())


def test_each_picture_is_answered_by_a_fit_that_did_not_see_it() -> None:
    """The nearest neighbour of a picture that was seen is itself, and labels here are chance."""
    X, y = rows(200, 20), np.random.default_rng(1).integers(0, 2, 200)
    assert Learner("knn", {"k": 1}).fit(Pictures(X, y)).head.score(X, y) == 1.0
    assert 0.35 < nearest(Pictures(X, y)) < 0.65


def test_nor_by_one_that_saw_a_copy_or_a_view_of_it() -> None:
    X, y = rows(200, 20), np.random.default_rng(1).integers(0, 2, 200)
    twice, labels, groups = np.tile(X, (2, 1)), np.tile(y, 2), np.tile(np.arange(200), 2)
    assert nearest(Pictures(twice, labels)) > 0.8
    assert 0.35 < nearest(Pictures(twice, labels, groups=groups)) < 0.65
    views = np.concatenate([X, X + 1e-3, X - 1e-3])
    assert 0.35 < nearest(Pictures(X, y, stacked=views)) < 0.65


def test_copies_share_a_fold_and_every_fit_makes_its_own_choice() -> None:
    X, y = blobs(120, signal=0.8)
    groups = np.arange(120) // 4
    found = Learner().cross_validate(Pictures(X, y, groups=groups), 3)
    assert all(len(set(found.fold[groups == g])) == 1 for g in range(30))
    judged = found.fold == found.fold[0]
    alone = Learner().fit(Pictures(X[~judged], y[~judged], groups=groups[~judged]))
    assert np.array_equal(found.logits[judged], alone.head.logits(X[judged]))
    expected = apply_temperature(found.logits[judged], alone.temperature)
    assert np.array_equal(found.probabilities[judged], expected)
    assert alone.temperature != 1.0


def test_folds_are_ten_by_content_or_those_that_are_given() -> None:
    X, y = blobs(60)
    found = GIVEN.cross_validate(Pictures(X, y), 3)
    assert (found.fold == numbers(y, 10, contents(X))).all()
    given = np.arange(60) // 20
    assert (GIVEN.cross_validate(Pictures(X, y), 3, fold=given).fold == given).all()


def test_a_class_that_a_fold_did_not_see_gets_no_chance_there() -> None:
    X, y = blobs(60)
    y = y.copy()
    y[17] = 3
    found = Learner().cross_validate(Pictures(X, y), 5)
    assert found.probabilities[17, 3] < 1e-9
    assert found.probabilities[:, 4].max() < 1e-9
    assert np.abs(found.probabilities.sum(axis=1) - 1).max() < 1e-9


def test_answers_of_views_are_averaged_as_probabilities() -> None:
    X, y = blobs(60, signal=0.8)
    other = X + rows(60, 8, 7)
    found = GIVEN.cross_validate(Pictures(X, y, averaged=[other]), 3)
    plain = GIVEN.cross_validate(Pictures(X, y), 3)
    assert np.array_equal(found.plain, plain.logits)
    judged = found.fold == 0
    head = GIVEN.fit(Pictures(X[~judged], y[~judged])).head
    mean = (head.predict_proba(X[judged]) + head.predict_proba(other[judged])) / 2
    assert np.abs(np.exp(found.logits[judged]) - mean).max() < 1e-9
    assert np.array_equal(averaged_logits(plain.logits, []), plain.logits)


def test_too_few_pictures_to_judge_by_are_refused() -> None:
    for n in (1, 2):
        with pytest.raises(DataError, match="too few pictures for cross-validation"):
            Learner().cross_validate(Pictures(rows(n), np.arange(n)), 2)
    with pytest.raises(DataError, match="too few pictures for cross-validation"):
        Learner().cross_validate(Pictures(rows(6), np.array([0, 1, 1, 1, 1, 1])), 2)


def test_progress_counts_the_folds() -> None:
    told: list[tuple[str, int, int]] = []
    GIVEN.cross_validate(Pictures(*blobs(30)), 3, progress=lambda *each: told.append(each))
    assert told == [("folds", done, 10) for done in range(11)]


def blas() -> list[int]:
    return [each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"]


def test_blas_has_its_threads_again_after_fits_beside_each_other() -> None:
    """It had one for good: a fit set back what another had set, and then that one what the first had."""
    X, y = blobs(200)
    with threadpool_limits(2, user_api="blas"):
        before = blas()
        first, second = single_threaded_blas(), single_threaded_blas()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert set(blas()) == {1}
        second.__exit__(None, None, None)
        assert blas() == before
        GIVEN.cross_validate(Pictures(X, y), 3)
        assert blas() == before


def test_blas_has_one_thread_whichever_thread_asks_and_its_own_again_whichever_leaves_last() -> None:
    """threadpoolctl 3.8 takes no setting from a thread while another that once made one is alive."""
    seen: list[list[int]] = []

    def inside() -> None:
        with single_threaded_blas():
            seen.append(blas())

    with threadpool_limits(2, user_api="blas"):
        before = blas()
        inside()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(inside).result()
            first, last = single_threaded_blas(), single_threaded_blas()
            first.__enter__()
            pool.submit(last.__enter__).result()
            first.__exit__(None, None, None)
            pool.submit(last.__exit__, None, None, None).result()
        assert [set(each) for each in seen] == [{1}, {1}]
        assert blas() == before


# --- pictures


def test_taken_pictures_keep_their_views_their_averages_and_their_groups() -> None:
    X, y = blobs(12)
    stacked = np.concatenate([X, X + 1, X + 2])
    pictures = Pictures(X, y, 0, stacked, [X + 3], np.arange(12) // 2)
    assert (pictures.train, pictures.views) == (12, 2)
    taken = pictures.take(np.array([5, 0, 7]))
    assert (taken.train, taken.views) == (3, 2)
    assert taken.stacked is not None and taken.groups is not None
    assert np.array_equal(taken.stacked, np.concatenate([X[[5, 0, 7]] + view for view in (0, 1, 2)]))
    assert np.array_equal(taken.averaged[0], X[[5, 0, 7]] + 3)
    assert taken.groups.tolist() == [2, 0, 3]
    assert taken.y.tolist() == y[[5, 0, 7]].tolist()


def test_rows_of_views_have_the_class_of_their_picture_and_folds_of_pictures() -> None:
    X, y = blobs(30)
    stacked = np.concatenate([X, X + 1])
    Z, labels, folds = Pictures(X, y, stacked=stacked).rows(dear=False)
    assert np.array_equal(Z, stacked)
    assert labels.tolist() == [*y, *y]
    assert set(folds.judged(60)) == set(range(30))
    assert folds.words == folds_for(X, y).words
