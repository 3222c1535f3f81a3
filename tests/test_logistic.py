"""LogisticHead is exact: it agrees with scikit-learn, with itself in other coordinates, and says what it did."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.svm import SVC

from headstart.errors import DataError, UserError
from headstart.heads import few_rows
from headstart.heads.few_rows import unit
from headstart.heads.folds import folds_for
from headstart.heads.logistic import FEW_ROWS, STRENGTHS, LogisticHead, c_grid
from headstart.heads.principal import Principal
from headstart.heads.solver import design
from headstart.heads.solver.curvature import Curvature, sketch_of
from headstart.heads.solver.design import design_for
from headstart.heads.solver.rows import Dense
from headstart.heads.solver.scaler import Scaler, standardised
from headstart.heads.solver.softmax import Problem, minimise, row_weights

Matrix = NDArray[np.float64]


def digits(n: int = 600) -> tuple[Matrix, NDArray[np.int64]]:
    X, y = load_digits(return_X_y=True)
    return X[:n], y[:n]


def wide(n: int = 120, d: int = 400, k: int = 3, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """More features than rows."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)).astype(np.float32)
    y = (X[:, :k] * 2 + rng.gumbel(size=(n, k))).argmax(axis=1)
    return X, y


def split(
    X: Matrix, y: NDArray[np.int64], n: int
) -> tuple[Matrix, NDArray[np.int64], tuple[Matrix, NDArray[np.int64]]]:
    return X[:n], y[:n], (X[n:], y[n:])


@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_many_classes_agree_with_scikit_learn(class_weight: str | None) -> None:
    """scikit-learn with tol=1e-10 agrees to 1e-8 (its own lbfgs stops at a gradient of 1e-8)."""
    X, y = digits()
    ours = LogisticHead(C=0.05, tol=1e-11, class_weight=class_weight).fit(X, y)
    scaler = Scaler.measure(X)
    Z = scaler.apply(X)
    theirs = LogisticRegression(C=0.05, tol=1e-10, solver="newton-cg", class_weight=class_weight).fit(Z, y)
    assert np.abs(ours.predict_proba(X) - theirs.predict_proba(Z)).max() < 1e-8
    assert np.abs(ours.coef_ * scaler.scale[:, None] - theirs.coef_.T).max() < 1e-8


def test_two_logits_at_c_equal_one_logit_at_twice_c() -> None:
    X, y = load_iris(return_X_y=True)
    X, y = X[50:], y[50:]
    ours = LogisticHead(C=0.7, tol=1e-11).fit(X, y)
    scaler = Scaler.measure(X)
    Z = scaler.apply(X)
    binomial = LogisticRegression(C=1.4, tol=1e-12, max_iter=100_000).fit(Z, y)
    assert np.abs(ours.predict_proba(X) - binomial.predict_proba(Z)).max() < 1e-8
    assert np.abs((ours.coef_[:, 1] - ours.coef_[:, 0]) * scaler.scale - binomial.coef_[0]).max() < 1e-7


@pytest.mark.parametrize("with_validation", [False, True])
def test_more_features_than_rows_equals_the_direct_solution(with_validation: bool) -> None:
    """The reduction agrees to 1e-8."""
    X, y = wide()
    X[:, 7] = 3.0  # a constant feature
    train = 90 if with_validation else len(X)
    parts = [X[:train], X[train:]] if with_validation else [X]
    scaler = Scaler.measure(X[:train])
    reduced = design_for(parts, scaler)
    assert reduced.width <= len(X)
    weights = row_weights(y, np.ones(3))
    small = minimise(
        Problem(reduced.exact, y, weights, 1e-2), np.zeros((reduced.width + 1, 3)), tol=1e-12, max_iter=500
    )
    direct_rows = Dense(standardised(parts, scaler, np.float64))
    direct = minimise(Problem(direct_rows, y, weights, 1e-2), np.zeros((401, 3)), tol=1e-12, max_iter=500)
    assert np.abs(reduced.unmap(small.theta[:-1]) - direct.theta[:-1]).max() < 1e-8
    assert np.abs(small.theta[-1] - direct.theta[-1]).max() < 1e-8


def test_the_reduced_rows_have_the_inner_products_of_the_features() -> None:
    X, _ = wide()
    X[60:] = X[:60]  # rank far below the number of rows
    scaler = Scaler.measure(X)
    Z = scaler.apply(X)
    L = design_for([X], scaler).fast.Z
    assert L.shape[1] <= 60
    assert np.abs(L @ L.T - Z @ Z.T).max() < 1e-9 * np.abs(Z @ Z.T).max()


@pytest.mark.parametrize("options", [{}, {"C": 0.05}, {"standardise": False}])
def test_float32_first_and_streamed_rows_reach_the_same_solution(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is done only to be fast on large data changes nothing."""
    X, y = digits(1500)
    X = X.astype(np.float32)
    plain = LogisticHead(tol=1e-10, **options).fit(X[:1200], y[:1200], (X[1200:], y[1200:]))
    monkeypatch.setattr(design, "EXACT_BYTES", 0)
    streamed = LogisticHead(tol=1e-10, **options).fit(X[:1200], y[:1200], (X[1200:], y[1200:]))
    assert streamed.report_["C"] == pytest.approx(plain.report_["C"], rel=1e-6)
    assert np.abs(streamed.logits(X) - plain.logits(X)).max() < 1e-5
    assert streamed.report_["max_gradient"] <= 1e-10


def test_a_sketched_preconditioner_changes_the_path_and_not_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headstart.heads.solver.curvature.FULL", 16)
    monkeypatch.setattr("headstart.heads.solver.curvature.SKETCH", 8)
    X, y = digits()
    rows = Dense(Scaler.measure(X).apply(X))
    problem = Problem(rows, y, row_weights(y, np.ones(10)), 1e-3)
    sketch = sketch_of(rows)
    assert sketch is not None
    full, sketched = (
        minimise(problem, np.zeros((65, 10)), tol=1e-10, max_iter=2000, curvature=Curvature(s)) for s in (None, sketch)
    )
    assert full.converged
    assert sketched.converged
    assert np.abs(full.theta - sketched.theta).max() < 1e-6


def test_the_gradient_is_that_of_the_objective() -> None:
    X, y = digits(80)
    rng = np.random.default_rng(0)
    problem = Problem(Dense(Scaler.measure(X).apply(X)), y, row_weights(y, rng.uniform(0.5, 2, 10)), 0.01)
    theta = rng.normal(size=(65, 10)) * 0.1

    def value(at: Matrix) -> float:
        return problem.value(problem.logits(at), at)[0]

    grad = problem.gradient(problem.value(problem.logits(theta), theta)[1], theta)
    for _ in range(5):
        d = rng.normal(size=theta.shape)
        numeric = (value(theta + 1e-5 * d) - value(theta - 1e-5 * d)) / 2e-5
        assert np.vdot(grad, d) == pytest.approx(numeric, rel=1e-6, abs=1e-8)


def test_the_largest_gradient_at_the_end_is_below_the_tolerance() -> None:
    """Computed here again, from the folded weights."""
    X, y = digits()
    head = LogisticHead(C=0.01).fit(X, y)
    R = (head.predict_proba(X) - np.eye(10)[y]) / len(X)
    scaler = Scaler.measure(X)
    grad = scaler.apply(X).T @ R + head.coef_ * scaler.scale[:, None] / (0.01 * len(X))
    assert np.abs(grad).max() <= 1.001e-6
    assert np.abs(R.sum(axis=0)).max() <= 1.001e-6


def test_features_scaled_all_alike_and_shifted_give_the_same_probabilities() -> None:
    X, y = digits()
    other = X * 1e3 + np.random.default_rng(0).normal(size=64) * 1e4
    a = LogisticHead(C=0.1, tol=1e-10).fit(X, y).predict_proba(X)
    b = LogisticHead(C=0.1, tol=1e-10).fit(other, y).predict_proba(other)
    assert np.abs(a - b).max() < 1e-7


def test_a_scale_of_each_feature_matters_less_than_without_standardisation() -> None:
    """Few rows say little about a feature's scale, so it is taken from all features in part."""
    X, y = digits()
    other = X * np.random.default_rng(0).uniform(0.5, 2, 64)

    def change(C: float, standardise: bool) -> float:
        fits = [LogisticHead(C=C, standardise=standardise).fit(rows, y).predict_proba(rows) for rows in (X, other)]
        return float(np.abs(fits[0] - fits[1]).max())

    assert 1e-6 < change(0.1, True) < 0.3 * change(0.1 / X.var(axis=0).mean(), False)


def test_a_constant_feature_has_no_weight_even_when_it_changes_later() -> None:
    X, y = digits()
    X = np.hstack([X, np.full((len(X), 1), 0.1)]).astype(np.float32)
    head = LogisticHead(C=0.1).fit(X, y)
    assert np.all(head.coef_[-1] == 0)
    assert np.all(np.isfinite(head.predict_proba(X + 1e6 * (np.arange(65) == 64))))


def test_history_starts_before_training_and_follows_the_settings_from_strong_to_weak_penalty() -> None:
    X, y, validation = split(*digits(450), 350)
    head = LogisticHead().fit(X, y, validation)
    names = ("normalise", "root", "whiten", "strength")
    assert head.history_[0] == {**dict.fromkeys(names, 0), "val_log_loss": pytest.approx(np.log(10))}
    tried = [tuple(row[name] for name in names) for row in head.history_[1:]]
    assert tried == [(n, r, w, s) for n in (1.0, 0.0) for r in (0.0, 1.0) for w in (0.01, 0.0) for s in STRENGTHS]
    rows = LogisticHead(standardise=False).fit(X, y, validation).history_
    assert rows[0] == {"C": 0, "val_log_loss": pytest.approx(np.log(10))}
    grid = c_grid(Scaler.total_variance(np.vstack([X, validation[0]])))
    assert [row["C"] for row in rows[1:]] == grid[: len(rows) - 1]


def test_c_has_the_least_validation_loss_of_separate_fits_and_the_fit_is_of_all_rows() -> None:
    X, y, validation = split(*digits(900), 700)
    head = LogisticHead(tol=1e-9, standardise=False).fit(X, y, validation)
    found = {row["C"]: row["val_log_loss"] for row in head.history_[1:]}

    def loss(C: float) -> float:
        return log_loss(validation[1], LogisticHead(C=C, standardise=False).fit(X, y).predict_proba(validation[0]))

    losses = {C: loss(C) for C in found}
    assert found == pytest.approx(losses, rel=1e-2)
    assert head.report_["C"] == min(losses, key=lambda C: losses[C])
    everything = np.vstack([X, validation[0]]), np.concatenate([y, validation[1]])
    scikit = LogisticRegression(C=head.report_["C"], tol=1e-9, max_iter=50_000, solver="newton-cg").fit(*everything)
    assert np.abs(scikit.predict_proba(X) - head.predict_proba(X)).max() < 1e-5


def reference(Z: Matrix, whiten: float) -> tuple[Callable[[Matrix], Matrix], float]:
    """Whitening by its formula, from the covariance of rows Z, and their mean squared length then."""
    centred = Z - Z.mean(axis=0)
    variance, axes = np.linalg.eigh(centred.T @ centred / len(Z))
    scale = 1 / np.sqrt(variance + whiten * variance.sum()) if whiten else np.ones(len(variance))
    return lambda rows: (rows - Z.mean(axis=0)) @ axes * scale, float(variance @ scale**2)


def test_the_setting_of_few_rows_is_the_best_of_separate_fits_by_scikit_learn() -> None:
    """Roots, unit length, standardised, whitened in the axes of the rows fitted on: each step as it is defined."""
    X, y, validation = split(*digits(300), 220)
    both = np.vstack([X, validation[0]])
    head = LogisticHead().fit(X, y, validation)
    losses = {}
    for row in head.history_[1:]:
        rows = np.sign(both) * np.sqrt(np.abs(both)) if row["root"] else both
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True) if row["normalise"] else rows
        Z = Scaler.measure(rows).apply(rows)
        whitened, power = reference(Z[:220], row["whiten"])
        fit = LogisticRegression(C=row["strength"] / power, tol=1e-8, solver="newton-cg").fit(whitened(Z[:220]), y)
        losses[tuple(row.values())] = log_loss(validation[1], fit.predict_proba(whitened(Z[220:])))
        assert row["val_log_loss"] == pytest.approx(losses[tuple(row.values())], rel=0.1)  # rough, to choose by
    chosen = min(head.history_[1:], key=lambda row: row["val_log_loss"])
    assert losses[tuple(chosen.values())] < 1.05 * min(losses.values())
    assert all(head.report_[name] == chosen[name] for name in ("root", "normalise", "whiten"))


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("whiten", [0.01, 1.0])
def test_whitened_rows_have_the_solution_of_scikit_learn(whiten: float, normalise: bool) -> None:
    X, y = digits()
    head = LogisticHead(C=0.5, whiten=whiten, normalise=normalise, tol=1e-10).fit(X, y)
    rows = X / np.linalg.norm(X, axis=1, keepdims=True) if normalise else X
    Z = Scaler.measure(rows).apply(rows)
    whitened = reference(Z, whiten)[0](Z)
    theirs = LogisticRegression(C=0.5, tol=1e-10, solver="newton-cg").fit(whitened, y)
    assert np.abs(head.predict_proba(X) - theirs.predict_proba(whitened)).max() < 1e-7
    assert np.abs(head.logits(X) - (rows @ head.coef_ + head.intercept_)).max() < 1e-9


def test_a_huge_floor_is_no_whitening_up_to_c() -> None:
    """Two solvers: one in principal axes, one on the features."""
    X, y = digits(300)
    total = float(np.square(Scaler.measure(X).apply(X)).mean(axis=0).sum())
    a = LogisticHead(C=1e9 * total * 0.05, whiten=1e9, tol=1e-10).fit(X, y)
    b = LogisticHead(C=0.05, tol=1e-10).fit(X, y)
    assert np.abs(a.predict_proba(X) - b.predict_proba(X)).max() < 1e-7


def test_the_head_that_ships_has_seen_all_rows() -> None:
    """It is the fit of all rows with what was chosen, and not of those that chose."""
    X, y = digits(300)
    head = LogisticHead(tol=1e-10).fit(X, y)
    chosen = {"C": head.report_["C"], "whiten": head.report_["whiten"]}
    chosen |= {name: bool(head.report_[name]) for name in ("root", "normalise")}
    assert np.abs(LogisticHead(tol=1e-10, **chosen).fit(X, y).logits(X) - head.logits(X)).max() < 1e-5
    assert np.abs(LogisticHead(tol=1e-10, **chosen).fit(X[:240], y[:240]).logits(X) - head.logits(X)).max() > 0.1
    assert np.abs(head.fitted_on_training(X, y).logits(X) - head.logits(X)).max() < 1e-4


def test_a_choice_at_the_edge_of_the_grid_is_noted() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(400, 5)), rng.integers(0, 2, 400)  # nothing to learn
    head = LogisticHead(standardise=False).fit(X[:200], y[:200], (X[200:], y[200:]))
    assert head.report_["C"] == c_grid(Scaler.total_variance(X))[0]
    assert any("strongest penalty of the grid" in note for note in head.notes_)


def test_where_nothing_can_be_tried_the_usual_is_taken_and_said() -> None:
    X, y = digits(10)
    head = LogisticHead().fit(X, y)
    assert FEW_ROWS.told().items() <= head.report_.items()
    assert head.describe_choice().endswith("too few rows to choose.")
    assert head.out_of_fold_ is None


@pytest.mark.parametrize(("classes", "strength"), [(2, 10.0), (3, 20.0), (10, 90.0), (30, 100.0)])
def test_with_one_row_of_each_class_the_strength_grows_with_the_classes(classes: int, strength: float) -> None:
    X = np.random.default_rng(0).normal(size=(classes, 40))
    head = LogisticHead().fit(X, np.arange(classes))
    rows = unit(X)
    axes = Principal.of(standardised([rows], Scaler.measure(rows), np.float64))
    lengths = np.square(axes.rows * axes.factors(FEW_ROWS.whiten)).sum(axis=1)
    assert head.report_["C"] * lengths.mean() == pytest.approx(strength)


def test_a_given_c_is_kept_with_validation() -> None:
    X, y, validation = split(*digits(900), 700)
    head = LogisticHead(C=0.123).fit(X, y, validation)
    assert head.report_["C"] == 0.123
    assert len(head.history_) == 2


def test_a_fit_that_did_not_converge_says_so() -> None:
    X, y = digits()
    with pytest.warns(ConvergenceWarning, match="not converged"):
        head = LogisticHead(C=1.0, max_iter=2).fit(X, y)
    assert not head.report_["converged"]
    assert any("not converged" in note for note in head.notes_)


def test_one_class_and_missing_values_are_refused_in_one_sentence() -> None:
    X, y = digits(50)
    with pytest.raises(DataError, match="one class, '3'"):
        LogisticHead().fit(X, np.full(50, 3))
    X[17, 4] = np.nan
    with pytest.raises(DataError, match=r"NaN.*row 17"):
        LogisticHead().fit(X, y)


def test_separable_classes_with_hardly_any_penalty_still_converge() -> None:
    X, y = load_iris(return_X_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        head = LogisticHead(C=1e5).fit(X[:100], y[:100])
    assert head.score(X[:100], y[:100]) == 1.0


def test_row_order_does_not_matter() -> None:
    X, y = digits()
    order = np.random.default_rng(0).permutation(len(X))
    a, b = (LogisticHead(C=0.1, tol=1e-10).fit(X[i], y[i]).predict_proba(X) for i in (np.arange(len(X)), order))
    assert np.abs(a - b).max() < 1e-7


def test_features_as_they_are_agree_with_scikit_learn() -> None:
    X, y = digits()
    X = X * np.linspace(0.2, 3, 64)
    ours = LogisticHead(C=0.05, tol=1e-11, standardise=False).fit(X, y)
    theirs = LogisticRegression(C=0.05, tol=1e-10, solver="newton-cg").fit(X, y)
    assert np.abs(ours.predict_proba(X) - theirs.predict_proba(X)).max() < 1e-7
    assert np.abs(ours.coef_ - theirs.coef_.T).max() < 1e-7


def test_more_features_than_rows_as_they_are_agree_with_scikit_learn() -> None:
    X, y = wide()
    X = X * np.linspace(0.1, 10, 400, dtype=np.float32) + 1
    ours = LogisticHead(C=0.01, tol=1e-10, standardise=False).fit(X, y)
    theirs = LogisticRegression(C=0.01, tol=1e-10, solver="newton-cg").fit(X.astype(np.float64), y)
    assert np.abs(ours.predict_proba(X) - theirs.predict_proba(X)).max() < 1e-6


def test_features_as_they_are_keep_their_scale_and_the_values_of_c_follow_it() -> None:
    """A hundredfold scale is a C of a ten-thousandth; each feature's own scale does matter."""
    X, y = digits()
    folds = folds_for(X, y)
    a, b = (LogisticHead(standardise=False, tol=1e-9).fit(X * scale, y, folds=folds) for scale in (1, 100))
    assert a.report_["C"] == pytest.approx(1e4 * b.report_["C"])
    assert np.abs(a.predict_proba(X) - b.predict_proba(X * 100)).max() < 1e-6
    uneven = LogisticHead(C=a.report_["C"], standardise=False).fit(X * np.linspace(0.01, 1, 64), y)
    assert np.abs(a.predict_proba(X) - uneven.predict_proba(X * np.linspace(0.01, 1, 64))).max() > 0.05


def test_a_head_without_standardisation_says_so_and_survives_its_files() -> None:
    X, y, validation = split(*digits(900), 700)
    head = LogisticHead(standardise=False).fit(X, y, validation)
    assert head.report_["standardised"] is False
    back = LogisticHead.from_arrays(head.to_arrays(), head.config())
    assert back.get_params() == head.get_params()
    assert np.array_equal(back.predict_proba(X), head.predict_proba(X))
    assert head.fitted_on_training(X, y).report_["standardised"] is False
    assert LogisticHead().fit(X, y).report_["standardised"] is True


@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("standardise", [True, False])
@pytest.mark.parametrize("rows", [40, pytest.param(3000, marks=pytest.mark.slow)])
def test_without_a_penalty_separated_classes_end_within_the_tolerance_and_a_note_says_what_that_means(
    rows: int, standardise: bool
) -> None:
    """Also where rows were sampled for the preconditioner, and features that few rows have were not among them."""
    rng = np.random.default_rng(0)
    X = (rng.random((rows, 200)) < np.geomspace(1e-3, 0.5, 200)) * 255.0
    y = (X @ rng.normal(size=(200, 3))).argmax(axis=1)
    head = LogisticHead(C=1e12, standardise=standardise).fit(X, y)
    assert head.report_["converged"]
    assert head.score(X, y) == 1.0
    assert any("no penalty" in note for note in head.notes_)


def test_without_a_penalty_separated_classes_are_parted_with_nearly_the_largest_margin() -> None:
    """The limit of weaker and weaker penalties (Rosset, Zhu and Hastie 2004), not just any separation."""
    X, y = wide(60, 200, 2)
    X *= np.geomspace(0.1, 10, 200, dtype=np.float32)
    head = LogisticHead(C=1e12, standardise=False).fit(X, y)
    widest = SVC(kernel="linear", C=1e9).fit(X, y)
    ours, theirs = head.coef_[:, 1] - head.coef_[:, 0], widest.coef_[0]
    assert ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs) > 0.97


def test_without_a_penalty_mixed_classes_have_the_solution_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2500, 20)) * np.geomspace(0.01, 100, 20)
    y = rng.integers(0, 3, 2500)
    ours = LogisticHead(C=1e12, standardise=False, tol=1e-9).fit(X, y)
    theirs = LogisticRegression(C=1e12, tol=1e-12, max_iter=10_000, solver="newton-cg").fit(X / X.std(0), y)
    assert ours.report_["converged"]
    assert not any("no penalty" in note for note in ours.notes_)
    assert np.abs(ours.predict_proba(X) - theirs.predict_proba(X / X.std(0))).max() < 1e-6


def test_an_infinite_c_is_refused_with_what_to_write_instead() -> None:
    with pytest.raises(UserError, match="1e12 is no penalty"):
        LogisticHead(C=np.inf).fit(*digits(50))


@pytest.mark.data
def test_raw_mnist_pixels_reach_the_published_accuracy(data_dir: Path) -> None:
    """Published for logistic regression on raw MNIST pixels: 0.917 to 0.926; 3,000 of the images give less."""
    import gzip

    def idx(name: str, offset: int) -> NDArray[np.uint8]:
        return np.frombuffer(gzip.decompress((data_dir / "mnist" / name).read_bytes()), np.uint8, offset=offset)

    X = idx("train-images-idx3-ubyte.gz", 16).reshape(-1, 784)[:3500].astype(np.float32)
    y = idx("train-labels-idx1-ubyte.gz", 8)[:3500]
    test = idx("t10k-images-idx3-ubyte.gz", 16).reshape(-1, 784).astype(np.float32)
    labels = idx("t10k-labels-idx1-ubyte.gz", 8)
    head = LogisticHead().fit(X[:3000], y[:3000], (X[3000:], y[3000:]))
    assert 0.87 <= head.score(test, labels) <= 0.926


def test_a_fit_is_the_same_whether_its_parts_are_done_beside_each_other_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = load_digits(return_X_y=True)
    found = []
    for large in (1, 2**62):
        monkeypatch.setattr(few_rows, "LARGE", large)
        found.append(LogisticHead(normalise=False).fit(X[:300], y[:300]))
    beside, in_turn = found
    assert beside.history_ == in_turn.history_
    np.testing.assert_array_equal(beside.coef_, in_turn.coef_)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_products_of_rows_are_the_same_however_they_lie_in_memory(dtype: Any, order: Any) -> None:
    rng = np.random.default_rng(0)
    Z, W, R = rng.normal(size=(300, 40)), rng.normal(size=(40, 3)), rng.normal(size=(300, 3))
    rows, near = Dense(Z.astype(dtype, order=order), block=128), 1e-4 if dtype == np.float32 else 1e-12
    assert rows.times(W).dtype == rows.transposed_times(R).dtype == np.float64
    assert np.abs(rows.times(W) - Z @ W).max() < near
    assert np.abs(rows.transposed_times(R) - Z.T @ R).max() < near
