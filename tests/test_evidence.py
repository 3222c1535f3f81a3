"""Figures of learning curves as defined, on curves whose figures are known; intervals that do not depend on order."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from headstart.errors import UserError
from headstart.evidence.accuracy import curves_of, per_class
from headstart.evidence.answers import Answers
from headstart.evidence.bootstrap import Bootstrap, resampled
from headstart.evidence.curves import area_weights, asymptote, equivalent, isotonic, slope_weights, x90
from headstart.evidence.learnt import has_learnt
from headstart.evidence.pairwise import compare
from headstart.evidence.training import levelled, over_repeats, training_block, training_curve
from headstart.evidence.variance import Spread, Variances
from headstart.schema.files import to_json
from headstart.schema.verdicts import Estimate
from headstart.statistics import t_quantile, wilson

SIZES = np.array([5.0, 10.0, 20.0, 40.0, 80.0])


def answers(seed: int = 0, levels: tuple[float, float] = (0.8, 0.7), m: int = 300, r: int = 5) -> Answers:
    """Two arms that get better with size, on pictures of differing difficulty."""
    rng = np.random.default_rng(seed)
    rise = np.linspace(0.0, 0.15, len(SIZES))[:, None, None]
    chance = np.array(levels)[:, None, None, None] + rise - 0.3 * (rng.random(m) - 0.5)
    return Answers(("first", "second"), SIZES, rng.random((2, len(SIZES), r, m)) < chance)


def difference(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([weights, -weights])


# Curves


@pytest.mark.parametrize("df", [1, 4, 99, 100, 101.5, 150, 1_999, 1e7])
def test_quantiles_of_students_t_are_those_of_scipy(df: float) -> None:
    from scipy.special import stdtrit

    assert t_quantile(df, 0.95) == pytest.approx(float(stdtrit(df, 0.975)), rel=0, abs=1e-9)


def test_area_is_the_trapezoid_over_log_x_and_a_constant_is_its_own_area() -> None:
    x, y = np.array([1.0, 2.0, 8.0]), np.array([0.2, 0.4, 0.8])
    assert area_weights(x) @ y == pytest.approx((1 * 0.3 + 2 * 0.6) / 3)
    assert area_weights(x) @ np.full(3, 0.7) == pytest.approx(0.7)
    assert area_weights(np.array([5.0])).tolist() == [1.0]


def test_slope_is_accuracy_per_doubling_whatever_constant_is_added() -> None:
    y = 0.3 + 0.05 * np.log2(SIZES)
    assert slope_weights(SIZES) @ y == pytest.approx(0.05)
    assert slope_weights(SIZES) @ (y + 0.2) == pytest.approx(0.05)
    uneven = np.array([0.1, 0.4, 0.3, 0.8, 0.7])
    assert slope_weights(SIZES) @ uneven == pytest.approx(np.polyfit(np.log2(SIZES), uneven, 1)[0])


def test_x90_lies_where_nine_tenths_of_the_rise_are_made() -> None:
    assert x90(np.array([1.0, 4.0]), np.array([0.0, 1.0])) == pytest.approx(4**0.9)
    assert x90(np.array([1.0, 2.0, 4.0]), np.array([0.5, 0.6, 0.6])) == pytest.approx(2**0.9)
    assert x90(np.array([0.0, 10.0, 20.0]), np.array([0.0, 1.0, 1.0])) == pytest.approx(9.0)


@pytest.mark.parametrize("y", [[0.5, 0.5], [0.6, 0.5], [0.5, 0.9, 0.4]])
def test_a_curve_that_ends_no_higher_than_it_began_has_no_x90(y: list[float]) -> None:
    assert x90(np.arange(1.0, len(y) + 1), np.array(y)) is None


def test_isotonic_agrees_with_scipy() -> None:
    from scipy.optimize import isotonic_regression

    curves = np.random.default_rng(0).random((20, 6))
    for curve, fitted in zip(curves, isotonic(curves), strict=True):
        assert fitted == pytest.approx(isotonic_regression(curve).x)


def test_data_equivalence_is_read_off_the_curve_on_a_log_axis() -> None:
    curve = np.array([0.2, 0.4, 0.6, 0.6, 0.8])
    goals = np.array([0.1, 0.2, 0.3, 0.6, 0.7, 0.8, 0.81])
    found = equivalent(SIZES, np.tile(curve, (7, 1)), goals)
    assert found.tolist() == pytest.approx([0.0, 5.0, 50**0.5, 20.0, 3200**0.5, 80.0, np.inf])


def test_an_arm_needs_of_itself_what_it_has() -> None:
    curve = np.array([0.2, 0.4, 0.5, 0.6, 0.8])
    assert equivalent(SIZES, np.tile(curve, (5, 1)), curve).tolist() == pytest.approx(SIZES.tolist())


@pytest.mark.parametrize("end", [1.0, 0.9, 0.75])
def test_the_asymptote_of_an_exact_power_law_is_found(end: float) -> None:
    assert asymptote(SIZES, end - 0.4 * (SIZES / 20) ** -0.7) == pytest.approx(end, abs=0.004)


def test_the_asymptote_does_not_pass_1_and_a_flat_curve_ends_where_it_is() -> None:
    steep = 1 - 0.9 * 0.5 ** np.arange(5.0) + np.array([0, 0, 0, 0.01, 0.02])
    assert asymptote(SIZES, steep) == pytest.approx(1.0, abs=0.02) and asymptote(SIZES, steep) <= 1
    assert asymptote(SIZES, np.full(5, 0.6)) == pytest.approx(0.6)
    assert asymptote(SIZES, np.array([0.8, 0.7, 0.6, 0.5, 0.4])) == pytest.approx(0.6)


def test_a_curve_that_has_not_begun_to_level_off_has_no_asymptote() -> None:
    assert np.isnan(asymptote(SIZES, 0.1 + 0.02 * np.arange(5.0)))


# Training


def test_a_training_that_levelled_off_has_the_mean_of_its_end_as_asymptote() -> None:
    steps, levels = np.arange(0.0, 401.0, 10.0), np.array([0.90, 0.92, 0.88])
    accuracy = levels[:, None] * np.minimum(1, steps / 100)
    found = training_curve(steps, accuracy)
    mean = over_repeats(levels)
    assert found.reached and found.asymptote is not None and found.slope is not None
    assert (found.asymptote.value, found.asymptote.low) == pytest.approx((mean.value, mean.low))
    assert found.start == Estimate(0.0, 0.0, 0.0) and found.x90 == pytest.approx(90, abs=1)
    assert found.slope.value == pytest.approx(np.polyfit(np.log2(steps[1:]), accuracy.mean(axis=0)[1:], 1)[0])


def test_the_intervals_of_start_and_end_of_a_training_hold_accuracies_only() -> None:
    found = training_curve(np.arange(6.0), np.array([[0.0, 0.6, 0.9, 0.9, 0.9, 0.9], [0.2, 0.6, 1.0, 1.0, 1.0, 1.0]]))
    assert found.asymptote == Estimate(pytest.approx(0.95), pytest.approx(0.31, abs=0.01), 1.0)
    assert found.start == Estimate(pytest.approx(0.1), 0.0, 1.0)


def test_a_training_that_still_rises_has_no_asymptote() -> None:
    steps = np.array([0.0, 1, 2, 4, 8, 16])
    found = training_curve(steps, np.array([[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]]))
    assert not found.reached and found.asymptote is None
    assert found.start == Estimate(0.1) and found.slope is not None and found.slope.value == pytest.approx(0.1)


def test_one_outlier_at_the_end_does_not_hide_a_level() -> None:
    accuracy = np.full(40, 0.9)
    accuracy[-3] = 0.5
    assert levelled(np.arange(40.0), accuracy)
    assert not levelled(np.arange(3.0), accuracy[:3]), "three points with the start among them are too few"


def test_the_block_of_a_training_is_json_with_a_point_for_each_epoch() -> None:
    steps = np.arange(0.0, 50.0, 10)
    block = training_block(np.arange(5), steps, np.tile([0.1, 0.5, 0.5, 0.5, 0.5], (3, 1)), "small_cnn from scratch")
    assert json.loads(json.dumps(to_json(block))) == to_json(block)
    assert [point.step for point in block.points] == steps.tolist()
    assert block.sentence == (
        "small_cnn from scratch began at 10.0% before any update, made 90% of its rise by update 9, in epoch 1, and "
        "levelled off at 50.0%."
    )
    flat = training_block(np.arange(2), steps[:2], np.full((1, 2), 0.1), "it")
    assert flat.sentence == "It began at 10.0% before any update and had not risen at the end."
    assert flat.slope is None and flat.points[0].low is None


# Intervals


def test_the_interval_of_a_mean_over_repeats_is_student_s() -> None:
    from scipy import stats

    values = np.array([0.5, 0.7, 0.6, 0.9])
    low, high = stats.t.interval(0.95, 3, values.mean(), stats.sem(values))
    assert to_json(over_repeats(values)) == pytest.approx({"value": 0.675, "low": low, "high": high})
    assert over_repeats(values[:1]) == Estimate(0.5)


def test_resampled_means_spread_as_the_standard_error_says() -> None:
    counts = np.random.default_rng(0).integers(0, 6, size=(3, 400))
    moved = resampled(counts, 4_000, np.random.default_rng(1))
    assert moved.std(axis=0) == pytest.approx(counts.std(axis=1, ddof=1) / 400**0.5, rel=0.05)
    assert np.corrcoef(moved.T) == pytest.approx(np.corrcoef(counts), abs=0.06)


def test_with_one_repeat_the_interval_is_that_of_the_test_pictures() -> None:
    found = answers(r=1, m=500)
    estimate = Bootstrap.of(found).spread(difference(np.eye(5)[0])).estimate()
    z = found.right[0, 0, 0].astype(float) - found.right[1, 0, 0]
    half = 1.04 * t_quantile(499, 0.95) * (z.var(ddof=1) / 500 + 1 / 502**2) ** 0.5
    assert (estimate.low, estimate.high) == pytest.approx((z.mean() - half, z.mean() + half))


def test_where_pictures_do_not_differ_the_interval_is_student_s_over_subsets() -> None:
    """Every subset shifts all pictures alike: m copies of r numbers hold no more than r numbers do."""
    right = np.zeros((2, 1, 4, 100), dtype=bool)
    for repeat, share in enumerate((10, 30, 20, 60)):
        right[0, 0, repeat] = np.roll(np.arange(100) < share, 25 * repeat)
    found = Bootstrap.of(Answers(("first", "second"), SIZES[:1], right)).spread(difference(np.ones(1)))
    expected = over_repeats(np.array([0.1, 0.3, 0.2, 0.6]))
    assert found.variances.subsets > 5 * found.variances.pictures
    assert found.value == pytest.approx(0.3)
    assert found.estimate().low == pytest.approx(expected.low, abs=0.06)


def test_variances_are_those_of_the_two_way_table() -> None:
    """P, S and E of a simulated table come back, each from its own means."""
    rng = np.random.default_rng(0)
    r, m = 40, 4_000
    chance = 0.5 + 0.15 * rng.choice([-1, 1], size=(r, 1)) + 0.3 * rng.choice([-1, 1], size=(1, m))
    right = np.stack([rng.random((1, r, m)) < chance, np.zeros((1, r, m), dtype=bool)])
    weights = difference(np.ones(1))
    found = Bootstrap.of(Answers(("a", "b"), SIZES[:1], right)).spread(weights).variances
    rest = np.mean(chance * (1 - chance))
    assert found.rest == pytest.approx(rest / (r * m), rel=0.02)
    assert found.pictures - found.rest == pytest.approx(0.09 / m, rel=0.05)
    assert found.subsets - found.rest == pytest.approx(0.0225 / r, rel=0.1)


def test_intervals_do_not_depend_on_the_order_of_pictures_or_repeats() -> None:
    given = answers()
    rng = np.random.default_rng(5)
    right = given.right[:, :, rng.permutation(given.repeats)][..., rng.permutation(given.n_test)]
    shuffled = Answers(given.arms, given.sizes, right)
    one, other = (to_json(compare(Bootstrap.of(a, 500), "first", "second")) for a in (given, shuffled))
    assert json.dumps(one) == json.dumps(other)


def test_the_same_seed_gives_the_same_draws_and_another_seed_others() -> None:
    found = [Bootstrap.of(answers(), 200, seed).joint(difference(np.eye(5)[1])) for seed in (0, 0, 1)]
    assert (found[0] == found[1]).all() and (found[0] != found[2]).any()


def test_intervals_of_linear_figures_are_those_of_the_joint_draws() -> None:
    """The draws of all accuracies, from which ratios and equivalences come, spread as the formula says."""
    weights = difference(area_weights(SIZES))
    boot = Bootstrap.of(answers(), 4_000)
    drawn = (boot.joint(weights) * weights).sum(axis=(1, 2))
    estimate = boot.spread(weights).estimate()
    assert np.quantile(drawn, [0.025, 0.975]).tolist() == pytest.approx([estimate.low, estimate.high], abs=0.003)


def test_near_copies_count_as_one_picture() -> None:
    """Each picture five times tells no more than once."""
    given, weights = answers(), difference(np.eye(5)[2])
    five = np.repeat(given.right, 5, axis=3)
    groups = np.repeat(np.arange(given.n_test), 5)
    once, copied = Bootstrap.of(given), Bootstrap.of(Answers(given.arms, given.sizes, five, groups=groups))
    assert copied.spread(weights).bounds(0.95) == pytest.approx(once.spread(weights).bounds(0.95))
    naive = Bootstrap.of(Answers(given.arms, given.sizes, five)).spread(weights)
    assert naive.variances.pictures < once.spread(weights).variances.pictures / 4
    deviations = [boot.moves[0].std(axis=0) for boot in (once, copied)]
    assert deviations[0] == pytest.approx(deviations[1], rel=0.1)


def test_subsets_of_a_small_pool_make_the_interval_wider() -> None:
    """Nadeau and Bengio's n / (N - n) of one subset's variance."""
    right = np.zeros((2, 1, 4, 100), dtype=bool)
    for repeat, share in enumerate((10, 30, 20, 60)):
        right[0, 0, repeat, :share] = True
    weights, spreads = difference(np.ones(1)), []
    for pool in (None, 6.0):
        found = Bootstrap.of(Answers(("first", "second"), SIZES[:1], right, pool=pool)).spread(weights).variances
        spreads.append(found)
    assert spreads[0].pool == 0
    assert spreads[1].pool == pytest.approx(5 * 4 * spreads[0].subsets)


def test_one_subset_of_all_pictures_has_the_spread_of_the_largest_size_before_it() -> None:
    given = answers()
    right = given.right.copy()
    right[:, -1] = right[:, -1, :1]
    boot = Bootstrap.of(Answers(given.arms, given.sizes, right))
    assert boot.answers.once.tolist() == [False] * 4 + [True]
    last, before = (boot.spread(difference(np.eye(5)[i])).variances for i in (4, 3))
    assert last.subsets == pytest.approx(given.repeats * before.subsets)
    found = compare(boot, "first", "second")
    area = area_weights(SIZES[:4]) @ right.mean(axis=(2, 3))[:, :4].T
    assert found.verdict.difference.value == pytest.approx(area[0] - area[1])
    assert [each.n for each in found.equivalence] == SIZES[:4].tolist() and len(found.by_size) == 5


def test_swapping_the_arms_negates_the_differences_and_inverts_the_ratio() -> None:
    boot = Bootstrap.of(answers(), 2_000)
    one, other = compare(boot, "first", "second"), compare(boot, "second", "first")
    for a, b in zip((one.verdict, *one.by_size), (other.verdict, *other.by_size), strict=True):
        assert a.difference.value == pytest.approx(-b.difference.value)
        assert (a.difference.low, a.low90) == pytest.approx((-(b.difference.high or 0), -b.high90))
        assert (a.sign, a.discordance) == (-b.sign, b.discordance)
    assert one.ratio is not None and other.ratio is not None
    assert one.ratio.value == pytest.approx(1 / other.ratio.value)
    assert one.ratio.low == pytest.approx(1 / (other.ratio.high or 0), rel=0.01)


def test_the_interval_of_the_ratio_says_of_the_two_arms_what_that_of_the_difference_says() -> None:
    """It leaves out 1 where the other leaves out 0, also where few repeats make that a close thing."""
    for seed in range(20):
        found = compare(answers(seed, (0.8, 0.73), m=50, r=2), "first", "second")
        assert found.ratio is not None and found.ratio.low is not None and found.area.difference.low is not None
        assert (found.ratio.low > 1) == (found.area.difference.low > 0)


def test_pictures_that_all_arms_answer_alike_move_accuracy_but_not_the_count_of_differences() -> None:
    given = answers()
    more = np.concatenate([given.right, np.ones((*given.right.shape[:3], 300), dtype=bool)], axis=3)
    one, other = (Bootstrap.of(Answers(given.arms, given.sizes, right)) for right in (given.right, more))
    weights = difference(area_weights(SIZES))
    assert other.spread(weights).value == pytest.approx(one.spread(weights).value / 2)


def test_arms_with_the_same_answers_differ_by_exactly_nothing() -> None:
    given = answers()
    same = Answers(given.arms, given.sizes, np.stack([given.right[0], given.right[0]]))
    found = Bootstrap.of(same, 500)
    spread, joint = found.spread(difference(area_weights(SIZES))), found.joint(difference(area_weights(SIZES)))
    assert spread.value == 0 and spread.half(0.95) < 2.1 / given.n_test, "what one picture more might show"
    assert (joint[:, 0] == joint[:, 1]).all()


def test_one_test_picture_is_refused() -> None:
    with pytest.raises(UserError, match="one test picture"):
        Bootstrap.of(answers(m=1))


# Comparison


def test_a_comparison_holds_the_figures_of_its_arms() -> None:
    given = answers()
    found = compare(given, "first", "second", names=("features of a", "raw pixels"))
    mean = given.accuracy.mean(axis=2)
    first, second = mean @ area_weights(SIZES)
    assert (found.area.first.value, found.area.second.value) == pytest.approx((first, second))
    assert found.ratio is not None and found.ratio.value == pytest.approx(first / second)
    assert found.verdict.difference == found.area.difference and found.verdict.n is None
    assert [v.difference.value for v in found.by_size] == pytest.approx((mean[0] - mean[1]).tolist())
    assert [v.n for v in found.by_size] == SIZES.tolist()
    assert found.slope is not None and found.slope.first.value == pytest.approx(slope_weights(SIZES) @ mean[0])
    assert found.verdict.discordance == pytest.approx(np.mean(given.right[0] != given.right[1]))
    assert found.p is None


def test_a_comparison_is_json_with_the_keys_of_verdicts_json() -> None:
    told = to_json(compare(answers(), "first", "second"))
    assert json.loads(json.dumps(told)) == told
    assert " ".join(told) == (
        "first second margin verdict by_size slope x90 asymptote area ratio equivalence p sentence details parts"
    )
    assert " ".join(told["verdict"]) == "word difference low90 high90 discordance needed more_repeats n unlearnt"
    assert " ".join(told["equivalence"][0]) == "n value low high beyond multiple"


def test_with_one_size_there_is_no_slope_and_with_one_repeat_too_mcnemar_s_test() -> None:
    given = answers(r=1, m=60)
    one = Answers(given.arms, SIZES[:1], given.right[:, :1])
    found = compare(one, "first", "second")
    assert found.slope is None and found.asymptote.first is None and len(found.by_size) == 1
    right = one.right[:, 0, 0]
    from scipy.stats import binomtest

    mended, made = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    assert found.p == pytest.approx(binomtest(mended, mended + made).pvalue)


def test_an_asymptote_is_given_with_its_interval_or_not_at_all() -> None:
    curve = 0.95 - 0.4 * (SIZES / 5) ** -0.8
    rng = np.random.default_rng(0)
    for r in (4, 5):
        right = rng.random((2, 5, r, 400)) < curve[:, None, None]
        first = compare(Bootstrap.of(Answers(("a", "b"), SIZES, right), 500), "a", "b").asymptote.first
        assert (first is None) == (r < 5)
        assert first is None or (first.low is not None and abs(first.value - 0.95) < 0.05)


def test_data_equivalence_says_when_the_second_curve_does_not_reach() -> None:
    """The first arm does less at 5 than the second ever does, at 10 what it does at 20, at 40 more than ever."""
    right = np.zeros((2, 3, 2, 1_000), dtype=bool)
    for arm, shares in enumerate(((100, 400, 900), (200, 300, 500))):
        for size, share in enumerate(shares):
            right[arm, size, :, :share] = True
    found = compare(Answers(("a", "b"), np.array([5.0, 10.0, 40.0]), right), "a", "b").equivalence
    below, on, beyond = found
    assert (below.value, below.beyond, below.low, below.high, below.multiple) == (None, None, None, 5.0, None)
    assert on.value == pytest.approx(20.0) and on.multiple == pytest.approx(2.0)
    assert on.low is not None and on.high is not None and on.low < 20 < on.high
    assert (beyond.value, beyond.beyond, beyond.low, beyond.high) == (None, 40.0, 40.0, None)


def test_no_bound_lies_where_an_accuracy_or_a_difference_cannot() -> None:
    """Two repeats that differ make intervals wider than the figures can be."""
    right = np.zeros((2, 2, 2, 40), dtype=bool)
    right[0, :, 0] = True
    found = compare(Answers(("first", "second"), SIZES[:2], right), "first", "second")
    assert (found.verdict.difference.low, found.verdict.difference.high) == (-1.0, 1.0)
    assert found.area.first.low is not None and 0 <= found.area.first.low < 0.01


def test_an_arm_that_is_never_right_gives_no_ratio() -> None:
    given = answers()
    right = np.stack([given.right[0], np.zeros_like(given.right[0])])
    found = compare(Answers(given.arms, SIZES, right), "first", "second")
    assert found.ratio is None and to_json(found)["ratio"] is None


def test_the_curve_of_an_arm_has_its_accuracy_and_wilson_s_interval_where_all_is_right() -> None:
    given = answers()
    right = given.right.copy()
    right[0, -1] = True
    first, second = curves_of(Answers(given.arms, SIZES, right))
    assert [e.value for e in second] == pytest.approx(given.accuracy.mean(axis=2)[1].tolist())
    assert all(e.low < e.value < e.high for e in second if e.low is not None and e.high is not None)
    assert (first[-1].value, first[-1].low, first[-1].high) == pytest.approx((1.0, *wilson(300, 300)), rel=1e-3)


def test_recall_by_class_is_the_mean_over_repeats_on_that_class_alone() -> None:
    given = answers()
    labels = np.random.default_rng(0).integers(0, 3, 300)
    labels[0] = 7
    rows = per_class(given, labels, "abcdefgh", "first", "second", 2)
    assert [row.class_ for row in rows] == ["a", "b", "c", "h"]
    for row, label in zip(rows, (0, 1, 2, 7), strict=True):
        own = given.right[:, 2][..., labels == label]
        assert row.n == own.shape[-1]
        assert (row.first, row.second) == pytest.approx(tuple(own.mean(axis=(1, 2))))
        assert row.difference == pytest.approx(row.first - row.second)
        assert row.n == 1 or row.low <= row.difference <= row.high  # type: ignore[operator]
    assert rows[-1].low is None


# Fits that failed


def failing(places: list[int], worse: int = 1) -> Answers:
    """Arms that differ by half; in some repeats the fits of one of them are never right."""
    given = answers(levels=(0.8, 0.5))
    failed = np.zeros(given.right.shape[:3], np.bool_)
    failed[worse, :, places] = True
    right = given.right & ~failed[..., None]
    return Answers(given.arms, given.sizes, right, failed=failed)


def test_a_verdict_stands_that_is_the_same_without_the_fits_that_failed() -> None:
    found = compare(failing([0]), "first", "second")
    assert found.verdict.word == "helped" and not found.verdict.failing
    assert found.without_failed is not None and found.without_failed.word == "helped"


def test_nothing_is_concluded_where_fits_that_failed_decide() -> None:
    given = answers(levels=(0.6, 0.6))
    failed = np.zeros(given.right.shape[:3], np.bool_)
    failed[1, :, : given.repeats - 1] = True
    right = given.right & ~failed[..., None]
    found = compare(Answers(given.arms, given.sizes, right, failed=failed), "first", "second")
    assert found.verdict.word == "inconclusive" and "failed" in found.sentence


# An arm that did not learn


def test_an_arm_that_answers_without_looking_did_not_learn() -> None:
    """Always the commonest class, always another one, or at random; whatever the share of the commonest class."""
    rng = np.random.default_rng(0)
    for labels in (np.repeat(np.arange(10), 40), np.repeat([0, 1], [350, 50])):
        k = int(labels.max()) + 1
        for predicted in (np.zeros_like(labels), np.full_like(labels, k - 1), rng.permutation(labels)):
            assert not has_learnt(labels, np.stack([predicted] * 3))


def test_an_arm_learnt_where_it_is_better_than_that_also_on_rare_classes_alone() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(10), 40)
    noisy = np.where(rng.random((3, 400)) < 0.2, labels, rng.integers(0, 10, (3, 400)))
    assert has_learnt(labels, noisy)
    uneven = np.repeat([0, 1], [380, 20])
    often_one = np.where(rng.random((3, 400)) < 0.15, 1 - uneven, uneven)
    assert (often_one == uneven).mean() < 0.95 and has_learnt(uneven, often_one)


def unlearnt(second: list[bool]) -> Answers:
    """The first arm far ahead of the second, which did not learn at some sizes."""
    given = answers(levels=(0.8, 0.2))
    return Answers(given.arms, given.sizes, given.right, np.array([[False] * len(SIZES), second]))


def test_nothing_is_concluded_from_an_arm_that_did_not_learn_at_any_size() -> None:
    found = compare(unlearnt([True] * 5), "first", "second")
    assert found.verdict.word == "inconclusive" and found.verdict.unlearnt
    assert found.details[0].endswith("): inconclusive, because second did not learn.")
    assert {each.word for each in found.by_size} == {"inconclusive"}
    assert "second did not learn" in found.sentence and not found.sentence.startswith("Transfer helped")
    assert "cannot tell whether transfer helped" in found.sentence


def test_where_it_learnt_at_other_sizes_only_the_verdicts_there_are_open() -> None:
    found = compare(unlearnt([True, True, False, False, False]), "first", "second")
    assert found.verdict.word == "helped" and not found.verdict.unlearnt
    assert [each.word for each in found.by_size] == ["inconclusive"] * 2 + ["helped"] * 3
    assert found.sentence.startswith("Transfer helped: ")


def test_an_arm_that_did_not_learn_and_is_not_behind_changes_nothing() -> None:
    given = answers()
    same = Answers(given.arms, given.sizes, given.right, np.array([[True] * 5, [False] * 5]))
    assert compare(same, "first", "second").verdict.word == compare(given, "first", "second").verdict.word


def test_subsets_that_overlap_widen_an_accuracy_by_what_they_vary_and_no_more() -> None:
    """Three subsets of most of a pool, at 0.967: the lower end is no farther than both errors together."""
    found = Spread(0.967, Variances(0.967 * 0.033 / 359, 8e-5, 0.0, 5.5e-4), 359, 3)
    estimate, alone = found.share(), replace(found, variances=Variances(found.variances.pictures, 0.0, 0.0)).share()
    assert estimate.low is not None and alone.low is not None and estimate.high is not None and estimate.high < 1
    assert 0.967 - estimate.low == pytest.approx(np.hypot(0.967 - alone.low, found.half(0.95)), abs=0.005)
    assert 0.83 < estimate.low < 0.87  # as so few right and wrong answers alone would have, it was 0.68
