"""Use a finished run on other pictures: evaluate on labelled ones, predict on any, write features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import NDArray

from headstart import outputs, records
from headstart.bundle import load_classifier, load_seen
from headstart.classifier import Classifier, Predictor, match_classes, top
from headstart.errors import DataError, UserError
from headstart.exported import AnsweredHead
from headstart.features.extract import Settings, extract
from headstart.features.extraction import Extraction
from headstart.images import ImageSet, Limits, Refusal, load, load_unlabelled
from headstart.images.cures import list_cures
from headstart.images.options import Reading
from headstart.images.ranges import White
from headstart.metrics import score
from headstart.paths import expanded, features_dir
from headstart.phrases import percent
from headstart.progress import Progress, silent
from headstart.seen import Digests, known
from headstart.shared import replacing

if TYPE_CHECKING:
    from headstart.recipe import Recipe

FORMATS = ("csv", "json", "parquet")


@dataclass(frozen=True)
class Predictions:
    """Predicted classes of the pictures that could be used: `names` (m), `probabilities` (m, k), and the refused.

    `known` (m,) is False of pictures that are like none that the classifier was fitted on; None where it cannot tell.
    `sets` (m, k) are the classes in each picture's set, where a coverage was asked for; `notes` say why they are full.
    """

    names: tuple[str, ...]
    probabilities: NDArray[np.float64]
    classes: tuple[str, ...]
    refused: tuple[Refusal, ...]
    known: NDArray[np.bool_] | None = None
    sets: NDArray[np.bool_] | None = None
    notes: tuple[str, ...] = ()

    def rows(self, topk: int) -> list[dict[str, Any]]:
        """One dictionary a picture: name, and the `topk` most probable classes with their probabilities.

        `known` and `set`, a list of classes from the most probable on, are there where the predictions have them.
        """
        if topk < 1:
            raise UserError(f"topk={topk} is not possible: give a whole number of 1 or more.")
        order = top(self.probabilities, topk)
        found: list[dict[str, Any]] = []
        for i, (name, p, ranks) in enumerate(zip(self.names, self.probabilities, order, strict=True)):
            row: dict[str, Any] = {
                "name": name,
                "predicted": self.classes[ranks[0]],
                "confidence": round(float(p[ranks[0]]), 6),
            }
            for place, k in enumerate(ranks[1:], start=2):
                row[f"predicted_{place}"], row[f"confidence_{place}"] = self.classes[k], round(float(p[k]), 6)
            if self.known is not None:
                row["known"] = bool(self.known[i])
            if self.sets is not None:
                row["set"] = self.set_of(i)
            found.append(row)
        return found

    def set_of(self, i: int) -> list[str]:
        """The classes in the set of picture i, from the most probable on."""
        assert self.sets is not None
        return [self.classes[k] for k in np.argsort(-self.probabilities[i], kind="stable") if self.sets[i, k]]


def predict(
    run: Path | str,
    pictures: Any,
    settings: Settings | None = None,
    progress: Progress = silent,
    *,
    follow_links: bool = False,
    coverage: float | None = None,
) -> Predictions:
    """Predict the class of picture files and of all pictures in folders, or of pictures in memory.

    `pictures` are paths, PIL pictures, encoded bytes or arrays, several of them or one path or picture. With
    `coverage`, a share such as 0.9, each gets a set of classes that holds the true one with that chance at least.

    Raises UserError for a coverage that is none, or where the classifier has no out-of-fold answers to make sets from,
    BundleError for a broken run, DataError when no picture can be used or, if `settings.strict`, at the first
    refused one.
    """
    classifier = load_classifier(run)
    check_coverage(classifier, coverage)
    strict = settings is not None and settings.strict
    images = load_unlabelled(pictures, limits=limits_of(classifier), follow_links=follow_links, strict=strict)
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
    found = Predictions(names, probabilities, classifier.classes, refused, classifier.known(extraction.features))
    return found if coverage is None else with_sets(found, classifier, coverage)


def check_coverage(classifier: Classifier, coverage: float | None) -> None:
    """Raise UserError where sets of this coverage cannot be made."""
    if coverage is None:
        return
    if not 0 < coverage < 1:
        raise UserError(f"coverage={coverage:g} is not a share between 0 and 1; give 0.9, for example.")
    if isinstance(classifier.head, AnsweredHead):
        raise UserError("coverage: an export cannot give sets of classes; use the run that it was made from.")
    if classifier.conformal is None:
        raise UserError(
            "coverage: sets of classes need predictions for pictures that the run had not seen, and it has none; fit "
            "it again with evaluate=cv, or with a part `val` or `calibration` in the data."
        )


def with_sets(predictions: Predictions, classifier: Classifier, coverage: float) -> Predictions:
    """The predictions with sets of this coverage, and a note where the pictures fitted on are too few for them."""
    assert classifier.conformal is not None
    sets = classifier.conformal.sets(predictions.probabilities, coverage)
    return replace(predictions, sets=sets, notes=(*predictions.notes, *coverage_notes(classifier, coverage)))


def coverage_notes(classifier: Classifier, coverage: float) -> tuple[str, ...]:
    """A note where the pictures fitted on are too few for sets of this coverage."""
    conformal = classifier.conformal
    assert conformal is not None
    if conformal.enough(coverage):
        return ()
    return (
        f"Every set holds all classes: a coverage of {coverage:g} needs {conformal.needed(coverage):,} pictures "
        f"with out-of-fold answers, and there are {len(conformal.scores):,}.",
    )


def evaluate(
    run: Path | str,
    data: str,
    settings: Settings | None = None,
    progress: Progress = silent,
    **reading: Unpack[Reading],
) -> dict[str, Any]:
    """Scores of a run on labelled data: its test part if it has one, else all of it. Classes are matched by name.

    `reading` is how to read them, as `images.load` takes it: follow_links, image_column, label_column.

    Returns `after`'s fields of scores.json (`strangers` is None where the classifier cannot tell), with the data's
    name, what was refused, and the part that was used. `seen` counts the pictures that the classifier was fitted on,
    known by their content (None where its bundle does not list them); where there are some, `unseen` has the scores of
    the others (None where there are none) and a note says so.
    Raises DataError when the data have a class that the run does not know.
    """
    classifier = load_classifier(run)
    images = load(data, limits=limits_of(classifier), allow_empty_classes=True, **reading)
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
    found = score(labels, probabilities, classifier.classes)
    refused = [*images.refused, *extraction.refused]
    told = {"data": data, "part": part, **found}
    strangers = classifier.known(extraction.features)
    told["strangers"] = None if strangers is None else float(np.mean(~strangers))
    told |= _recognised(load_seen(run), extraction.contents, labels, probabilities, classifier.classes)
    return told | {
        "refused": [{"name": r.name, "reason": r.reason, "detail": r.detail} for r in refused],
        "notes": [*images.notes, *list_cures(refused), *extraction.notes, *seen_notes(told)],
    }


def limits_of(classifier: Classifier) -> Limits:
    """How pictures are read for a classifier: those whose type declares no range by the one that it was fitted on."""
    return Limits(white=White(*classifier.source.preprocess.white))


def _recognised(
    seen: Digests | None,
    contents: Digests,
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    classes: Sequence[str],
) -> dict[str, Any]:
    """`seen`, how many of m pictures are among those seen in fitting, and `unseen`, the scores of the others."""
    if seen is None:
        return {"seen": None}
    new = ~known(contents, seen)
    count = int((~new).sum())
    if not count:
        return {"seen": 0}
    return {"seen": count, "unseen": score(labels[new], probabilities[new], classes) if new.any() else None}


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


def features(recipe: Recipe, out: Path, progress: Progress = silent, *, labelled: bool = True) -> Extraction:
    """Extract the features that a recipe's data, backbone and engine name, and write them to `out`.

    Takes labelled and unlabelled pictures. Raises UserError when `out` has another ending than .npz or .parquet.
    """
    from headstart.feature_source import feature_source

    out = expanded(out)
    check_features_out(out, recipe.data.source)
    images = load(recipe.data.source, labelled=labelled, allow_empty_classes=True, **recipe.data.reading())
    source = feature_source(recipe, images)
    extraction = extract(images, source, Settings(features_dir(), strict=recipe.data.strict), progress)
    write_features(images, out, extraction)
    notes = (*images.notes, *(source.backbone.notes if source.backbone else ()), *extraction.notes)
    return replace(extraction, refused=(*images.refused, *extraction.refused), notes=notes)


def write_features(images: ImageSet, out: Path, extraction: Extraction) -> None:
    """Write features (m, d) float32 with names, labels, classes and parts to `.npz` or `.parquet`."""
    kept = images.take(extraction.kept)
    labelled = bool((kept.labels >= 0).all()) and len(kept.classes) > 0
    labels = [kept.classes[k] for k in kept.labels] if labelled else [""] * len(kept)
    if out.suffix == ".npz":
        _write_npz(out, kept, labels, extraction)
    else:
        _write_parquet(out, kept, labels, extraction)


def check_features_out(out: Path, data: str) -> None:
    """Raise UserError before the work begins if features of these data cannot be written under this name."""
    outputs.check_file(out, (".npz", ".parquet"), data)
    outputs.check_outside(out.parent, data)  # a file beside the class folders is none of them


def write_predictions(predictions: Predictions, out: Path, topk: int) -> None:
    """Write predictions as `.csv`, `.json` or `.parquet`, by the ending of `out`."""
    rows, out = predictions.rows(topk), expanded(out)
    kind = check_predictions_out(out)
    if kind == "json":
        records.write_json(out, {"predictions": rows, "refused": [vars(r) for r in predictions.refused]})
    elif kind == "csv":
        columns = list(rows[0]) if rows else ["name", "predicted", "confidence"]
        records.write_csv(out, columns, ([_cell(row[c]) for c in columns] for row in rows))
    else:
        import pyarrow as pa

        records.write_parquet(out, pa.Table.from_pylist(rows))


def _cell(value: Any) -> Any:
    """What a table shows: true and false as JSON writes them, and the classes of a set in a row."""
    if isinstance(value, bool):
        return str(value).lower()
    return "; ".join(value) if isinstance(value, list) else value


def check_scores_out(out: Path, *inputs: object) -> None:
    """Raise UserError before the work begins if scores cannot be written under this name."""
    outputs.check_file(out, (".json",), *inputs)


def check_predictions_out(out: Path, *inputs: object) -> str:
    """The format by the ending of `out`.

    Raises UserError, before any work, when it is none of ours, one of the inputs, or another table than predictions.
    """
    kind = outputs.check_file(out, tuple(f".{kind}" for kind in FORMATS), *inputs).removeprefix(".")
    outputs.check_predictions(out)
    return kind


def _write_npz(out: Path, kept: ImageSet, labels: list[str], extraction: Extraction) -> None:
    with replacing(out) as part, part.open("wb") as file:
        np.savez(
            file,
            features=extraction.features,
            names=np.array(kept.names),
            labels=np.array(labels),
            split=kept.parts.astype(str),
        )


def _write_parquet(out: Path, kept: ImageSet, labels: list[str], extraction: Extraction) -> None:
    import pyarrow as pa

    flat = pa.array(extraction.features.reshape(-1), type=pa.float32())
    table = pa.table(
        {
            "name": list(kept.names),
            "label": labels,
            "split": [str(p) for p in kept.parts],
            "features": pa.FixedSizeListArray.from_arrays(flat, extraction.features.shape[1]),
        }
    )
    records.write_parquet(out, table)
