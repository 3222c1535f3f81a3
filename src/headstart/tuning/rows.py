"""The body's input for every picture: stored, or computed when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headstart.division import keep_together
from headstart.features.copies import MOST
from headstart.features.extract import Extractor, Settings, extract
from headstart.features.extraction import Extraction
from headstart.features.live import LiveRows
from headstart.features.source import FeatureSource
from headstart.features.views import ViewExtractor
from headstart.images import ImageSet
from headstart.images.parts import part_rows
from headstart.images.usable import keep_usable
from headstart.progress import Progress
from headstart.recipe import Recipe
from headstart.tuning.training_split import TrainingSplit
from headstart.views import NO_VIEWS, Views

if TYPE_CHECKING:
    from headstart.training.batches import Rows

SEEN = "seen"


@dataclass(frozen=True)
class TrainingRows:
    """`images` are the n that could be used; `plain` has a row for each, `train` those of the training part.

    `train_labels` (m,) belong to the rows of `train`: those of the plain pictures, then those of every stored view.
    """

    images: ImageSet
    extraction: Extraction
    plain: Rows
    train: Rows
    train_labels: NDArray[np.int64]
    stored_bytes: int
    views: ViewExtractor
    notes: tuple[str, ...] = ()
    varied: Views = NO_VIEWS


def training_rows(
    split: TrainingSplit, images: ImageSet, views: Views, settings: Settings, recipe: Recipe, progress: Progress
) -> TrainingRows:
    """Run the trunk once over all pictures and the stored views of the training part.

    Where that would take more than the recipe's `disk_gb`, or views are to be fresh in every epoch, it runs when rows
    are asked for; fresh views of stored pictures are drawn from those where their transforms allow it.
    """
    from headstart.features.varied import Varied, can_vary  # these import torch
    from headstart.training.batches import StoredRows

    fresh = bool(views.augment.steps) and not len(views)
    n_train = int((images.parts == "train").sum())
    wanted = split.row_bytes * (len(images) + n_train * len(views))
    disk_gb = recipe.training.disk_gb
    fits = wanted <= disk_gb * 1e9
    extractor = Extractor(split.rows, settings)
    if fits:
        extraction = extractor.extract(images, progress, sketches=MOST)
    else:
        seen = FeatureSource(split.rows.preprocess, layer=SEEN)
        extraction = extract(images, seen, replace(settings, store=None), progress, sketches=MOST)
    images, extraction = keep_together(keep_usable(images, extraction.kept, extraction.refused), extraction, recipe)
    training = images.take(images.parts == "train")
    drawn = ViewExtractor(extractor, progress)
    plain: Rows = StoredRows(extraction.features) if fits else LiveRows(images, extractor, NO_VIEWS)
    train: Rows
    if fresh and fits and split.whole and can_vary(views.augment):
        channels, height, width = split.shapes[0]
        own = extraction.features[part_rows(images)["train"]]
        train = Varied(own, (height, width, channels), views.augment, views.seed)
    elif fresh or not fits:
        train = LiveRows(training, extractor, views, fresh=fresh)
    else:
        own = extraction.features[part_rows(images)["train"]]
        train = StoredRows(drawn.beside(own, training, views) if len(views) else own)
    if isinstance(plain, LiveRows) or isinstance(train, LiveRows):
        extractor.engine  # noqa: B018 (opened here and now: a network is traced while no other thread trains)
    labels = np.tile(training.labels, 1 + len(views))
    return TrainingRows(
        images, extraction, plain, train, labels, wanted if fits else 0, drawn, _notes(wanted, disk_gb, fits), views
    )


def _notes(wanted: int, disk_gb: float, fits: bool) -> tuple[str, ...]:
    if fits:
        return ()
    return (
        f"Storing the frozen part's output would take {wanted / 1e9:.2g} GB, more than disk_gb = {disk_gb:g} allows, "
        "so pictures were read and the frozen part was run again in every epoch.",
    )
