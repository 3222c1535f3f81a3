"""The verdicts of a study: one mark for each pair, a card for each, a table of the other pairs, the reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headstart.evidence.phrases import capital
from headstart.phrases import joined, percent
from headstart.report.charts.differences import DifferencesDisplay
from headstart.report.numbers import shown
from headstart.report.study.differences import by_size
from headstart.report.study.words import MARKS, Mark, points_with_interval, sizes_of, with_minus
from headstart.schema.verdicts import Comparison, Reason, Verdicts

Words = dict[str, str]
TIMES = ("rows", "unscaled", "input", "enlargement", "detail")
"""The reasons whose figure is a multiple; that of the others is a share."""


@dataclass(frozen=True)
class VerdictCell:
    """One verdict over all sizes: its mark and the difference in points."""

    mark: Mark
    points: str


@dataclass(frozen=True)
class Overview:
    """Transfer arms down, source-free arms across; None where the study does not compare the two."""

    columns: list[str]
    rows: list[tuple[str, list[VerdictCell | None]]]


def overview(study: Verdicts, words: Words) -> Overview | None:
    """The verdict of each transfer arm against each source-free one; None without any."""
    found = {(c.first, c.second): c for c in study.against_source_free()}
    if not found:
        return None
    firsts, seconds = (list(dict.fromkeys(pair[i] for pair in found)) for i in (0, 1))
    rows = [(words[one], [_cell(found.get((one, two))) for two in seconds]) for one in firsts]
    return Overview([words[two] for two in seconds], rows)


def _cell(compared: Comparison | None) -> VerdictCell | None:
    if compared is None:
        return None
    return VerdictCell(MARKS[compared.verdict.word], points_with_interval(compared.verdict.difference))


def overview_title(study: Verdicts) -> str:
    """What the overview's figures are."""
    found = study.against_source_free()
    over = {sizes_of(study, each) for each in found}
    return (
        f"{capital(over.pop()) if len(over) == 1 else 'Over all sizes'}, in points of accuracy, with {intervals(found)}"
    )


def intervals(found: Sequence[Comparison]) -> str:
    """What the intervals of these verdicts are: each at 95%, or as wide as its verdict needs among several."""
    return "95% intervals, adjusted for several pairs" if adjusted(found) else "95% interval"


def adjusted(found: Sequence[Comparison]) -> bool:
    """Whether intervals of these verdicts are wider than at 95%, so that the verdicts together err in 5% of studies.

    By Holm's steps the intervals do not hold all together as often as that: of two clear pairs in 93%.
    """
    return any(each.verdict.level is not None for each in found)


@dataclass(frozen=True)
class ComparisonCard:
    """One comparison of a transfer arm with a source-free one."""

    title: str
    sentence: str
    mark: Mark
    where: str
    points: str
    plot: DifferencesDisplay
    details: list[str]


def cards(study: Verdicts, words: Words) -> list[ComparisonCard]:
    """The headline's comparison first, the others in the order of the file."""
    main = study.main()
    return [_card(study, c, words) for c in sorted(study.against_source_free(), key=lambda c: c is not main)]


def _card(study: Verdicts, compared: Comparison, words: Words) -> ComparisonCard:
    title = f"{words[compared.first]} against {words[compared.second]}"
    return ComparisonCard(
        title=title,
        sentence=with_minus(shown(compared.sentence, 1000)),
        mark=MARKS[compared.verdict.word],
        where=sizes_of(study, compared),
        points=f"{points_with_interval(compared.verdict.difference)} points",
        plot=by_size(study, compared, title),
        details=[with_minus(shown(each, 1000)) for each in compared.details],
    )


@dataclass(frozen=True)
class PairRow:
    """One of the other comparisons in a row of a table: over all sizes, at the smallest, at the largest."""

    title: str
    mark: Mark
    cells: list[str]


def other_pairs(study: Verdicts, words: Words) -> list[PairRow]:
    """Comparisons of two transfer arms, or of two source-free ones."""
    return [_pair(compared, words) for compared in study.others()]


def _pair(compared: Comparison, words: Words) -> PairRow:
    ends = [compared.by_size[0], compared.by_size[-1]] if len(compared.by_size) > 1 else []
    told = [points_with_interval(each.difference) for each in (compared.verdict, *ends)]
    title = f"{words[compared.first]} against {words[compared.second]}"
    return PairRow(title, MARKS[compared.verdict.word], told + ["–"] * (3 - len(told)))


def reasons(study: Verdicts, words: Words) -> list[tuple[str, list[tuple[str, str]]]]:
    """(Comparisons, [(sentence, measured figure)]): comparisons with the same reasons are told once."""
    found: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for told in study.reasons:
        rows = tuple((shown(each.sentence, 1000), measured(each)) for each in told.reasons)
        if rows:
            found.setdefault(rows, []).append(f"{words[told.first]} against {words[told.second]}")
    return [(joined(pairs), list(rows)) for rows, pairs in found.items()]


def measured(reason: Reason) -> str:
    """The figure of a reason with its unit: `97.0%`, `4.0 times`.

    >>> measured(Reason("grey", 0.97, "Most pictures are grey.")), measured(Reason("enlargement", 4.0, "Enlarged."))
    ('97.0%', '4.0 times')
    """
    return f"{reason.measured:,.1f} times" if reason.key in TIMES else percent(reason.measured, near="rounded")


def margin_words(study: Verdicts) -> str:
    """The margin in points: `1 point`, `0.5 points`."""
    told = f"{100 * study.study.margin:g}"
    return f"{told} point{'' if told == '1' else 's'}"
