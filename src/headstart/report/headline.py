"""The one sentence that a run comes to, for the report and the command line, from scores.json alone."""

from __future__ import annotations

from headstart.phrases import percent, plural
from headstart.report import training
from headstart.report.numbers import digits_for, shown
from headstart.report.parts import judged_part, pictures, scored
from headstart.schema.scores import PartScores, RunScores

UNTESTED = "No picture was kept apart to test this classifier, so how good it is was not measured."
COPIES = "Nothing was tested: {named} were named correctly, and each is a copy of a training picture."
UNSEEN = ", each by a classifier that had not seen it"
BALANCED = 1.02
"""Classes are balanced while the commonest has less than this many times its equal share, or one picture more."""


def headline(scores: RunScores) -> str:
    """The accuracy on the pictures that test the classifier, its interval, and what guessing would reach."""
    part = judged_part(scores)
    if not part:
        return UNTESTED
    s = scored(scores)[part]
    leak = (scores.leaks or {}).get(part)
    if leak is not None and leak.copies >= s.n:
        return COPIES.format(named=share_of(s, pictures(part, s.n)))
    named = share_of(s, plural(s.n, "picture") if part == "cv" else pictures(part, s.n))
    how = UNSEEN if part == "cv" else ""
    return f"{named} named correctly{how}{between(s)}; {guessing(scores)}{_frozen(scores)}."


def share_of(s: PartScores, what: str) -> str:
    """`84.0% of 500 pictures`."""
    return f"{percent(s.accuracy, digits_for(s.n))} of {what}"


def between(s: PartScores) -> str:
    """` (95% interval 80.6 to 87.0)`; empty where no interval was recorded."""
    return f" (95% interval {_ends(s)})" if s.accuracy_low is not None else ""


def _ends(s: PartScores) -> str:
    low, high = (percent(bound, digits_for(s.n)) for bound in (s.accuracy_low, s.accuracy_high))
    return f"{low.removesuffix('%')} to {high.removesuffix('%')}"


def guessing(scores: RunScores) -> str:
    """What guessing would reach on the judged part: any class where they are balanced, else always the commonest."""
    found = scored(scores)
    judged = found[judged_part(scores)]
    sizes, trained = class_sizes(judged), class_sizes(found.get("train") or judged)
    common = max(trained, key=lambda name: trained[name])
    equal = sum(trained.values()) / len(trained)
    if trained[common] < max(BALANCED * equal, equal + 1):
        return f"guessing: {percent(1 / len(sizes)).replace('.0%', '%')}"
    return f"guessing (always {quoted(common)}): {percent(sizes.get(common, 0) / max(1, sum(sizes.values())))}"


def _frozen(scores: RunScores) -> str:
    """What the same network reached before its blocks were trained."""
    found = training.gain(scores, judged_part(scores))
    if found is None:
        return ""
    return f"; with the network frozen: {percent(found.frozen.accuracy, digits_for(found.frozen.n))}"


def class_sizes(s: PartScores) -> dict[str, int]:
    """Pictures by true class."""
    return {row.class_: row.n for row in s.per_class}


def quoted(name: str) -> str:
    """A class or file name inside a sentence."""
    return f"“{shown(name, 40)}”"
