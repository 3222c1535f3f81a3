"""Verdicts by the table of docs/compare.md, their sentences, and how often both are right where the truth is known."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from headstart.errors import UserError
from headstart.evidence.answers import Answers
from headstart.evidence.bootstrap import Bootstrap
from headstart.evidence.multiple import errors, holm, steps, together
from headstart.evidence.pairwise import compare
from headstart.evidence.phrases import signed
from headstart.evidence.power import in_words, plan, power, scaled
from headstart.evidence.variance import Spread, Variances
from headstart.evidence.verdict import judge
from headstart.evidence.words import Setting, details, sentence
from headstart.phrases import percent, two_digits
from headstart.schema.verdicts import (
    Asymptotes,
    ByArm,
    Comparison,
    Equivalence,
    Estimate,
    Reached,
    Verdict,
)

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
from populations import BETTER, EQUAL, HARD, Population
from verdicts import expected, figures


def spread(value: float, half: float, by_subsets: float = 0.0) -> Spread:
    """With so wide an interval of 95%, and such a share of its variance from five subsets."""
    parts = Variances(1 - by_subsets, by_subsets, 0.0)
    unit = Spread(0.0, parts, 100_000, 5).half(0.95)
    error = (half / unit) ** 2
    return Spread(value, Variances(error * (1 - by_subsets), error * by_subsets, 0.0), 100_000, 5)


# The table


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (spread(0.03, 0.01), "helped"),
        (spread(0.0105, 0.0095), "helped"),
        (spread(0.005, 0.004), "helped, below the margin"),
        (spread(-0.03, 0.01), "hurt"),
        (spread(-0.0105, 0.0095), "hurt"),
        (spread(-0.005, 0.004), "hurt, below the margin"),
        (spread(0.0, 0.0117), "no measurable difference"),
        (spread(0.0, 0.0), "no measurable difference"),
        (spread(-0.002, 0.012), "inconclusive"),
        (spread(0.004, 0.016), "inconclusive"),
    ],
)
def test_the_verdict_follows_from_the_intervals_and_the_margin(found: Spread, word: str) -> None:
    verdict = judge(found, 0.1)
    assert verdict.word == word and verdict.level is None
    assert (verdict.needed is None) == (word != "inconclusive")
    assert verdict.sign == {"he": 1, "hu": -1}.get(word[:2], 0)


def test_a_wider_margin_turns_inconclusive_into_no_measurable_difference() -> None:
    found = spread(0.0, 0.03)
    assert [judge(found, 0.1, margin).word for margin in (0.01, 0.03)] == ["inconclusive", "no measurable difference"]


def test_a_claim_that_is_one_of_several_must_be_surer() -> None:
    found = spread(0.02, 0.019)
    one, two = (judge(found, 0.1, alpha=alpha) for alpha in (0.05, 0.025))
    assert (one.word, two.word, two.level) == ("helped", "inconclusive", 0.975)
    assert two.difference.low is not None and one.difference.low is not None and two.difference.low < one.difference.low


def test_an_inconclusive_verdict_says_what_would_decide() -> None:
    """The pictures that would are those with which a difference of the margin is found four times in five."""
    verdict = judge(spread(0.005, 0.025), 0.1)
    assert verdict.needed is not None and not verdict.more_repeats
    assert power(scaled(spread(0.0, 0.025), 5, verdict.needed), 0.01) == pytest.approx(0.8, abs=0.001)
    steep = judge(spread(0.005, 0.025, by_subsets=0.9), 0.1)
    assert steep.needed is None and steep.more_repeats
    assert not judge(spread(0.03, 0.01, by_subsets=0.9), 0.1).more_repeats


@pytest.mark.parametrize("margin", [0.0, -0.01, 1.0, 2.0])
def test_a_margin_outside_0_to_1_is_refused(margin: float) -> None:
    with pytest.raises(UserError, match="margin"):
        judge(spread(0.0, 0.0), 0.1, margin)


def test_holm_s_adjustment_agrees_with_a_worked_example() -> None:
    """0.01 x 4, 0.02 x 3, 0.03 x 2, and 0.04 raised to the one before it."""
    assert holm([0.04, 0.01, 0.03, 0.02]).tolist() == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.9]).tolist() == [1.0, 1.0]
    assert holm([]).tolist() == []


def test_the_steps_of_holm_say_which_error_each_claim_may_make() -> None:
    """The second p value is found at a half; where the first is not found, all have a third."""
    assert steps([0.03, 0.001, 0.5], 0.05).tolist() == pytest.approx([0.025, 0.05 / 3, 0.025])
    assert steps([0.03, 0.02, 0.5], 0.05).tolist() == pytest.approx([0.05 / 3] * 3)
    assert steps([0.001, 0.002], 0.05).tolist() == pytest.approx([0.025, 0.05])


def test_what_is_not_the_primary_claim_is_judged_strictly_where_that_does_not_come_out() -> None:
    assert errors([0.01, 0.04], 1).tolist() == pytest.approx([0.05, 0.05])
    assert errors([0.06, 0.04], 1).tolist() == pytest.approx([0.05, 0.01])
    assert errors([0.04, 0.04], 0).tolist() == pytest.approx([0.025, 0.025])


@pytest.mark.parametrize(("likeness", "count"), [(0.0, 5), (0.6, 5), (1.0, 5), (0.0, 1)])
def test_intervals_of_several_sizes_hold_all_together(likeness: float, count: int) -> None:
    """Independent ones at Sidak's level, alike ones as one."""
    covariance = np.full((count, count), likeness) + (1 - likeness) * np.eye(count)
    each = together(covariance, 0.05)
    if likeness in (0.0, 1.0):
        assert each == pytest.approx(1 - 0.95 ** (1 / count) if likeness == 0 else 0.05, rel=0.15)
    assert 0.05 / count <= each * 1.1 and each <= 0.05 + 1e-9


# Sentences

HELP, HARM = spread(0.03, 0.01), spread(-0.03, 0.01)
NEITHER, UNSURE = spread(0.0, 0.005), spread(0.005, 0.025)
STEEP = spread(0.005, 0.025, by_subsets=0.9)
LESS = spread(0.005, 0.004)
NAMES = ("features of sprout", "raw pixels")


def comparison(whole: Spread, *by_size: Spread, discordance: float = 0.1, **other: object) -> Comparison:
    sizes = [5.0, 10.0, 100.0][: len(by_size)]
    whole_, *each = (judge(found, discordance) for found in (whole, *by_size))
    either = Estimate(0.8, 0.75, 0.85)
    made = Comparison(
        first="sprout",
        second="pixels",
        margin=0.01,
        verdict=whole_,
        by_size=tuple(verdict.at(n) for verdict, n in zip(each, sizes, strict=True)),
        slope=ByArm(either, either, either) if len(by_size) > 1 else None,
        x90=Reached(20.0, None),
        asymptote=Asymptotes(),
        area=ByArm(either, either, either),
        ratio=Estimate(1.1, 1.0, 1.2),
        equivalence=tuple(Equivalence(n, None, None, None, None) for n in sizes),
        p=None,
    )
    return replace(made, **other)  # type: ignore[arg-type]


def setting(s: int = 3, **other: object) -> Setting:
    accuracy = np.array([[0.9, 0.92, 0.94], [0.6, 0.8, 0.95]])[:, :s]
    made = Setting(NAMES, True, np.array([5.0, 10.0, 100.0])[:s], accuracy, 500, 5)
    return replace(made, **other)  # type: ignore[arg-type]


ONE = "with 5 pictures per class"
MEAN = "averaged over 5–100 pictures per class"
"""Of (0.91 + 3.3219 x 0.93) / 4.3219 and (0.7 + 3.3219 x 0.875) / 4.3219: 92.5% and 83.5%."""


def test_helped_gives_the_figures_of_the_claim_and_what_the_pictures_are_worth() -> None:
    known = Equivalence(5.0, 42.4, 30.0, 60.0, None)
    sure, unsure = Equivalence(5.0, None, 100.0, None, 100.0), Equivalence(5.0, None, 31.0, None, 100.0)
    doubtful, hardly = Equivalence(5.0, 6.0, 4.0, 9.0, None), Equivalence(5.0, None, 5.3, None, 100.0)
    worth = {
        known: "Raw pixels need about 42 pictures per class to match features of sprout with 5.",
        sure: "Raw pixels need more than 100 pictures per class to match features of sprout with 5.",
        unsure: "Raw pixels need at least 31 pictures per class to match features of sprout with 5.",
        doubtful: "Compared: features of sprout with raw pixels.",
        hardly: "Compared: features of sprout with raw pixels.",
    }
    for need, end in worth.items():
        found = comparison(HELP, HELP, HELP, HELP, equivalence=(need, need, need))
        assert sentence(found, setting()) == f"Transfer helped: 93% instead of 83%, {MEAN}. {end}"
    assert len(f"Transfer helped: 93% instead of 83%, {MEAN}.".split()) <= 12


def test_helped_at_one_size_names_it() -> None:
    told = sentence(comparison(HELP, HELP), setting(1))
    assert told.startswith("Transfer helped: 90% instead of 60% with 5 pictures per class. ")
    told = sentence(comparison(HELP, HELP), setting(1, sizes=np.array([1.0])))
    assert told.startswith("Transfer helped: 90% instead of 60% with 1 picture per class. ")


def test_the_figures_do_not_depend_on_which_size_came_out() -> None:
    told = {sentence(comparison(HELP, *each), setting()) for each in ([HELP] * 3, [UNSURE] * 3, [UNSURE, HELP, HELP])}
    assert len(told) == 1


def test_a_size_with_one_subset_takes_no_part_in_the_figures() -> None:
    told = sentence(comparison(HELP, HELP, HELP, HELP), setting(drawn=(0, 1)))
    assert told.startswith("Transfer helped: 91% instead of 70%, averaged over 5–10 pictures per class.")


def test_helped_at_the_start_and_hurt_at_the_end_says_that_the_curves_cross() -> None:
    for whole in (HELP, HARM, NEITHER, UNSURE):
        assert sentence(comparison(whole, HELP, UNSURE, HARM), setting()) == (
            "Transfer helped with 5 labelled pictures per class (90.0% of the test pictures right, against 60.0% for "
            "raw pixels) and hurt with 100 (94.0% against 95.0%): the curves cross."
        )
    told = sentence(comparison(UNSURE, HARM, UNSURE, HELP), setting(transfer=False))
    assert told.startswith("Features of sprout are worse than raw pixels with 5 labelled pictures per class (")
    assert " and better with 100 (" in told


def test_an_end_that_says_other_than_the_whole_gets_a_sentence() -> None:
    told = sentence(comparison(HELP, HELP, HELP, NEITHER), setting())
    assert told.endswith(
        "With 100 labelled pictures per class, there is no measurable difference (94.0% against 95.0%)."
    )
    told = sentence(comparison(UNSURE, HELP, UNSURE, UNSURE), setting())
    assert told.endswith(" With 5 labelled pictures per class, transfer helped (90.0% against 60.0%).")
    told = sentence(comparison(HELP, HELP, HELP, LESS), setting())
    assert told.endswith("transfer helped by less than the margin (94.0% against 95.0%).")
    told = sentence(comparison(HELP, HELP, HELP, UNSURE), setting())
    assert told.endswith("Compared: features of sprout with raw pixels."), "an end that says nothing is not told"
    told = sentence(comparison(HELP, UNSURE, HARM, UNSURE), setting())
    assert told.endswith("With 10 labelled pictures per class, transfer hurt (92.0% against 80.0%).")


def test_below_the_margin_says_so() -> None:
    assert sentence(comparison(LESS, LESS, LESS, LESS), setting()) == (
        f"Transfer helped, but by less than 1 percentage point: 93% instead of 83%, {MEAN}. Compared: features of "
        "sprout with raw pixels."
    )


def test_hurt_says_so_and_nothing_of_what_pictures_are_worth() -> None:
    known = Equivalence(5.0, 42.4, 30.0, 60.0, None)
    assert sentence(comparison(HARM, HARM, equivalence=(known,)), setting(1)) == (
        f"Transfer hurt: 90% instead of 60% {ONE}. Compared: features of sprout with raw pixels."
    )


def test_no_measurable_difference_says_how_small_it_is_at_most() -> None:
    assert sentence(comparison(NEITHER, NEITHER, NEITHER, NEITHER), setting()) == (
        f"Transfer made no measurable difference: 93% against 83%, {MEAN}. Any true difference is most likely below 1 "
        "percentage point."
    )
    nothing = spread(0.0, 0.0)
    told = sentence(comparison(nothing, nothing, discordance=0.0), setting(1))
    assert told.endswith(f"60% {ONE}. Both are right on the same test pictures.")


def test_an_interval_that_says_nothing_is_called_so() -> None:
    nothing = spread(0.05, 0.6)
    told = sentence(comparison(nothing, nothing), setting(1))
    assert "There is so little data that the true difference may be anything (95% interval -55.0 to +65.0" in told


def test_inconclusive_gives_the_range_and_what_would_decide() -> None:
    lead = (
        f"This study cannot tell whether transfer helped: 90% against 60% {ONE}. The true difference may lie anywhere "
        "from -2.0 to +3.0 percentage points. "
    )
    found = comparison(UNSURE, UNSURE)
    assert sentence(found, setting(1)) == (
        f"{lead}About {two_digits(found.verdict.needed or 0)} test pictures would settle it; this study has 500."
    )
    assert sentence(found, setting(1, n_test=10**7)) == (
        f"{lead}The true difference may be close to the margin of 1 percentage point; more repeats and more test "
        "pictures may tell."
    )
    assert sentence(comparison(STEEP, STEEP), setting(1)) == (
        f"{lead}More repeats, each with other labelled pictures, would tell more than more test pictures."
    )


def one_set(found: Comparison) -> Comparison:
    sizes = tuple(each.of_one_set() for each in found.by_size)
    return replace(found, verdict=found.verdict.of_one_set(), by_size=sizes, one_set=True)


def test_of_one_set_of_labelled_pictures_nothing_is_said_of_transfer() -> None:
    here, last = (
        "With this set of labelled pictures, features of sprout",
        " Other sets may give another result: more repeats ",
    )
    lead = {
        HELP: f"{here} are ahead of raw pixels: 90% against 60% {ONE}, p = 0.012.",
        HARM: f"{here} are behind raw pixels: 90% against 60% {ONE}, p = 0.012.",
        LESS: f"{here} are ahead of raw pixels, by less than 1 percentage point: 90% against 60% {ONE}, p = 0.012.",
        NEITHER: f"{here} and raw pixels do equally well: 90% against 60% {ONE}.",
        UNSURE: f"{here} and raw pixels differ no more than chance allows: 90% against 60% {ONE}, p = 0.012.",
    }
    for found, first in lead.items():
        one = one_set(comparison(found, found, p=0.012))
        assert sentence(one, setting(1, repeats=1)) == f"{first}{last}would tell."
        assert details(one, setting(1, repeats=1))[-1].startswith("The intervals are for this set")
        assert one.verdict.sign == 0, "it is no verdict on transfer"
    assert one_set(comparison(HARM, HARM)).verdict.word == "behind with this set"


def test_fits_that_failed_and_would_decide_are_told() -> None:
    found = comparison(UNSURE, UNSURE)
    found = replace(found, verdict=replace(found.verdict, failing=True))
    assert sentence(found, setting(1)).startswith(
        "This study cannot tell whether transfer helped: a few failed fits would decide the result."
    )


def test_of_two_transfer_arms_it_is_said_which_is_better() -> None:
    names = ("features of a", "b, fine-tuned")
    other = setting(1, transfer=False, names=names)
    assert sentence(comparison(HELP, HELP), other) == (
        "Features of a are better than b, fine-tuned: 90% instead of 60% with 5 pictures per class."
    )
    told = sentence(comparison(HARM, HARM), replace(other, names=names[::-1]))
    assert told.startswith("B, fine-tuned is worse than features of a: 90% instead of 60%")
    told = sentence(comparison(NEITHER, NEITHER), other)
    assert told.startswith("There is no measurable difference between features of a and b, fine-tuned: ")
    told = sentence(comparison(UNSURE, UNSURE), other)
    assert told.startswith("This study cannot tell features of a from b, fine-tuned: ")
    assert not any("ransfer" in sentence(comparison(x, x), other) for x in (HELP, HARM, LESS, NEITHER, UNSURE))


def test_accuracies_that_differ_by_a_hair_get_a_second_decimal() -> None:
    close = setting(1, accuracy=np.array([[0.9901], [0.9899]]))
    assert "99.01% instead of 98.99%" in sentence(comparison(LESS, LESS), close)
    close = setting(1, accuracy=np.array([[0.99], [0.98]]))
    assert "99.0% instead of 98.0%" in sentence(comparison(LESS, LESS), close)


def test_details_say_every_figure_with_its_interval_in_percentage_points() -> None:
    needs = (
        Equivalence(5.0, 42.4, 30.0, 60.0, None),
        Equivalence(10.0, None, 31.0, None, 100.0),
        Equivalence(100.0, None, None, 5.0, None),
    )
    ends = Asymptotes(Estimate(0.97, 0.96, 0.98), None)
    told = details(comparison(HELP, HELP, HELP, UNSURE, equivalence=needs, asymptote=ends, p=0.012), setting())
    assert told == [
        "At the start, with 5 labelled pictures per class, the difference (jumpstart) is +3.0 percentage points (95% "
        "interval +2.0 to +4.0): helped.",
        "At the end, with 100 labelled pictures per class, it is +0.5 percentage points (95% interval -2.0 to +3.0): "
        "inconclusive.",
        "The intervals of the sizes hold all together.",
        "Each doubling of the labelled pictures per class adds +80.0 percentage points (95% interval +75.0 to +85.0) "
        "with features of sprout (90% of its rise at 20 per class), +80.0 percentage points (95% interval +75.0 to "
        "+85.0) with raw pixels (no rise).",
        "Where the curves level off (asymptote) is not estimated: that takes 4 sizes and 5 repeats.",
        "Mean accuracy over the logarithm of size (area) is 80.0% (95% interval 75.0 to 85.0) with features of sprout "
        "and 80.0% (95% interval 75.0 to 85.0) with raw pixels, a transfer ratio of 1.10 (95% interval 1.00 to 1.20).",
        "What features of sprout do with 5 labelled pictures per class takes raw pixels about 42, 8.5 times as many "
        "(95% interval: at least 30 and at most 60).",
        "What features of sprout do with 10 labelled pictures per class takes raw pixels more than 100 (95% interval: "
        "at least 31).",
        "What features of sprout do with 100 labelled pictures per class takes raw pixels fewer than 5 (95% interval: "
        "at most 5).",
        "The two differ on 10.0% of the test pictures (discordance).",
        "For this one pair of fitted models, McNemar's exact test gives p = 0.012.",
    ]


def test_details_on_the_asymptote_say_what_is_missing() -> None:
    four = setting(sizes=np.array([5.0, 10.0, 20.0, 100.0]), accuracy=np.full((2, 4), 0.8))
    found = comparison(HELP, HELP, HELP, HELP, asymptote=Asymptotes(Estimate(0.97, 0.96, 0.98), None))
    assert details(found, four)[4] == (
        "With ever more labelled pictures per class, the fitted power laws tend to 97.0% (95% interval 96.0 to 98.0) "
        "with features of sprout and a point that cannot be told yet with raw pixels (asymptote)."
    )
    for few in (replace(four, repeats=4), replace(four, drawn=(0, 1, 2))):
        assert details(found, few)[4].endswith("is not estimated: that takes 4 sizes and 5 repeats.")


def test_numbers_in_sentences_are_neither_too_exact_nor_rounded_to_what_they_are_not() -> None:
    assert [percent(x, near="within") for x in (1.0, 0.9999, 0.5, 0.0001, 0.0)] == [
        "100%",
        "99.9%",
        "50.0%",
        "0.1%",
        "0%",
    ]
    assert [signed(x) for x in (0.0312, -0.0312, -0.0005, 1e-5, -1e-5)] == ["+3.1", "-3.1", "-0.05", "0.0", "0.0"]
    assert [two_digits(x) for x in (7840.0, 42.4, 5.0, 0.5)] == ["7,800", "42", "5", "0.5"]


# Known truth


def studied(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Verdict:
    return compare(Bootstrap.of(Answers(("a", "b"), np.array([5.0]), np.stack([first, second])), 500), "a", "b").verdict


def test_identical_answers_make_no_measurable_difference_where_there_are_enough() -> None:
    """Twenty pictures without a difference do not show that there is none of a point."""
    right = np.random.default_rng(0).random((1, 3, 400)) < 0.8
    assert studied(right, right).word == "no measurable difference"
    assert studied(right[..., :20], right[..., :20]).word == "inconclusive"


def test_an_arm_that_is_always_right_helped_against_one_that_never_is() -> None:
    right = np.ones((1, 3, 50), dtype=bool)
    assert (studied(right, ~right).word, studied(~right, right).word) == ("helped", "hurt")


def population(name: str) -> Population:
    return next(each for each in (*EQUAL, *HARD, *BETTER) if each.name == name)


@pytest.mark.parametrize("r", [3, 5, 10])
def test_the_interval_covers_95_percent_and_little_more_under_normal_errors(r: int) -> None:
    least, most = expected(r)
    assert least >= 0.95 and most <= 0.974


@pytest.mark.parametrize("r", [2, 3, 5, 20])
def test_so_do_the_intervals_of_claims_that_are_some_of_several(r: int) -> None:
    assert expected(r)[0] >= 0.948 and expected(r, 0.99)[0] >= 0.985


def test_one_set_of_pictures_never_says_that_transfer_helped() -> None:
    found = figures(population("1 repeat"), 8, 1)
    assert found["any"] == found["helped"] == found["hurt"] == 0


def test_a_plan_finds_the_gain_that_it_says() -> None:
    """Its repeats have a power of 80% and more, as far as the pilot tells; the more repeats, the less is found."""
    found = Spread(0.01, Variances(2e-5, 1.2e-4, 1e-5), 2_000, 5)
    planned = plan(found, 0.03)
    assert planned.repeats == next(r for r, least in planned.finds if least <= 0.03)
    assert power(scaled(found, planned.repeats, 2_000), 0.03) >= 0.8
    assert power(scaled(found, 5, 2_000), 0.03) < 0.8
    assert [least for _, least in planned.finds] == sorted((least for _, least in planned.finds), reverse=True)
    assert in_words(planned) == (
        f"A true difference of 3 percentage points is found in 4 studies of 5 with {planned.repeats} repeats."
    )


def test_a_plan_says_when_repeats_are_not_enough() -> None:
    few = plan(Spread(0.0, Variances(4e-4, 1e-6, 1e-6), 100, 5), 0.01)
    assert few.repeats is None and few.more_pictures is not None and few.more_pictures > 1_000
    assert in_words(few).startswith("A true difference of 1 percentage point takes more test pictures than 100: about ")
    assert in_words(few) == in_words(replace(few, had=few.more_pictures))
    beyond = in_words(replace(few, had=1_797))
    assert beyond == f"{in_words(few)} That is more than the data have: 1,797 pictures in all."
    none = plan(Spread(0.0, Variances(4e-4, 1e-1, 1e-6), 100, 5), 0.01)
    assert in_words(none) == "Neither 100 repeats nor more test pictures find a true difference of 1 percentage point."


@pytest.mark.slow
@pytest.mark.parametrize("name", ["5 sizes, 5 repeats", "2 repeats", "all as the last size", "near copies of 5"])
def test_equal_arms_seldom_have_anything_false_said_of_them(name: str) -> None:
    """60 studies; the bound of decision 0040 with three standard errors of so many."""
    found = figures(population(name), 60, 2)
    assert found["any"] <= 0.05 + 3 * (0.05 * 0.95 / 60) ** 0.5 and found["covered"] >= 0.85


@pytest.mark.slow
def test_three_points_are_found_on_two_thousand_pictures_and_equal_arms_near_the_top_are_alike() -> None:
    found = figures(population("+3 points"), 60, 1)
    assert found["helped"] >= 0.75 and found["hurt"] == 0
    assert figures(population("near the top"), 30, 1)["no measurable difference"] >= 0.8
