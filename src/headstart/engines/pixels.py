"""The engines without a network: the preprocessed picture itself is the row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from headstart.engines.base import Engine, Picture, Row, Tag

ROWS: dict[str, Callable[[Picture], Row]] = {
    "pixels": lambda picture: picture.reshape(-1).astype(np.float32) / np.float32(255),
    "input": lambda picture: picture.reshape(-1),
    "seen": lambda picture: np.zeros(1, dtype=np.uint8),
}
"""`pixels`: float32 in 0..1 for a head. `input`: uint8, what a network that is trained whole is given.

`seen` keeps nothing: it says only which pictures can be used.
"""


class PixelEngine(Engine):
    """Pixels as rows: (h, w, c) uint8 -> (h * w * c,), row by row of the picture; see `ROWS`."""

    busy_s = 0.0

    def __init__(self, kind: str = "pixels") -> None:
        self._row = ROWS[kind]

    def stream(self, pictures: Iterable[tuple[Tag, Picture]]) -> Iterator[tuple[Tag, Row]]:
        """See `Engine.stream`."""
        for tag, picture in pictures:
            yield tag, self._row(picture)
