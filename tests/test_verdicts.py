"""Verdicts by the table of docs/compare.md, their sentences, and how often both are right where the truth is known."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from headstart.errors import UserError
from headstart.evidence.answers import Answers
from headstart.evidence.bootstrap import Bootstrap, Spread, Variances
from headstart.evidence.pairwise import compare
from headstart.evidence.phrases import signed, two_digits
from headstart.evidence.verdict import holm, judge
from headstart.evidence.words import Setting, details, sentence
from headstart.phrases import percent
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
from verdicts import BETTER, EQUAL, Population, expected, figures

FLAT = Variances(1.0, 0.0, 0.0)
STEEP = Variances(1.0, 9.0, 0.0)


def spread(low: float, high: float, low90: float = -9.0, high90: float = 9.0, parts: Variances = FLAT) -> Spread:
    return Spread(Estimate((low + high) / 2, low, high), low90, high90, parts)


# The table


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (spread(0.02, 0.04), "helped"),
        (spread(0.001, 0.02), "helped"),
        (spread(0.001, 0.009), "helped, below the margin"),
        (spread(-0.04, -0.02), "hurt"),
        (spread(-0.02, -0.001), "hurt"),
        (spread(-0.009, -0.001), "hurt, below the margin"),
        (spread(-0.012, 0.012, -0.009, 0.009), "no measurable difference"),
        (spread(0.0, 0.0, 0.0, 0.0), "no measurable difference"),
        (spread(-0.02, 0.012, -0.009, 0.011), "inconclusive"),
        (spread(-0.012, 0.02, -0.011, 0.009), "inconclusive"),
    ],
)
def test_the_verdict_follows_from_the_intervals_and_the_margin(found: Spread, word: str) -> None:
    verdict = judge(found, 0.1)
    assert verdict.word == word
    assert (verdict.needed is None) == (word != "inconclusive")
    assert verdict.sign == {"he": 1, "hu": -1}.get(word[:2], 0)


def test_a_wider_margin_turns_inconclusive_into_no_measurable_difference() -> None:
    found = spread(-0.03, 0.03, -0.025, 0.025)
    assert [judge(found, 0.1, margin).word for margin in (0.01, 0.03)] == ["inconclusive", "no measurable difference"]


def test_an_inconclusive_verdict_says_what_would_decide() -> None:
    open_ = spread(-0.03, 0.03)
    assert judge(open_, 0.1, 0.01).needed == math.ceil(0.1 * 280**2)
    assert not judge(open_, 0.1).more_repeats
    assert judge(spread(-0.03, 0.03, parts=STEEP), 0.1).more_repeats
    assert not judge(spread(0.02, 0.03, parts=STEEP), 0.1).more_repeats


@pytest.mark.parametrize("margin", [0.0, -0.01, 1.0, 2.0])
def test_a_margin_outside_0_to_1_is_refused(margin: float) -> None:
    with pytest.raises(UserError, match="margin"):
        judge(spread(0.0, 0.0), 0.1, margin)


def test_holm_s_adjustment_agrees_with_a_worked_example() -> None:
    """0.01 x 4, 0.02 x 3, 0.03 x 2, and 0.04 raised to the one before it."""
    assert holm([0.04, 0.01, 0.03, 0.02]).tolist() == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.9]).tolist() == [1.0, 1.0]
    assert holm([]).tolist() == []


# Sentences

HELP, HARM = spread(0.02, 0.04), spread(-0.04, -0.02)
NEITHER, UNSURE = spread(-0.005, 0.005, -0.004, 0.004), spread(-0.02, 0.03)
LESS = spread(0.001, 0.009)
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


BOTH = "features of sprout answer 90.0% of the test pictures right, raw pixels 60.0%"
MEAN = (
    "on average over 5 to 100 labelled pictures per class, features of sprout answer 92.5% of the test pictures right, "
    "raw pixels 83.5%"
)  # (0.91 + 3.3219 x 0.93) / 4.3219 and (0.7 + 3.3219 x 0.875) / 4.3219


def test_helped_names_both_accuracies_and_what_the_pictures_are_worth() -> None:
    known = Equivalence(5.0, 42.4, 30.0, 60.0, None)
    sure, unsure = Equivalence(5.0, None, 100.0, None, 100.0), Equivalence(5.0, None, 31.0, None, 100.0)
    doubtful = Equivalence(5.0, 6.0, 4.0, 9.0, None)
    worth = {
        known: "; 5 pictures per class do what takes raw pixels about 42.",
        sure: "; 5 pictures per class do what takes raw pixels more than 100.",
        unsure: "; 5 pictures per class do what takes raw pixels at least 31.",
        doubtful: ".",
    }
    for need, end in worth.items():
        found = comparison(HELP, HELP, HELP, HELP, equivalence=(need, need, need))
        assert sentence(found, setting()) == f"Transfer helped: with 5 labelled pictures per class, {BOTH}{end}"


def test_helped_at_one_picture_a_class_is_in_the_singular() -> None:
    need = Equivalence(1.0, None, 100.0, None, 100.0)
    found = comparison(HELP, HELP, HELP, HELP, equivalence=(need, need, need))
    told = sentence(found, setting(sizes=np.array([1.0, 10.0, 100.0])))
    assert told.startswith("Transfer helped: with 1 labelled picture per class, ")
    assert told.endswith("; 1 picture per class does what takes raw pixels more than 100.")


def test_helped_on_the_whole_alone_is_told_by_the_means() -> None:
    assert sentence(comparison(HELP, UNSURE, UNSURE, UNSURE), setting()) == f"Transfer helped: {MEAN}."


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
    assert told.endswith("60.0%."), "an end that says nothing is not told"
    told = sentence(comparison(HELP, UNSURE, HARM, UNSURE), setting())
    assert told.endswith("With 10 labelled pictures per class, transfer hurt (92.0% against 80.0%).")


def test_below_the_margin_says_so() -> None:
    assert sentence(comparison(LESS, LESS, LESS, LESS), setting()) == (
        f"Transfer helped, but by less than the margin of 1 percentage point: {MEAN}."
    )
    less = spread(-0.009, -0.001)
    assert sentence(comparison(less, less), setting(1)) == (
        f"Transfer hurt, but by less than the margin of 1 percentage point: with 5 labelled pictures per class, {BOTH}."
    )


def test_hurt_says_so_and_nothing_of_what_pictures_are_worth() -> None:
    assert sentence(comparison(HARM, HARM), setting(1)) == f"Transfer hurt: with 5 labelled pictures per class, {BOTH}."


def test_no_measurable_difference_says_how_small_it_is_at_most() -> None:
    assert sentence(comparison(NEITHER, NEITHER, NEITHER, NEITHER), setting()) == (
        f"Transfer made no measurable difference: {MEAN}, and any true difference is most likely below 1 percentage "
        "point."
    )
    nothing = spread(0.0, 0.0, 0.0, 0.0)
    told = sentence(comparison(nothing, nothing, discordance=0.0), setting(1))
    assert told.endswith("raw pixels 60.0%, and both are right on the same test pictures.")


def test_inconclusive_gives_the_range_and_what_would_decide() -> None:
    lead = (
        f"This study cannot tell whether transfer helped: with 5 labelled pictures per class, {BOTH}, and the true "
        "difference may lie anywhere from -2.0 to +3.0 percentage points. "
    )
    assert sentence(comparison(UNSURE, UNSURE), setting(1)) == (
        f"{lead}About 7,800 test pictures would decide; this study has 500."
    )
    assert sentence(comparison(UNSURE, UNSURE), setting(1, n_test=9_000)) == (
        f"{lead}The true difference may be close to the margin of 1 percentage point; more repeats and more test "
        "pictures may tell."
    )
    steep = spread(-0.02, 0.03, parts=STEEP)
    assert sentence(comparison(steep, steep), setting(1)) == (
        f"{lead}More repeats, each with other labelled pictures, would tell more than more test pictures."
    )


def test_one_repeat_is_said_to_hold_for_one_set_of_labelled_pictures() -> None:
    last = " This holds for the one set of labelled pictures that was drawn; others may differ."
    for found in (comparison(HELP, HELP), comparison(UNSURE, UNSURE), comparison(HELP, HELP, UNSURE, HARM)):
        s = setting(len(found.by_size), repeats=1)
        assert sentence(found, s) == sentence(found, replace(s, repeats=5)) + last
        assert details(found, s)[-1].startswith("There is one repeat")


def test_of_two_transfer_arms_it_is_said_which_is_better() -> None:
    names = ("features of a", "b, fine-tuned")
    other = setting(1, transfer=False, names=names)
    assert sentence(comparison(HELP, HELP), other).startswith(
        "Features of a are better than b, fine-tuned by 3.0 percentage points: with 5 labelled pictures per class, "
        "features of a answer 90.0% of the test pictures right, b, fine-tuned 60.0%"
    )
    told = sentence(comparison(HARM, HARM), replace(other, names=names[::-1]))
    assert told.startswith("B, fine-tuned is worse than features of a by 3.0 percentage points")
    assert "b, fine-tuned, answers 90.0%" in told
    told = sentence(comparison(NEITHER, NEITHER), other)
    assert told.startswith("There is no measurable difference between features of a and b, fine-tuned: ")
    told = sentence(comparison(UNSURE, UNSURE), other)
    assert told.startswith("This study cannot tell features of a from b, fine-tuned: ")
    assert not any("ransfer" in sentence(comparison(x, x), other) for x in (HELP, HARM, LESS, NEITHER, UNSURE))


def test_accuracies_that_differ_by_a_hair_get_a_second_decimal() -> None:
    close = setting(1, accuracy=np.array([[0.9901], [0.9899]]))
    assert "99.01% of the test pictures right, raw pixels 98.99%" in sentence(comparison(LESS, LESS), close)


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
        "Each doubling of the labelled pictures per class adds +80.0 percentage points (95% interval +75.0 to +85.0) "
        "with features of sprout (90% of its rise at 20), +80.0 percentage points (95% interval +75.0 to +85.0) with "
        "raw pixels (no rise).",
        "Where the curves level off (asymptote) is not estimated: that takes 4 sizes.",
        "Mean accuracy over the logarithm of size (area) is 80.0% (95% interval 75.0 to 85.0) with features of sprout "
        "and 80.0% (95% interval 75.0 to 85.0) with raw pixels: a difference of +80.0 percentage points (95% interval "
        "+75.0 to +85.0), a transfer ratio of 1.10 (95% interval 1.00 to 1.20).",
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
    four = setting(sizes=np.array([5.0, 10.0, 20.0, 100.0]), accuracy=np.full((2, 4), 0.8), repeats=3)
    told = details(comparison(HELP, HELP, HELP, HELP, asymptote=Asymptotes(Estimate(0.97), None)), four)[3]
    assert told == (
        "With ever more labelled pictures per class, the fitted power laws tend to 97.0% with features of sprout and a "
        "point that cannot be told yet with raw pixels (asymptote); an interval takes 5 repeats."
    )


def test_numbers_in_sentences_are_neither_too_exact_nor_rounded_to_what_they_are_not() -> None:
    assert [percent(x, near="within") for x in (1.0, 0.9999, 0.5, 0.0001, 0.0)] == [
        "100%",
        "99.9%",
        "50.0%",
        "0.1%",
        "0%",
    ]
    assert [signed(x) for x in (0.0312, -0.0312, 0.0001, -0.0001)] == ["+3.1", "-3.1", "0.0", "0.0"]
    assert [two_digits(x) for x in (7840.0, 42.4, 5.0, 0.5)] == ["7,800", "42", "5", "0.5"]


# Known truth


def studied(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Verdict:
    return compare(Bootstrap.of(Answers(("a", "b"), np.array([5.0]), np.stack([first, second])), 500), "a", "b").verdict


def test_identical_answers_make_no_measurable_difference_on_ever_so_few_pictures() -> None:
    right = np.random.default_rng(0).random((1, 3, 20)) < 0.8
    assert studied(right, right).word == "no measurable difference"


def test_an_arm_that_is_always_right_helped_against_one_that_never_is() -> None:
    right = np.ones((1, 3, 50), dtype=bool)
    assert (studied(right, ~right).word, studied(~right, right).word) == ("helped", "hurt")


def population(name: str) -> Population:
    return next(each for each in (*EQUAL, *BETTER) if each.name == name)


@pytest.mark.parametrize("r", [3, 5, 10])
def test_the_interval_covers_95_percent_and_little_more_under_normal_errors(r: int) -> None:
    least, most = expected(r)
    assert least >= 0.95 and most <= 0.972


@pytest.mark.parametrize("name", ["small test set", "5 sizes, 3 repeats"])
def test_equal_arms_seldom_get_a_verdict(name: str) -> None:
    found = figures(population(name), 300, 1_000, 1)
    assert found["helped"] + found["hurt"] <= 0.08
    assert found["covered"] >= 0.92


def test_three_points_are_found_on_two_thousand_pictures() -> None:
    found = figures(population("+3 points"), 100, 1_000, 1)
    assert found["helped"] >= 0.8 and found["hurt"] == 0


def test_equal_arms_near_the_top_make_no_measurable_difference() -> None:
    assert figures(population("near the top"), 50, 1_000, 1)["no measurable difference"] >= 0.85


@pytest.mark.slow
@pytest.mark.parametrize("each", [*EQUAL, *BETTER], ids=lambda each: each.name)
def test_in_every_population_verdicts_are_right_as_often_as_they_say(each: Population) -> None:
    """1,000 studies; the bounds of decision 0015 with three standard errors of so many studies."""
    found = figures(each, 1_000, 1_000, 2)
    assert 0.93 <= found["covered"] <= 0.985
    assert each.truth != 0 or found["helped"] + found["hurt"] <= 0.05 + 3 * (0.05 * 0.95 / 1_000) ** 0.5
    assert not each.name.startswith("+3 points") or found["helped"] >= 0.8
