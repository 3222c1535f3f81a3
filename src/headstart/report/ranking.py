"""The page of a ranking (`headstart rank`): self-contained, written from ranking.json alone; Jinja2 escapes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstart.backbones.licences import marked
from headstart.evidence.phrases import signed
from headstart.phrases import NOTHING, p_value, percent, plural
from headstart.records import write_text
from headstart.report.charts.scatter import RankingDisplay, ScatterPoint
from headstart.report.numbers import count, decimal, duration, shown
from headstart.report.page import page
from headstart.schema.ranking import HINTS, HintAgreement, RankedBackbone, RankingContent, read

STANDING = {"best": "best", "tied": "cannot be told apart from the best", "worse": ""}
MEASURED = (
    ("Pictures", "{n}, of {classes}, from {source}.{refused}"),
    (
        "Accuracy",
        "Stratified cross-validation in {folds} folds: logistic regression on the features of the frozen network "
        "answers each picture without having seen it or a copy of it. Its penalty is chosen on a fifth of the pictures "
        "it is fitted on.",
    ),
    (
        "Interval",
        "Wilson's 95% interval of the share of right answers. It does not cover what other training pictures or other "
        "folds would have changed, nor that the best of several was picked by the same pictures.",
    ),
    (
        "Differences",
        "McNemar's exact test on the same pictures; from p = 0.05 on, two backbones cannot be told apart. It is not "
        "corrected for the number of backbones.",
    ),
    (
        "Speed",
        "Pictures per second through the network alone, loaded and warmed up, on {cores} ({cpu}): the median of "
        "several batches, in which the backbones took turns. Reading and decoding files takes additional time; other "
        "work on the machine slows all of it.",
    ),
    (
        "Quick scores",
        "LogME (You et al. 2021), H-score with shrinkage (Ibrahim et al. 2021) and LEEP (Nguyen et al. 2020), higher "
        "is better. LEEP needs the classifier of the source. No such score is best everywhere (Agostinelli et al. "
        "2022), so they do not affect the ranking.",
    ),
)


def write_ranking_report(folder: Path) -> Path:
    """Write `ranking.html` into a ranking's folder and return its path; equal files give an equal page.

    Raises UserError: the folder holds no readable ranking.json.
    """
    path = Path(folder) / "ranking.html"
    write_text(path, render(read(Path(folder))))
    return path


def render(found: RankingContent) -> str:
    """The page as text."""
    return page("ranking.html", view(found))


def view(found: RankingContent) -> dict[str, Any]:
    """Everything the template names."""
    advice, hints = found.advice, {each.hint: each for each in found.hints}
    return {
        "title": shown(found.data.title),
        "created": shown(found.created)[:16].replace("T", " "),
        "headline": shown(advice.headline, 400),
        "sentences": [_whole(shown(text, 1000)) for text in advice.sentences],
        "warnings": [_whole(shown(text, 1000)) for text in advice.warnings],
        "chart": chart(found),
        "rows": [row(each, hints) for each in (found.baseline, *found.backbones)],
        "hints": [_hint(name, hints) for name in HINTS],
        "agreed": bool(hints),
        "measured": [(term, words.format(**_facts(found))) for term, words in MEASURED],
        "failed": [(shown(each.backbone), shown(each.reason, 1000)) for each in found.failed],
        "notes": [shown(note, 1000) for note in found.notes],
        "command": shown(found.command, 10_000),
        "seconds": duration(found.seconds),
        "one_source": any(each.leep is None for each in found.backbones),
    }


def chart(found: RankingContent) -> RankingDisplay:
    """Accuracy against speed."""
    return RankingDisplay([_point(each) for each in found.backbones], found.baseline.accuracy)


def _point(each: RankedBackbone) -> ScatterPoint:
    bounds = each.accuracy_low, each.accuracy_high
    front = bool(each.on_front)
    return ScatterPoint(shown(each.backbone), each.accuracy, *bounds, each.images_per_s or 0.0, each.standing, front)


def row(found: RankedBackbone, hints: Mapping[str, HintAgreement]) -> dict[str, Any]:
    """A line of the tables in words."""
    baseline, best = not found.written, found.standing == "best"
    marks = ["no backbone"] if baseline else [STANDING[found.standing], "on the front" if found.on_front else ""]
    return {
        "name": shown(found.backbone),
        "place": "baseline" if baseline else found.standing,
        "marks": ", ".join(filter(None, marks)),
        "accuracy": percent(found.accuracy),
        "interval": f"{percent(found.accuracy_low).removesuffix('%')} to {percent(found.accuracy_high)}",
        "points": NOTHING if best else _minus(signed(found.points_to_best / 100)),
        "p": NOTHING if best else p_value(found.p),
        "speed": count(found.images_per_s),
        "cells": [
            f"{found.height} × {found.width}",
            count(found.features),
            NOTHING if found.parameters is None else f"{found.parameters / 1e6:.1f} M",
            NOTHING if found.multiply_adds is None else f"{found.multiply_adds / 1e9:.2f} G",
        ],
        "hints": [
            (_minus(decimal(value, 3)), name in hints and hints[name].first == found.backbone)
            for name, value in found.hints.items()
        ],
        "licence": shown(marked(found.licence)) or NOTHING,
    }


def _hint(name: str, hints: Mapping[str, HintAgreement]) -> dict[str, str]:
    tau = hints[name].tau if name in hints else None
    return {"name": name.removeprefix("the regularised "), "tau": _minus(decimal(tau, 2))}


def _facts(found: RankingContent) -> dict[str, str]:
    data, settings = found.data, found.settings
    refused, were = data.refused, "was" if data.refused == 1 else "were"
    return {
        "n": plural(data.n, "labelled picture"),
        "classes": plural(len(data.classes), "class", "classes"),
        "source": shown(data.title),
        "refused": f" {plural(refused, 'file')} could not be read and {were} left out." if refused else "",
        "folds": str(settings.folds),
        "cores": plural(settings.cores or 1, "core"),
        "cpu": shown(str(found.environment.get("cpu", ""))),
    }


def _minus(number: str) -> str:
    """With a minus sign in place of a hyphen."""
    return number.replace("-", "−")


def _whole(sentence: str) -> str:
    """With each `p = 0.15` kept on one line."""
    return re.sub(r"\bp ([=<]) ", "p\u00a0\\1\u00a0", sentence)
