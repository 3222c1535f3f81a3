"""The interval of a cross-validated score: its shape, and how often it holds the truth where that is known."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from headstart.evidence.cross_validated import FOLDS, effective, interval
from headstart.statistics import Z95, wilson

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
from cv_interval import (
    HEADS,
    POPULATIONS,
    Linear,
    Pool,
    Population,
    Rows,
    Singles,
    measured,
    possible,
    stratified,
)

NEW = [each for each in POPULATIONS if not each.calibrated]


def answers(correct: int, n: int) -> NDArray[np.bool_]:
    return np.arange(n) < correct


def named(name: str) -> Population:
    (found,) = (each for each in POPULATIONS if each.name == name)
    return found


# Shape


@pytest.mark.parametrize("n", [1, 4, 20, 50, 200, 1_999])
@pytest.mark.parametrize("classes", [2, 10, 100])
def test_it_holds_the_score_and_is_wider_than_wilson_s_of_as_many_answers(n: int, classes: int) -> None:
    for correct in {0, 1, n // 2, n - 1, n}:
        (low, high), (inner, outer) = interval(answers(correct, n), classes), wilson(correct, n)
        assert 0 <= low <= correct / n <= high <= 1
        assert high - low > outer - inner


def test_more_classes_raise_the_upper_end_alone() -> None:
    found = [interval(answers(37, 50), classes) for classes in (2, 5, 10, 49)]
    assert len({low for low, _ in found}) == 1
    highs = [high for _, high in found]
    assert highs == sorted(set(highs)) and highs[-1] < 1


def test_the_odds_of_the_upper_end_allow_for_one_picture_more_of_each_class() -> None:
    """Of 40 pictures of 10 classes each answer came with three of its class, in place of four."""
    (_, plain), (_, high) = interval(answers(30, 40), 0), interval(answers(30, 40), 10)
    assert high / (1 - high) == pytest.approx(4 / 3 * plain / (1 - plain))


def test_where_each_class_has_one_picture_nothing_bounds_the_accuracy_from_above() -> None:
    assert interval(answers(0, 5), 5) == (0.0, 1.0)


def test_without_classes_to_allow_for_right_and_wrong_mirror_each_other() -> None:
    right = answers(37, 50)
    low, high = interval(right, 0)
    assert interval(~right, 0) == pytest.approx((1 - high, 1 - low))


def test_the_order_of_the_answers_does_not_matter() -> None:
    right = answers(37, 50)
    assert interval(np.random.default_rng(0).permutation(right), 2) == interval(right, 2)


def test_all_right_is_never_certain_and_more_pictures_make_it_surer() -> None:
    lows = [interval(answers(n, n), 2)[0] for n in range(1, 200)]
    assert all(interval(answers(n, n), 2)[1] == 1.0 for n in (4, 20, 200))
    assert (np.diff(lows) > 0).all() and lows[-1] < 0.99


def test_four_right_answers_leave_a_coin_possible_and_twenty_do_not() -> None:
    assert interval(answers(4, 4), 2)[0] < 0.5 < interval(answers(20, 20), 2)[0]


def test_many_answers_count_for_five_in_seven_and_few_for_less() -> None:
    low, high = interval(answers(500_000, 1_000_000), 2)
    assert high - low == pytest.approx(Z95 * (1.4 / 1e6) ** 0.5, rel=1e-3)
    shares = [effective(n) / n for n in (4, 10, 50, 200, 1_000)]
    assert shares == sorted(shares) and shares[0] < 0.4


def test_no_answers_say_nothing() -> None:
    assert interval(answers(0, 0), 2) == (0.0, 1.0)


# What the simulation rests on


def drawn(population: Population, n: int, seed: int = 0) -> tuple[Rows, Singles, NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    X, y = population.draw(n, rng)
    Y = y[:, None] if population.classes == 2 else np.eye(population.classes)[y]
    return Rows.of(X), Y.astype(np.float32), stratified(y, rng)


@pytest.mark.parametrize("head", sorted(HEADS))
@pytest.mark.parametrize("name", ["two, good", "five, heavy tails"])
def test_an_answer_out_of_fold_does_not_depend_on_the_labels_of_its_fold(head: str, name: str) -> None:
    rows, Y, fold = drawn(named(name), 80)
    before, whole = HEADS[head](rows, Y, fold, 10.0)
    turned = np.where((fold == 3)[:, None], np.roll(Y, 1, axis=1) if Y.shape[1] > 1 else 1 - Y, Y)
    after, other = HEADS[head](rows, turned, fold, 10.0)
    np.testing.assert_allclose(after[fold == 3], before[fold == 3], atol=2e-3)
    assert np.abs(after[fold != 3] - before[fold != 3]).max() > 0.1 and np.abs(other - whole).max() > 0.1


def test_folds_share_every_class_and_all_pictures_evenly() -> None:
    y = np.repeat([0, 1, 2], [47, 31, 4])
    fold = stratified(y, np.random.default_rng(0))
    for part in [fold, *(fold[y == k] for k in range(3))]:
        assert np.ptp(np.bincount(part, minlength=FOLDS)) <= 1


@pytest.mark.parametrize("name", ["two, centres", "two, wrong labels", "five, heavy tails", "ten, top"])
def test_the_true_accuracy_is_that_on_many_pictures(name: str) -> None:
    population, rng = named(name), np.random.default_rng(1)
    rows, Y, fold = drawn(population, 100)
    classifier = rows.classifier(HEADS["logistic"](rows, Y, fold, 10.0)[1])
    X, y = population.draw(100_000, rng)
    assert population.truth(classifier, 0.0, rng) == pytest.approx(float(np.mean(classifier(X) == y)), abs=0.01)


def test_the_truth_of_a_pool_is_on_what_was_not_drawn_and_shrinks_towards_the_score() -> None:
    X = np.zeros((400, 1))
    pool = Pool("constant", X, np.arange(400) % 2)
    pool.draw(100, np.random.default_rng(0))
    second = Linear(np.zeros((1, 1), np.float32), np.ones(1, np.float32))
    rest = float(np.mean(pool.y[~pool.drawn] == 1))
    assert pool.truth(second, 0.9, np.random.default_rng(0)) == pytest.approx(0.9 + 0.75**0.5 * (rest - 0.9))


# Coverage


@pytest.mark.slow
@pytest.mark.parametrize(("name", "n"), [("two, good", 50), ("two, centres", 50), ("two, uneven", 200)])
def test_it_holds_the_truth_about_as_often_as_it_says_where_wilson_s_does_not(name: str, n: int) -> None:
    """400 data sets have a standard error of about one point."""
    line = measured(named(name), n, 400)
    ours, naive = line.covered
    assert 0.92 <= ours <= 0.985 and naive <= min(0.945, ours - 0.02)


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("n", [50, 200])
def test_over_all_populations_that_did_not_find_it_the_interval_holds_the_truth_in_93_to_97_percent(n: int) -> None:
    found = [measured(each, n, 200).covered[0] for each in NEW if possible(each, n)]
    assert 0.93 <= np.mean(found) <= 0.97
