"""Power: how often a gain would be found with other numbers of repeats and of test pictures (decision 0040)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from headstart.errors import UserError
from headstart.evidence.multiple import ALPHA
from headstart.evidence.variance import Spread, Variances
from headstart.phrases import plural
from headstart.schema.verdicts import Comparison, Plan

ENOUGH = 0.8
SURE, PLANNED = 0.8, 0.65  # of the variance that subsets bring: when advice is given, when a study is planned
REPEATS = (3, 5, 7, 10, 15, 20, 30, 40, 50, 70, 100)
MOST = 10_000_000  # test pictures: more are none that anybody has


def scaled(found: Spread, repeats: int, pictures: int, caution: float = 1.0) -> Spread:
    """The spread to be expected with other numbers; caution: times that the subsets' variance may be larger."""
    known, r, m = found.variances, found.subsets, found.pictures
    by_picture, by_answer = known.alone * m, known.rest * r * m
    by_subset = max(0.0, caution * known.subsets - known.rest) * r
    rest = by_answer / (repeats * pictures)
    parts = Variances(by_picture / pictures + rest, by_subset / repeats + rest, rest, known.pool * caution)
    return replace(found, variances=parts, pictures=pictures, subsets=repeats)


def power(found: Spread, gain: float, alpha: float = ALPHA) -> float:
    """How often a true gain would be found, with a spread like this one."""
    from scipy.special import ndtr

    error = found.variances.total**0.5
    return float(ndtr((gain - found.half(1 - alpha)) / error)) if error else 1.0


def caution_for(subsets: int, sure: float) -> float:
    """How many times as large the subsets' variance may be as it came out: not larger in a share `sure` of studies."""
    from scipy.special import chdtri

    return float((subsets - 1) / chdtri(subsets - 1, sure)) if subsets > 1 else np.inf


def pictures_needed(found: Spread, gain: float, alpha: float = ALPHA) -> int | None:
    """The test pictures with which the gain is found in four of five studies; None where more repeats are needed.

    Unlike n = d (2.8 / gain)^2 of d discordant pictures, it counts what subsets bring, and cautiously.
    """
    if found.subsets < 2:
        return None
    caution = caution_for(found.subsets, SURE)
    if power(scaled(found, found.subsets, MOST, caution), gain, alpha) < ENOUGH:
        return None
    low, high = 2, MOST
    while high - low > 1:
        middle = int((low * high) ** 0.5)
        middle = min(max(middle, low + 1), high - 1)
        enough = power(scaled(found, found.subsets, middle, caution), gain, alpha) >= ENOUGH
        low, high = (low, middle) if enough else (middle, high)
    return high


def spread_of(found: Comparison, repeats: int) -> Spread:
    """The spread of a comparison's difference over all sizes. Raises UserError where its file does not tell."""
    if found.parts is None or repeats < 2:
        raise UserError("This study does not show how much subsets differ: that takes two or more repeats.")
    parts = found.parts
    known = Variances(parts.pictures, parts.subsets, parts.rest, parts.pool)
    return Spread(found.verdict.difference.value, known, parts.n, repeats)


def plan(found: Spread, gain: float, alpha: float = ALPHA) -> Plan:
    """What would find the gain in four studies of five: so many repeats, or else more test pictures as well."""
    caution = caution_for(found.subsets, PLANNED)
    finds = [(r, gain_found(scaled(found, r, found.pictures, caution), alpha)) for r in REPEATS]
    enough = next((r for r, least in finds if least <= gain), None)
    more = None
    if enough is None:
        sized = (found.pictures * 2**k for k in range(1, 14))
        more = next((m for m in sized if gain_found(scaled(found, REPEATS[-1], m, caution), alpha) <= gain), None)
    return Plan(
        gain=gain,
        pictures=found.pictures,
        repeats=enough,
        more_pictures=more,
        finds=tuple(finds),
        overlap=found.variances.pool > 0,
    )


def in_words(found: Plan) -> str:
    """What finds the gain, in a sentence."""
    points, most = f"{100 * found.gain:g} percentage point{'' if found.gain == 0.01 else 's'}", REPEATS[-1]
    if found.repeats is not None:
        return f"A true difference of {points} is found in 4 studies of 5 with {found.repeats} repeats."
    if found.more_pictures is not None:
        lacking = found.had is not None and found.more_pictures > found.had
        beyond = f". That is more than the data have: {plural(found.had or 0, 'picture')} in all" if lacking else ""
        return (
            f"A true difference of {points} takes more test pictures than {found.pictures:,}: about "
            f"{found.more_pictures:,}, with {most} repeats{beyond}."
        )
    few = ": there are too few labelled pictures to draw other subsets from" if found.overlap else ""
    return f"Neither {most} repeats nor more test pictures find a true difference of {points}{few}."


def gain_found(found: Spread, alpha: float = ALPHA) -> float:
    """The least gain that is found in four of five studies."""
    from scipy.special import ndtri

    return float(found.half(1 - alpha) + ndtri(ENOUGH) * found.variances.total**0.5)
