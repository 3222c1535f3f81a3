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
    with_size,
)
from headstart.phrases import p_words, percent, two_digits
from headstart.schema.verdicts import BELOW, NONE, OPEN, Asymptotes, ByArm, Comparison, Equivalence, Reached, Verdict

Floats = NDArray[np.float64]
ANYTHING = 1.0
"""An interval of a difference that is this wide, of 2 from -100 to +100 points, says nothing."""
DOUBT = "Nothing can be concluded from an arm that does no better than guessing without looking."
HERE = "With this set of labelled pictures"
PER_CLASS = "pictures per class"
FAR = 0.03  # of accuracies in a headline: no decimal then


@dataclass(frozen=True)
class Setting:
    """What sentences need beside the figures.

    names: how the two arms are called, like "features of sprout", "raw pixels"; transfer: whether the first transfers
    and the second does not; sizes (s,); accuracy (2, s), mean over repeats; n_test: test pictures; drawn: the sizes, by
    number, that the verdict over all sizes is about, all of them when left out.
    """

    names: tuple[str, str]
    transfer: bool
    sizes: Floats
    accuracy: Floats
    n_test: int
    repeats: int
    drawn: tuple[int, ...] = ()

    @property
    def over(self) -> list[int]:
        """The sizes that the verdict over all sizes is about."""
        return list(self.drawn) or list(range(len(self.sizes)))


def sentence(found: Comparison, setting: Setting) -> str:
    """The finding for a person without statistics: a headline, and after it what it leaves out.

    Its figures are those of the verdict over all sizes. A size is named only where its own verdict, which allows for
    there being several, says something else.
    """
    if found.one_set:
        return " ".join(_of_one_set(found, setting))
    crossing = _crossing(found, setting)
    return crossing or " ".join([*_finding(found, setting), *_elsewhere(found, setting)])


def _of_one_set(found: Comparison, setting: Setting) -> Iterator[str]:
    """What one set of labelled pictures shows, and that it shows no more."""
    verdict, (first, second) = found.verdict, setting.names
    chance = f", {p_words(found.p, least=0)}" if found.p is not None else ""
    if verdict.unlearnt:
        yield f"{HERE}, nothing can be told: {_behind(verdict, setting)} did not learn. {DOUBT}"
    elif verdict.word == NONE:
        yield f"{HERE}, {first} and {second} do equally well: {_figures(setting, 'against')}."
    elif not verdict.claim:
        yield f"{HERE}, {first} and {second} differ no more than chance allows: {_figures(setting, 'against')}{chance}."
    else:
        ahead, less = "ahead of" if verdict.claim > 0 else "behind", verdict.word.endswith(BELOW)
        by = f", by less than {margin_in_words(found.margin)}" if less else ""
        yield f"{HERE}, {first} {_is(first)} {ahead} {second}{by}: {_figures(setting, 'against')}{chance}."
    more = "more repeats" if setting.repeats == 1 else "a smaller size, drawn several times,"
    yield f"Other sets may give another result: {more} would tell."


def _crossing(found: Comparison, setting: Setting) -> str | None:
    """The sentence for curves that cross, at the outermost sizes with each sign of the difference."""
    signs = [verdict.sign for verdict in found.by_size]
    if 1 not in signs or -1 not in signs:
        return None
    one = min(signs.index(1), signs.index(-1))
    other = max(i for i, sign in enumerate(signs) if sign == -signs[one])
    first, then = (_against(setting.accuracy[:, i]) for i in (one, other))
    opposite = {1: "helped", -1: "hurt"} if setting.transfer else {1: "better", -1: "worse"}
    return (
        f"{_verb(signs[one], setting)} {with_size(setting.sizes[one])} ({first[0]} of the test pictures right, against "
        f"{first[1]} for {setting.names[1]}) and {opposite[-signs[one]]} with {number(setting.sizes[other])} "
        f"({then[0]} against {then[1]}): the curves cross."
    )


def _finding(found: Comparison, setting: Setting) -> Iterator[str]:
    """The sentences on all sizes together."""
    verdict, (first, second) = found.verdict, setting.names
    if verdict.word == OPEN:
        yield from _open(found, setting)
        return
    if verdict.word == NONE:
        between = f"There is no measurable difference between {first} and {second}"
        lead = "Transfer made no measurable difference" if setting.transfer else between
        yield f"{lead}: {_figures(setting, 'against')}."
        close = f"Any true difference is most likely below {margin_in_words(found.margin)}"
        yield f"{close if verdict.discordance else 'Both are right on the same test pictures'}."
        return
    less = f", but by less than {margin_in_words(found.margin)}" if verdict.word.endswith(BELOW) else ""
    yield f"{_verb(verdict.sign, setting)}{less}: {_figures(setting, 'instead of')}."
    if worth := "" if less or verdict.sign < 0 else _worth(found.equivalence[0], setting):
        yield worth
    elif setting.transfer:
        yield f"Compared: {first} with {second}."


def _open(found: Comparison, setting: Setting) -> Iterator[str]:
    """The sentences of an inconclusive verdict, with what would decide."""
    verdict, (first, second) = found.verdict, setting.names
    question = "whether transfer helped" if setting.transfer else f"{first} from {second}"
    lead = f"This study cannot tell {question}"
    if verdict.unlearnt:
        yield f"{lead}: {_behind(verdict, setting)} did not learn. {DOUBT}"
    elif verdict.failing:
        yield f"{lead}: a few failed fits would decide the result."
        yield "The verdict differs with and without them, or too few repeats are left."
    else:
        yield f"{lead}: {_figures(setting, 'against')}."
        low, high = verdict.difference.low or 0.0, verdict.difference.high or 0.0
        ends = f"{signed(low)} to {signed(high)} percentage points"
        if high - low < ANYTHING:
            yield f"The true difference may lie anywhere from {ends}."
        else:
            yield f"There is so little data that the true difference may be anything ({_interval_of(verdict)} {ends})."
        yield _decide(verdict, found.margin, setting.n_test)


def _interval_of(verdict: Verdict) -> str:
    """How its interval is called: among several pairs it is as wide as its verdict needs."""
    return "95% interval" if verdict.level is None else "adjusted 95% interval"


def _behind(verdict: Verdict, setting: Setting) -> str:
    return setting.names[int(verdict.difference.value > 0)]


def _decide(verdict: Verdict, margin: float, n_test: int) -> str:
    if verdict.more_repeats:
        return "More repeats, each with other labelled pictures, would tell more than more test pictures."
    if verdict.needed is not None and verdict.needed > n_test:
        return f"About {two_digits(verdict.needed)} test pictures would settle it; this study has {n_test:,}."
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
    """What the fewest labelled pictures are worth: only where even the interval's lower bound says more than n."""
    if need.low is None or need.low <= need.n or two_digits(need.low) == two_digits(need.n):
        return ""
    if need.value is not None:
        many = f"about {two_digits(need.value)}"
    elif need.beyond is not None and need.low >= need.beyond:
        many = f"more than {number(need.beyond)}"
    else:
        many = f"at least {two_digits(need.low)}"
    first, second = setting.names
    needs = "need" if _plural(second) else "needs"
    return f"{capital(second)} {needs} {many} {PER_CLASS} to match {first} with {number(need.n)}."


def details(found: Comparison, setting: Setting) -> list[str]:
    """One sentence for each figure, with 95% intervals, in percentage points."""
    told = [*_ends(found, setting)]
    if found.slope:
        told += [_slope(found.slope, found.x90, setting), _asymptote(found.asymptote, setting)]
    told.append(_area(found, setting))
    told += [_needed(need, setting) for need in found.equivalence] if len(setting.over) > 1 else []
    told.append(
        f"The two differ on {percent(found.verdict.discordance, near='within')} of the test pictures (discordance)."
    )
    if found.p is not None:
        told.append(f"For this one pair of fitted models, McNemar's exact test gives {p_words(found.p, least=0)}.")
    if found.one_set:
        told.append("The intervals are for this set of labelled pictures; they do not cover what other sets would do.")
    return told


def _ends(found: Comparison, setting: Setting) -> Iterator[str]:
    start, end = found.by_size[0], found.by_size[-1]
    if len(found.by_size) == 1:
        yield f"{capital(with_size(setting.sizes[0]))}, the difference is {_said(start, setting)}."
        return
    yield f"At the start, {with_size(setting.sizes[0])}, the difference (jumpstart) is {_said(start, setting)}."
    yield f"At the end, {with_size(setting.sizes[-1])}, it is {_said(end, setting)}."
    yield "The intervals of the sizes hold all together."


def _said(verdict: Verdict, setting: Setting) -> str:
    """The difference with its verdict, and why that is open where an interval alone would close it."""
    why = f", because {_behind(verdict, setting)} did not learn" if verdict.unlearnt else ""
    return f"{points(verdict.difference)}: {verdict.word}{why}"


def _slope(slope: ByArm, x90: Reached, setting: Setting) -> str:
    rises = []
    both = (slope.first, x90.first), (slope.second, x90.second)
    for (estimate, reached), name in zip(both, setting.names, strict=True):
        rise = "no rise" if reached is None else f"90% of its rise at {two_digits(reached)} per class"
        told = f" ({rise})" if reached is None or len(setting.over) > 2 else ""  # two sizes make a straight line
        rises.append(f"{points(estimate)} with {name}{told}")
    return f"Each doubling of the {CLASS} adds {', '.join(rises)}."


def _asymptote(ends: Asymptotes, setting: Setting) -> str:
    if len(setting.over) < FEWEST_SIZES or setting.repeats < FEWEST_SUBSETS:
        wanted = f"{FEWEST_SIZES} sizes and {FEWEST_SUBSETS} repeats"
        return f"Where the curves level off (asymptote) is not estimated: that takes {wanted}."
    told = [
        f"{share_with_interval(end)} with {name}" if end else f"a point that cannot be told yet with {name}"
        for end, name in zip((ends.first, ends.second), setting.names, strict=True)
    ]
    return f"With ever more {CLASS}, the fitted power laws tend to {' and '.join(told)} (asymptote)."


def _area(found: Comparison, setting: Setting) -> str:
    area, names, ratio = found.area, setting.names, found.ratio
    means = f"{share_with_interval(area.first)} with {names[0]} and {share_with_interval(area.second)} with {names[1]}"
    worth = (
        "no transfer ratio"
        if ratio is None
        else f"a transfer ratio of {ratio.value:.2f}{interval(ratio, '{:.2f}'.format)}"
    )
    over = "Mean accuracy over the logarithm of size (area)" if len(setting.over) > 1 else "Accuracy"
    return f"{over} is {means}, {worth}."


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
    return f"{capital(first)} {_is(first)} {'better' if sign > 0 else 'worse'} than {second}"


def _is(name: str) -> str:
    return "are" if _plural(name) else "is"


def _figures(setting: Setting, between: str) -> str:
    """Like: 85% instead of 68%, averaged over 2–50 pictures per class."""
    over = setting.over
    sizes = setting.sizes[over]
    first, second = _against(setting.accuracy[:, over] @ area_weights(sizes), whole=True)
    if len(over) == 1:
        one = PER_CLASS.replace("pictures", "picture") if sizes[0] == 1 else PER_CLASS
        return f"{first} {between} {second} with {number(sizes[0])} {one}"
    ends = number(sizes[0]), number(sizes[-1])
    span = (" to " if "about" in "".join(ends) else "–").join(ends)
    return f"{first} {between} {second}, averaged over {span} {PER_CLASS}"


def _against(accuracy: Floats, whole: bool = False) -> tuple[str, str]:
    """Both accuracies in percent, with a second decimal where one would hide that they differ.

    whole: without a decimal where they lie far apart.
    """
    first, second = accuracy.tolist()
    digits = 1 if first == second or abs(first - second) >= 0.0015 else 2
    digits = 0 if whole and abs(first - second) >= FAR else digits
    return percent(first, digits, near="within"), percent(second, digits, near="within")


def _plural(name: str) -> bool:
    return name.startswith("features") or name.endswith(("pixels", "features"))
