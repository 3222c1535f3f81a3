"""What a head is tried on before it is fitted on all rows, and the scale that few rows give."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

from headstart.heads import HEADS, make_head
from headstart.heads.few_rows import rooted
from headstart.heads.folds import NONE, Folds, brought, contents, folds_for, numbers
from headstart.heads.knn import KNNHead
from headstart.heads.logistic import LogisticHead
from headstart.heads.solver.scaler import PSEUDO_ROWS, Scaler

Rows = NDArray[np.float32]
Codes = NDArray[np.int64]
QUICK: dict[str, dict[str, Any]] = {"mlp": {"hidden": 8, "epochs": 4}, "linear": {"epochs": 4}}
every_head = pytest.mark.parametrize("name", list(HEADS))
PLAIN = ("logistic", "ridge", "knn", "prototype")


@pytest.fixture(scope="module")
def digits() -> tuple[Rows, Codes]:
    X, y = load_digits(return_X_y=True)
    return X.astype(np.float32), y.astype(np.int64)


def drawn(y: Codes, per_class: int, seed: int) -> NDArray[np.intp]:
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.permutation(np.flatnonzero(y == c))[:per_class] for c in np.unique(y)])


def rows(n: int, d: int = 6, seed: int = 0) -> Rows:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def pairs(folds: Folds, n: int) -> list[tuple[set[int], set[int]]]:
    return [tuple(set(np.arange(n)[part].tolist()) for part in pair) for pair in folds]  # type: ignore[misc]


# --- folds


def test_every_class_is_spread_evenly_over_the_folds() -> None:
    y = np.repeat([0, 1, 2], [40, 33, 7])
    fold = numbers(y, 5, contents(rows(80)))
    counts = np.array([np.bincount(y[fold == i], minlength=3) for i in range(5)])
    assert counts.sum(axis=0).tolist() == [40, 33, 7]
    assert np.ptp(counts, axis=0).max() <= 1
    assert np.ptp(counts.sum(axis=1)) <= 1


@pytest.mark.parametrize("groups", [None, np.arange(60) // 2])
def test_folds_do_not_depend_on_the_order_of_rows_nor_on_their_precision(groups: Codes | None) -> None:
    X, y = rows(60), np.arange(60) // 2 % 3
    order = np.random.default_rng(1).permutation(60)
    fold = numbers(y, 4, contents(X))
    assert (numbers(y[order], 4, contents(X[order])) == fold[order]).all()
    assert (numbers(y, 4, contents(X.astype(np.float64))) == fold).all()
    assert (numbers(y, 4, contents(X), again=1) != fold).any()
    whole, mixed = folds_for(X, y, groups), folds_for(X[order], y[order], None if groups is None else groups[order])
    found = [sorted(sorted(order[list(judged)].tolist()) for _, judged in pairs(mixed, 60))]
    assert found == [sorted(sorted(judged) for _, judged in pairs(whole, 60))]


@pytest.mark.parametrize("n", [12, 90, 1_200, 6_000])
@pytest.mark.parametrize("one", [False, True])
def test_rows_of_a_group_are_on_one_side_and_no_row_is_on_both(n: int, one: bool) -> None:
    y, groups = np.arange(n) // 3 % 2, np.arange(n) // 3
    folds = folds_for(rows(n, 2), y, groups, one=one)
    assert folds
    for fitted, judged in pairs(folds, n):
        assert not fitted & judged
        assert not {groups[i] for i in fitted} & {groups[i] for i in judged}


def test_the_rule_of_size_is_said_in_words() -> None:
    told = {n: folds_for(rows(n, 2), np.arange(n) % 2).words for n in (4, 20, 500, 1_000, 6_000)}
    assert told == {
        4: "2-fold cross-validation, drawn 5 times, on 4 pictures",
        20: "5-fold cross-validation, drawn 3 times, on 20 pictures",
        500: "5-fold cross-validation on 500 pictures",
        1_000: "200 pictures held out",
        6_000: "600 pictures held out",
    }
    assert folds_for(rows(100, 2), np.arange(100) % 2, one=True).words == "20 pictures held out"
    assert len(folds_for(rows(100, 2), np.arange(100) % 2).first()) == 1


@pytest.mark.parametrize("counts", [(1, 1, 9, 9), (1, 2, 2), (50, 1, 2), (1, 5, 1, 2)])
@pytest.mark.parametrize("one", [False, True])
def test_a_row_is_never_judged_whose_class_the_fit_has_not_seen(counts: tuple[int, ...], one: bool) -> None:
    y = np.repeat(np.arange(len(counts)), counts)
    folds = folds_for(rows(len(y)), y, one=one)
    assert folds
    for fitted, judged in folds:
        assert set(y[judged]) <= set(y[fitted])
        assert len(set(y[fitted])) >= 2
    if not one:
        kept = np.flatnonzero(np.array(counts) >= 2)
        assert set(y[folds.judged(len(y))]) == set(kept)


def test_views_of_a_picture_stay_with_it_and_are_never_judged() -> None:
    n, views = 30, 3
    y = np.tile(np.arange(n) % 3, 1 + views)
    folds = folds_for(rows(n * (1 + views)), y, np.arange(n) // 2, views=views)
    for fitted, judged in pairs(folds, len(y)):
        assert max(judged) < n
        assert {i % n for i in fitted} == set(range(n)) - judged
        assert len(fitted) == (1 + views) * (n - len(judged))
    assert set(folds.judged(len(y))) == set(range(n))


@pytest.mark.parametrize("counts", [(1, 1), (1, 5), (1, 1, 1, 7), (6,), (1,) * 50])
def test_nothing_is_tried_where_fewer_than_two_classes_have_two_rows(counts: tuple[int, ...]) -> None:
    y = np.repeat(np.arange(len(counts)), counts)
    assert not folds_for(rows(len(y)), y)


def test_nothing_is_tried_where_each_class_is_copies_of_one_picture() -> None:
    assert not folds_for(rows(8), np.arange(8) // 4, np.arange(8) // 4)


def test_validation_rows_of_a_class_that_is_not_fitted_are_not_judged() -> None:
    y = np.array([0, 1, 0, 1, 0, 2, 1])
    ((fitted, judged),) = brought(y, 4)
    assert np.arange(7)[fitted].tolist() == [0, 1, 2, 3]
    assert np.arange(7)[judged].tolist() == [4, 6]
    assert brought(y, 4).words == "the 2 validation pictures"
    assert brought(np.array([0, 1, 2]), 2) is NONE


# --- heads on folds


@every_head
def test_empty_folds_choose_nothing(name: str, digits: Any) -> None:
    X, y = digits[0][:60], digits[1][:60]
    head = make_head(name, **QUICK.get(name, {})).fit(X, y, folds=NONE)
    assert head.out_of_fold_ is None
    assert head.describe_budget() == "one setting"


@every_head
def test_answers_out_of_fold_are_one_for_each_row_judged(name: str, digits: Any) -> None:
    X, y = digits[0][:90], digits[1][:90]
    folds = folds_for(X, y, one=HEADS[name].DEAR)
    head = make_head(name, **QUICK.get(name, {})).fit(X, y, folds=folds)
    assert head.out_of_fold_ is not None
    assert head.out_of_fold_.rows.tolist() == folds.judged(90).tolist()
    assert head.out_of_fold_.logits.shape == (len(folds.judged(90)), 10)
    assert folds.words in head.describe_choice()


@pytest.mark.parametrize("name", PLAIN)
def test_answers_out_of_fold_are_not_those_of_a_fit_that_saw_the_row(name: str) -> None:
    """Random labels of many features: a fit that saw a row knows its label, one that did not has to guess."""
    X, y = rows(80, 200), np.arange(80) % 2
    head = make_head(name, **({"k": 1} if name == "knn" else {})).fit(X, y, folds=folds_for(X, y))
    seen = head.out_of_fold_
    assert seen is not None
    assert head.score(X, y) > 0.9
    assert 0.25 < (seen.logits.argmax(axis=1) == y[seen.rows]).mean() < 0.75


@pytest.mark.parametrize("classes", [2, 3, 10, 100, 1_000])
@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.filterwarnings("ignore:The number of unique classes:UserWarning")
def test_one_row_a_class_is_learned_and_nothing_is_chosen(name: str, classes: int) -> None:
    X, y = rows(classes, 64), np.arange(classes)
    head = make_head(name, **({"k": 1} if name == "knn" else {})).fit(X, y)
    assert head.out_of_fold_ is None
    assert head.score(X, y) == 1.0
    assert head.score(X + 0.01 * rows(classes, 64, seed=1), y) > 0.9


CASES: dict[str, tuple[Rows, Codes]] = {
    "two classes of 1 and 5": (rows(6), np.array([0, 1, 1, 1, 1, 1])),
    "two classes of 1 and 50": (rows(51), (np.arange(51) == 7).astype(np.int64)),
    "two classes of 2 and 100": (rows(102), (np.arange(102) % 51 == 0).astype(np.int64)),
    "two rows": (rows(2), np.array([0, 1])),
    "three rows": (rows(3), np.array([0, 1, 1])),
    "four rows": (rows(4), np.array([0, 0, 1, 1])),
    "one feature": (rows(40, 1), np.arange(40) % 2),
    "dead columns": (np.hstack([rows(40), np.zeros((40, 5), np.float32)]), np.arange(40) % 3),
    "columns that hardly vary": (np.hstack([rows(40), 1 + 1e-6 * rows(40, 3, 1)]), np.arange(40) % 3),
    "all columns dead": (np.zeros((40, 5), np.float32), np.arange(40) % 4),
    "all rows alike": (np.full((40, 5), 0.1, np.float32), (np.arange(40) % 4 == 0).astype(np.int64)),
    "rows of zeros": (np.vstack([rows(40), np.zeros((20, 6), np.float32)]), np.arange(60) % 3),
    "constant rows": (np.vstack([rows(40), np.repeat(rows(20, 1), 6, axis=1)]), np.arange(60) % 3),
    "rows ten times": (np.repeat(rows(6), 10, axis=0), np.repeat(np.arange(6) % 3, 10)),
    "rows ten times in two classes": (np.repeat(rows(6), 10, axis=0), np.arange(60) % 2),
    "rows that differ in length alone": (np.outer(np.arange(1, 7), np.ones(64)).astype(np.float32), np.arange(6) // 3),
    "few rows alike, more features": (np.ones((6, 64), np.float32), np.arange(6) // 3),
    "huge": (rows(40) * np.float32(1e12), np.arange(40) % 2),
    "tiny": (rows(40) * np.float32(1e-12), np.arange(40) % 2),
    "more features than rows": (rows(30, 900), np.arange(30) % 3),
}


@every_head
@pytest.mark.parametrize("weight", [None, pytest.param("balanced", marks=pytest.mark.slow)])
@pytest.mark.parametrize("case", list(CASES))
def test_odd_rows_give_probabilities_and_no_numerical_warning(case: str, weight: str | None, name: str) -> None:
    X, y = CASES[case]
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        head = make_head(name, class_weight=weight, **QUICK.get(name, {})).fit(X, y)
        p = head.predict_proba(np.vstack([X, 3 * X + X.std()]))
    assert np.isfinite(p).all()
    assert np.abs(p.sum(axis=1) - 1).max() < 1e-9
    assert np.isfinite(head.report_.get("C", 1.0))


def test_six_pictures_of_one_grey_level_each_are_told_apart_by_it() -> None:
    """At length 1 they are all the same row, and so they are left as they are."""
    X = np.outer([10, 20, 30, 220, 230, 240], np.ones(64)).astype(np.float32) / 255
    y = np.arange(6) // 3
    head = make_head("logistic").fit(X, y, folds=folds_for(X, y))
    assert np.array_equal(head.predict(X), y)


@pytest.mark.parametrize("name", PLAIN)
def test_the_precision_of_features_and_one_scale_for_all_of_them_change_nothing(name: str, digits: Any) -> None:
    X, y = digits[0][:80], digits[1][:80]
    folds = folds_for(X, y)
    p = make_head(name).fit(X, y, folds=folds).predict_proba(digits[0])
    for other in (digits[0].astype(np.float64), 1_000 * digits[0], digits[0].astype(np.float64) * 2.0**-20):
        assert np.abs(make_head(name).fit(other[:80], y, folds=folds).predict_proba(other) - p).max() < 1e-5
    exact = digits[0].astype(np.float64)
    assert np.abs(make_head(name).fit(exact[:80], y).predict_proba(exact) - p).max() < 1e-5, "with folds of its own"


@pytest.mark.parametrize(
    "options", [{}, {"root": False}, {"normalise": False}, {"whiten": 0.01}, {"standardise": False}]
)
def test_balanced_weights_are_those_of_all_rows_in_every_fold(options: dict[str, Any]) -> None:
    y = (np.arange(120) % 10 == 0).astype(np.int64)
    X = rows(120) + y[:, None]
    balanced = LogisticHead(class_weight="balanced", **options).fit(X, y)
    named = LogisticHead(class_weight={0: 120 / 216, 1: 5.0}, **options).fit(X, y)
    assert balanced.history_ == named.history_
    assert np.array_equal(balanced.logits(X), named.logits(X))
    plain = LogisticHead(**options).fit(X, y)
    assert balanced.predict_proba(X)[:, 1].mean() > plain.predict_proba(X)[:, 1].mean() + 0.03


def test_no_more_neighbours_are_tried_than_a_fold_has_rows() -> None:
    X, y = rows(10) + (np.arange(10) % 2)[:, None], np.arange(10) % 2
    head = KNNHead().fit(X, y)
    assert [row["k"] for row in head.history_[1:]] == [1, 3, 5]
    many = KNNHead(k=30).fit(X, y, folds=folds_for(X, y))
    assert many.report_["k"] == 10
    assert np.allclose(many.predict_proba(X), 0.5)


@pytest.mark.slow
def test_a_grid_search_of_scikit_learn_runs_over_every_setting(digits: Any) -> None:
    X, y = digits[0][:150], digits[1][:150]
    grid = {"C": [0.1, None], "normalise": [None, True, False], "whiten": [None, 0.0, 0.01]}
    found = GridSearchCV(LogisticHead(), grid, cv=3, error_score="raise").fit(X, y)
    assert len(found.cv_results_["params"]) == 18
    assert found.cv_results_["mean_test_score"].min() > 0.85


# --- few rows


def test_a_column_that_hardly_varies_among_three_rows_does_not_blow_up_others() -> None:
    """It did: a deviation of 1e-6 made a value of a million standard deviations of the next picture."""
    X = rows(2_000, 50)
    X[:3, 7] = X[0, 7] + np.array([0, 1e-6, 2e-6], np.float32)
    assert np.abs(StandardScaler().fit(X[:3]).transform(X)).max() > 1e5
    assert np.abs(Scaler.measure(X[:3]).apply(X)).max() < 10


def test_a_scale_is_drawn_to_that_of_the_average_column_by_so_many_rows() -> None:
    X = rows(10, 3).astype(np.float64) * [1, 2, 3]
    own = X.var(axis=0)
    expected = (PSEUDO_ROWS * own.mean() + 10 * own) / (PSEUDO_ROWS + 10)
    assert np.allclose(np.square(Scaler.measure(X).scale), expected, rtol=1e-12)


def test_with_many_rows_the_scale_is_that_of_scikit_learn() -> None:
    X = np.abs(rows(20_000, 30)) * np.linspace(0.5, 2, 30, dtype=np.float32) + 3
    ours, theirs = Scaler.measure(X), StandardScaler().fit(X.astype(np.float64))
    assert np.abs(ours.scale / theirs.scale_ - 1).max() < 1e-2
    assert np.abs(ours.mean - theirs.mean_).max() < 1e-9


@pytest.mark.slow
def test_a_few_digits_of_each_class_beat_standardisation_of_each_feature_alone(digits: Any) -> None:
    """What was done before: a standard score of each pixel, and the usual C. Five subsets of each size."""
    X, y = digits
    for per_class, gain in ((2, 0.03), (3, 0.02), (5, 0.01), (10, 0.003)):
        found = []
        for seed in range(5):
            few = drawn(y, per_class, seed)
            rest = np.setdiff1d(np.arange(len(y)), few)
            scaler = StandardScaler().fit(X[few])
            before = LogisticRegression(C=0.1, max_iter=1_000).fit(scaler.transform(X[few]), y[few])
            now = LogisticHead().fit(X[few], y[few])
            found.append(now.score(X[rest], y[rest]) - before.score(scaler.transform(X[rest]), y[rest]))
        assert np.mean(found) > gain


def test_roots_are_taken_where_a_few_loud_features_hide_the_others_and_nowhere_else() -> None:
    """A class shifts every feature by a little; cubed, the loudest of them say the most and know the least."""
    y, later = np.arange(200) % 2, np.arange(2_000) % 2
    X, T = (rows(len(codes), 20, seed) + np.float32(0.6) * codes[:, None] for seed, codes in ((0, y), (1, later)))
    assert LogisticHead().fit(X, y).rooted_[0] == 0
    chosen, plain = LogisticHead().fit(X**3, y), LogisticHead(root=False).fit(X**3, y)
    assert chosen.rooted_[0] == 1
    assert np.mean(chosen.predict(T**3) == later) > np.mean(plain.predict(T**3) == later) + 0.01
    assert rooted(np.array([[-4.0, 0.0, 9.0]])).tolist() == [[-2.0, 0.0, 3.0]]


def test_a_head_of_an_older_version_reads_rows_as_they_are(digits: Any) -> None:
    X, y = digits[0][:200], digits[1][:200]
    head = LogisticHead(C=0.1).fit(X, y)
    arrays, config = head.to_arrays(), head.config()
    del arrays["rooted"], arrays["normalised"]
    for name in ("root", "normalise", "whiten"):
        del config["params"][name], config["report"][name]
    assert np.array_equal(LogisticHead.from_arrays(arrays, config).logits(X), head.logits(X))
    unit = LogisticHead(C=0.1, normalise=True).fit(X, y)
    again = LogisticHead.from_arrays(unit.to_arrays(), unit.config())
    assert again.normalised_[0] == 1
    assert np.array_equal(again.logits(X), unit.logits(X))
    assert np.abs(again.logits(5 * X) - unit.logits(X)).max() < 1e-6
