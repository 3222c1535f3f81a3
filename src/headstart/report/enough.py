"""Is it enough? What more labelled pictures would bring, in a sentence or two."""

from __future__ import annotations

from headstart.phrases import percent, plural
from headstart.report.numbers import count
from headstart.schema.scores import Ahead, Enough, PartScores, RunScores, Target

WIDE = 4
"""The end of an interval as a multiple of its beginning, above which the interval is said first."""


def enough_words(scores: RunScores) -> str:
    """`With twice the labelled pictures likely 97.1% (90% interval 95.0 to 98.3), with four times ...`; '' without."""
    found = scores.enough
    if found is None:
        return ""
    if found.odd:
        return f"There is no forecast for more labelled pictures: {found.odd}."
    twice, four = (_ahead(each, found) for each in found.ahead)
    told = f"With twice the labelled pictures likely {twice}, with four times {four}."
    if found.target is not None:
        told += f" {_target(found.target, found, len(scores.run.classes))}"
    return (
        told
        + _where_below(scores, found)
        + _where_apart(scores.after.get("test"), found, "test" in (scores.leaks or {}))
    )


def _digits(found: Enough) -> int:
    return 1 if found.n >= 100 else 0


def _ahead(each: Ahead, found: Enough) -> str:
    digits = _digits(found)
    low, high = (percent(bound, digits).removesuffix("%") for bound in (each.low, each.high))
    return f"{percent(each.accuracy, digits)} (90% interval {low} to {high})"


def _where_below(scores: RunScores, found: Enough) -> str:
    """Why twice the pictures are expected to do worse than the same pictures did in cross-validation; else ''."""
    crossed, digits = scores.after.get("cv"), _digits(found)
    if crossed is None or round(found.ahead[0].accuracy, digits + 2) >= round(crossed.accuracy, digits + 2):
        return ""
    return (
        f" The first is below today's {percent(crossed.accuracy, digits)}, since so few mistakes are partly luck: on "
        "other pictures there would be more."
    )


def _where_apart(test: PartScores | None, found: Enough, copied: bool) -> str:
    """What the forecast is of, where the test pictures are harder by more than chance, or did better uncopied."""
    now, digits = found.curve[-1][1], _digits(found)
    if test is None or test.accuracy_low is None or test.accuracy_high is None:
        return ""
    share = percent(test.accuracy, digits)
    if test.accuracy_high < now:
        apart = f"the test pictures are harder ({share})"
    elif copied or round(found.ahead[0].accuracy, digits + 2) >= round(test.accuracy, digits + 2):
        return ""
    elif test.accuracy_low > now:
        apart = f"the test pictures are easier ({share})"
    else:
        apart = f"of the test pictures {share} are, which may be luck"
    right = f"{percent(now, digits)} of which are named correctly now"
    return f" This is of pictures like the labelled ones, {right}; {apart}."


def _target(found: Target, enough: Enough, classes: int) -> str:
    """What the accuracy takes, in pictures per class."""
    goal = f"{100 * found.accuracy:g}%"
    if found.labels is None:
        return (
            f"{goal} seems out of reach with this network, whatever the number of pictures; `headstart rank` says "
            "whether another does better."
        )
    if found.high is not None and found.high <= enough.n:
        return f"{goal} is most likely reached already."
    now_right = enough.curve[-1][1] if enough.curve else 0.0
    if found.accuracy <= min(now_right, enough.ahead[0].accuracy):
        most = "" if found.high is None else plural(rounded(max(1, found.high / classes)), "picture")
        sure = f"; it takes at most {most} per class (95% sure)" if most else ""
        return f"{goal} seems to be reached already: cross-validation says {percent(now_right, _digits(enough))}{sure}."
    each, low = (rounded(max(1, n / classes)) for n in (found.labels, found.low or 1))
    now = f"now there are {count(round(enough.n / classes))}"
    if found.high is None:
        least = plural(low, "picture")
        return f"{goal} takes at least {least} per class (95% sure), most likely about {count(each)}; {now}."
    high = rounded(max(1, found.high / classes))
    if high > WIDE * low:
        ends = f"{count(low)} to {count(high)} pictures per class (90% interval)"
        return f"{goal} takes {ends}, most likely about {count(each)}; {now}."
    ends = f"{count(low)} to {count(high)}"
    return f"{goal} takes about {plural(each, 'picture')} per class (90% interval {ends}); {now}."


def rounded(n: float) -> int:
    """To two digits."""
    return int(float(f"{n:.2g}"))
