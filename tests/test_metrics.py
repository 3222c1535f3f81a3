"""Scores agree with scikit-learn and with simulated ones; a temperature never makes the loss worse."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sklearn import metrics as reference

from headstart.logits import apply_temperature, fit_temperature
from headstart.metrics import METRICS, brier, confusion, counts_of, ece, ece_null_mean, log_loss, roc_auc, score
from headstart.statistics import wilson


def sample(n: int, k: int, seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Labels and logits that tell something about them."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, k, n)
    return y, rng.normal(size=(n, k)) + 1.5 * np.eye(k)[y]


def mean_nll(logits: NDArray[np.float64], y: NDArray[np.int64], temperature: float) -> float:
    return log_loss(y, apply_temperature(logits, temperature))


@pytest.mark.parametrize("k", [2, 5])
def test_scores_agree_with_scikit_learn(k: int) -> None:
    y, logits = sample(400, k)
    proba = apply_temperature(logits, 1.0)
    predicted = proba.argmax(axis=1)
    got = score(y, proba, [f"class {i}" for i in range(k)])
    assert got["accuracy"] == pytest.approx(reference.accuracy_score(y, predicted))
    assert got["log_loss"] == pytest.approx(reference.log_loss(y, proba))
    assert got["macro_f1"] == pytest.approx(reference.f1_score(y, predicted, average="macro"))
    auc = reference.roc_auc_score(y, proba[:, 1]) if k == 2 else reference.roc_auc_score(y, proba, multi_class="ovr")
    assert got["roc_auc"] == pytest.approx(auc)
    assert got["confusion"] == reference.confusion_matrix(y, predicted).tolist()
    table = reference.precision_recall_fscore_support(y, predicted)
    for row, precision, recall, f1, n in zip(got["per_class"], *table, strict=True):
        assert (row["precision"], row["recall"], row["f1"]) == pytest.approx((precision, recall, f1))
        assert row["n"] == n


def test_brier_is_the_squared_distance_to_the_one_hot_label_summed_over_classes() -> None:
    y, logits = sample(100, 4)
    proba = apply_temperature(logits, 1.0)
    assert brier(y, proba) == pytest.approx(np.mean(np.sum((proba - np.eye(4)[y]) ** 2, axis=1)))
    assert brier(np.array([0]), np.array([[0.0, 1.0]])) == 2.0


def test_auc_of_tied_values_counts_half() -> None:
    y = np.array([0, 1, 0, 1])
    assert roc_auc(y, np.full((4, 2), 0.5)) == 0.5


def test_scores_are_plain_json_and_complete() -> None:
    y, logits = sample(50, 3)
    got = score(y, apply_temperature(logits, 1.0), np.array(["a", "b", "c"]))
    assert json.loads(json.dumps(got, allow_nan=False)) == got
    assert METRICS.keys() <= got.keys()
    assert got["accuracy_low"] < got["accuracy"] < got["accuracy_high"]


def test_a_class_absent_from_the_labels_counts_only_where_it_was_predicted() -> None:
    y = np.array([0, 1, 0, 1])
    proba = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.7, 0.3, 0.0], [0.4, 0.6, 0.0]])
    got = score(y, proba, ["a", "b", "c"])
    assert got["macro_f1"] == 1.0
    assert got["roc_auc"] == 1.0
    assert got["per_class"][2] == {"class": "c", "n": 0, "precision": 0.0, "recall": 0.0, "f1": 0.0}


def test_auc_is_null_when_one_class_alone_occurs() -> None:
    assert score(np.array([1, 1]), np.array([[0.5, 0.5], [0.1, 0.9]]), ["a", "b"])["roc_auc"] is None


def test_scores_of_nothing_or_of_the_wrong_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        score(np.zeros(0, np.int64), np.zeros((0, 2)), ["a", "b"])
    with pytest.raises(ValueError, match=r"\(n, 3\)"):
        score(np.zeros(2, np.int64), np.full((2, 2), 0.5), ["a", "b", "c"])


def test_wilson_interval_solves_its_own_equation() -> None:
    """At each bound p the observed share lies z standard errors of p away."""
    for correct, n in [(3, 10), (985, 1000), (50, 100)]:
        for bound in wilson(correct, n):
            assert abs(correct / n - bound) == pytest.approx(1.959964 * np.sqrt(bound * (1 - bound) / n), rel=1e-5)


def test_wilson_interval_stays_within_zero_and_one() -> None:
    assert wilson(0, 20)[0] == 0.0
    assert wilson(20, 20)[1] == pytest.approx(1.0)
    assert wilson(20, 20)[0] > 0.8
    assert wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("n", "expected"), [(200, 0.042), (5000, 0.009)])
def test_null_mean_of_ece_is_what_a_calibrated_model_shows(n: int, expected: float) -> None:
    """About 0.042 at n = 200 and 0.009 at n = 5,000."""
    rng = np.random.default_rng(1)
    proba = apply_temperature(rng.normal(size=(n, 10)) * 10, 1.0)  # mean confidence 0.9
    null = ece_null_mean(proba)
    seen = []
    for _ in range(60):  # labels drawn from the probabilities themselves: calibrated by construction
        y = (rng.random((n, 1)) > proba.cumsum(axis=1)).sum(axis=1).clip(max=9)
        seen.append(ece(y, proba))
    assert null == pytest.approx(np.mean(seen), rel=0.1)
    assert null == pytest.approx(expected, rel=0.1)


def test_null_mean_is_the_same_each_time() -> None:
    _, logits = sample(300, 3)
    proba = apply_temperature(logits, 1.0)
    assert ece_null_mean(proba) == ece_null_mean(proba)


def test_ece_is_the_gap_between_confidence_and_accuracy_in_each_bin() -> None:
    proba = np.array([[0.9, 0.1]] * 10)
    y = np.array([0] * 6 + [1] * 4)
    assert ece(y, proba) == pytest.approx(0.3)
    assert ece(np.zeros(5, np.int64), np.array([[1.0, 0.0]] * 5)) == 0.0


def test_temperature_finds_the_scale_that_was_applied() -> None:
    rng = np.random.default_rng(3)
    logits = rng.normal(size=(20_000, 5)) * 2
    y = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    assert fit_temperature(3.0 * logits, y) == pytest.approx(3.0, rel=0.05)


@given(
    logits=arrays(np.float64, (25, 3), elements=st.floats(-50, 50)),
    y=arrays(np.int64, 25, elements=st.integers(0, 2)),
)
@settings(max_examples=60, deadline=None)
def test_temperature_keeps_the_prediction_and_never_raises_the_loss(
    logits: NDArray[np.float64], y: NDArray[np.int64]
) -> None:
    temperature = fit_temperature(logits, y)
    losses = {
        t: -np.mean(np.log(np.maximum(apply_temperature(logits, t)[np.arange(25), y], 1e-300)))
        for t in (temperature, 1.0)
    }
    assert losses[temperature] <= losses[1.0] + 1e-12
    top = np.take_along_axis(apply_temperature(logits, temperature), logits.argmax(axis=1)[:, None], axis=1)[:, 0]
    assert np.all(top >= apply_temperature(logits, temperature).max(axis=1) - 1e-12)


def test_no_temperature_near_the_fitted_one_is_better() -> None:
    y, logits = sample(5000, 4)
    best = fit_temperature(logits, y)
    assert mean_nll(logits, y, best) <= min(mean_nll(logits, y, best * factor) for factor in (0.97, 1.03))


def test_a_few_rows_without_a_mistake_do_not_ask_for_certainty() -> None:
    """The likelihood alone would have T go to 0."""
    temperature = fit_temperature(np.eye(3) * 3.0, np.arange(3))
    assert 0.2 < temperature < 1.0


def test_temperature_of_no_rows_is_one() -> None:
    assert fit_temperature(np.zeros((0, 3)), np.zeros(0, np.int64)) == 1.0


def test_metrics_need_no_heavy_library() -> None:
    code = "import sys, headstart.metrics; print([m for m in ('sklearn', 'scipy', 'torch') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_the_confusion_of_many_classes_is_what_is_not_zero_and_reads_like_the_table_of_earlier_versions() -> None:
    k = 150
    rng = np.random.default_rng(0)
    y, predicted = rng.integers(0, k, 400), rng.integers(0, k, 400)
    table = reference.confusion_matrix(y, predicted, labels=range(k))
    written = confusion(y, predicted, k)
    assert len(written) <= 400 and sum(n for _, _, n in written) == 400
    read = counts_of(written, k)
    assert read == counts_of(table.tolist(), k) == [(i, j, table[i, j]) for i, j in zip(*table.nonzero(), strict=True)]
    few = confusion(y % 3, predicted % 3, 3)
    assert few == reference.confusion_matrix(y % 3, predicted % 3).tolist() and len(counts_of(few, 3)) == 9


@pytest.mark.parametrize("table", [[[0, 1]], [[0, 150, 1]], [[-1, 0, 1]], [[]]])
def test_what_is_no_confusion_of_these_classes_counts_nothing(table: list[list[int]]) -> None:
    assert counts_of(table, 150) == []
