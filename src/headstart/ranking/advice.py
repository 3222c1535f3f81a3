"""The recommendation: the best, those that cannot be told apart, the fastest that is shown to be as good, doubts."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.phrases import joined, p_words, percent
from headstart.ranking.judge import Judged
from headstart.ranking.pairwise import MARGIN, difference, ordered, regret, speed
from headstart.schema.ranking import HINTS, Advice

MUCH = 1.2
"""A backbone counts as faster from this factor on: below, the measurement's own noise decides."""


def advise(pixels: Judged, backbones: Sequence[Judged]) -> Advice:
    """From the judged backbones, at least one, and the raw pixels."""
    ranked = ordered(backbones)
    best = ranked[0]
    tied = sorted((each for each in ranked[1:] if not difference(best, each).worse), key=speed, reverse=True)
    good = [each for each in ranked[1:] if difference(best, each).as_good]
    fast = max([best, *(each for each in good if speed(each) >= MUCH * speed(best))], key=speed)
    return Advice(
        best.label,
        fast.label,
        _headline(best, len(ranked), alone=not tied),
        tuple(filter(None, (_tied(best, tied), _fast(best, fast, tied, good), _regret(ranked, tied)))),
        tuple(filter(None, (_pixels(best, pixels), *(_hint(name, best, ranked) for name in HINTS)))),
    )


def _percent(share: float) -> str:
    return percent(share, near="rounded")


def _headline(best: Judged, n: int, *, alone: bool) -> str:
    low, high = best.scores.interval
    most = "is the best" if alone else "has the highest accuracy"
    what = f"{best.label} {most} of {n} backbones here" if n > 1 else f"{best.label} was the only backbone ranked"
    interval = f"(95% interval {100 * low:.1f} to {_percent(high)})"
    return f"{what}: {_percent(best.scores.accuracy)} right in cross-validation {interval}."


def _tied(best: Judged, tied: Sequence[Judged]) -> str:
    if not tied:
        return ""
    named = [f"{each.label} ({_percent(each.scores.accuracy)}, {_p(best, each)})" for each in tied[:4]]
    rest = f" and {len(tied) - 4} more" if len(tied) > 4 else ""
    order = ", the fastest first" if len(tied) > 1 else ""
    n = len(best.scores.right)
    return f"On {n:,} pictures it cannot be told apart from {joined(named, 'or')}{rest}{order}."


def _fast(best: Judged, fast: Judged, tied: Sequence[Judged], good: Sequence[Judged]) -> str:
    margin = f"{MARGIN:g} points"
    if fast is not best:
        times = speed(fast) / speed(best)
        return (
            f"{fast.label} is {times:.1f} times as fast and less than {margin} worse, with 95% confidence: use it "
            "if speed matters."
        )
    if good:
        return f"No backbone that is as good within {margin} is clearly faster; use {best.label}."
    if tied:
        return f"None of them is shown to be as good within {margin}: use {best.label}, or rank on more pictures."
    return ""


def _regret(ranked: Sequence[Judged], tied: Sequence[Judged]) -> str:
    if not tied:
        return f"Every other backbone is measurably worse; use {ranked[0].label}." if len(ranked) > 1 else ""
    n, points = len(ranked[0].scores.right), regret(ranked)
    return f"Choosing by {n:,} pictures costs {points:.1f} points on average, compared with the truly best one."


def _pixels(best: Judged, pixels: Judged) -> str:
    found = difference(best, pixels)
    if found.worse:
        return ""
    against = f"{_percent(best.scores.accuracy)} against {_percent(pixels.scores.accuracy)}, {_p(best, pixels)}"
    n = f"On {len(best.scores.right):,} pictures"
    if found.measured:
        return f"{n} {best.label} is worse than raw pixels ({against}): no backbone is shown to help."
    return f"{n} {best.label} cannot be told apart from raw pixels ({against}): no backbone is shown to help."


def _hint(name: str, best: Judged, ranked: Sequence[Judged]) -> str:
    """Where a cheap score would have chosen a backbone that is measurably worse."""
    scored = {each.label: (value, each) for each in ranked if (value := each.hints[name]) is not None}
    if best.label not in scored or len(scored) < 2:
        return ""
    first = max(scored.values(), key=lambda pair: pair[0])[1]
    if not difference(best, first).worse:
        return ""
    chosen = f"{first.label} ({_percent(first.scores.accuracy)}), which is measurably worse ({_p(best, first)})"
    return f"{name[0].upper()}{name[1:]} would have chosen {chosen}: trust the cross-validation."


def _p(best: Judged, other: Judged) -> str:
    return p_words(difference(best, other).p)
