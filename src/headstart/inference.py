"""Use a finished run on other pictures: evaluate on labelled ones, predict on any."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from headstart import outputs
from headstart.bundle import load_classifier, load_seen
from headstart.classifier import Predictor, match_classes
from headstart.division import with_columns
from headstart.errors import DataError
from headstart.features.extract import Settings
from headstart.images import ImageSet, load, load_unlabelled
from headstart.images.cures import list_cures
from headstart.images.options import Reading
from headstart.metrics import score
from headstart.phrases import percent
from headstart.predictions import Predictions, check_coverage, with_sets
from headstart.progress import Progress, silent
from headstart.seen import known


def predict(
    run: Path | str,
    pictures: Any,
    settings: Settings | None = None,
    progress: Progress = silent,
    *,
    coverage: float | None = None,
    **reading: Unpack[Reading],
) -> Predictions:
    """Predict the class of picture files and of all pictures in folders, or of pictures in memory.

    `pictures` are paths, PIL pictures, encoded bytes or arrays, several of them or one path or picture, or a table.
    `reading` is how to read them, as `images.load` takes it. With `coverage`, a share such as 0.9, each gets a set of
    classes that holds the true one with that chance at least.

    Raises UserError for a coverage that is none, or where the classifier has no out-of-fold answers to make sets from,
    BundleError for a broken run, DataError when no picture can be used or, if `settings.strict`, at the first
    refused one.
    """
    classifier = load_classifier(run)
    check_coverage(classifier, coverage)
    strict = settings is not None and settings.strict
    reading = with_columns(reading, run, pictures)
    images = load_unlabelled(pictures, limits=classifier.limits, strict=strict, **reading)
    with Predictor(classifier, settings) as predictor:
        return predicted(predictor, images, coverage, progress)


def predicted(
    predictor: Predictor, images: ImageSet, coverage: float | None = None, progress: Progress = silent
) -> Predictions:
    """The predictions of an open classifier; raises as `Extractor.extract` does."""
    classifier = predictor.classifier
    probabilities, extraction = predictor.predict_proba(images, progress)
    names = tuple(images.names[i] for i in extraction.kept)
    refused = (*images.refused, *extraction.refused)
    known_ones = classifier.known(extraction.features)
    found = Predictions(names, probabilities, classifier.classes, refused, known_ones, notes=images.notes)
    return found if coverage is None else with_sets(found, classifier, coverage)


def evaluate(
    run: Path | str,
    data: str,
    settings: Settings | None = None,
    progress: Progress = silent,
    **reading: Unpack[Reading],
) -> dict[str, Any]:
    """Scores of a run on labelled data: its test part if it has one, else all of it. Classes are matched by name.

    `reading` is how to read them, as `images.load` takes it: follow_links, image_column, label_column. Columns of a
    table that are not named are those that the run was told, where the table has them.

    Returns `after`'s fields of scores.json (`strangers` is None where the classifier cannot tell), with the data's
    name, what was refused, and the part that was used. `seen` counts the pictures that the classifier was fitted on,
    known by their content (None where its bundle does not list them); where there are some, `unseen` has the scores of
    the others (None where there are none) and a note says so.
    Raises DataError when the data have a class that the run does not know.
    """
    classifier = load_classifier(run)
    reading = with_columns(reading, run, data)
    images = load(data, limits=classifier.limits, allow_empty_classes=True, **reading)
    part = "test" if (images.parts == "test").any() else "all"
    if part == "test":
        images = images.take(np.flatnonzero(images.parts == "test"))
    translation = match_classes(images.classes, classifier.classes)
    unknown = [images.classes[k] for k in np.unique(images.labels) if translation[k] < 0]
    if unknown:
        raise DataError(
            f"{images.title} has classes that the run does not know: {', '.join(unknown)}; "
            f"it knows {', '.join(classifier.classes)}."
        )
    probabilities, extraction = classifier.predict_proba(images, settings, progress)
    labels = translation[images.labels[extraction.kept]]
    together = extraction.copies.together
    found = score(labels, probabilities, classifier.classes, together)
    refused = [*images.refused, *extraction.refused]
    told = {"data": data, "part": part, **found}
    strangers = classifier.known(extraction.features)
    told["strangers"] = None if strangers is None else float(np.mean(~strangers))
    new = ~known(extraction.contents, seen) if (seen := load_seen(run)) is not None else None
    told |= _recognised(new, lambda rows: score(labels[rows], probabilities[rows], classifier.classes, together[rows]))
    return told | {
        "refused": [{"name": r.name, "reason": r.reason, "detail": r.detail} for r in refused],
        "notes": [*images.notes, *list_cures(refused), *extraction.notes, *seen_notes(told)],
    }


def _recognised(new: NDArray[np.bool_] | None, scored: Callable[[NDArray[np.bool_]], dict[str, Any]]) -> dict[str, Any]:
    """`seen`, how many of m pictures were seen in fitting, and `unseen`, the scores of the others, which are `new`."""
    if new is None:
        return {"seen": None}
    count = int((~new).sum())
    if not count:
        return {"seen": 0}
    return {"seen": count, "unseen": scored(new) if new.any() else None}


def seen_notes(told: Mapping[str, Any]) -> list[str]:
    """What pictures that were seen in fitting mean for a score, in one sentence; empty where there is none."""
    count, n, others = told["seen"], told["n"], told.get("unseen")
    if count is None:
        return [
            "The pictures seen in fitting are not listed here; if some of them were scored, this score is too good."
        ]
    if not count:
        return []
    if others is None:
        which = "The only picture was" if n == 1 else f"All {n:,} pictures were"
        return [f"{which} seen in fitting, so this score says nothing about other pictures."]
    were, their, them = ("was", "its", "it") if count == 1 else ("were", "their", "them")
    return [
        f"{count:,} of {n:,} pictures {were} seen in fitting, so {their} share of this score says nothing about other "
        "pictures; "
        f"without {them}: {_in_short(others)}."
    ]


def _in_short(scores: Mapping[str, Any]) -> str:
    """`84.0% of 380 (79.9 to 87.4)`."""
    low, high = (percent(scores[f"accuracy_{end}"], near="within").removesuffix("%") for end in ("low", "high"))
    return f"{percent(scores['accuracy'], near='within')} of {scores['n']:,} ({low} to {high})"


def check_scores_out(out: Path, *inputs: object) -> None:
    """Raise UserError before the work begins if scores cannot be written under this name."""
    outputs.check_file(out, (".json",), *inputs)
