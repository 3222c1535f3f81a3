"""Why transfer may have done little, or much: each reason rests on a measured quantity and names it (docs/compare.md).

A reason is a finding that goes with weak transfer, or with strong, not a proof of its cause; a study without it is the
proof.
"""

from __future__ import annotations

from collections.abc import Callable

from headstart.evidence.facts import ArmFacts
from headstart.evidence.phrases import CLASS, capital, number
from headstart.phrases import joined, percent
from headstart.schema.verdicts import Reason

GREY = 0.9  # share of grey pictures from which colour plays no part in the data
SMALLER = 2.0  # times; to about half the side, networks keep most of their accuracy
ENLARGED = 2.0  # times; up to twofold, resizing is within what networks are trained to bear
BACKGROUND = 0.5  # share of a picture; from a half on, most of what the network sees is the same in every picture
KNOWN = 0.5  # share of the classes; from a half on, most were told apart by the source already
UNEQUAL = 10.0  # times; a penalty on weights then presses a hundred times harder on the smallest features
DEAD = 0.1  # share of the features; a few are dead in any network on any data
MOSTLY_DEAD = 0.5  # share of the features; trouble whatever the verdict
SATURATED = 0.1  # share of the features; as for dead ones
CROPPED = 0.3  # share of a picture; a square one loses 23% at the usual crop to 87.5% of its side


def reasons(facts: ArmFacts, gain: int) -> tuple[Reason, ...]:
    """What of the facts may explain a weak or negative verdict (`gain` -1), the weightiest first.

    Where transfer helped (1), what goes with that; where it is ahead, and chance may have done it (0), nothing. In both
    cases what is trouble all the same: fits that did not converge, more features than labelled pictures without a
    penalty, and more than half of the features dead.
    """
    found = tuple(reason for rule in RULES if (reason := rule(facts)) is not None)
    if gain < 0:
        return found
    gains = tuple(reason for rule in GAINS if (reason := rule(facts)) is not None) if gain else ()
    return (*(reason for reason in found if _is_trouble(reason)), *gains)


def unlearnt(name: str, sizes: tuple[float, ...], accuracy: float) -> Reason:
    """That an arm (how sentences call it) was no better than guessing at these sizes, where it was right on so many."""
    listed = joined([*map(number, sizes)])
    sentence = (
        f"{capital(name)} did not learn with {listed} {CLASS}: {percent(accuracy, near='within')} right is no better "
        "than guessing without looking. Draw no conclusions from it."
    )
    return Reason("unlearnt", accuracy, sentence)


def _is_trouble(reason: Reason) -> bool:
    return reason.key in ("unconverged", "rows") or (reason.key == "dead" and reason.measured > MOSTLY_DEAD)


def _random(facts: ArmFacts) -> Reason | None:
    if facts.pretrained:
        return None
    return Reason("random", 1.0, f"The weights of {facts.name} are random, all of them: nothing was transferred.")


def _rows(facts: ArmFacts) -> Reason | None:
    if facts.penalised or facts.features <= facts.rows:
        return None
    sentence = (
        f"{facts.features:,} features for {facts.rows:,} labelled pictures without a penalty: infinitely many weight "
        "vectors fit the labels, and only the solver determines which one is found."
    )
    return Reason("rows", facts.features / max(facts.rows, 1), sentence)


def _unconverged(facts: ArmFacts) -> Reason | None:
    if facts.converged >= 1:
        return None
    stopped = 1 - facts.converged
    count = (
        f"{round(stopped * facts.fits):,} of {facts.fits:,} fits" if facts.fits else f"{_percent(stopped)} of the fits"
    )
    return Reason(
        "unconverged",
        stopped,
        f"The solver had not converged in {count}: these heads are not as good as they could be.",
    )


def _dead(facts: ArmFacts) -> Reason | None:
    if facts.dead_share < DEAD:
        return None
    share = _percent(facts.dead_share)
    sentence = f"{share} of the features have the same value in every picture, so they carry no information."
    return Reason("dead", facts.dead_share, sentence)


def _saturated(facts: ArmFacts) -> Reason | None:
    if facts.saturated_share < SATURATED:
        return None
    share = _percent(facts.saturated_share)
    sentence = f"{share} of the features are at their largest value in nine out of ten pictures and tell little."
    return Reason("saturated", facts.saturated_share, sentence)


def _unscaled(facts: ArmFacts) -> Reason | None:
    settled = not facts.penalised and facts.features <= facts.rows and facts.converged >= 1  # scales do not matter
    if facts.standardised or settled or facts.scale_spread < UNEQUAL:
        return None
    effect = "the penalty all but silences the small ones" if facts.penalised else "the large ones decide what is found"
    sentence = f"Features are not standardised, and their scales differ {facts.scale_spread:,.0f}-fold: {effect}."
    return Reason("unscaled", facts.scale_spread, sentence)


def _overlap(facts: ArmFacts) -> Reason | None:
    if not facts.pretrained or facts.overlap is None or facts.overlap.share >= KNOWN:
        return None
    words = facts.overlap.words
    return Reason("overlap", facts.overlap.share, f"{words[0].upper()}{words[1:]}.")


def _grey(facts: ArmFacts) -> Reason | None:
    if not facts.pretrained or not facts.colour_source or facts.grey_share < GREY:
        return None
    pictures = "All pictures" if facts.grey_share >= 1 else f"{_percent(facts.grey_share)} of the pictures"
    sentence = (
        f"{pictures} are grey, and {facts.name} learnt on colour photographs: its colour detectors are of no use here."
    )
    return Reason("grey", facts.grey_share, sentence)


def _input(facts: ArmFacts) -> Reason | None:
    times = facts.own_side / facts.input_side if facts.pretrained and facts.input_side else 0.0
    if times <= SMALLER:
        return None
    sentence = (
        f"{capital(facts.name)} learnt on inputs of {facts.own_side:g} pixels but gets {facts.input_side:g} here: "
        "the patterns that it knows hardly fit in."
    )
    return Reason("input", times, sentence)


def _enlargement(facts: ArmFacts) -> Reason | None:
    times = facts.input_side / facts.picture_side if facts.picture_side else 0.0
    if times < ENLARGED or _input(facts) is not None:  # a larger input would help there
        return None
    sentence = (
        f"Pictures of {facts.picture_side:g} pixels are enlarged {times:.1f} times to the input of "
        f"{facts.input_side:g}: they have no detail of the size that the network looks for."
    )
    return Reason("enlargement", times, sentence)


def _background(facts: ArmFacts) -> Reason | None:
    if facts.constant_share < BACKGROUND:
        return None
    share = _percent(facts.constant_share)
    return Reason("background", facts.constant_share, f"{share} of a picture is plain background, on average.")


def _crop(facts: ArmFacts) -> Reason | None:
    if facts.cuts < CROPPED:
        return None
    return Reason(
        "crop", facts.cuts, f"The centre crop cuts off {_percent(facts.cuts)} of a picture, whatever it shows."
    )


def _known(facts: ArmFacts) -> Reason | None:
    if not facts.pretrained or facts.overlap is None or facts.overlap.share < KNOWN:
        return None
    sentence = f"{capital(facts.overlap.words)}: {facts.name} has learnt to tell such pictures apart."
    return Reason("known", facts.overlap.share, sentence)


def _colour(facts: ArmFacts) -> Reason | None:
    coloured = 1 - facts.grey_share
    if not facts.pretrained or not facts.colour_source or coloured < GREY:
        return None
    pictures = "All pictures" if coloured >= 1 else f"{_percent(coloured)} of the pictures"
    return Reason("colour", coloured, f"{pictures} are in colour, like the photographs that {facts.name} learnt on.")


def _detail(facts: ArmFacts) -> Reason | None:
    if not facts.pretrained or not 0 < facts.input_side <= facts.picture_side:
        return None
    times = facts.picture_side / facts.input_side
    sentence = (
        f"Pictures of {facts.picture_side:g} pixels fill the input of {facts.input_side:g} without being enlarged: "
        "they have detail of the size that the network looks for."
    )
    return Reason("detail", times, sentence)


def _percent(share: float) -> str:
    return percent(share, 0, "down")


RULES: tuple[Callable[[ArmFacts], Reason | None], ...] = (
    _random, _rows, _unconverged, _input, _dead, _unscaled, _saturated, _overlap, _grey, _enlargement, _background,
    _crop,
)  # fmt: skip
"""By weight: what makes the comparison itself doubtful, then features (an input too small makes them dead), then
pictures unlike the source's."""
GAINS: tuple[Callable[[ArmFacts], Reason | None], ...] = (_known, _colour, _detail)
"""What goes with transfer that helps: pictures like the source's."""
