"""From a recipe to a fitted head: on features of a frozen backbone, or with the network trained along."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headstart import records
from headstart.augment import NO_VIEWS, Views
from headstart.classifier import full_logits
from headstart.division import by_folds, keep_together, prepare
from headstart.engines import choose
from headstart.errors import UserError
from headstart.features.auto import with_augment
from headstart.features.copies import MOST, marks
from headstart.features.extract import Extraction, FeatureSource, Progress, Settings, extract, silent
from headstart.features.views import ViewExtractor, views_of
from headstart.heads import Head
from headstart.images import ImageSet, Probe
from headstart.images.usable import usable
from headstart.learner import CrossValidated, Learner, Pictures
from headstart.outcome import Training, part_rows, rows_in
from headstart.preprocess import LEAST, Preprocess
from headstart.recipe import AUTO, Recipe

if TYPE_CHECKING:
    from headstart.heads.dense import DenseHead

PIXEL_SIDE = 64
"""Side of the pictures of the raw-pixel arm when they have no common small size of their own."""
STATE = "training"
"""The folder within a run's in which a training keeps its state until the run is complete."""


@dataclass(frozen=True)
class Fitted:
    """A head, the source of its features, and the features (n, d) of all n pictures.

    `recipe` has every choice that was made on the way. `temperature` is by the head's own trials on `calibrated_on`
    pictures. `folds` are out-of-fold answers to the pictures that the head was fitted on, where these judge. `answers`
    are logits (m, k) of the pictures judged by a head that was fitted without views, where there is one; `done` is
    called when the run is kept.
    """

    recipe: Recipe
    source: FeatureSource
    head: Head
    images: ImageSet
    extraction: Extraction
    views: ViewExtractor
    fit_s: float
    temperature: float = 1.0
    calibrated_on: int = 0
    folds: CrossValidated | None = None
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

    def fit_frozen(self, averaging: Views = NO_VIEWS) -> Fitted:
        """Fit the head on features of the frozen backbone, or on pixels, and judge it by folds where nothing else can.

        `averaging` are the views whose answers are averaged with the plain one's.
        """
        recipe, progress = self.recipe, self.progress
        learner = learner_of(recipe)
        learner.head()  # an option that is misspelt is refused before any picture is read
        images = self._divided(recipe)
        source = feature_source(recipe, images)
        extraction = extract(images, source, replace(self.settings, sketches=MOST), progress)
        images, extraction = keep_together(usable(images, extraction.kept, extraction.refused), extraction, recipe)
        views = ViewExtractor(source, self.settings, progress)
        pictures = labelled(images, extraction, views, self.views)
        fitted = learner.fit(pictures, progress)
        folds, answers = None, {}
        if by_folds(recipe, images):
            if averaging:
                judged = images.take(np.arange(len(pictures.y)))
                pictures = replace(pictures, averaged=list(views.each(judged, averaging, "average")))
            folds = learner.cross_validate(pictures, len(images.classes), progress)
        if self.views and (folds is not None or rows_in(part_rows(images)["test"])):
            answers = {"plain": self._without_views(learner, pictures, images, extraction)}
        return Fitted(
            recipe, source, fitted.head, images, extraction, views, fitted.seconds,
            fitted.temperature, fitted.calibrated_on, folds, answers,
        )  # fmt: skip

    def _divided(self, recipe: Recipe) -> ImageSet:
        """The pictures of the recipe; those that were given stay divided as they are, copies or not."""
        return prepare(recipe) if self.given is None else replace(self.given, test_drawn=False)

    def _without_views(
        self, learner: Learner, pictures: Pictures, images: ImageSet, extraction: Extraction
    ) -> NDArray[np.float64]:
        """Logits (m, k) of the pictures judged, by the same head fitted on plain pictures alone."""

        def progress(_: str, done: int, total: int) -> None:
            self.progress("compare", done, total)

        plain = replace(pictures, stacked=None, averaged=())
        if by_folds(self.recipe, images):
            return learner.cross_validate(plain, len(images.classes), progress).plain
        head = learner.fit(plain, progress).head
        return full_logits(head, extraction.features[part_rows(images)["test"]], len(images.classes))

    def train_network(self, resume: bool) -> Fitted:
        """Train blocks of the backbone with the head; the state is kept in the run folder until the run is complete."""
        recipe = resumed(self.recipe, self.folder) if resume else self.recipe
        head = learner_of(recipe).head()
        from headstart.tuning.settings import check

        check(recipe)
        images = self._divided(recipe)
        recipe = with_augment(recipe, images)
        views, _ = views_of(recipe)
        source = feature_source(recipe, images)
        from headstart.tuning.cut import cut  # these import torch: not before the data are known to be good
        from headstart.tuning.rows import inputs
        from headstart.tuning.state import keeper, threads_for
        from headstart.tuning.tune import tune

        place = cut(recipe, source)
        given = inputs(place, images, views, self.settings, recipe, self.progress)
        recipe = with_threads(recipe, lambda: threads_for(place, given.plain))
        kept = keeper(recipe, place, given, self.folder / STATE)
        records.make(kept.folder)
        records.write_text(self.folder / "recipe.toml", recipe.to_toml())
        started = time.perf_counter()
        try:
            tuned = tune(recipe, place, given, _dense(head), self.progress, kept)
        except BaseException:
            with contextlib.suppress(OSError):  # a folder without a state is nothing to go on from
                kept.folder.rmdir()
            raise
        extraction = replace(given.extraction, features=tuned.features)
        training = Training(tuned.report, tuned.before, tried=tuned.found)
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
    if head.get_params().get("normalise", True) is None:
        head.set_params(normalise=False)  # which no layer of a network does
    return head


def labelled(images: ImageSet, extraction: Extraction, views: ViewExtractor, training: Views) -> Pictures:
    """The training and validation pictures with their features, the views to learn from, and who copies whom."""
    parts = part_rows(images)
    train, val = rows_in(parts["train"]), rows_in(parts["val"])
    X = extraction.features[: train + val]  # the parts lie side by side, these two first
    stacked = views.beside(X[:train], images.take(images.parts == "train"), training) if training and train else None
    told, groups = marks(extraction.contents[: train + val]), extraction.copies.near[: train + val]
    return Pictures(X, images.labels[: train + val], val, stacked, groups=groups, marks=told)


def feature_source(recipe: Recipe, images: ImageSet) -> FeatureSource:
    """The backbone and preprocessing that a recipe asks for, with size and range of values settled by these pictures.

    Raises UserError when the network cannot take pictures of that size, with the smallest that works.
    """
    size, white = recipe.backbone.image_size, images.white()
    if recipe.method == "pixels":
        return FeatureSource(replace(_pixel_preprocess(images, size), white=white))
    from headstart.backbones import resolve

    chosen = recipe.backbone
    weights = "none" if recipe.method == "scratch" else chosen.weights
    backbone = resolve(chosen.name, weights, seed=recipe.seed)
    preprocess = replace(backbone.preprocess, grey=chosen.grey or backbone.preprocess.grey, white=white)
    if backbone.fixed_size is None:
        preprocess = sized(preprocess, size, images.probe())
    if size is not None and size < LEAST:
        raise UserError(f"--image-size {size} is too small for a network; give {LEAST} or more.")
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


def learner_of(recipe: Recipe) -> Learner:
    """The head that a recipe asks for."""
    return Learner(recipe.head.name, recipe.head.options, recipe.head.class_weight, recipe.seed)
