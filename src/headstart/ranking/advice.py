"""The recommendation: the best, the fastest that is as good as far as can be told, and reasons for doubt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from headstart.ranking.judge import Judged
from headstart.ranking.pairwise import difference, ordered, speed
from headstart.statistics import wilson

HINTS: dict[str, Callable[[Judged], float | None]] = {
    "LogME": lambda judged: judged.scores.logme,
    "the regularised H-score": lambda judged: judged.scores.h_score,
    "LEEP": lambda judged: judged.leep,
}
MUCH = 1.2
"""A backbone counts as faster from this factor on: below, the measurement's own noise decides."""


@dataclass(frozen=True)
class Advice:
    """`best` and `fast` are labels, the same one where no faster backbone is as good; the rest are sentences."""

    best: str
    fast: str
    headline: str
    sentences: tuple[str, ...]
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "best": self.best,
            "fastest_not_worse": self.fast,
            "headline": self.headline,
            "sentences": list(self.sentences),
            "warnings": list(self.warnings),
        }


def advise(pixels: Judged, backbones: Sequence[Judged]) -> Advice:
    """From the judged backbones, at least one, and the raw pixels."""
    ranked = ordered(backbones)
    best = ranked[0]
    tied = [each for each in ranked[1:] if not difference(best, each).worse]
    fast = max([best, *(each for each in tied if speed(each) >= MUCH * speed(best))], key=speed)
    return Advice(
        best.label,
        fast.label,
        _headline(best, len(ranked)),
        tuple(filter(None, (_tied(best, tied), _fast(best, fast, len(tied), len(ranked))))),
        tuple(filter(None, (_pixels(best, pixels), *(_hint(name, best, ranked) for name in HINTS)))),
    )


def percent(share: float) -> str:
    """`0.9344` -> `93.4%`."""
    return f"{100 * share:.1f}%"


def p_value(p: float) -> str:
    """`p = 0.031`, `p < 0.001`."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def _headline(best: Judged, n: int) -> str:
    low, high = wilson(int(best.scores.right.sum()), len(best.scores.right))
    what = f"{best.label} is the best of {n} backbones here" if n > 1 else f"{best.label} was the only backbone"
    interval = f"(95% interval {100 * low:.1f} to {percent(high)})"
    return f"{what}: {percent(best.scores.accuracy)} right in cross-validation {interval}."


def _tied(best: Judged, tied: Sequence[Judged]) -> str:
    if not tied:
        return ""
    named = [f"{each.label} ({percent(each.scores.accuracy)}, {_p(best, each)})" for each in tied[:4]]
    rest = f" and {len(tied) - 4} more" if len(tied) > 4 else ""
    return f"On {len(best.scores.right):,} pictures it cannot be told apart from {_listed(named)}{rest}."


def _fast(best: Judged, fast: Judged, n_tied: int, n: int) -> str:
    if n == 1:
        return ""
    if fast is best:
        none = "No backbone that is as good is clearly faster" if n_tied else "Every other backbone is measurably worse"
        return f"{none}; use {best.label}."
    times = speed(fast) / speed(best)
    return f"{fast.label} is {times:.1f} times as fast and not measurably worse: use it where speed matters."


def _pixels(best: Judged, pixels: Judged) -> str:
    found = difference(best, pixels)
    if found.worse:
        return ""
    against = f"{percent(pixels.scores.accuracy)} against {percent(best.scores.accuracy)}, {_p(best, pixels)}"
    return f"Raw pixels are as good, as far as these pictures can tell ({against}): a backbone is not shown to help."


def _hint(name: str, best: Judged, ranked: Sequence[Judged]) -> str:
    """Where a cheap score would have chosen a backbone that is measurably worse."""
    score = HINTS[name]
    scored = {each.label: (value, each) for each in ranked if (value := score(each)) is not None}
    if best.label not in scored or len(scored) < 2:
        return ""
    first = max(scored.values(), key=lambda pair: pair[0])[1]
    if not difference(best, first).worse:
        return ""
    chosen = f"{first.label} ({percent(first.scores.accuracy)}), which is measurably worse ({_p(best, first)})"
    return f"{name[0].upper()}{name[1:]} would have chosen {chosen}: trust the cross-validation."


def _p(best: Judged, other: Judged) -> str:
    return p_value(difference(best, other).p)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
