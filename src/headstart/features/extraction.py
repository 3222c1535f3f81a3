"""What an extraction comes to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from headstart.features.copies import Copies
from headstart.images import Refusal
from headstart.images.sketch import Sketches

DIGEST = 16  # bytes of a content's digest


@dataclass
class Counts:
    """What happened to the pictures: `images = computed + reused + repeated + refused`.

    `repeated` pictures have the content of another one of this extraction and share its row; `decoded` is the number of
    pictures that were decoded; `corrupt` the stored rows that failed their checksum and were computed again.
    """

    images: int = 0
    computed: int = 0
    reused: int = 0
    repeated: int = 0
    refused: int = 0
    decoded: int = 0
    corrupt: int = 0


@dataclass
class Extraction:
    """`features` (m, d) float32 (uint8 for pixels as a network's input) of the pictures `kept` (m,) int64.

    `kept` are indices into the image set, in its order. The seconds are those of threads in `decode_s` and of requests
    in `infer_s`, added up; `open_s` is the engine's start within `wall_s`.
    """

    features: NDArray[np.float32]
    kept: NDArray[np.int64]
    refused: tuple[Refusal, ...]
    counts: Counts
    decode_s: float
    infer_s: float
    open_s: float
    wall_s: float
    notes: tuple[str, ...] = ()
    contents: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, DIGEST), np.uint8))
    """(m, 16): the digest of each picture's content."""
    sketches: Sketches | None = None
    """Of the m pictures, where `Settings.sketches` asked for them."""
    copies: Copies = field(default_factory=Copies.none)
    """Which of the m pictures are copies of each other; near copies are found by the sketches."""

    def reordered(self, order: NDArray[np.int64]) -> Extraction:
        """Of the rows at `order` (m,), in that order."""
        features, kept, contents = self.features[order], self.kept[order], self.contents[order]
        sketches = None if self.sketches is None else self.sketches.take(order)
        copies = self.copies.reordered(order)
        return replace(self, features=features, kept=kept, contents=contents, sketches=sketches, copies=copies)

    @property
    def images_per_s(self) -> float:
        """Pictures per second of wall time, without the time to open the engine."""
        return self.counts.images / max(self.wall_s - self.open_s, 1e-9)
