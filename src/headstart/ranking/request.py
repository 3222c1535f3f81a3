"""What to rank: backbones, and the labelled pictures that they are judged on."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from headstart.backbones.spelling import Spelled
from headstart.errors import DataError
from headstart.images import ImageSet, load, select
from headstart.images.options import Reading
from headstart.recipe import Recipe


@dataclass(frozen=True)
class RankingRequest:
    """What to rank: `data` as `fit` takes it, backbones as `spelling.parse` gives them.

    Backbones that nobody named, but were `found_here`, are left out where no library knows them, and where they are
    others under a second name.
    """

    data: str
    backbones: tuple[Spelled, ...]
    limit: int | None = None
    image_size: int | None = None
    seed: int = 0
    folds: int = 5
    engine: str = "auto"
    device: str = "auto"
    found_here: bool = False
    reading: Reading = field(default_factory=Reading)
    """How to read the data, as `images.load` takes it."""

    def recipe(self, method: str = "features", spelled: Spelled | None = None) -> Recipe:
        """The recipe whose features a backbone is judged by."""
        return Recipe.from_dict(
            {
                "method": method,
                "seed": self.seed,
                "data": {"source": self.data},
                "backbone": {**(spelled or {}), "image_size": self.image_size if spelled else None},
                "engine": {"name": self.engine, "device": self.device},
            },
            "",
        )


def pictures(request: RankingRequest) -> tuple[ImageSet, int]:
    """The labelled pictures outside the test part, at most `limit`, and the number of those in the test part."""
    images = load(request.data, allow_empty_classes=True, **request.reading)
    test = images.parts == "test"
    images = select(images.take(~test & (images.labels >= 0)), limit=request.limit, seed=request.seed)
    if len(np.unique(images.labels)) < 2:
        raise DataError(f"{images.title} has labelled pictures of fewer than two classes outside its test part.")
    return images, int(test.sum())
