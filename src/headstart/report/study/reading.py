"""The headline's comparison in words, to be read beside the main chart: start, slope, asymptote and equivalence."""

from __future__ import annotations

from headstart.phrases import two_digits
from headstart.report.study.equivalence import equivalence, needed
from headstart.report.study.words import labelled, points, points_with_interval, share_with_interval
from headstart.schema.verdicts import Comparison, Equivalence, Verdicts

Names = tuple[str, str]


def how_to_read(study: Verdicts) -> list[tuple[str, str]]:
    """(Title, sentence), as far as they were measured; empty without a comparison."""
    compared = study.main()
    if compared is None:
        return []
    names = study.arm(compared.first).words, study.arm(compared.second).words
    told = {
        "Start": _start(study, compared),
        "Slope": _slope(compared, names),
        "Asymptote": _asymptote(compared, names),
        "Equivalence": _equivalence(study, compared, names),
    }
    return [(title, words) for title, words in told.items() if words]


def _start(study: Verdicts, compared: Comparison) -> str:
    if not compared.by_size:
        return ""
    at = compared.by_size[0]
    return f"{points_with_interval(at.difference)} points with {labelled(study, at.n)}."


def _slope(compared: Comparison, names: Names) -> str:
    told = compared.slope
    if told is None:
        return ""
    each = f"{names[0]} {points(told.first.value)}, {names[1]} {points(told.second.value)}"
    between = points_with_interval(told.difference)
    return f"Points for every doubling of the labelled pictures: {each}; difference {between}."


def _asymptote(compared: Comparison, names: Names) -> str:
    told = compared.asymptote
    both = zip(names, (told.first, told.second), strict=True)
    each = [f"{words} {share_with_interval(found, found.value)}" for words, found in both if found]
    if not each:
        return ""
    between = f"; difference {points_with_interval(told.difference)} points" if told.difference else ""
    return f"Where the fitted curve ends with ever more pictures: {', '.join(each)}{between}."


def _equivalence(study: Verdicts, compared: Comparison, names: Names) -> str:
    found = equivalence(compared)
    if found is None:
        return ""
    times = f", {found.multiple:.1f} times as many" if found.multiple else ""
    return (
        f"It takes {names[1]} {needed(found)}{_ends(found)} to match {names[0]} with {labelled(study, found.n)}{times}."
    )


def _ends(found: Equivalence) -> str:
    """The interval of an equivalence on the curve; without an end it leaves the curve on that side."""
    low = f"at least {two_digits(found.low)}" if found.low else ""
    high = f"at most {two_digits(found.high)}" if found.high else ""
    return f" (95% interval: {' and '.join(filter(None, (low, high)))})" if found.value and (low or high) else ""
