"""The main job, readable top to bottom: pictures -> features -> head -> scores -> run folder."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart import bundle, records
from headstart.classifier import Classifier
from headstart.engines import choose
from headstart.errors import DataError, UserError
from headstart.features.extract import Extraction, FeatureSource, Progress, Settings, extract, silent
from headstart.heads import Head, make_head
from headstart.images import ImageSet, Limits, apply_split, load, select, split, write_split
from headstart.metrics import apply_temperature, fit_temperature, score
from headstart.paths import features_dir
from headstart.preprocess import Preprocess
from headstart.recipe import Recipe

PARTS = ("train", "val", "calibration", "test")
PIXEL_SIDE = 64
"""Side of the pictures of the raw-pixel arm when they have no common small size of their own."""


@dataclass(frozen=True)
class Run:
    """A finished run: its folder, what is in scores.json, and the classifier."""

    folder: Path
    scores: Mapping[str, Any]
    classifier: Classifier
    images: ImageSet


def execute(recipe: Recipe, out: Path | None = None, progress: Progress = silent, *, store: bool = True) -> Run:
    """Run a recipe and write its folder (`out`, by default one named after the recipe under `runs/`).

    Raises UserError and its kin for anything the user can mend; see `headstart.errors`.
    """
    started = time.perf_counter()
    folder = records.claim(out or Path("runs") / default_name(recipe))
    images, notes = prepare(recipe)
    source = feature_source(recipe, images)
    settings = Settings(features_dir() if store else None, Limits(recipe.data.max_pixels), strict=recipe.data.strict)
    extraction = extract(images, source, settings, progress)
    images = images.take(extraction.kept)
    parts = _slices(images)

    fit_started = time.perf_counter()
    progress("fit", 0, 1)
    head = fit_head(recipe, extraction.features, images.labels, parts)
    classifier, fitted_on = calibrate(Classifier(source, head, images.classes), extraction, images, parts)
    progress("fit", 1, 1)
    fit_s = time.perf_counter() - fit_started

    logits = classifier.logits(extraction.features)
    probabilities = apply_temperature(logits, classifier.temperature)
    scores: dict[str, Any] = {
        "schema": 1,
        "run": _about(recipe, folder, source, extraction, images),
        "before": _before(recipe, extraction, images, parts),
        "after": _after(logits, probabilities, images, parts),
        "calibration": {
            "temperature": classifier.temperature,
            "n": _length(parts["calibration"]),
            "fitted_on": fitted_on,
        },
        "head": {"name": recipe.head.name, **head.report_},
        "timings": _timings(extraction, fit_s, time.perf_counter() - started),
        "counts": {**asdict(extraction.counts), **{part: _length(rows) for part, rows in parts.items()}},
        "memory": {"peak_mb": round(records.peak_memory_mb(), 1)},
        "notes": [*notes, *extraction.notes, *head.notes_],
    }
    _write(folder, recipe, images, extraction, head, scores, probabilities)
    bundle.save(classifier, folder / "bundle")
    return Run(folder, scores, classifier, images)


def default_name(recipe: Recipe) -> str:
    """The folder name of a run that was given none: data, backbone or `pixels`, head."""
    what = "pixels" if recipe.method == "pixels" else Path(recipe.backbone.name).stem
    return f"{Path(recipe.data.source).stem}-{what}-{recipe.head.name}"


def prepare(recipe: Recipe) -> tuple[ImageSet, list[str]]:
    """The pictures of a recipe, selected and divided, those of one part side by side; and notes on the split."""
    data = recipe.data
    images = load(data.source, allow_empty_classes=data.allow_empty_classes)
    images = select(
        images, classes=data.classes, limit=data.limit, train_per_class=data.train_per_class, seed=recipe.seed
    )
    notes: list[str] = []
    if data.split is not None:
        images = apply_split(images, Path(data.split))
    else:
        images, notes = split(images, seed=recipe.seed)
    order = np.concatenate([np.flatnonzero(images.parts == part) for part in PARTS])
    return images.take(order), notes


def feature_source(recipe: Recipe, images: ImageSet) -> FeatureSource:
    """The backbone and preprocessing that a recipe asks for, with the size rule applied to these pictures."""
    size = recipe.backbone.image_size
    if recipe.method == "pixels":
        return FeatureSource(_pixel_preprocess(images, size))
    from headstart.backbones import resolve

    chosen = recipe.backbone
    backbone = resolve(chosen.name, chosen.weights, seed=recipe.seed)
    preprocess = backbone.preprocess
    if backbone.fixed_size is not None:
        if size is not None and (size, size) != backbone.fixed_size:
            raise UserError(
                f"{chosen.name} takes pictures of {backbone.fixed_size} pixels only; leave --image-size out."
            )
    elif size is not None:
        preprocess = preprocess.resized(size)
    preprocess = preprocess.for_images(images.probe(), fixed=size is not None or backbone.fixed_size is not None)
    engine = choose(recipe.engine.name, recipe.engine.device, recipe.engine.precision)
    return FeatureSource(preprocess, backbone, chosen.layer, engine)


def _pixel_preprocess(images: ImageSet, size: int | None) -> Preprocess:
    """Native pixels where the pictures are small and of one size; else the whole picture at 64 x 64."""
    probe = images.probe()
    native = size is None and probe.uniform and max(probe.height, probe.width) <= 96
    height, width = (probe.height, probe.width) if native else (size or PIXEL_SIDE, size or PIXEL_SIDE)
    channels = 1 if probe.grey else 3
    return Preprocess(
        height=height, width=width, crop_pct=1.0, interpolation="bilinear",
        mean=(0.0,) * channels, std=(1.0,) * channels, color="L" if probe.grey else "RGB",
    )  # fmt: skip


def fit_head(
    recipe: Recipe, features: NDArray[np.float32], labels: NDArray[np.int64], parts: Mapping[str, slice]
) -> Head:
    """The recipe's head, fitted on the training part; what it chooses it chooses on the validation part."""
    train, val = parts["train"], parts["val"]
    if _length(train) == 0:
        raise DataError("No training picture is left; a run needs some of at least two classes.")
    validation = (features[val], labels[val]) if _length(val) else None
    return new_head(recipe).fit(features[train], labels[train], validation=validation)


def new_head(recipe: Recipe) -> Head:
    """The head of a recipe, not fitted."""
    weight = None if recipe.head.class_weight == "none" else recipe.head.class_weight
    return make_head(recipe.head.name, seed=recipe.seed, class_weight=weight, **recipe.head.options)


def calibrate(
    classifier: Classifier, extraction: Extraction, images: ImageSet, parts: Mapping[str, slice]
) -> tuple[Classifier, str | None]:
    """The classifier with its temperature, fitted on the calibration part, which chose nothing else."""
    rows = parts["calibration"]
    if _length(rows) == 0:
        return classifier, None
    temperature = fit_temperature(classifier.logits(extraction.features[rows]), images.labels[rows])
    return Classifier(classifier.source, classifier.head, classifier.classes, temperature), "calibration"


def _slices(images: ImageSet) -> dict[str, slice]:
    """The rows of each part; `prepare` put them side by side, so these are views and not copies."""
    found = {}
    for part in PARTS:
        rows = np.flatnonzero(images.parts == part)
        found[part] = slice(int(rows[0]), int(rows[-1]) + 1) if len(rows) else slice(0, 0)
    return found


def _length(rows: slice) -> int:
    return int(rows.stop - rows.start)


def _before(recipe: Recipe, extraction: Extraction, images: ImageSet, parts: Mapping[str, slice]) -> dict[str, Any]:
    """Scores before training: chance, that is the classes' shares of the training part for every picture."""
    shares = np.bincount(images.labels[parts["train"]], minlength=len(images.classes)) / _length(parts["train"])
    return {
        part: score(images.labels[rows], np.tile(shares, (_length(rows), 1)), images.classes)
        for part, rows in parts.items()
        if _length(rows)
    }


def _after(
    logits: NDArray[np.float64], probabilities: NDArray[np.float64], images: ImageSet, parts: Mapping[str, slice]
) -> dict[str, Any]:
    """Scores with calibrated probabilities; log loss and ECE also without the temperature."""
    found = {}
    for part, rows in parts.items():
        if _length(rows):
            raw = score(images.labels[rows], apply_temperature(logits[rows], 1.0), images.classes)
            found[part] = score(images.labels[rows], probabilities[rows], images.classes) | {
                "log_loss_uncalibrated": raw["log_loss"],
                "ece_uncalibrated": raw["ece"],
            }
    return found


def _about(
    recipe: Recipe, folder: Path, source: FeatureSource, extraction: Extraction, images: ImageSet
) -> dict[str, Any]:
    backbone = source.backbone
    return {
        "name": folder.name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": recipe.data.source,
        "method": recipe.method,
        "backbone": backbone.name if backbone else None,
        "weights": recipe.backbone.weights if backbone else None,
        "layer": source.layer,
        "image_size": [source.preprocess.height, source.preprocess.width],
        "engine": f"{source.engine.name} ({source.engine.device}, {source.engine.precision})" if backbone else None,
        "head": recipe.head.name,
        "n_features": int(extraction.features.shape[1]),
        "classes": list(images.classes),
    }


def _timings(extraction: Extraction, fit_s: float, total_s: float) -> dict[str, float]:
    seconds = {
        "decode_s": extraction.decode_s,
        "infer_s": extraction.infer_s,
        "open_s": extraction.open_s,
        "extract_s": extraction.wall_s,
        "fit_s": fit_s,
        "total_s": total_s,
        "images_per_s": extraction.images_per_s,
    }
    return {name: round(value, 3) for name, value in seconds.items()}


def _write(
    folder: Path,
    recipe: Recipe,
    images: ImageSet,
    extraction: Extraction,
    head: Head,
    scores: Mapping[str, Any],
    probabilities: NDArray[np.float64],
) -> None:
    records.write_text(folder / "recipe.toml", recipe.to_toml())
    write_split(images, folder / "split.csv")
    records.write_history(folder / "history.csv", head.history_)
    records.write_json(folder / "environment.json", records.environment())
    refused = [*images.refused, *extraction.refused]
    records.write_csv(
        folder / "refused.csv", ["name", "reason", "detail"], ((r.name, r.reason, r.detail) for r in refused)
    )
    cells = records.prediction_cells(probabilities, images.classes)
    records.write_csv(
        folder / "predictions.csv",
        ["name", "split", "label", *records.prediction_columns(images.classes)],
        ([images.names[i], images.parts[i], images.classes[images.labels[i]], *cells[i]] for i in range(len(images))),
    )
    records.write_json(folder / "scores.json", scores)
