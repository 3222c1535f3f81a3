"""What an engine is, and what it takes and gives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from headstart.errors import UserError

Picture = NDArray[np.uint8]
Row = NDArray[Any]
"""(d,) float32 features, or uint8 pixels."""
Tag = TypeVar("Tag")


class Engine(Protocol):
    """A compiled, frozen backbone. `busy_s` counts the seconds its requests took, added up over those in parallel."""

    busy_s: float

    def stream(self, pictures: Iterable[tuple[Tag, Picture]]) -> Iterator[tuple[Tag, Row]]:
        """Take (tag, (h, w, c) uint8) as they come and give (tag, (d,) float32) as they are done, in any order.

        Pulls only as many pictures as it has room for, so memory stays constant whatever the number of pictures.
        """
        ...

    def run(self, batch: Picture) -> Row:
        """Features of a batch: (b, h, w, c) uint8 -> (b, d) float32, rows in the order of the batch."""
        rows = dict(self.stream(enumerate(batch)))
        if not rows:
            raise UserError("An empty batch has no features: give at least one picture.")
        return np.stack([rows[i] for i in range(len(batch))])
