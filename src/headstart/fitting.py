"""From a recipe to a fitted head: on features of a frozen backbone, or with the network trained along."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headstart import outputs, records
from headstart.classifier import Classifier
from headstart.conformal import Conformal
from headstart.division import by_folds, keep_together, prepare
from headstart.errors import NotConverged, UserError
from headstart.feature_source import feature_source
from headstart.features.auto import with_augment
from headstart.features.copies import MOST, marks
from headstart.features.extract import Extractor, Settings
from headstart.features.extraction import Extraction
from headstart.features.source import FeatureSource
from headstart.features.views import ViewExtractor, views_of
from headstart.fitted import Fitted
from headstart.heads import Head
from headstart.images import ImageSet
from headstart.images.parts import part_rows, rows_in
from headstart.images.usable import keep_usable
from headstart.learner import Learner
from headstart.logits import full_logits
from headstart.novelty import Novelty
from headstart.pictures import Pictures
from headstart.progress import Progress, silent
from headstart.recipe import AUTO, Recipe
from headstart.sharded import Sharded
from headstart.views import Views

if TYPE_CHECKING:
    from headstart.heads.dense import DenseHead
    from headstart.training.checkpoint import Keeper
    from headstart.tuning.rows import TrainingRows
    from headstart.tuning.training_split import TrainingSplit

FEWEST_BROUGHT = 20
"""Pictures of a part for a temperature or a threshold below which it would be a coin's toss."""
STATE = "training"
"""The folder within a run's in which a training keeps its state until the run is complete."""


def fit_frozen(
    recipe: Recipe, settings: Settings, progress: Progress = silent, given: ImageSet | None = None
) -> Fitted:
    """Fit the head on features of the frozen backbone, or on pixels, and judge it by folds where nothing else can.

    `given` are the pictures where they are divided already, which they then stay, copies or not.
    """
    learner = learner_of(recipe)
    learner.head()  # an option that is misspelt is refused before any picture is read
    train_views, averaging = views_of(recipe)
    sharded = Sharded.of(recipe) if given is None else None
    if sharded is not None:
        recipe, images, source, extraction = _from_shards(sharded, recipe, progress)
        learner, extractor = learner_of(recipe), Extractor(source, settings)
    else:
        images = _divided(recipe, given)
        source = feature_source(recipe, images)
        extractor = Extractor(source, settings)
        extraction = extractor.extract(images, progress, sketches=MOST)
    images, extraction = keep_together(keep_usable(images, extraction.kept, extraction.refused), extraction, recipe)
    views = ViewExtractor(extractor, progress)
    pictures = labelled(images, extraction, views, train_views)
    fit = learner.fit(pictures, progress)
    novelty = Novelty.fit(pictures.X, pictures.groups, pictures.marks)
    classifier = Classifier(source, fit.head, images.classes, fit.temperature, averaging, novelty, fit.conformal)
    folds = without_views = None
    if by_folds(recipe, images):
        if averaging:
            judged = images.take(np.arange(len(pictures.y)))
            pictures = replace(pictures, averaged=list(views.each(judged, averaging, "average")))
        folds = learner.cross_validate(pictures, len(images.classes), progress)
        classifier = replace(classifier, conformal=Conformal.of(folds.probabilities, pictures.y))
    if train_views and (folds is not None or rows_in(part_rows(images)["test"])):
        test = None if folds is not None else extraction.features[part_rows(images)["test"]]
        without_views = _without_views(learner, pictures, test, len(images.classes), progress)
    return Fitted(recipe, classifier, images, extraction, views, fit.seconds, fit.calibrated_on, folds, without_views)


def _from_shards(
    sharded: Sharded, recipe: Recipe, progress: Progress
) -> tuple[Recipe, ImageSet, FeatureSource, Extraction]:
    """The recipe with the network of the shards, its pictures by reference, and their features."""
    recipe = sharded.recipe(recipe)
    images = prepare(recipe, sharded.images)
    images = replace(images, notes=(*images.notes, sharded.way(recipe.head.name)))
    return recipe, images, sharded.source(recipe), sharded.extraction(images, progress)


def _without_views(
    learner: Learner, pictures: Pictures, test: NDArray[np.float32] | None, classes: int, progress: Progress
) -> NDArray[np.float64]:
    """Logits (m, k) of the pictures judged by the same head fitted on plain pictures alone.

    `test` are their features (m, d); None where folds judge.
    """

    def comparing(_: str, done: int, total: int) -> None:
        progress("compare", done, total)

    plain = replace(pictures, stacked=None, averaged=())
    if test is None:
        return learner.cross_validate(plain, classes, comparing).plain
    return full_logits(learner.fit(plain, comparing).head, test, classes)


def train_network(
    recipe: Recipe,
    folder: Path,
    settings: Settings,
    progress: Progress = silent,
    given: ImageSet | None = None,
    *,
    resume: bool = False,
) -> Fitted:
    """Train blocks of the backbone with the head; the state is kept in the run folder until the run is complete.

    `given` are the pictures where they are divided already. `resume` goes on with a training that was stopped.
    """
    begun = begin_training(recipe, folder, settings, progress, given, resume=resume)
    from headstart.tuning.tune import tune_network

    rows, kept = begun.rows, begun.keeper
    started = time.perf_counter()
    try:
        tuned = tune_network(begun.recipe, begun.split, rows, begun.head, progress, kept)
    except BaseException:
        with contextlib.suppress(OSError):  # a folder without a state is nothing to go on from
            kept.folder.rmdir()
        raise
    if not np.isfinite(tuned.features).all():
        kept.clear()  # nobody wants to go on from there
        raise NotConverged("The trained network gives features that are not finite: lower `learning_rate`.")
    extraction = replace(rows.extraction, features=tuned.features)
    novelty = _novelty(rows.images, extraction)
    averaging = views_of(begun.recipe)[1]
    classifier = Classifier(tuned.source, tuned.head, rows.images.classes, averaging=averaging, novelty=novelty)
    views = replace(rows.views, extractor=Extractor(tuned.source, settings))
    seconds = time.perf_counter() - started
    return Fitted(
        begun.recipe, classifier, rows.images, extraction, views, seconds, record=tuned.record, done=kept.clear
    )


@dataclass(frozen=True)
class Begun:
    """A training before its first step: the recipe with every choice made, what is trained on what, and its state."""

    recipe: Recipe
    split: TrainingSplit
    rows: TrainingRows
    head: DenseHead
    keeper: Keeper


def begin_training(
    recipe: Recipe,
    folder: Path,
    settings: Settings,
    progress: Progress = silent,
    given: ImageSet | None = None,
    *,
    resume: bool = False,
) -> Begun:
    """All that comes before the training of `train_network`; the recipe is written to the folder."""
    recipe = resumed(recipe, folder) if resume else recipe
    head = learner_of(recipe).head()
    from headstart.tuning.settings import check

    check(recipe)
    images = _divided(recipe, given)
    recipe = with_augment(recipe, images)
    train_views, _ = views_of(recipe)
    source = feature_source(recipe, images)
    # These import torch: not before the data are known to be good.
    from headstart.tuning.rows import training_rows
    from headstart.tuning.state import keeper, threads_for
    from headstart.tuning.training_split import split_for_training

    split = split_for_training(recipe, source)
    rows = training_rows(split, images, train_views, settings, recipe, progress)
    recipe = with_threads(recipe, lambda: threads_for(split, rows.plain))
    kept = keeper(recipe, split, rows, folder / STATE)
    outputs.make(kept.folder)
    records.write_text(folder / "recipe.toml", recipe.to_toml())
    return Begun(recipe, split, rows, _dense(head), kept)


def _novelty(images: ImageSet, extraction: Extraction) -> Novelty:
    """Of a trained network: its training pictures to compare with; the threshold is by a part `val` where there is one.

    The features of pictures that it was trained on lie closer together than those of others.
    """
    parts = part_rows(images)
    train, val = parts["train"], parts["val"]
    held_out = extraction.features[val] if rows_in(val) >= FEWEST_BROUGHT else None
    near, told = extraction.copies.together[train], marks(extraction.contents[train])
    return Novelty.fit(extraction.features[train], near, told, held_out)


def _divided(recipe: Recipe, given: ImageSet | None) -> ImageSet:
    """The pictures of the recipe; those that were given stay divided as they are, copies or not."""
    return prepare(recipe) if given is None else replace(given, test_drawn=False)


def unfinished(folder: Path) -> bool:
    """Whether a training was stopped in this run folder before its end."""
    return (folder / STATE).is_dir()


def check_unfinished(folder: Path, resume: bool) -> None:
    """Raise UserError where there is nothing to resume, or where a training that could be resumed would be lost."""
    if resume and not unfinished(folder):
        raise UserError(f"`resume`: {folder} holds no unfinished training; leave `resume` out to start one.")
    if unfinished(folder) and not resume:
        raise UserError(f"{folder} holds an unfinished training: add `resume` to continue it, or name another `out`.")


def resumed(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with the choices that were made when the run began. Raises UserError when they are other ones."""
    begun = Recipe.load(folder / "recipe.toml")
    if recipe.augment.name == AUTO:
        recipe = recipe.model_copy(update={"augment": recipe.augment.model_copy(update={"name": begun.augment.name})})
    recipe = with_threads(recipe, lambda: begun.training.threads or 1)
    if recipe != begun:
        raise UserError(
            f"`resume`: {folder} was begun with different settings; repeat them, see {folder / 'recipe.toml'}."
        )
    return recipe


def with_threads(recipe: Recipe, count: Callable[[], int]) -> Recipe:
    """The recipe with a number of threads, `count()` where it has none: part of what makes a run repeat exactly."""
    if recipe.training.threads is not None:
        return recipe
    return recipe.model_copy(update={"training": recipe.training.model_copy(update={"threads": count()})})


def _dense(head: Head) -> DenseHead:
    from headstart.heads.dense import DenseHead

    assert isinstance(head, DenseHead)  # `check` has refused the others
    shapes = [name for name in ("root", "normalise") if head.get_params().get(name, True) is None]
    if shapes:
        head.set_params(**dict.fromkeys(shapes, False))  # which no layer of a network does
    return head


def labelled(images: ImageSet, extraction: Extraction, views: ViewExtractor, training: Views) -> Pictures:
    """The training and validation pictures with their features, the views to learn from, and who copies whom."""
    parts = part_rows(images)
    train, val = rows_in(parts["train"]), rows_in(parts["val"])
    X = extraction.features[: train + val]  # the parts lie side by side, these two first
    stacked = views.beside(X[:train], images.take(images.parts == "train"), training) if training and train else None
    told, groups = marks(extraction.contents[: train + val]), extraction.copies.together[: train + val]
    return Pictures(X, images.labels[: train + val], val, stacked, groups=groups, marks=told)


def learner_of(recipe: Recipe) -> Learner:
    """The head that a recipe asks for."""
    return Learner(recipe.head.name, recipe.head.options, recipe.head.class_weight, recipe.seed)
