"""The HTML report of a study (`headstart compare`): one self-contained page, written from the folder's files alone.

Read it in this order: `study_files` (what is read), `study_words` (numbers and marks), `study_looks` (how an arm is
drawn), `study_curves` and `study_marks` with `study_charts`, `study_training` and `study_reading`, `study_verdicts` with
`study_differences`, `study_tables`, `templates/study.html`. Jinja2 escapes everything from outside.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headstart.records import write_text
from headstart.report import (
    study_charts,
    study_differences,
    study_looks,
    study_reading,
    study_tables,
    study_training,
    study_verdicts,
)
from headstart.report.numbers import shown
from headstart.report.study_files import Study, read_study
from headstart.report.study_words import MARKS, size_words

SECTIONS = {
    "plots": ("curves", "Curves"),
    "cards": ("verdicts", "Verdicts"),
    "others": ("others", "Other pairs"),
    "reasons": ("reasons", "Reasons"),
    "accuracies": ("accuracies", "Numbers"),
    "training": ("training", "Training"),
    "by_class": ("classes", "Classes"),
    "costs": ("costs", "Cost"),
    "failures": ("failures", "Failed"),
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
    write_text(folder / "report.html", render(folder, read_study(folder)))
    return folder / "report.html"


def render(folder: Path, study: Study) -> str:
    """The page as text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("headstart.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("study.html").render(view(folder, study))


def view(folder: Path, study: Study) -> dict[str, Any]:
    """Everything the template names."""
    looks = study_looks.looks(study)
    words = {name: look.words for name, look in looks.items()}
    told: dict[str, Any] = {
        "name": shown(study.study.name or folder.name),
        "created": shown(study.study.created)[:19].replace("T", " "),
        "headline": shown(study.headline, 1000),
        "facts": study_tables.facts(study),
        "overview": study_verdicts.overview(study, words),
        "shapes": MARKS.values(),
        "plots": study_charts.main_chart(study, looks),
        "how_to_read": study_reading.how_to_read(study),
        "cards": study_verdicts.cards(study, words),
        "others": study_verdicts.other_pairs(study, words),
        "margin": study_verdicts.margin_words(study),
        "reasons": study_verdicts.reasons(study, words),
        "accuracies": study_tables.accuracies(study, words) if any(arm.curve for arm in study.arms) else None,
        "training": study_training.training(study, looks),
        "by_class": study_differences.by_class(study, words),
        "cost_columns": study_tables.COSTS,
        "costs": study_tables.costs(study, words),
        "sizes": [size_words(size) for size in study.study.sizes],
        "fit_seconds": study_tables.fit_seconds(study, words),
        "budgets": study_tables.budgets(study, words),
        "failures": study_tables.failures(study, words),
        "notes": study_tables.notes(study, words),
        "command": shown(study.command, 4000),
        "files": study_tables.files(folder),
    }
    return told | {"sections": [link for part, link in SECTIONS.items() if told[part]]}
