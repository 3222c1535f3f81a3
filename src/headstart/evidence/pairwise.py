"""Two arms of a study compared: verdicts, figures and sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from headstart.evidence import figures, words
from headstart.evidence.answers import Answers
from headstart.evidence.bootstrap import Bootstrap
from headstart.evidence.contrast import Contrast
from headstart.evidence.judgement import Judge
from headstart.evidence.multiple import errors
from headstart.evidence.verdict import MARGIN
from headstart.schema.verdicts import Comparison

Study = Answers | Bootstrap


@dataclass(frozen=True)
class Pair:
    """Two arms to be compared, by their names; how sentences call them; whether `first` alone is a transfer arm."""

    first: str
    second: str
    names: tuple[str, str] | None = None
    transfer: bool = True


def compare(
    study: Answers | Bootstrap,
    first: str,
    second: str,
    *,
    margin: float = MARGIN,
    names: tuple[str, str] | None = None,
    transfer: bool = True,
) -> Comparison:
    """Compare two arms of a study; several pairs of one study are compared by `compare_all`.

    names: how sentences call the arms; transfer: whether `first` is a transfer arm and `second` a source-free one, so
    that "transfer helped" can be said. The verdict over all sizes is on the mean difference over log n (the area).
    Raises UserError for a margin outside 0..1 or fewer than two test pictures.
    """
    return compare_all(study, [Pair(first, second, names, transfer)], 1, margin)[0]


def compare_all(
    studies: Study | Sequence[Study], pairs: Sequence[Pair], primary: int = 0, margin: float = MARGIN
) -> list[Comparison]:
    """Compare several pairs of arms, so that all that is said of all of them errs in 5% of studies.

    studies: one for all pairs, or one for each, where pairs have other sizes in common. The first `primary` pairs are
    the claim that was named beforehand; the others are judged more strictly where it does not come out
    (`evidence.multiple`). Raises UserError as `compare` does.
    """
    given = [studies] * len(pairs) if isinstance(studies, Answers | Bootstrap) else studies
    boots = {id(each): Bootstrap.of(each) if isinstance(each, Answers) else each for each in given}
    contrasts = [_contrast(boots[id(study)], pair) for study, pair in zip(given, pairs, strict=True)]
    alphas = errors([each.p for each in contrasts], primary).tolist()
    return [
        _in_words(_compared(Judge(contrast, margin, alpha)), pair, contrast)
        for contrast, pair, alpha in zip(contrasts, pairs, alphas, strict=True)
    ]


def _contrast(boot: Bootstrap, pair: Pair) -> Contrast:
    return Contrast(boot, boot.answers.arms.index(pair.first), boot.answers.arms.index(pair.second))


def _compared(judge: Judge) -> Comparison:
    """All but the sentences."""
    contrast = judge.contrast
    arms, whole = contrast.answers.arms, judge.whole()
    by_size = judge.by_size(whole)
    if contrast.one_set:
        whole, by_size = whole.of_one_set(), [each.of_one_set() for each in by_size]
    return Comparison(
        first=arms[contrast.first],
        second=arms[contrast.second],
        margin=judge.margin,
        verdict=whole,
        by_size=tuple(by_size),
        slope=figures.slope(contrast),
        x90=figures.x90(contrast),
        asymptote=figures.asymptotes(contrast),
        area=figures.area(contrast),
        ratio=figures.ratio(contrast),
        equivalence=figures.equivalence(contrast),
        p=contrast.exact(),
        one_set=contrast.one_set or None,
        without_failed=judge.without_failed(contrast.area, contrast.used),
        parts=figures.parts(contrast),
    )


def _in_words(found: Comparison, pair: Pair, contrast: Contrast) -> Comparison:
    """A comparison with its sentences."""
    answers = contrast.answers
    if not pair.transfer:
        by_size = tuple(verdict.without_transfer() for verdict in found.by_size)
        found = replace(found, verdict=found.verdict.without_transfer(), by_size=by_size)
    setting = words.Setting(
        names=pair.names or (pair.first, pair.second),
        transfer=pair.transfer,
        sizes=answers.sizes,
        accuracy=contrast.boot.accuracy[[contrast.first, contrast.second]],
        n_test=answers.n_test,
        repeats=answers.repeats,
        drawn=tuple(answers.drawn.tolist()),
    )
    return replace(found, sentence=words.sentence(found, setting), details=tuple(words.details(found, setting)))
