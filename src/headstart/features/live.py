"""Rows computed when they are asked for: where views are fresh every epoch, or too many to be stored."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.engines import Picture
from headstart.errors import DataError, Refused
from headstart.features.extract import Extractor
from headstart.images import ImageSet, digest
from headstart.views import View, Views


class LiveRows:
    """The rows that an extractor makes of n pictures, and of their views: (n * (1 + views), d), the plain ones first.

    With `fresh`, there are n rows and each is of another view in every epoch: view number = epoch, 0 the plain picture.
    """

    def __init__(self, images: ImageSet, extractor: Extractor, views: Views, *, fresh: bool = False) -> None:
        self.images = images.read_by(extractor.source.preprocess.white)
        self.extractor, self.views, self.fresh = extractor, views, fresh

    def __len__(self) -> int:
        return len(self.images) * (1 if self.fresh else 1 + len(self.views))

    def take(self, indices: NDArray[np.int64], epoch: int) -> NDArray[Any]:
        """(b, d) rows. Raises DataError when a picture cannot be read any more."""
        n = len(self.images)
        asked = [(int(i) % n, epoch if self.fresh else int(i) // n) for i in indices]
        pictures = np.stack(list(self.extractor.pool.map(self._picture, asked)))
        rows: NDArray[Any] = self.extractor.engine.run(pictures)
        return rows

    def _picture(self, asked: tuple[int, int]) -> Picture:
        i, number = asked
        view = View(self.views.augment, self.views.seed, number) if number else None
        try:
            raw = self.images.raw(i)
            source = replace(self.extractor.source, view=view)
            return source.picture(source.decode(raw, self.images.limits), digest(raw))
        except Refused as refused:
            name = self.images.names[i]
            raise DataError(
                f"{name} was changed while it was read ({refused.reason}); start the command again."
            ) from refused
