"""The one sentence that a run comes to, for the report and the command line, from scores.json alone."""

from __future__ import annotations

from headstart.phrases import percent, plural
from headstart.report import training
from headstart.report.numbers import digits_for, shown
from headstart.report.parts import judged_part, pictures, scored
from headstart.schema.scores import PartScores, RunScores

UNTESTED = "No pictures were held out to test this classifier, so its accuracy was not measured."
COPIES = "Nothing was tested: {named} were named correctly, and each is {alike}."
UNSEEN = ", each by a classifier that had not seen it"
WITHOUT = "{named} that {unlike} named correctly{between}; with the {others}, {share} of {n:,}"
BALANCED = 1.02
"""Classes are balanced while the commonest has less than this many times its equal share, or one picture more."""
LOPSIDED = 1.5
"""The same of the judged part, where the classes fitted on are balanced: what chance makes of few pictures is less."""


def headline(scores: RunScores) -> str:
    """The accuracy on the pictures that test the classifier, its interval, and what guessing would reach."""
    part = judged_part(scores)
    if not part:
        return UNTESTED
    s = scored(scores)[part]
    leak = (scores.leaks or {}).get(part)
    if leak is not None and leak.copies >= s.n:
        copy = "a copy of a training picture"
        alike = f"of a group that was trained on, or {copy}" if leak.grouped else copy
        return COPIES.format(named=share_of(s, pictures(part, s.n)), alike=alike)
    named = share_of(s, plural(s.n, "picture") if part == "cv" else pictures(part, s.n))
    how = UNSEEN if part == "cv" else ""
    if scores.seen_by_network:
        how = f", but the network itself was trained on {scores.seen_by_network:,} of them"
    told = f"{named} named correctly{how}{between(s)}"
    if clean := without_copies(scores):
        told = _without(clean, s, part, leak is not None and bool(leak.grouped))
    return f"{told}; {guessing(scores)}{_frozen(scores)}."


def _without(clean: PartScores, s: PartScores, part: str, grouped: bool) -> str:
    """The accuracy of the pictures that are not alike to training pictures, and that of all."""
    n = s.n - clean.n
    alike = ("are of no group that was trained on and copy no training picture", plural(n, "other"))
    copies = ("copy no training picture", plural(n, "copy", "copies"))
    unlike, others = alike if grouped else copies
    named, share = share_of(clean, pictures(part, clean.n)), percent(s.accuracy, digits_for(s.n))
    return WITHOUT.format(named=named, unlike=unlike, between=between(clean), others=others, share=share, n=s.n)


def without_copies(scores: RunScores) -> PartScores | None:
    """The scores of the judged part without its copies of training pictures, where that reads as another accuracy."""
    part = judged_part(scores)
    leak = (scores.leaks or {}).get(part)
    if leak is None or leak.without is None:
        return None
    found, whole = leak.without, scored(scores)[part]
    clean = PartScores(
        n=int(found["n"]),
        accuracy=found["accuracy"],
        accuracy_low=found["accuracy_low"],
        accuracy_high=found["accuracy_high"],
        log_loss=found.get("log_loss"),
    )
    same = percent(clean.accuracy, digits_for(clean.n)) == percent(whole.accuracy, digits_for(whole.n))
    return None if same else clean


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
    """What guessing would reach on the judged part: any class where they are balanced, else always its commonest."""
    found = scored(scores)
    judged = found[judged_part(scores)]
    sizes, trained = class_sizes(judged), class_sizes(found.get("train") or judged)
    equal, share = sum(trained.values()) / len(trained), sum(sizes.values()) / len(sizes)
    common = max(sizes, key=lambda name: sizes[name])
    if max(trained.values()) < max(BALANCED * equal, equal + 1) and sizes[common] < max(LOPSIDED * share, share + 2):
        return f"guessing: {percent(1 / len(sizes)).replace('.0%', '%')}"
    return f"guessing (always {quoted(common)}): {percent(sizes[common] / max(1, sum(sizes.values())))}"


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
