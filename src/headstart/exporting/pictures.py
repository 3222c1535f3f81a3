"""The pictures that an export is checked on: those of its run, where they can still be read."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from headstart.classifier import match_classes
from headstart.division import pictures, prepare
from headstart.errors import Refused, UserError
from headstart.images import ImageSet, decode, from_arrays, left_of_split
from headstart.recipe import Recipe

if TYPE_CHECKING:
    from headstart.classifier import Classifier
    from headstart.preprocess import Preprocess


@dataclass(frozen=True)
class OwnPictures:
    """The pictures of a run: `judged` are its test pictures, or all where it has none; `trained` those of training."""

    judged: ImageSet
    trained: ImageSet
    on: str

    @classmethod
    def of(cls, run: Path, classifier: Classifier) -> OwnPictures:
        """From a run folder, or its bundle folder: those that are still there, without what was added since.

        Raises UserError where none can be had.
        """
        folder = run.parent if run.name == "bundle" and not (run / "recipe.toml").is_file() else run
        path = folder / "recipe.toml"
        if not path.is_file():
            raise UserError(
                f"{run} is a bundle without its run, but an export is checked on the run's pictures: name the run "
                "folder."
            )
        try:
            images = _of_run(Recipe.load(path), path.with_name("split.csv"))
        except (UserError, OSError) as error:
            told = str(error).rstrip(".")
            raise UserError(
                f"An export is checked on the pictures of its run, which cannot be read: {told}. If they have moved, "
                f"write where they are now as `source` under [data] in {path}."
            ) from error
        images = images.read_by(classifier.source.preprocess.white)
        trained = images.take(np.flatnonzero(images.parts != "test"))
        test = np.flatnonzero(images.parts == "test")
        return (
            cls(images.take(test), trained, "test pictures")
            if len(test)
            else cls(trained, trained, "pictures that it was fitted on")
        )


def _of_run(recipe: Recipe, parts: Path) -> ImageSet:
    """The pictures of a recipe in the parts of its run's split.csv; as the recipe divides them where there is none."""
    if not parts.is_file():
        return prepare(recipe)
    every = recipe.data.model_copy(update={"limit": None})  # of more pictures than there were, it takes others
    return left_of_split(pictures(every, recipe.seed), parts)


def spread(images: ImageSet, most: int) -> ImageSet:
    """At most so many pictures, evenly from all."""
    return images.take(np.unique(np.linspace(0, len(images) - 1, min(most, len(images))).astype(np.int64)))


def decoded(images: ImageSet) -> Iterator[tuple[int, Image.Image]]:
    """(index, picture) of those that can be used, one after the other."""
    for i in range(len(images)):
        with contextlib.suppress(Refused):
            yield i, decode(images.raw(i), images.limits)


def unresized(images: ImageSet, preprocess: Preprocess) -> ImageSet:
    """The pictures at the size of which the crop is the network's input, pixel for pixel."""
    size = _before_the_crop(preprocess)
    return from_arrays([image.resize(size) for _, image in decoded(images)], white=preprocess.white)


def exactly_resized(preprocess: Preprocess) -> tuple[int, int]:
    """The (width, height) of small pictures whose resizing needs no rounding in single precision.

    They are made 4, 2 or 1 times as large, so weights are multiples of 1/1024, and every sum is exact.
    """
    width, height = _before_the_crop(preprocess)
    times = next(times for times in (4, 2, 1) if not width % times and not height % times)
    return width // times, height // times


def _before_the_crop(preprocess: Preprocess) -> tuple[int, int]:
    """The (width, height) to which a picture of the network's aspect is resized."""
    width, height = (math.floor(side / preprocess.crop_pct + 1e-6) for side in (preprocess.width, preprocess.height))
    return width, height


def labels(images: ImageSet, classifier: Classifier) -> NDArray[np.int64]:
    """The classes (n,) of pictures as the classifier numbers them."""
    return match_classes(images.classes, classifier.classes)[images.labels]
