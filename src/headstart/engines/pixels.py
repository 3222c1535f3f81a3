"""The engine of the raw-pixel arm: the preprocessed picture itself is the feature vector."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from headstart.engines import Picture, Row, Tag, collect


class PixelEngine:
    """Pixels as features: (h, w, c) uint8 -> (h * w * c,) float32 in 0..1, row by row of the picture."""

    busy_s = 0.0

    def stream(self, pictures: Iterable[tuple[Tag, Picture]]) -> Iterator[tuple[Tag, Row]]:
        """See `Engine.stream`."""
        for tag, picture in pictures:
            yield tag, picture.reshape(-1).astype(np.float32) / np.float32(255)

    def run(self, batch: Picture) -> Row:
        """See `Engine.run`."""
        return collect(self, batch)
