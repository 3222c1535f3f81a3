"""What a comparison says, in sentences: one for a manager, and one for each figure.

"Transfer helped" is said of a transfer arm against a source-free one; of other pairs, which is better.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.evidence.curves import FEWEST_SIZES, FEWEST_SUBSETS, area_weights
from headstart.evidence.phrases import (
    CLASS,
    capital,
    interval,
    margin_in_words,
    number,
    points,
    share_with_interval,
    signed,
    two_digits,
    with_size,
)
from headstart.phrases import p_words, percent
from headstart.schema.verdicts import (
    BELOW,
    NONE,
    OPEN,
    Asymptotes,
    ByArm,
    Comparison,
    Equivalence,
    Reached,
    Verdict,
)

Floats = NDArray[np.float64]
DOUBT = "Nothing can be concluded from an arm that answers no better than without looking."


@dataclass(frozen=True)
class Setting:
    """What sentences need beside the figures.

    names: how the two arms are called, like "features of sprout", "raw pixels"; transfer: whether the first transfers
    and the second does not; sizes (s,); accuracy (2, s), mean over repeats; n_test: test pictures.
    """

    names: tuple[str, str]
    transfer: bool
    sizes: Floats
    accuracy: Floats
    n_test: int
    repeats: int


def sentence(found: Comparison, setting: Setting) -> str:
    """The finding for a person without statistics; followed by a second sentence where one alone would mislead."""
    crossing = _crossing(found, setting)
    parts = [crossing] if crossing else [_finding(found, setting), *_elsewhere(found, setting)]
    if setting.repeats == 1:
        parts.append("This holds for the one set of labelled pictures that was drawn; others may differ.")
    return " ".join(parts)


def _crossing(found: Comparison, setting: Setting) -> str | None:
    """The sentence for curves that cross, at the first size with each sign of the difference."""
    signs = [verdict.sign for verdict in found.by_size]
    if 1 not in signs or -1 not in signs:
        return None
    one, other = sorted((signs.index(1), signs.index(-1)))
    first, then = (_against(setting.accuracy[:, i]) for i in (one, other))
    opposite = {1: "helped", -1: "hurt"} if setting.transfer else {1: "better", -1: "worse"}
    return (
        f"{_verb(signs[one], setting)} {with_size(setting.sizes[one])} ({first[0]} of the test pictures right, against "
        f"{first[1]} for {setting.names[1]}) and {opposite[-signs[one]]} with {number(setting.sizes[other])} "
        f"({then[0]} against {then[1]}): the curves cross."
    )


def _finding(found: Comparison, setting: Setting) -> str:
    """The sentence on all sizes together."""
    verdict, margin = found.verdict, margin_in_words(found.margin)
    if verdict.word == OPEN:
        return _open(found, setting)
    if verdict.word == NONE:
        between = f"There is no measurable difference between {setting.names[0]} and {setting.names[1]}"
        lead = "Transfer made no measurable difference" if setting.transfer else between
        close = f"any true difference is most likely below {margin}"
        same = "both are right on the same test pictures"
        return f"{lead}: {_average(setting)}, and {close if verdict.discordance else same}."
    lead = _verb(verdict.sign, setting)
    if verdict.word.endswith(BELOW):
        return f"{lead}, but by less than the margin of {margin}: {_average(setting)}."
    at = next((i for i, each in enumerate(found.by_size) if each.word == verdict.word), None)
    difference = (verdict if at is None else found.by_size[at]).difference.value
    by = "" if setting.transfer else f" by {100 * abs(difference):.1f} percentage points"
    if at is None:
        return f"{lead}{by}: {_average(setting)}."
    return f"{lead}{by}: {_at(setting, at)}{_worth(found.equivalence[at], setting)}."


def _open(found: Comparison, setting: Setting) -> str:
    """The sentence of an inconclusive verdict, with what would decide."""
    verdict = found.verdict
    if verdict.unlearnt:
        behind = setting.names[int(verdict.difference.value > 0)]
        question = "whether transfer helped" if setting.transfer else "which arm is better"
        return f"This study cannot tell {question}: {_average(setting)}, but {behind} did not learn. {DOUBT}"
    question = "whether transfer helped" if setting.transfer else f"{setting.names[0]} from {setting.names[1]}"
    low, high = signed(verdict.difference.low or 0.0), signed(verdict.difference.high or 0.0)
    told = f"This study cannot tell {question}: {_average(setting)}, and the true difference may lie anywhere from "
    return f"{told}{low} to {high} percentage points. {_decide(verdict, found.margin, setting.n_test)}"


def _decide(verdict: Verdict, margin: float, n_test: int) -> str:
    if verdict.more_repeats:
        return "More repeats, each with other labelled pictures, would tell more than more test pictures."
    if verdict.needed is not None and verdict.needed > n_test:
        return f"About {two_digits(verdict.needed)} test pictures would decide; this study has {n_test:,}."
    near = f"The true difference may be close to the margin of {margin_in_words(margin)}"
    return f"{near}; more repeats and more test pictures may tell."


def _elsewhere(found: Comparison, setting: Setting) -> Iterator[str]:
    """A sentence for the start and the end, and for a size that contradicts, where they say other than the whole."""
    verdict, last = found.verdict, len(found.by_size) - 1
    against = (i for i, each in enumerate(found.by_size) if verdict.sign and each.sign == -verdict.sign)
    for i in sorted({0, last, next(against, last)}):
        here, place = found.by_size[i], capital(with_size(setting.sizes[i]))
        if not last or here.word in (OPEN, verdict.word):
            continue
        first, second = _against(setting.accuracy[:, i])
        verb, less = _verb(here.sign, setting), " by less than the margin" if here.word.endswith(BELOW) else ""
        what = "there is no measurable difference" if here.word == NONE else f"{verb[0].lower()}{verb[1:]}{less}"
        yield f"{place}, {what} ({first} against {second})."


def _worth(need: Equivalence, setting: Setting) -> str:
    """What the labelled pictures are worth: only where even the interval's lower bound says more than n."""
    if need.low is None or need.low <= need.n:
        return ""
    if need.value is not None:
        many = f"about {two_digits(need.value)}"
    elif need.beyond is not None and need.low >= need.beyond:
        many = f"more than {number(need.beyond)}"
    else:
        many = f"at least {two_digits(need.low)}"
    pictures, verb = ("picture", "does") if need.n == 1 else ("pictures", "do")
    return f"; {number(need.n)} {pictures} per class {verb} what takes {setting.names[1]} {many}"


def details(found: Comparison, setting: Setting) -> list[str]:
    """One sentence for each figure, with 95% intervals, in percentage points."""
    told = [*_ends(found, setting)]
    if found.slope:
        told += [_slope(found.slope, found.x90, setting), _asymptote(found.asymptote, setting)]
    told.append(_area(found, setting))
    told += [_needed(need, setting) for need in found.equivalence] if len(setting.sizes) > 1 else []
    told.append(
        f"The two differ on {percent(found.verdict.discordance, near='within')} of the test pictures (discordance)."
    )
    if found.p is not None:
        told.append(f"For this one pair of fitted models, McNemar's exact test gives {p_words(found.p, least=0)}.")
    if setting.repeats == 1:
        told.append(
            "There is one repeat: intervals hold for this set of labelled pictures and leave out what others would do."
        )
    return told


def _ends(found: Comparison, setting: Setting) -> Iterator[str]:
    start, end = found.by_size[0], found.by_size[-1]
    if len(found.by_size) == 1:
        yield f"{capital(with_size(setting.sizes[0]))}, the difference is {points(start.difference)}: {start.word}."
        return
    jump = f"the difference (jumpstart) is {points(start.difference)}"
    yield f"At the start, {with_size(setting.sizes[0])}, {jump}: {start.word}."
    yield f"At the end, {with_size(setting.sizes[-1])}, it is {points(end.difference)}: {end.word}."


def _slope(slope: ByArm, x90: Reached, setting: Setting) -> str:
    rises = []
    both = (slope.first, x90.first), (slope.second, x90.second)
    for (estimate, reached), name in zip(both, setting.names, strict=True):
        rise = "no rise" if reached is None else f"90% of its rise at {two_digits(reached)}"
        rises.append(f"{points(estimate)} with {name} ({rise})")
    return f"Each doubling of the {CLASS} adds {', '.join(rises)}."


def _asymptote(ends: Asymptotes, setting: Setting) -> str:
    if len(setting.sizes) < FEWEST_SIZES:
        return f"Where the curves level off (asymptote) is not estimated: that takes {FEWEST_SIZES} sizes."
    told = [
        f"{share_with_interval(end)} with {name}" if end else f"a point that cannot be told yet with {name}"
        for end, name in zip((ends.first, ends.second), setting.names, strict=True)
    ]
    bounded = "" if setting.repeats >= FEWEST_SUBSETS else f"; an interval takes {FEWEST_SUBSETS} repeats"
    return f"With ever more {CLASS}, the fitted power laws tend to {' and '.join(told)} (asymptote){bounded}."


def _area(found: Comparison, setting: Setting) -> str:
    area, names, ratio = found.area, setting.names, found.ratio
    means = f"{share_with_interval(area.first)} with {names[0]} and {share_with_interval(area.second)} with {names[1]}"
    worth = (
        "no transfer ratio" if ratio is None else f"a transfer ratio of {ratio.value:.2f}{interval(ratio, '.2f', 1)}"
    )
    over = "Mean accuracy over the logarithm of size (area)" if len(setting.sizes) > 1 else "Accuracy"
    return f"{over} is {means}: a difference of {points(area.difference)}, {worth}."


def _needed(need: Equivalence, setting: Setting) -> str:
    """Data equivalence at one size."""
    first, second = setting.names
    lead = f"What {first} {'do' if _plural(first) else 'does'} {with_size(need.n)} takes {second}"
    if need.value is None:
        bound = f"more than {number(need.beyond)}" if need.beyond else f"fewer than {number(setting.sizes[0])}"
    else:
        bound = f"about {two_digits(need.value)}, {need.value / need.n:.1f} times as many"
    low = f"at least {two_digits(need.low)}" if need.low else ""
    high = f"at most {two_digits(need.high)}" if need.high else ""
    limits = " and ".join(filter(None, (low, high))) or "no bound within the sizes"
    return f"{lead} {bound} (95% interval: {limits})."


def _verb(sign: int, setting: Setting) -> str:
    """The claim that a sentence begins with."""
    if setting.transfer:
        return "Transfer helped" if sign > 0 else "Transfer hurt"
    first, second = setting.names
    return f"{capital(first)} {'are' if _plural(first) else 'is'} {'better' if sign > 0 else 'worse'} than {second}"


def _at(setting: Setting, i: int) -> str:
    """With n labelled pictures per class, one arm is right on so many, the other on so many."""
    return f"{with_size(setting.sizes[i])}, {_answers(setting, setting.accuracy[:, i])}"


def _average(setting: Setting) -> str:
    """The same over all sizes."""
    if len(setting.sizes) == 1:
        return _at(setting, 0)
    span = f"{number(setting.sizes[0])} to {number(setting.sizes[-1])} {CLASS}"
    return f"on average over {span}, {_answers(setting, setting.accuracy @ area_weights(setting.sizes))}"


def _answers(setting: Setting, accuracy: Floats) -> str:
    first, second = _against(accuracy)
    name = setting.names[0]
    subject = f"{name}," if "," in name else name
    verb = "answer" if _plural(name) else "answers"
    return f"{subject} {verb} {first} of the test pictures right, {setting.names[1]} {second}"


def _against(accuracy: Floats) -> tuple[str, str]:
    """Both accuracies in percent, with a second decimal where one would hide that they differ."""
    first, second = accuracy.tolist()
    digits = 1 if first == second or abs(first - second) >= 0.0015 else 2
    return percent(first, digits, near="within"), percent(second, digits, near="within")


def _plural(name: str) -> bool:
    return name.startswith("features") or name.endswith(("pixels", "features"))
