"""LogME, H-score, LEEP and NCE: published values, independent computations, and what each is invariant to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.covariance import ledoit_wolf as sklearn_ledoit_wolf
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.datasets import load_digits

from headstart.evidence.transferability import Spectrum, h_score, h_score_regularised, ledoit_wolf, leep, logme, nce

Matrix = NDArray[np.float64]
Score = Callable[[Matrix, NDArray[np.int64]], float]
OF_FEATURES: tuple[Score, ...] = (logme, h_score, h_score_regularised)
DIGITS, LABELS = load_digits(return_X_y=True)
DIGITS = DIGITS / 16


def source_probabilities() -> Matrix:
    logits = DIGITS @ np.random.default_rng(0).normal(size=(64, 20))
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def small(n: int = 40, d: int = 12, seed: int = 1) -> tuple[Matrix, NDArray[np.int64]]:
    """Features with some meaning, not centred, of three classes."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    return rng.normal(size=(n, d)) + rng.normal(size=(3, d))[y] + 0.5, y


def test_the_golden_values_to_every_printed_digit() -> None:
    centred = DIGITS - DIGITS.mean(axis=0)
    P = source_probabilities()
    found = {
        "LogME": logme(DIGITS, LABELS),
        "H": h_score(DIGITS, LABELS),
        "regularised": h_score_regularised(DIGITS, LABELS),
        "shrinkage": ledoit_wolf(centred, Spectrum.of(centred).s),
        "LEEP": leep(P, LABELS),
        "NCE": nce(P.argmax(axis=1), LABELS),
    }
    assert {name: f"{value:.6f}" for name, value in found.items()} == {
        "LogME": "0.270278",
        "H": "5.917909",
        "regularised": "5.851433",
        "shrinkage": "0.008928",
        "LEEP": "-2.021052",
        "NCE": "-2.087131",
    }


@pytest.mark.parametrize(("n", "d"), [(40, 12), (12, 40), (20, 20)])
def test_logme_is_the_largest_marginal_likelihood_of_the_dense_model(n: int, d: int) -> None:
    """The labels of a class are Gaussian with covariance I/beta + XX'/alpha: maximised here without the updates."""
    X, y = small(n, d)
    scores = []
    for k in range(3):
        t = (y == k).astype(float)

        def least(log_penalty: float, t: Matrix = t) -> float:
            shape = np.eye(n) + X @ X.T / np.exp(log_penalty)
            variance = t @ np.linalg.solve(shape, t) / n
            return float(np.linalg.slogdet(shape)[1] + n * np.log(2 * np.pi * variance) + n) / (2 * n)

        grid = np.linspace(-15, 15, 301)
        best = grid[np.argmin([least(g) for g in grid])]
        scores.append(-minimize_scalar(least, bounds=(best - 0.2, best + 0.2), method="bounded").fun)
    assert logme(X, y) == pytest.approx(np.mean(scores), abs=1e-8)


def test_the_shrinkage_is_scikit_learns_also_with_more_features_than_pictures() -> None:
    for n, d in ((40, 12), (12, 40)):
        X = small(n, d)[0]
        X -= X.mean(axis=0)
        expected = ledoit_wolf_shrinkage(X, assume_centered=True)
        assert ledoit_wolf(X, Spectrum.of(X).s) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(("n", "d"), [(40, 12), (12, 40)])
def test_the_h_scores_are_those_of_the_whole_covariance_matrix(n: int, d: int) -> None:
    X, y = small(n, d)
    means = np.stack([X[y == k].mean(axis=0) for k in y])
    plain = np.trace(np.linalg.pinv(np.cov(X.T), rcond=1e-10) @ np.cov(means.T))
    assert h_score(X, y) == pytest.approx(plain, rel=1e-8)
    covariance, shrinkage = sklearn_ledoit_wolf(X)
    regularised = (1 - shrinkage) * np.trace(np.linalg.solve(covariance, np.cov(means.T)))
    assert h_score_regularised(X, y) == pytest.approx(regularised, rel=1e-8)


@pytest.mark.parametrize("score", OF_FEATURES)
@pytest.mark.parametrize(("n", "d"), [(40, 12), (12, 40)])
def test_scale_rotation_reflection_row_order_and_class_names_change_nothing(score: Score, n: int, d: int) -> None:
    X, y = small(n, d)
    rng = np.random.default_rng(2)
    expected = pytest.approx(score(X, y), rel=1e-9, abs=1e-9)
    for factor in (1e-170, 1e-3, -7.0, 1e120):
        assert score(X * factor, y) == expected
    assert score(X @ np.linalg.qr(rng.normal(size=(d, d)))[0], y) == expected
    order = rng.permutation(n)
    assert score(X[order], y[order]) == expected
    assert score(X, np.array([7, -2, 100])[y]) == expected
    assert score(X, np.array(["bee", "ant", "cat"])[y]) == expected


def test_what_doubling_every_column_does() -> None:
    """LogME and H-score see the same; the regularised H-score sees twice as many features to be unsure about."""
    X, y = small()
    twice = np.hstack([X, X])
    assert logme(twice, y) == pytest.approx(logme(X, y), abs=1e-9)
    assert h_score(twice, y) == pytest.approx(h_score(X, y), abs=1e-9)
    assert abs(h_score_regularised(twice, y) - h_score_regularised(X, y)) > 1e-4


def test_what_moving_the_origin_does() -> None:
    """The H-scores centre the features; LogME, as published, does not."""
    X, y = small()
    assert h_score(X + 3, y) == pytest.approx(h_score(X, y), abs=1e-9)
    assert h_score_regularised(X + 3, y) == pytest.approx(h_score_regularised(X, y), abs=1e-9)
    assert abs(logme(X + 3, y) - logme(X, y)) > 1e-4


def test_what_scaling_single_columns_does() -> None:
    """Only the plain H-score has no opinion on the units of single features."""
    X, y = small()
    stretched = X * np.linspace(0.1, 5, X.shape[1])
    assert h_score(stretched, y) == pytest.approx(h_score(X, y), abs=1e-8)
    assert abs(h_score_regularised(stretched, y) - h_score_regularised(X, y)) > 1e-4
    assert abs(logme(stretched, y) - logme(X, y)) > 1e-4


def test_a_column_of_zeros_is_nothing_to_logme_and_h_score() -> None:
    X, y = small()
    wider = np.hstack([X, np.zeros((len(X), 1))])
    assert logme(wider, y) == pytest.approx(logme(X, y), abs=1e-10)
    assert h_score(wider, y) == pytest.approx(h_score(X, y), abs=1e-10)


def test_a_constant_column_is_nothing_to_the_h_score() -> None:
    X, y = small()
    assert h_score(np.hstack([X, np.full((len(X), 1), 0.1)]), y) == pytest.approx(h_score(X, y), abs=1e-10)


@pytest.mark.parametrize("score", OF_FEATURES)
def test_float32_features_give_the_scores_of_the_same_numbers_in_float64(score: Score) -> None:
    X, y = small()
    single = X.astype(np.float32)
    assert score(single, y) == score(single.astype(np.float64), y)  # type: ignore[arg-type]
    assert score(X, y) == pytest.approx(score(single, y), abs=1e-5)  # type: ignore[arg-type]


@pytest.mark.parametrize("score", OF_FEATURES)
def test_features_with_meaning_score_higher_than_the_same_ones_with_labels_shuffled(score: Score) -> None:
    X, y = small(90, 12)
    assert score(X, y) > score(X, np.random.default_rng(0).permutation(y))


@pytest.mark.parametrize("score", OF_FEATURES)
def test_awkward_features_have_finite_scores(score: Score) -> None:
    """A class with one row, constant features, one class, one picture, labels that the features give exactly."""
    X, y = small()
    rare = np.where(np.arange(40) == 0, 3, y)
    exact = np.eye(3)[y]
    cases = ((X, rare), (X * 0, y), (X * 0 + 0.1, y), (X, y * 0), (X[:1], y[:1]), (exact, y))
    assert np.isfinite([score(*case) for case in cases]).all()


def test_exact_features_beat_good_ones() -> None:
    X, y = small()
    for score in OF_FEATURES:
        assert score(np.eye(3)[y], y) > score(X, y)


def test_with_more_features_than_pictures_the_plain_h_score_says_nothing() -> None:
    rng = np.random.default_rng(0)
    y = np.arange(20) % 4
    assert h_score(rng.normal(size=(20, 60)), y) == pytest.approx(3)
    assert h_score_regularised(rng.normal(size=(20, 60)), y) < 2


def test_leep_is_zero_for_a_source_that_knows_and_the_label_entropy_for_one_that_does_not() -> None:
    y = np.arange(30) % 3
    assert leep(np.eye(3)[y], y) == pytest.approx(0)
    assert leep(np.full((30, 5), 0.2), y) == pytest.approx(-np.log(3))
    assert leep(np.eye(5)[y], y) == pytest.approx(0), "source classes that never occur count nothing"


def test_leep_of_certain_probabilities_is_nce() -> None:
    rng = np.random.default_rng(0)
    y, z = rng.integers(0, 3, 200), rng.integers(0, 6, 200)
    assert leep(np.eye(6)[z], y) == pytest.approx(nce(z, y), abs=1e-12)


def test_nce_does_not_depend_on_names_and_is_zero_when_the_source_decides() -> None:
    rng = np.random.default_rng(0)
    z, y = rng.integers(0, 5, 100), rng.integers(0, 3, 100)
    assert nce(z * 7 - 3, np.array(["a", "b", "c"])[y]) == pytest.approx(nce(z, y))
    assert nce(z, z // 2) == pytest.approx(0)


def test_leep_and_nce_do_not_depend_on_order() -> None:
    P, order = source_probabilities(), np.random.default_rng(3).permutation(len(LABELS))
    assert leep(P[order][:, ::-1], LABELS[order]) == pytest.approx(leep(P, LABELS))
    assert nce(P.argmax(axis=1)[order], LABELS[order]) == pytest.approx(nce(P.argmax(axis=1), LABELS))


def test_input_that_means_nothing_is_refused() -> None:
    X, y = small()
    for features, labels in ((X, y[:-1]), (X[:0], y[:0]), (X[:, 0], y), (np.where(X > 1, np.nan, X), y)):
        for score in OF_FEATURES:
            with pytest.raises(ValueError, match="features"):
                score(features, labels)
    with pytest.raises(ValueError, match="probabilities"):
        leep(X, y)
    with pytest.raises(ValueError, match="one length"):
        nce(y, y[:-1])
