"""The HTML report of one run: one self-contained page, written from the run folder's files alone.

Read it in this order: `files` (what is read), `parts` (what tests the classifier, what it was fitted on), `headline`
(the run in a sentence), `story` and `head` (step by step), `tables` and `inventory`, `intervals`, `curves`, `ways`,
`rates` and `reliability` (what is drawn; `charts` draws it), `training` and `settings` of a network that was trained,
`examples`, `cells` and `contact`, `templates/` (the page), `figures` (every chart of a folder). Jinja2 escapes
everything from outside. The page of a study is in `study`.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headstart.images import REASONS
from headstart.records import write_text
from headstart.report import (
    cells,
    contact,
    curves,
    examples,
    headline,
    intervals,
    inventory,
    rates,
    reliability,
    settings,
    story,
    tables,
    training,
)
from headstart.report.explained import Explain, explanations
from headstart.report.files import RunFiles, read_run
from headstart.report.numbers import decimal, shown
from headstart.report.page import as_written, page
from headstart.report.parts import JUDGED_WORDS, PART_WORDS

INTERVAL_WORDS = {"cv": "a 95% interval that is wider for cross-validation than for as many test pictures"}
RECIPE_CHARACTERS = 60_000
NOTES = 100


def write_report(
    folder: Path,
    thumbnail: examples.Thumbnail | None = None,
    sheet: contact.Sheet | None = None,
    explained: Callable[[], Explain] | None = None,
) -> Path:
    """Write `report.html` into a run folder and return its path; equal files give an equal page.

    `thumbnail` gives the decoded picture of a name in predictions.csv, or None; without it the examples are names only.
    `sheet` gives rows of plain and augmented pictures; without it the report has no contact sheet. `explained` gives
    maps and nearest training pictures of some of the mistakes.

    Raises:
        UserError: the folder holds no readable scores.json, or one that no run writes.
    """
    folder = Path(folder)
    with as_written(folder / "scores.json"):
        page = render(read_run(folder), thumbnail, sheet, explained)
    write_text(folder / "report.html", page)
    return folder / "report.html"


def render(
    files: RunFiles,
    thumbnail: examples.Thumbnail | None = None,
    sheet: contact.Sheet | None = None,
    explained: Callable[[], Explain] | None = None,
) -> str:
    """The page as text."""
    return page("report.html", view(files, thumbnail, sheet, explained))


def view(
    files: RunFiles,
    thumbnail: examples.Thumbnail | None = None,
    sheet: contact.Sheet | None = None,
    explained: Callable[[], Explain] | None = None,
) -> dict[str, Any]:
    """Everything the template names."""
    scored = files.after.get(files.judged)
    return {
        "name": shown(files.run.name or files.folder.name),
        "created": shown(files.run.created)[:19].replace("T", " "),
        "headline": headline.headline(files.scores),
        "steps": story.steps(files),
        "judged": PART_WORDS.get(files.judged, ""),
        "judged_words": JUDGED_WORDS[files.judged],
        "n_classes": len(files.classes),
        "score_columns": [title for _, title in tables.SCORE_COLUMNS],
        "score_groups": tables.score_groups(files),
        "not_tests": tables.not_tests(files),
        "interval_words": INTERVAL_WORDS.get(files.judged, "its Wilson interval"),
        "before_words": story.before_words(files),
        "interval_plots": intervals.interval_plots(files),
        "matrix": tables.matrix(files),
        "confusions": tables.confusions(files),
        "heat": [] if len(files.classes) <= tables.MATRIX_CLASSES else tables.confusion_charts(files),
        "cells": cells.cells(files, thumbnail),
        "per_class": tables.per_class(files),
        "contact": contact.contact_sheet(files, sheet),
        "galleries": examples.galleries(files.predictions, thumbnail),
        "explained": explanations(files.predictions, thumbnail, explained() if explained else {}),
        "reliability": reliability.reliability(files.predictions, PART_WORDS.get(files.judged, "")),
        "ece": {key: decimal(getattr(scored, key, None), 3) for key in ("ece", "ece_null_mean", "ece_uncalibrated")},
        "calibrated": bool(files.scores.calibration.fitted_on),
        "history": curves.history(files),
        "training": _trained(files),
        "balance": inventory.balance(files),
        "refusals": inventory.refusals(files),
        "reasons": REASONS,
        "resources": inventory.resources(files),
        "notes": [shown(note, 2000) for note in files.scores.notes[:NOTES]],
        "recipe": _lines(files.recipe[:RECIPE_CHARACTERS]),
        "head": inventory.head(files.scores.head),
        "environment": inventory.details({k: v for k, v in files.environment.items() if k != "packages"}),
        "packages": inventory.details(files.environment.get("packages") or {}),
        "use": _use(files),
    }


def _trained(files: RunFiles) -> dict[str, Any] | None:
    """What only a run that trained its network has."""
    told = files.scores.training
    if not told:
        return None
    gained = training.gain(files.scores, files.judged)
    return {
        "gain": training.gain_words(files.scores, files.judged, PART_WORDS.get(files.judged, "")),
        "plot": gained and intervals.comparison(gained.labelled()),
        "charts": rates.rate_charts(files),
        "words": " ".join(
            filter(None, (curves.start_words(files), rates.speed_words(files), rates.finder_words(files, told)))
        ),
        "choices": settings.choices(told),
        "others": settings.others(told),
    }


def _use(files: RunFiles) -> dict[str, str]:
    """The run folder's files as one would type them: relative to where the report was written, if below it."""
    folder = files.folder.resolve()
    folder = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    return {
        "run": shown(shlex.quote(folder.as_posix()), 400),
        "recipe": shown(shlex.quote((folder / "recipe.toml").as_posix()), 400),
        "bundle": shown(repr((folder / "bundle").as_posix()).replace("'", '"'), 400),
    }


def _lines(text: str) -> str:
    """A text file with every line's hidden characters made visible, and its line ends kept."""
    return "\n".join(shown(line, 4000) for line in text.splitlines())
