"""What the pictures of a set look like: which of them cannot be used, how many are grey, how large they are, and how
much of a picture is plain background. Every picture is decoded once; a sample, spread evenly, is measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError, Refused
from headstart.images.decode import decode
from headstart.images.imageset import ImageSet, Refusal
from headstart.progress import Progress
from headstart.threads import cores

CHUNK = 64  # pictures a thread takes at a time
GRID = 64  # rows and columns of a picture that are looked at, at most
SAME_GREY = 2  # levels of 255 by which the channels of a grey picture may differ: what JPEG's rounding does
SAME_COLOUR = 4  # levels of 255 within which a pixel has the border's colour


@dataclass(frozen=True)
class Looks:
    """What was seen of `images` pictures; the measures are of the `measured` ones among them that could be used.

    refused: those that cannot be used, in their order, at the indices `refused_at`
    grey_share: share of pictures without colour, whatever their file says
    height, width, side: medians in pixels, upright; `side` is of the shorter side
    constant_share: mean share of a picture's pixels that have its border's colour
    """

    images: int
    measured: int
    refused: tuple[Refusal, ...]
    refused_at: tuple[int, ...]
    grey_share: float
    height: float
    width: float
    side: float
    constant_share: float

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON values."""
        return asdict(self) | {"refused": [asdict(r) for r in self.refused], "refused_at": list(self.refused_at)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Looks:
        """Read `to_dict`'s result; raises KeyError or TypeError for anything else."""
        refused = tuple(Refusal(**refusal) for refusal in values["refused"])
        return cls(**{**values, "refused": refused, "refused_at": tuple(values["refused_at"])})


class _Measures(NamedTuple):
    grey: bool
    height: int
    width: int
    constant: float


def look_at(images: ImageSet, sample: int = 500, progress: Progress | None = None) -> Looks:
    """Decode every picture of the set in threads, and measure `sample` of them, spread evenly over the set.

    Raises `DataError` when none of those to be measured can be used.
    """
    chosen = frozenset(np.linspace(0, len(images) - 1, min(sample, len(images))).astype(int).tolist())
    refused: list[tuple[int, Refusal]] = []
    measured: list[_Measures] = []
    starts = range(0, len(images), CHUNK)
    with ThreadPoolExecutor(cores()) as pool:
        for start, (bad, good) in zip(starts, pool.map(lambda s: _look(images, s, chosen), starts), strict=True):
            refused += bad
            measured += good
            if progress is not None:
                progress("look", min(start + CHUNK, len(images)), len(images))
    if not measured:
        why = f"{images.title}: none of the {len(chosen)} pictures looked at can be used{_first(refused)}."
        raise DataError(why, [refusal for _, refusal in refused])
    return _summary(len(images), refused, measured)


def _look(images: ImageSet, start: int, chosen: frozenset[int]) -> tuple[list[tuple[int, Refusal]], list[_Measures]]:
    """The refused pictures of one chunk with their indices, and the measures of the chosen ones in it."""
    refused, measured = [], []
    for i in range(start, min(start + CHUNK, len(images))):
        try:
            image = decode(images.raw(i), images.limits)
        except Refused as error:
            refused.append((i, Refusal(images.names[i], error.reason, error.detail)))
            continue
        if i in chosen:
            pixels = np.asarray(image)
            measured.append(_Measures(is_grey(pixels), image.height, image.width, constant_share(pixels)))
    return refused, measured


def _first(refused: list[tuple[int, Refusal]]) -> str:
    return f"; the first: {refused[0][1].name} ({refused[0][1].reason})" if refused else ""


def _summary(n: int, refused: list[tuple[int, Refusal]], measured: list[_Measures]) -> Looks:
    grey, height, width, constant = (np.array(column, np.float64) for column in zip(*measured, strict=True))
    return Looks(
        images=n,
        measured=len(measured),
        refused=tuple(refusal for _, refusal in refused),
        refused_at=tuple(i for i, _ in refused),
        grey_share=float(grey.mean()),
        height=float(np.median(height)),
        width=float(np.median(width)),
        side=float(np.median(np.minimum(height, width))),
        constant_share=float(constant.mean()),
    )


def is_grey(pixels: NDArray[np.uint8]) -> bool:
    """Whether a picture uint8 (h,w[,3]) has no colour: its channels agree within 2 levels on a grid of its pixels."""
    if pixels.ndim == 2:
        return True
    channels = np.ascontiguousarray(np.moveaxis(on_grid(pixels), 2, 0))  # `max(axis=2)` takes ten times as long
    spread = channels.max(axis=0) - channels.min(axis=0)
    return bool((spread <= SAME_GREY).all())


def constant_share(pixels: NDArray[np.uint8]) -> float:
    """Share of a picture uint8 (h,w[,3]) within 4 levels, in every channel, of the colour of its border.

    That colour is the median of the outermost ring of pixels. Pixels count wherever they lie, joined to the border or
    not, on a grid of at most 64 x 64 of them; so a picture of noise has a small share, one without content 1.
    """
    channels = pixels.reshape(*pixels.shape[:2], -1)
    ring = [channels[0], channels[-1], channels[1:-1, 0], channels[1:-1, -1]]
    border = np.median(np.concatenate(ring), axis=0)
    near: NDArray[np.bool_] = (np.abs(on_grid(channels) - border) <= SAME_COLOUR).all(axis=2)
    return float(near.mean())


def on_grid(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """At most 64 rows and 64 columns of a picture, spread evenly from edge to edge; no pixel is mixed with another."""
    rows, columns = (np.linspace(0, side - 1, min(side, GRID)).round().astype(int) for side in pixels.shape[:2])
    grid: NDArray[np.uint8] = pixels.take(rows, axis=0).take(columns, axis=1)
    return grid
