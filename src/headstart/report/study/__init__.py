"""The HTML report of a study (`headstart compare`): one self-contained page, written from the folder's files alone.

`schema.verdicts` says what the file holds. Read this in the order `words` (numbers and marks), `looks` (how an arm is
drawn), `charts`, `equivalence` and `reading`, `verdicts` with `differences`, `tables`, `templates/study.html`. Jinja2
escapes everything from outside.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headstart.phrases import first_sentence
from headstart.records import write_text
from headstart.report.numbers import shown
from headstart.report.page import page
from headstart.report.study import charts, differences, looks, reading, tables, verdicts
from headstart.report.study.words import MARKS, UNLISTED, size_words, with_minus
from headstart.schema.verdicts import TrainingCurve, Verdicts, read

SECTIONS = {
    "chart": ("curves", "Curves"),
    "cards": ("verdicts", "Verdicts"),
    "others": ("others", "Other pairs"),
    "reasoned": ("reasons", "Reasons"),
    "accuracies": ("accuracies", "Numbers"),
    "training": ("training", "Training"),
    "by_class": ("classes", "Classes"),
    "costs": ("costs", "Cost"),
    "failures": ("failed", "Failed"),
    "notes": ("notes", "Notes"),
    "files": ("reproduce", "Reproduce"),
}
"""Parts of the view that are a section of the page where they are not empty: (id, words of the link)."""


def write_study_report(folder: Path) -> Path:
    """Write `report.html` into a study folder and return its path; equal files give an equal page.

    Raises:
        UserError: the folder holds no verdicts.json, or one that cannot be read.
    """
    folder = Path(folder)
    write_text(folder / "report.html", render(folder, read(folder)))
    return folder / "report.html"


def render(folder: Path, study: Verdicts) -> str:
    """The page as text."""
    return page("study.html", view(folder, study))


def view(folder: Path, study: Verdicts) -> dict[str, Any]:
    """Everything the template names."""
    drawn = looks.looks(study)
    words = {name: look.words for name, look in drawn.items()}
    first, rest = first_sentence(study.headline)
    told: dict[str, Any] = {
        "name": shown(study.study.name or folder.name),
        "created": shown(study.study.created)[:19].replace("T", " "),
        "headline": with_minus(shown(first, 1000)),
        "more": with_minus(shown(rest, 1000)),
        "facts": tables.facts(study),
        "overview": verdicts.overview(study, words),
        "overview_title": verdicts.overview_title(study),
        "adjusted": verdicts.adjusted(study.comparisons),
        "shapes": [mark for word, mark in MARKS.items() if not word.startswith(UNLISTED)],
        "chart": charts.main_chart(study, drawn),
        "how_to_read": reading.how_to_read(study),
        "cards": verdicts.cards(study, words),
        "others": verdicts.other_pairs(study, words),
        "margin": verdicts.margin_words(study),
        "reasons": verdicts.reasons(study, words),
        "experiments": [with_minus(shown(sentence, 1000)) for sentence in study.experiments or ()],
        "reasoned": bool(study.reasons or study.experiments),
        "accuracies": tables.accuracies(study, words) if any(arm.curve for arm in study.arms) else None,
        "training": [(chart, _sentences(told)) for chart, told in charts.training_charts(study, drawn)],
        "by_class": differences.by_class(study, words),
        "cost_columns": tables.COSTS,
        "costs": tables.costs(study, words),
        "sizes": [size_words(size) for size in study.study.sizes],
        "fit_seconds": tables.fit_seconds(study, words),
        "budgets": tables.budgets(study, words),
        "failures": tables.failures(study, words),
        "notes": tables.notes(study, words),
        "command": shown(study.command, 4000),
        "files": tables.files(folder),
    }
    return told | {"sections": [link for part, link in SECTIONS.items() if told[part]]}


def _sentences(told: list[TrainingCurve]) -> list[str]:
    """What is said of each arm that was trained."""
    return [shown(each.sentence, 1000) for each in told if each.sentence]
