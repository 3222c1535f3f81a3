"""The training pictures that are nearest to a picture in the features its class was decided on.

Cosine similarity of features brought to length 1. A run folder lists the pictures its classifier was fitted on
(`fitted_on.csv`: name, class, digest of the content), so their features come from the feature store without a look at
the files; what the store lacks is computed again from the files, where these are still there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from headstart import records
from headstart.classifier import Classifier
from headstart.division import pictures
from headstart.errors import Refused, UserError
from headstart.features.extract import Extractor, Settings
from headstart.features.source import FeatureSource
from headstart.features.store import FeatureStore
from headstart.images import ImageSet, decode, digest
from headstart.progress import Progress, silent
from headstart.recipe import Recipe

FILE = "fitted_on.csv"
COLUMNS = ("name", "label", "content")
Rows = NDArray[np.float32]


class Neighbour(NamedTuple):
    """A training picture, its class, and the cosine similarity of its features, from -1 to 1."""

    name: str
    label: str
    similarity: float


@dataclass(frozen=True, eq=False)
class TrainingPictures:
    """The n pictures that a classifier was fitted on.

    `rows` (n, d) float32 are their features, each row of length 1; `contents` are the digests of the files. `images`
    can read them; None where they are gone.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    rows: Rows
    contents: tuple[bytes, ...] = ()
    images: ImageSet | None = None

    @cached_property
    def seen(self) -> frozenset[bytes]:
        """The digests, to ask whether a picture is among them."""
        return frozenset(self.contents)

    def nearest(
        self, features: NDArray[np.floating[Any]], k: int = 3, without: Sequence[bytes | None] = ()
    ) -> list[list[Neighbour]]:
        """For each of m rows of features (m, d), raw ones of the head's layer, the k nearest, the nearest first.

        `without` are the digests of the m pictures, so that a training picture is not its own neighbour.

        >>> known = TrainingPictures(("a", "b"), ("cat", "dog"), np.eye(2, dtype=np.float32))
        >>> known.nearest(np.array([[3.0, 4.0]]), k=1)
        [[Neighbour(name='b', label='dog', similarity=0.8)]]
        """
        similar = unit(features) @ self.rows.T
        found = []
        for i, row in enumerate(similar):
            if i < len(without) and without[i] in self.seen:
                row[[content == without[i] for content in self.contents]] = -np.inf
            order = [j for j in np.argsort(-row, kind="stable")[:k].tolist() if np.isfinite(row[j])]
            found.append([Neighbour(self.names[j], self.labels[j], round(float(row[j]), 4)) for j in order])
        return found

    def picture(self, name: str, preview: int) -> Image.Image | None:
        """A training picture to be shown at so many pixels; None where it cannot be read, or is another by now."""
        if self.images is None or name not in self.images.places:
            return None
        try:
            raw = self.images.raw(self.images.places[name])
            same = not self.contents or digest(raw) == self.contents[self.names.index(name)]
            return decode(raw, self.images.limits, preview=preview) if same else None
        except Refused:
            return None


def unit(features: NDArray[np.floating[Any]]) -> Rows:
    """Rows (n, d) float32 of length 1; a row of zeros stays."""
    rows: Rows = np.array(features, dtype=np.float32)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    length[length == 0] = 1
    rows /= length
    return rows


def write(images: ImageSet, contents: NDArray[np.uint8], folder: Path) -> None:
    """Write the list of pictures that a classifier was fitted on. `contents` (n, 16) are the digests of the files."""
    rows = (
        (name, images.classes[k], bytes(content).hex())
        for name, k, content in zip(images.names, images.labels, contents, strict=True)
    )
    records.write_csv(folder / FILE, COLUMNS, rows)


def training_pictures(
    run: Path, classifier: Classifier, settings: Settings, progress: Progress = silent
) -> TrainingPictures:
    """The pictures that a run's classifier was fitted on. Raises UserError where the run does not say which they are.

    Features that the store lacks are computed from the pictures; without these, UserError.
    """
    listed, recipe = _listed(run), Recipe.load(run / "recipe.toml")
    images, why = _images(recipe, classifier.source, [name for name, _, _ in listed])
    rows = _stored(classifier.source, settings, recipe.data.max_pixels, [content for _, _, content in listed])
    if rows is not None:
        names, labels, contents = (tuple(column) for column in zip(*listed, strict=True))
        return TrainingPictures(names, labels, unit(rows), contents, images)
    if images is None:
        raise UserError(f"The nearest training pictures are not known: their features are not stored, and {why}")
    with Extractor(classifier.source, settings) as extractor:
        done = extractor.extract(images, progress)
    images = images.take(done.kept)
    labels = tuple(images.classes[k] for k in images.labels)
    return TrainingPictures(images.names, labels, unit(done.features), tuple(map(bytes, done.contents)), images)


def _listed(run: Path) -> list[tuple[str, str, bytes]]:
    """Name, class and digest of each picture. Raises UserError for a bundle alone, an older run, or a damaged file."""
    file = run / FILE
    if not file.is_file():
        raise UserError(f"{run} does not list the pictures it was fitted on ({FILE}): fit again to see the nearest.")
    try:
        rows = records.read_csv(file, "surrogateescape")
        header = next(rows, [])
        if tuple(header) != COLUMNS:
            raise ValueError(f"its columns are {', '.join(header)[:80]}")
        whole = list(rows)
        if short := next((row for row in whole if len(row) != len(COLUMNS)), None):
            raise ValueError(f"a line has {len(short)} of {len(COLUMNS)} columns: the file was cut off or changed")
        found = [(name, label, bytes.fromhex(content)) for name, label, content in whole]
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read ({error}): fit again to see the nearest training pictures.") from error
    if not found:
        raise UserError(f"{file} lists no picture: fit again to see the nearest training pictures.")
    return found


def _images(recipe: Recipe, source: FeatureSource, names: list[str]) -> tuple[ImageSet | None, str]:
    """The listed pictures of the recipe's data, or None and why they cannot be had."""
    try:
        images = pictures(recipe.data, recipe.seed)
    except (UserError, OSError) as error:
        return None, str(error)
    found = [images.places[name] for name in names if name in images.places]
    if not found:
        return None, f"{recipe.data.source} no longer holds any of them."
    return images.take(np.array(found)).read_by(source.preprocess.white), ""


def _stored(
    source: FeatureSource, settings: Settings, max_pixels: int, contents: Sequence[bytes]
) -> NDArray[np.float32] | None:
    """The features (n, d) of all contents from the store; None where one is missing."""
    if settings.store is None:
        return None
    found = []
    with FeatureStore.open(settings.store, {**source.space(), "max_pixels": max_pixels}) as store:
        for content in contents:
            row = store.get(content)
            if row is None:
                return None
            found.append(row)
    return np.stack(found)
