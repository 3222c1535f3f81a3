"""From a recipe to a fitted head: on features of a frozen backbone, or with the network trained along."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headstart import records
from headstart.augment import Views
from headstart.classifier import Classifier
from headstart.engines import choose
from headstart.errors import DataError, HeadstartError, UserError
from headstart.features.auto import with_augment
from headstart.features.extract import Extraction, FeatureSource, Progress, Settings, extract, silent
from headstart.features.views import ViewExtractor, views_of
from headstart.heads import HEADS, Head, blamed_on, make_head
from headstart.heads.base import Examples
from headstart.images import ImageSet, Limits, Probe, Shares, apply_split, load, select, split, with_test
from headstart.outcome import PARTS, Training, part_rows
from headstart.preprocess import Preprocess
from headstart.recipe import AUTO, DataRecipe, HeadRecipe, Recipe

if TYPE_CHECKING:
    from headstart.heads.dense import DenseHead

PIXEL_SIDE = 64
"""Side of the pictures of the raw-pixel arm when they have no common small size of their own."""
STATE = "training"
"""The folder within a run's in which a training keeps its state until the run is complete."""


@dataclass(frozen=True)
class Fitted:
    """A head, the source of its features, and the features (n, d) of all n pictures.

    `recipe` has every choice that was made on the way. `answers` are logits (m, k) of the test part by a head that was
    fitted without views, where there is one; `done` is called when the run is kept.
    """

    recipe: Recipe
    source: FeatureSource
    head: Head
    images: ImageSet
    extraction: Extraction
    views: ViewExtractor
    fit_s: float
    answers: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    training: Training | None = None
    done: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Job:
    """A recipe to be fitted; `given` are its pictures where they are divided already.

    `views` are what a head on frozen features trains with; a network's are chosen when its pictures are known.
    """

    recipe: Recipe
    folder: Path
    views: Views
    settings: Settings
    progress: Progress = silent
    given: ImageSet | None = None

    def fit_frozen(self) -> Fitted:
        """Fit the head on features of the frozen backbone, or on pixels."""
        recipe, progress = self.recipe, self.progress
        head = head_of(recipe)
        images = prepare(recipe) if self.given is None else self.given
        source = feature_source(recipe, images)
        extraction = extract(images, source, self.settings, progress)
        images = images.take(extraction.kept)
        parts = part_rows(images)
        examples = {part: Examples(extraction.features[rows], images.labels[rows]) for part, rows in parts.items()}
        views = ViewExtractor(source, self.settings, progress)
        training = with_views(examples["train"], images, views, self.views)
        fit_s = fit_head(head, recipe.head, training, examples["val"], progress)
        answers = (
            without_views(recipe, Classifier(source, head, images.classes), examples, progress) if self.views else {}
        )
        return Fitted(recipe, source, head, images, extraction, views, fit_s, answers)

    def train_network(self, resume: bool) -> Fitted:
        """Train blocks of the backbone with the head; the state is kept in the run folder until the run is complete."""
        recipe = resumed(self.recipe, self.folder) if resume else self.recipe
        head = head_of(recipe)
        from headstart.tuning.settings import check

        check(recipe)
        images = prepare(recipe) if self.given is None else self.given
        recipe = with_augment(recipe, images)
        views, _ = views_of(recipe)
        source = feature_source(recipe, images)
        from headstart.tuning.cut import cut  # these import torch: not before the data are known to be good
        from headstart.tuning.rows import inputs
        from headstart.tuning.state import keeper, threads_for
        from headstart.tuning.tune import tune

        place = cut(recipe, source)
        given = inputs(place, images, views, self.settings, recipe.training.disk_gb, self.progress)
        recipe = with_threads(recipe, lambda: threads_for(place, given.plain))
        kept = keeper(recipe, place, given, self.folder / STATE)
        records.make(kept.folder)
        records.write_text(self.folder / "recipe.toml", recipe.to_toml())
        started = time.perf_counter()
        try:
            tuned = tune(recipe, place, given, _dense(head), self.progress, kept)
        except HeadstartError:
            with contextlib.suppress(OSError):  # a folder without a state is nothing to go on from
                kept.folder.rmdir()
            raise
        extraction = replace(given.extraction, features=tuned.features)
        training = Training(tuned.report, tuned.before, tuned.found)
        fit_s = time.perf_counter() - started
        return Fitted(
            recipe, tuned.source, tuned.head, given.images, extraction, given.views, fit_s,
            training=training, done=kept.clear,
        )  # fmt: skip


def unfinished(folder: Path) -> bool:
    """Whether a training was stopped in this run folder before its end."""
    return (folder / STATE).is_dir()


def check_unfinished(folder: Path, resume: bool) -> None:
    """Raise UserError where there is nothing to resume, or where a training that could be resumed would be lost."""
    if resume and not unfinished(folder):
        raise UserError(f"--resume: {folder} holds no unfinished training; leave --resume out to begin one.")
    if unfinished(folder) and not resume:
        raise UserError(f"{folder} holds an unfinished training: add --resume to go on with it, or name another --out.")


def resumed(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with the choices that were made when the run began. Raises UserError when they are other ones."""
    begun = Recipe.load(folder / "recipe.toml")
    if recipe.augment.name == AUTO:
        recipe = recipe.model_copy(update={"augment": recipe.augment.model_copy(update={"name": begun.augment.name})})
    recipe = with_threads(recipe, lambda: begun.training.threads or 1)
    if recipe != begun:
        raise UserError(f"--resume: {folder} was begun with other choices; repeat them, see {folder / 'recipe.toml'}.")
    return recipe


def with_threads(recipe: Recipe, count: Callable[[], int]) -> Recipe:
    """The recipe with a number of threads, `count()` where it has none: part of what makes a run repeat exactly."""
    if recipe.training.threads is not None:
        return recipe
    return recipe.model_copy(update={"training": recipe.training.model_copy(update={"threads": count()})})


def _dense(head: Head) -> DenseHead:
    from headstart.heads.dense import DenseHead

    assert isinstance(head, DenseHead)  # `check` has refused the others
    return head


def prepare(recipe: Recipe) -> ImageSet:
    """The pictures of a recipe, selected and divided, those of one part side by side."""
    data = recipe.data
    images = pictures(data, recipe.seed)
    if data.train_per_class is not None:
        # The test part is drawn first, so that it does not shrink with the training part.
        parted = split(images, seed=recipe.seed, shares=Shares(val=0, calibration=0))
        images = select(replace(parted, notes=images.notes), train_per_class=data.train_per_class, seed=recipe.seed)
    images = split(images, seed=recipe.seed) if data.split is None else apply_split(images, Path(data.split))
    trained = np.unique(images.labels[images.parts == "train"])
    if len(trained) < 2:
        names = ", ".join(images.classes[k] for k in trained)
        raise DataError(f"{images.title} has training pictures of one class only ({names}); a run needs at least two.")
    return images.take(np.concatenate([np.flatnonzero(images.parts == part) for part in PARTS]))


def pictures(data: DataRecipe, seed: int) -> ImageSet:
    """The pictures that a recipe names, with a separate test set where it names one, not yet divided further."""
    limits = Limits(data.max_pixels)
    images = load(data.source, allow_empty_classes=data.allow_empty_classes, limits=limits)
    if data.test is not None:
        images = with_test(images, load(data.test, allow_empty_classes=True, limits=limits), data.classes)
    return select(images, classes=data.classes, limit=data.limit, seed=seed)


def feature_source(recipe: Recipe, images: ImageSet) -> FeatureSource:
    """The backbone and preprocessing that a recipe asks for, with the size rule applied to these pictures.

    Raises UserError when the network cannot take pictures of that size, with the smallest that works.
    """
    size = recipe.backbone.image_size
    if recipe.method == "pixels":
        return FeatureSource(_pixel_preprocess(images, size))
    from headstart.backbones import resolve

    chosen = recipe.backbone
    weights = "none" if recipe.method == "scratch" else chosen.weights
    backbone = resolve(chosen.name, weights, seed=recipe.seed)
    preprocess = backbone.preprocess if chosen.grey is None else replace(backbone.preprocess, grey=chosen.grey)
    if backbone.fixed_size is None:
        preprocess = sized(preprocess, size, images.probe())
    wanted = (preprocess.height, preprocess.width) if size is None else (size, size)
    if wanted != (backbone.preprocess.height, backbone.preprocess.width):
        backbone.check(chosen.layer, wanted)
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
    train: Examples,
    val: Examples,
    progress: Progress = silent,
) -> float:
    """Fit a head on the training part; what it chooses it chooses on the validation part. Returns the seconds it took.

    Raises UserError when it cannot be fitted with the options that were `chosen`.
    """
    if len(train.y) == 0:
        raise DataError("No training picture is left; a run needs some of at least two classes.")
    started, validation = time.perf_counter(), val if len(val.y) else None
    epochs = head.get_params().get("epochs", 1)
    progress("fit", 0, epochs)
    if "on_epoch" in head.get_params():
        head.set_params(on_epoch=lambda row: progress("fit", int(row["epoch"]), epochs))
    with blamed_on(chosen.name, chosen.options):
        head.fit(train.X, train.y, validation=validation)
    progress("fit", epochs, epochs)
    return time.perf_counter() - started


def head_of(recipe: Recipe) -> Head:
    """The head that a recipe asks for, not fitted."""
    return new_head(recipe.head.name, recipe.seed, recipe.head.class_weight, recipe.head.options)


def new_head(name: str, seed: int, class_weight: str | None, options: Mapping[str, Any]) -> Head:
    """A head that is not fitted; the seed goes to those that draw random numbers."""
    params = dict(options)
    if class_weight not in (None, "none"):
        params.setdefault("class_weight", class_weight)
    if name in HEADS and "seed" in HEADS[name]().get_params():
        params.setdefault("seed", seed)
    return make_head(name, **params)


def with_views(plain: Examples, images: ImageSet, views: ViewExtractor, training: Views) -> Examples:
    """The training part's examples and, below them, those of every view of its pictures."""
    if not training or not len(plain.y):
        return plain
    rows = views.beside(plain.X, images.take(images.parts == "train"), training)
    return Examples(rows, np.tile(plain.y, 1 + len(training)))


def without_views(
    recipe: Recipe, classifier: Classifier, examples: Mapping[str, Examples], progress: Progress = silent
) -> dict[str, NDArray[np.float64]]:
    """Logits (m, k) of the test part by the same head fitted on plain pictures alone; empty without a test part."""
    if not len(examples["test"].y):
        return {}
    head = head_of(recipe)
    fit_head(head, recipe.head, examples["train"], examples["val"], lambda _, *counts: progress("compare", *counts))
    return {"plain": replace(classifier, head=head).logits(examples["test"].X)}
