"""Every chart of a folder by name: what `headstart figures` writes, and `plot` of a run, study or ranking draws."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

from headstart.errors import UnknownName, UserError
from headstart.report import curves, intervals, ranking, rates, reliability, training
from headstart.report.charts.display import Display
from headstart.report.charts.mistakes import MistakesDisplay
from headstart.report.examples import Thumbnail, confident_mistakes, picture_of
from headstart.report.files import read_run
from headstart.report.numbers import shown
from headstart.report.page import as_written
from headstart.report.parts import PART_WORDS
from headstart.report.study import charts, differences
from headstart.report.study.looks import looks
from headstart.report.tables import confusion_charts
from headstart.schema import verdicts
from headstart.schema.ranking import read as read_ranking

Figures = dict[str, Display]


def figures(folder: Path, thumbnail: Thumbnail | None = None) -> Figures:
    """The charts of a run, study or ranking by name, the main one first; nothing is drawn yet.

    `thumbnail` gives the pictures of a run, for `mistakes`. Raises UserError for a folder that is none of these, or
    that cannot be read.
    """
    kinds: dict[str, Callable[[Path], Figures]] = {
        "scores.json": lambda run: of_run(run, thumbnail), "verdicts.json": of_study, "ranking.json": of_ranking,
    }  # fmt: skip
    for file, charts_of in kinds.items():
        if (folder / file).is_file():
            with as_written(folder / file):
                return charts_of(folder)
    raise UserError(
        f"{folder} holds no finished run, study or ranking: none of {', '.join(kinds)} is in it. Name the folder that "
        "`headstart fit`, `compare` or `rank` wrote."
    )


def of_run(folder: Path, thumbnail: Thumbnail | None = None) -> Figures:
    """`confusion`, `reliability`, `history`, `accuracy` and the others that the run has figures of.

    With `thumbnail`, which gives the picture of a name, `mistakes` too.
    """
    files = read_run(folder)
    judged, gained = PART_WORDS.get(files.judged, ""), training.gain(files.scores, files.judged)
    learnt, trusted = curves.history(files), reliability.reliability(files.predictions, judged)
    found = _named(["confusion"], confusion_charts(files))
    found |= _named(["reliability"], [trusted.chart] if trusted else [])
    found |= _named(["history", "history-accuracy"], learnt.charts if learnt else [])
    found |= _named(["accuracy", "accuracy-enlarged"], intervals.interval_plots(files))
    if gained:
        found["training"] = intervals.comparison(gained.labelled())
    if thumbnail is not None and (wrong := confident_mistakes(files.predictions)):
        found["mistakes"] = MistakesDisplay(wrong, lambda name: picture_of(name, thumbnail))
    return found | _named(["learning-rate", "learning-rates-tried"], rates.rate_charts(files))


def _named(names: list[str], found: list[Any]) -> Figures:
    """Charts under these names, as many as there are."""
    return dict(zip(names, found, strict=False))


def of_study(folder: Path) -> Figures:
    """`curves`; `differences`, `classes` and `training`, the first of each, and the others with what they are of."""
    study = verdicts.read(folder)
    drawn = looks(study)
    words = {name: look.words for name, look in drawn.items()}
    found: Figures = {}
    if main := charts.main_chart(study, drawn):
        found["curves"] = main
    for compared in sorted(study.against_source_free(), key=lambda c: c is not study.main()):
        title = f"{words[compared.first]} against {words[compared.second]}"
        _add(found, "differences", f"{compared.first}-{compared.second}", differences.by_size(study, compared, title))
    for told in differences.by_class(study, words):
        _add(found, "classes", told.pair, told.plot)
    for chart, told_of in charts.training_charts(study, drawn):
        _add(found, "training", told_of[0].size, chart)
    return found


def _add(found: Figures, kind: str, of: str, chart: Display) -> None:
    """The first of a kind under its name alone, so that it can be asked for without knowing what there is."""
    name = re.sub(r"[^\w.]+", "-", f"{kind}-{of}").strip("-")[:80] if kind in found else kind
    found.setdefault(name, chart)


def of_ranking(folder: Path) -> Figures:
    """`ranking`."""
    return {"ranking": ranking.chart(read_ranking(folder))}


def plotted(found: Figures, name: str | None) -> Display:
    """The chart of this name, or the first, drawn. Raises UnknownName, and UserError where there is none."""
    if not found:
        raise UserError("Nothing was measured that could be drawn.")
    if name is not None and name not in found:
        raise UnknownName("chart", name, found)
    return found[name or next(iter(found))].plot()


def shown_as(headline: str, found: Figures) -> str:
    """The headline and the main chart, for a notebook."""
    drawn = plotted(found, None)._repr_svg_().partition("?>")[2] if found else ""
    return f"<div><p><b>{escape(shown(headline, 1000))}</b></p>{drawn}</div>"
