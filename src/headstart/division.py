"""The pictures of a run, divided: which of them the classifier is fitted on, and which judge it."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from headstart import seen
from headstart.errors import DataError, UserError
from headstart.features.extraction import Extraction
from headstart.images import TEST_SHARE, ImageSet, Limits, apply_split, load, select, split, with_test
from headstart.images.groups import together
from headstart.images.options import COLUMNS, ReadingForRun, for_test
from headstart.images.parts import PARTS
from headstart.images.sources.folder import on_left_out
from headstart.images.sources.table import is_table
from headstart.paths import expanded
from headstart.phrases import plural
from headstart.recipe import TRAINED, DataRecipe, Recipe

if TYPE_CHECKING:
    from headstart.images.options import Reading

FEW = 2_000
"""Labelled pictures under which a fifth of them kept apart would be too few to judge by, and missed in training."""


def prepare(recipe: Recipe, listed: ImageSet | None = None) -> ImageSet:
    """The pictures of a recipe, selected and divided, those of one part side by side; `listed` in place of its data."""
    data = recipe.data
    images = pictures(data, recipe.seed) if listed is None else _selected(listed, data, recipe.seed)
    if data.train_per_class is not None:
        # The test part is drawn first, so that it does not shrink with the training part.
        parted = split(images, seed=recipe.seed, test=0.0 if data.evaluate == "cv" else TEST_SHARE)
        images = select(replace(parted, notes=images.notes), train_per_class=data.train_per_class, seed=recipe.seed)
    if data.split is not None:
        images = apply_split(images, expanded(data.split))
        check_evaluate(recipe, images)
    else:
        images = split(images, seed=recipe.seed, test=0.0 if wants_folds(recipe, images) else TEST_SHARE)
    trained = np.unique(images.labels[images.parts == "train"])
    if len(trained) < 2:
        names = ", ".join(images.classes[k] for k in trained)
        needs = f"a run needs at least two.{on_left_out(images)}"
        raise DataError(f"{images.title} has training pictures of one class only ({names}); {needs}")
    return images.take(np.concatenate([np.flatnonzero(images.parts == part) for part in PARTS]))


def check_evaluate(recipe: Recipe, images: ImageSet) -> None:
    """Raise UserError where cross-validation is asked for and cannot judge, or a part kept apart that is empty."""
    if recipe.data.evaluate == "holdout" and recipe.data.split is not None and not (images.parts == "test").any():
        raise UserError(f"evaluate=holdout: {recipe.data.split} has no test part; leave `evaluate` or `split` out.")
    if recipe.data.evaluate != "cv":
        return
    if (images.parts == "test").any():
        raise UserError(f"evaluate=cv: {images.title} has a test part, which is used instead; leave `evaluate` out.")


def wants_folds(recipe: Recipe, images: ImageSet) -> bool:
    """Whether cross-validation is to judge, as asked or by the number of pictures. Raises UserError where it cannot."""
    check_evaluate(recipe, images)
    asked, tested = recipe.data.evaluate, bool((images.parts == "test").any())
    few = int(np.isin(images.parts, ("", "train", "val")).sum()) < FEW
    return asked == "cv" or (asked == "auto" and few and not tested and recipe.method not in TRAINED)


def by_folds(recipe: Recipe, images: ImageSet) -> bool:
    """Whether the pictures, divided, have no test part and are judged by cross-validation."""
    asked = recipe.data.evaluate
    wanted = asked == "cv" or (asked == "auto" and recipe.method not in TRAINED)
    return wanted and not (images.parts == "test").any()


def data_of(run: Path) -> list[str | None]:
    """What a run, by its folder or its bundle, was fitted and tested on; empty where it has no recipe to read."""
    data = _data_recipe(run)
    return [] if data is None else [data.source, data.test]


def with_columns(reading: Reading, run: Path | str, data: Any) -> Reading:
    """How to read data for a run: of a table, the columns that the run was told are read where others are not named."""
    alone = data[0] if isinstance(data, list | tuple) and len(data) == 1 else data
    if not isinstance(alone, str | os.PathLike) or not is_table(os.fspath(alone)):
        return reading
    recipe = _data_recipe(Path(run))
    if recipe is None:
        return reading
    return ReadingForRun(**reading, fitted_columns=recipe.model_dump(include=set(COLUMNS)))


def _data_recipe(run: Path) -> DataRecipe | None:
    folder = run.parent if run.name == "bundle" else run
    try:
        return Recipe.load(folder / "recipe.toml").data
    except UserError:
        return None


def trained_by(weights: Path) -> Path:
    """The folder of the run that trained a source model, beside its weights."""
    return weights.with_name(f"{weights.stem}-run")


def learnt_by_network(weights: str) -> seen.Digests | None:
    """The digests (m, 16) of the pictures that a network learnt from, where a run here trained it: by its weights.

    They are those of `pretrain`, or of the bundle of a run that trained its network. None elsewhere.
    """
    file = Path(weights)
    run = file.parent.parent if file.parent.name == "bundle" else trained_by(file)
    if file.is_file():
        with contextlib.suppress(UserError, ValueError, OSError):
            if Recipe.load(run / "recipe.toml").method in TRAINED:
                return seen.read(run / "bundle")
    return None


def pictures(data: DataRecipe, seed: int) -> ImageSet:
    """The pictures that a recipe names, with a separate test set where it names one, not yet divided further."""
    limits = Limits(data.max_pixels)
    reading = cast("Reading", data.reading())
    images = load(data.source, allow_empty_classes=data.allow_empty_classes, limits=limits, **reading)
    if data.test is not None:
        limits = replace(limits, white=images.limits.white)  # the test is read by the range of what is fitted on
        reading = for_test(reading, is_table(data.test))
        images = with_test(images, load(data.test, allow_empty_classes=True, limits=limits, **reading), data.classes)
    return _selected(images, data, seed)


def _selected(images: ImageSet, data: DataRecipe, seed: int) -> ImageSet:
    return select(images, classes=data.classes, limit=data.limit, seed=seed)


def keep_together(images: ImageSet, extraction: Extraction, recipe: Recipe) -> tuple[ImageSet, Extraction]:
    """The pictures and their extraction, with copies and groups on one side of a test part that was drawn.

    Each group goes where one of it, drawn, already is, so the test keeps its size on average. Beside a training part of
    a size that was asked for, such test pictures are left out. A test part that the data bring stays as it is, and what
    leaks there is told.
    """
    if not images.test_drawn:
        return images, extraction
    if recipe.data.train_per_class is not None:
        return _without_leaks(images, extraction)
    parts = together(extraction.copies.together, images.parts, images.labels, images.names, recipe.seed)
    moved = int((parts != images.parts).sum())
    if not moved:
        return images, extraction
    order = np.concatenate([np.flatnonzero(parts == part) for part in PARTS])
    note = f"{alike(images)} were kept together: {plural(moved, 'picture')} changed sides between training and test."
    return replace(images, parts=parts, notes=(*images.notes, note)).take(order), extraction.reordered(order)


def _without_leaks(images: ImageSet, extraction: Extraction) -> tuple[ImageSet, Extraction]:
    """Without test pictures that are alike to training pictures; as they are, where no other would be left."""
    group, test = extraction.copies.together, images.parts == "test"
    leaking = test & np.isin(group, group[images.parts == "train"])
    if not leaking.any() or leaking.sum() == test.sum():
        return images, extraction
    note = f"{alike(images)} of training pictures are left out of the test: {plural(int(leaking.sum()), 'picture')}."
    order = np.flatnonzero(~leaking)
    return replace(images, notes=(*images.notes, note)).take(order), extraction.reordered(order)


def alike(images: ImageSet) -> str:
    """What is kept on one side of a split or in one fold, as a sentence begins."""
    return "Copies and near copies" if images.groups is None else "Copies, near copies and groups"
