"""Rows computed when they are asked for: where views are fresh every epoch, or too many to be stored."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.augment import View, Views
from headstart.engines import Engine, Picture
from headstart.errors import DataError, Refused
from headstart.features.extract import FeatureSource
from headstart.images import ImageSet, decode, digest


class LiveRows:
    """The rows that `source` makes of n pictures, and of their views: (n * (1 + views), d), the plain ones first.

    With `fresh`, there are n rows and each is of another view in every epoch: view number = epoch, 0 the plain picture.
    """

    def __init__(self, images: ImageSet, source: FeatureSource, views: Views, *, fresh: bool = False) -> None:
        self.images = images.read_by(source.preprocess.white)
        self.source, self.views, self.fresh = source, views, fresh

    def __len__(self) -> int:
        return len(self.images) * (1 if self.fresh else 1 + len(self.views))

    def take(self, indices: NDArray[np.int64], epoch: int) -> NDArray[Any]:
        """(b, d) rows. Raises DataError when a picture cannot be read any more."""
        n = len(self.images)
        asked = [(int(i) % n, epoch if self.fresh else int(i) // n) for i in indices]
        rows: NDArray[Any] = self._engine.run(np.stack(list(self._pool.map(self._picture, asked))))
        return rows

    def _picture(self, asked: tuple[int, int]) -> Picture:
        i, number = asked
        view = View(self.views.augment, self.views.seed, number) if number else None
        try:
            raw = self.images.raw(i)
            return replace(self.source, view=view).picture(decode(raw, self.images.limits), digest(raw))
        except Refused as refused:
            name = self.images.names[i]
            raise DataError(
                f"{name} was changed while it was read ({refused.reason}); start the command again."
            ) from refused

    def open(self) -> None:
        """Open the engine now, and not with the first rows."""
        self._engine  # noqa: B018 (a cached property)

    @cached_property
    def _engine(self) -> Engine:
        return self.source.open()

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="decode")
