"""The main job, readable top to bottom: pictures -> features -> head -> temperature -> scores -> run folder."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from headstart import bundle, records
from headstart.classifier import Classifier
from headstart.engines import choose
from headstart.errors import DataError, Refused, UserError
from headstart.features.extract import FeatureSource, Progress, Settings, extract, silent
from headstart.heads import HEADS, Head, make_head
from headstart.images import ImageSet, Limits, Probe, Shares, apply_split, decode, load, select, split
from headstart.metrics import fit_temperature
from headstart.outcome import PARTS, Outcome, part_rows, rows_in
from headstart.paths import features_dir
from headstart.preprocess import Preprocess
from headstart.recipe import HeadRecipe, Recipe

THUMBNAIL = 150
PIXEL_SIDE = 64
"""Side of the pictures of the raw-pixel arm when they have no common small size of their own."""


@dataclass(frozen=True)
class Run:
    """A finished run: its folder, what is in scores.json, and the classifier."""

    folder: Path
    scores: Mapping[str, Any]
    classifier: Classifier
    images: ImageSet

    def thumbnail(self, name: str) -> Image.Image | None:
        """The picture of a name in predictions.csv, large enough for a report; None when it cannot be had any more."""
        if name not in self._places:
            return None
        try:
            return decode(self.images.raw(self._places[name]), self.images.limits, preview=THUMBNAIL)
        except Refused:
            return None

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.images.names)}


def with_split_beside(recipe: Recipe, path: Path) -> Recipe:
    """The recipe, told to use the split.csv beside its file if there is one and it names none itself."""
    beside = path.with_name("split.csv")
    if recipe.data.split is not None or not beside.is_file():
        return recipe
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"split": str(beside.resolve())})})


def execute(recipe: Recipe, out: Path | None = None, progress: Progress = silent, *, store: bool = True) -> Run:
    """Run a recipe and write its folder (`out`, by default one named after the recipe under `runs/`).

    Raises UserError and its kin for anything the user can mend; see `headstart.errors`.
    """
    started = time.perf_counter()
    folder = records.claim(out) if out else records.unused(Path("runs") / default_name(recipe))
    head = new_head(recipe.head.name, recipe.seed, recipe.head.class_weight, recipe.head.options)
    images = prepare(recipe)
    source = feature_source(recipe, images)
    settings = Settings(features_dir() if store else None, strict=recipe.data.strict)
    extraction = extract(images, source, settings, progress)
    images = images.take(extraction.kept)
    parts = part_rows(images)

    fit_started = time.perf_counter()
    fit_head(head, recipe.head, extraction.features, images.labels, parts, progress)
    classifier = Classifier(source, head, images.classes)
    classifier = calibrate(classifier, extraction.features[parts["calibration"]], images.labels[parts["calibration"]])

    outcome = Outcome(recipe, images, extraction, parts, classifier, fit_s=time.perf_counter() - fit_started)
    scores = outcome.scores(folder.name, started)
    records.make(folder)
    outcome.write(folder, scores)
    bundle.save(classifier, folder / "bundle")
    return Run(folder, scores, classifier, images)


def default_name(recipe: Recipe) -> str:
    """The folder name of a run that was given none: data, backbone or `pixels`, head."""
    what = "pixels" if recipe.method == "pixels" else Path(recipe.backbone.name).stem
    return f"{Path(recipe.data.source).stem}-{what}-{recipe.head.name}"


def prepare(recipe: Recipe) -> ImageSet:
    """The pictures of a recipe, selected and divided, those of one part side by side."""
    data = recipe.data
    limits = Limits(data.max_pixels)
    images = load(data.source, allow_empty_classes=data.allow_empty_classes, limits=limits)
    images = select(images, classes=data.classes, limit=data.limit, seed=recipe.seed)
    if data.train_per_class is not None:
        # The test part is drawn first, so that it does not shrink with the training part.
        parted = split(images, seed=recipe.seed, shares=Shares(val=0, calibration=0))
        images = select(replace(parted, notes=()), train_per_class=data.train_per_class, seed=recipe.seed)
    images = split(images, seed=recipe.seed) if data.split is None else apply_split(images, Path(data.split))
    trained = np.unique(images.labels[images.parts == "train"])
    if len(trained) < 2:
        names = ", ".join(images.classes[k] for k in trained)
        raise DataError(f"{images.title} has training pictures of one class only ({names}); a run needs at least two.")
    return images.take(np.concatenate([np.flatnonzero(images.parts == part) for part in PARTS]))


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
    else:
        preprocess = sized(preprocess, size, images.probe())
    engine = choose(recipe.engine.name, recipe.engine.device, recipe.engine.precision)
    return FeatureSource(preprocess, backbone, chosen.layer, engine)


def sized(preprocess: Preprocess, size: int | None, probe: Probe) -> Preprocess:
    """The size rule, or the side that the user asked for; small pictures are shown whole either way."""
    chosen = preprocess.for_images(probe)
    return chosen if size is None else chosen.resized(size)


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
    head: Head,
    chosen: HeadRecipe,
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    parts: Mapping[str, slice],
    progress: Progress = silent,
) -> None:
    """Fit a head on the training part; what it chooses it chooses on the validation part.

    Raises UserError when it cannot be fitted with the options that were `chosen`.
    """
    train, val = parts["train"], parts["val"]
    if rows_in(train) == 0:
        raise DataError("No training picture is left; a run needs some of at least two classes.")
    validation = (features[val], labels[val]) if rows_in(val) else None
    epochs = head.get_params().get("epochs", 1)
    progress("fit", 0, epochs)
    if "on_epoch" in head.get_params():
        head.set_params(on_epoch=lambda row: progress("fit", int(row["epoch"]), epochs))
    try:
        head.fit(features[train], labels[train], validation=validation)
    except (TypeError, ValueError) as error:
        if isinstance(error, UserError) or not chosen.options:
            raise
        told = ", ".join(f"{key}={value!r}" for key, value in chosen.options.items())
        raise UserError(f"The head {chosen.name} cannot be fitted with {told}: {error}.") from error
    progress("fit", epochs, epochs)


def new_head(name: str, seed: int, class_weight: str | None, options: Mapping[str, Any]) -> Head:
    """A head that is not fitted; the seed goes to those that draw random numbers."""
    params = dict(options)
    if class_weight not in (None, "none"):
        params.setdefault("class_weight", class_weight)
    if name in HEADS and "seed" in HEADS[name]().get_params():
        params.setdefault("seed", seed)
    return make_head(name, **params)


def calibrate(classifier: Classifier, features: NDArray[np.float32], labels: NDArray[np.int64]) -> Classifier:
    """The classifier with its temperature, fitted on the calibration part alone; 1 where that is empty."""
    if len(labels) == 0:
        return classifier
    temperature = fit_temperature(classifier.logits(features), labels)
    return Classifier(classifier.source, classifier.head, classifier.classes, temperature)
