"""Features of the views of pictures: stored like plain ones, each view in a space of its own."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.augment import AUGMENTS, Augment, named
from headstart.errors import DataError, Refused, UserError
from headstart.features.extract import Extractor
from headstart.features.matrix import allocate
from headstart.features.source import FeatureSource
from headstart.images import ImageSet, decode, digest
from headstart.progress import Progress, silent
from headstart.recipe import AUTO, TRAINED, Recipe, VariedRecipe
from headstart.views import NO_VIEWS, Views

STORED_VIEWS = 2
"""Views of each training picture where `--views` is left out and there is a frozen trunk whose output is stored."""


def views_of(recipe: Recipe) -> tuple[Views, Views]:
    """The views that a recipe trains with, and those that it averages at the test beside the plain picture.

    With a method that trains the network, a count of 0 means fresh views every epoch, and none are told yet where the
    augmentation is still to be chosen (`auto`). Raises UserError where the choices do not fit together.
    """
    asked, frozen = recipe.augment, recipe.method not in TRAINED
    if asked.name == AUTO and asked.transform is None and not frozen:
        return NO_VIEWS, NO_VIEWS
    augment = augment_of(asked)
    if not augment.steps:
        if asked.views:
            raise UserError(f"views={asked.views} needs an augmentation to draw them; add augment=light, for example.")
        if asked.tta > 1:
            raise UserError(f"tta={asked.tta} needs an augmentation to draw views; add augment=light, for example.")
        return NO_VIEWS, NO_VIEWS
    if asked.views == 0 and frozen:
        raise UserError(
            "views=0 draws fresh views every epoch, for which the network itself must be trained; a head on stored "
            f"features takes views=1 or more ({STORED_VIEWS} if left out)."
        )
    whole = recipe.method == "scratch" or recipe.training.unfreeze == "all"
    count = (0 if whole else STORED_VIEWS) if asked.views is None else asked.views
    return Views(augment, recipe.seed, count), Views(augment, recipe.seed, asked.tta - 1)


def augment_of(asked: VariedRecipe) -> Augment:
    """The augmentation of a recipe: the transforms that it spells out, else those of the name; none for `auto`."""
    if asked.transform is not None:
        return Augment.of(asked.name, asked.transform, f"the augmentation {asked.name}")
    if asked.name == AUTO:
        return AUGMENTS["none"]
    if asked.name.endswith(".toml"):
        raise UserError(
            f"The recipe names the augmentation file {asked.name}; write its tables into the recipe as "
            "[[augment.transform]] instead, so that it repeats anywhere."
        )
    return named(asked.name)


@dataclass
class ViewExtractor:
    """Extracts views of pictures that can be used, one view after the other, and counts them."""

    extractor: Extractor
    progress: Progress = silent
    computed: int = 0
    reused: int = 0
    seconds: float = 0.0

    def each(self, images: ImageSet, views: Views, stage: str = "view") -> Iterator[NDArray[np.float32]]:
        """Features (n, d) float32 of view 1, view 2, ... of all n pictures.

        Raises DataError when a picture cannot be used in a view: it could in the plain one, so it has changed since.
        """
        for view in views:
            progress = _named(self.progress, f"{stage} {view.number} of {len(views)}")
            started = time.perf_counter()
            done = self.extractor.extract(images, progress, view)
            self.seconds += time.perf_counter() - started
            self.computed, self.reused = self.computed + done.counts.computed, self.reused + done.counts.reused
            if len(done.kept) < len(images):
                raise DataError(f"{done.refused[0].name} was changed while it was read; start the command again.")
            yield done.features

    def beside(self, plain: NDArray[Any], images: ImageSet, views: Views) -> NDArray[Any]:
        """Plain features (n, d) of n pictures and, below them, those of every view: (n * (1 + count), d)."""
        n = len(images)
        rows = allocate((n * (1 + len(views)), plain.shape[1]), plain.dtype)
        rows[:n] = plain
        for number, features in enumerate(self.each(images, views), start=1):
            rows[n * number : n * (number + 1)] = features
        return rows

    def report(self, training: Views, averaging: Views) -> dict[str, Any]:
        """What was drawn and what it cost, JSON-able."""
        return {
            "name": training.augment.name,
            "transforms": training.augment.to_list(),
            "views": len(training),
            "tta": 1 + len(averaging),
            "computed": self.computed,
            "reused": self.reused,
            "seconds": round(self.seconds, 3),
        }


def contact_sheet(
    images: ImageSet, source: FeatureSource, views: Views, pictures: int
) -> list[list[NDArray[np.uint8]]]:
    """For a few pictures, the classes by turns: the plain input (h, w, c) uint8 of the source, and every view of it."""
    if not views.augment.steps:
        return []
    rows: list[list[NDArray[np.uint8]]] = []
    for i in _by_turns(images.labels)[: 2 * pictures]:  # some may have gone since they were read
        with contextlib.suppress(Refused):
            raw = images.raw(int(i))
            image, content = decode(raw, images.limits), digest(raw)
            drawn = [view.picture(image, content, source.preprocess) for view in views]
            rows.append([source.preprocess.apply(image), *drawn])
    return rows[:pictures]


def _by_turns(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows so ordered that the first of every class come first, then the second of every class, and so on."""
    turn = np.zeros(len(labels), dtype=np.int64)
    for k in np.unique(labels):
        own = labels == k
        turn[own] = np.arange(own.sum())
    return np.lexsort((labels, turn))


def _named(progress: Progress, stage: str) -> Progress:
    return lambda what, done, total: progress(stage if what == "extract" else what, done, total)
