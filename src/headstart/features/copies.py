"""Which pictures are copies of each other, or nearly: what learnt from one must not be judged by another.

Copies have the same content or the same pixels. Near copies show the same scene: saved again, resized, cropped a
little, mirrored, a frame later. They are told by how the pictures look when small (`images.sketch`), not by features
of a network: which network is asked must not decide who is a copy, and many see a picture and its mirror image as two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from headstart.images.sketch import SIDE, Sketches
from headstart.threads import map_all, single_threaded_blas

NEAR = 0.3
"""Near copies are nearer to each other than this times the distance from either to its `NEIGHBOUR`-th neighbour."""
NEIGHBOUR = 20
"""So bursts of up to as many pictures are found; with few pictures it is a twentieth of them, at least 3."""
FAR = 0.4
"""Near copies are never farther apart: at length 1, so this is a correlation of 0.92."""
MOST = 20_000
"""Pictures up to which a fit looks for near copies along the way: every one is compared with every other."""
COMPARED = 40_000
"""Pictures up to which near copies are looked for at all: minutes."""
LARGEST = 5
"""A group of near copies of more than a fifth of all pictures is none: the pictures are alike, not the same."""
_CELLS = 8, 16  # cells a side in which candidates are looked for, and in which they are compared
_ZOOMS = {1.0: 1, 0.95: 3, 0.9: 3}  # parts of a side that a crop may have left: places along a side where it is tried
_FINE_ZOOMS = {0.975: 5, 0.95: 5, 0.925: 5, 0.9: 5}  # the same where a pair is nearly near enough
_HOPEFUL = 0.65  # of the usual distance: what is farther apart, before it is laid over each other, is no candidate
_CLOSE = 1.5  # times `NEAR`: up to which a pair is laid over each other once more, in finer steps
_FLAT = 6.0  # levels of 255: the deviation of a thumbnail below which it shows nothing to compare
Rows = NDArray[np.float32]
Codes = NDArray[np.int64]
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Copies:
    """Numbers (n,) that copies share: `same` by content or pixels, `near` also by looks.

    `together` is what must stay on one side of a split: near copies, and what the data say belongs together.

    `pairs` (m, 2) are near copies that are not the same, `distances` (m,) as shares of what is usual in the data.
    """

    same: Codes
    near: Codes
    pairs: Codes
    distances: NDArray[np.float64]
    together: Codes

    @classmethod
    def none(cls) -> Copies:
        """Of no pictures."""
        none = np.zeros(0, np.int64)
        return cls(none, none, np.zeros((0, 2), np.int64), np.zeros(0), none)

    def reordered(self, order: Codes) -> Copies:
        """Of the pictures at `order` (m,), in that order; groups are numbered anew, without gaps."""
        place = np.full(len(self.same), -1)
        place[order] = np.arange(len(order))
        pairs = place[self.pairs]
        there = (pairs >= 0).all(axis=1)
        same, near, together = (
            np.unique(group[order], return_inverse=True)[1].reshape(-1)
            for group in (self.same, self.near, self.together)
        )
        return Copies(same, near, pairs[there], self.distances[there], together)


def led(group: Codes) -> Codes:
    """Pairs (m, 2) of each member of a group but the first, and the first."""
    first, number = np.unique(group, return_index=True, return_inverse=True)[1:]
    pairs = np.column_stack([np.arange(len(group)), first[number.reshape(-1)]])
    return np.asarray(pairs[pairs[:, 0] != pairs[:, 1]])


def repeated(group: Codes) -> NDArray[np.bool_]:
    """Which pictures (n,) share their group with another."""
    return np.asarray(np.bincount(group, minlength=1)[group] > 1)


def find(contents: NDArray[np.uint8], sketches: Sketches | None, groups: Codes | None = None) -> Copies:
    """Copies among n pictures, by digests of their content (n, 16) and, where there are some, by their sketches.

    `groups` are numbers (n,) of what the data say belongs together.
    """
    found = _found(contents, sketches)
    if groups is None:
        return found
    return replace(found, together=joined(len(groups), np.concatenate([_chained(found.near), _chained(groups)])))


def _found(contents: NDArray[np.uint8], sketches: Sketches | None) -> Copies:
    n = len(contents)
    same = numbered(contents)
    empty = np.zeros((0, 2), np.int64), np.zeros(0)
    if sketches is None:
        return Copies(same, same, *empty, same)
    same = joined(n, np.concatenate([_chained(same), _chained(numbered(sketches.pixels))]))
    first = np.unique(same, return_index=True)[1]  # one of each content
    sharp = np.minimum(sketches.facts["height"], sketches.facts["width"]) >= SIDE
    pairs, distances = near(sketches.thumbs[first], sharp[first]) if len(first) <= COMPARED else empty
    pairs = first[pairs]
    group = joined(n, np.concatenate([_chained(same), pairs]))
    sizes = np.bincount(group)
    alike = sizes[group] > max(NEIGHBOUR, n / LARGEST)
    if alike.any():
        kept = ~alike[pairs[:, 0]] if len(pairs) else np.zeros(0, bool)
        pairs, distances = pairs[kept], distances[kept]
        group = joined(n, np.concatenate([_chained(same), pairs]))
    return Copies(same, group, pairs, distances, group)


def marks(contents: NDArray[np.uint8]) -> list[bytes]:
    """What tells pictures apart: the digest of each one's content, from (n, 16)."""
    return [row.tobytes() for row in contents]


def numbered(digests: NDArray[np.uint8]) -> Codes:
    """A number (n,) for each distinct row (n, 16), in the order of their first places."""
    whole = np.ascontiguousarray(digests).view(np.dtype((np.void, digests.shape[1]))).ravel()
    _, first, inverse = np.unique(whole, return_index=True, return_inverse=True)
    order: Codes = np.argsort(np.argsort(first))[inverse].astype(np.int64)
    return order


def joined(n: int, pairs: NDArray[np.int64] | Sequence[tuple[int, int]]) -> Codes:
    """A number (n,) that pictures share which pairs (m, 2) connect, directly or over others; groups as they begin.

    Union-find (Tarjan 1975, path halving): SciPy's graphs would take longer to be imported than this does.
    """
    first = list(range(n))  # a picture of the same group that comes before it, or itself

    def earliest(i: int) -> int:
        while first[i] != i:
            first[i] = i = first[first[i]]
        return i

    for one, other in np.asarray(pairs, np.int64).reshape(-1, 2).tolist():
        low, high = sorted((earliest(one), earliest(other)))
        first[high] = low
    group: Codes = np.unique([earliest(i) for i in range(n)], return_inverse=True)[1].astype(np.int64)
    return group


def _chained(group: Codes) -> Codes:
    """Pairs (m, 2) that connect the members of each group."""
    order = np.argsort(group, kind="stable")
    alike = group[order][1:] == group[order][:-1]
    return np.column_stack([order[:-1][alike], order[1:][alike]])


def near(thumbs: NDArray[np.uint8], sharp: NDArray[np.bool_]) -> tuple[Codes, NDArray[np.float64]]:
    """Pairs (m, 2) of thumbnails (n, s, s, 3) that are near copies, and how near, 0 to `NEAR`.

    `sharp` (n,) are thumbnails of pictures that were no smaller: they can be laid over each other in finer steps.

    Each picture is compared with those most like it, as they are and mirrored, whole and with a little cut off. Their
    distance counts as a share of that to the picture's `NEIGHBOUR`-th neighbour: what is near in pictures of
    handwritten ones would be far in photos.
    """
    n = len(thumbs)
    if n < 3:
        return np.zeros((0, 2), np.int64), np.zeros(0)
    grey = bool((thumbs == thumbs[..., :1]).all())
    floats = (thumbs[..., :1] if grey else thumbs).astype(np.float32)  # equal channels have the products of one
    coarse, mirrored, shows = map(np.concatenate, zip(*_in_threads(_seen, floats, 256), strict=True))
    most = min(int(np.clip(n // 20, 3, NEIGHBOUR)), n - 1)

    def hopeful(rows: Codes) -> tuple[NDArray[np.float64], Codes]:
        """The usual distance of each row, and the pairs of a row and one that is hopefully near."""
        best = np.maximum(coarse[rows] @ coarse.T, coarse[rows] @ mirrored.T)
        best[np.arange(len(rows)), rows] = -1.0
        least = np.partition(best, n - most, axis=1)[:, n - most]
        usual = _distance(least)
        first, second = np.divmod(np.flatnonzero(best > least[:, None]), n)  # `nonzero` takes four times as long
        near = _distance(best[first, second]) < _HOPEFUL * usual[first]
        return usual, np.column_stack([rows[first[near]], second[near]])

    usuals, found = zip(*_in_threads(hopeful, np.arange(n), 512), strict=True)
    usual = np.concatenate(usuals)
    pairs = np.unique(np.sort(np.concatenate(found), axis=1), axis=0)
    pairs = pairs[shows[pairs].all(axis=1)]
    usually = np.maximum(np.minimum(usual[pairs[:, 0]], usual[pairs[:, 1]]), 1e-9)
    apart = _apart(floats, pairs, _ZOOMS)
    again = (apart >= NEAR * usually) & (apart < _CLOSE * NEAR * usually) & sharp[pairs].all(axis=1)
    apart[again] = np.minimum(apart[again], _apart(floats, pairs[again], _FINE_ZOOMS))
    share = apart / usually
    kept = (share < NEAR) & (apart < FAR)
    return pairs[kept], share[kept]


def _in_threads(function: Callable[[Any], T], rows: NDArray[Any], block: int) -> list[T]:
    """`function` of every block of rows, in their order."""
    blocks = [rows[start : start + block] for start in range(0, len(rows), block)]
    with single_threaded_blas():
        return map_all(function, blocks)


def _seen(floats: Rows) -> tuple[Rows, Rows, NDArray[np.bool_]]:
    """Thumbnails in cells, the same mirrored, and whether they show anything."""
    cells, mirrored = (_unit(_cut(side, _CELLS[0], 0.0, 1.0, 0.0, 1.0)) for side in (floats, floats[:, :, ::-1]))
    return cells, mirrored, _deviation(floats).max(axis=1) > _FLAT


def _deviation(floats: Rows) -> NDArray[np.float64]:
    """The standard deviation (n, c) of each channel by products of whole numbers: exact, at a fifth of `std`'s time."""
    n, channels = len(floats), floats.shape[-1]
    centred = floats.reshape(n, -1, channels) - np.float32(128)
    one = np.ones((1, centred.shape[1]), np.float32)
    mean, square = ((one @ each)[:, 0].astype(np.float64) / centred.shape[1] for each in (centred, np.square(centred)))
    return np.asarray(np.sqrt(np.maximum(square - np.square(mean), 0)))


def _apart(floats: Rows, pairs: Codes, zooms: Mapping[float, int]) -> NDArray[np.float64]:
    """Distances (m,) of the pictures of each pair where they are laid over each other in the best way that is tried."""
    least = np.full(len(pairs), 2.0)
    if not len(pairs):
        return least
    used, place = np.unique(pairs, return_inverse=True)
    first, second = place.reshape(-1, 2).T
    floats = floats[used]
    whole = _unit(_cut(floats, _CELLS[1], 0.0, 1.0, 0.0, 1.0))
    for seen in (floats, floats[:, :, ::-1]):
        for zoom, places in zooms.items():
            offsets = np.linspace(0.0, 1 - zoom, places)
            for top in offsets:
                for left in offsets:
                    part = _unit(_cut(seen, _CELLS[1], top, top + zoom, left, left + zoom))
                    for a, b in ((first, second), (second, first)):
                        least = np.minimum(least, _distance(np.einsum("ij,ij->i", whole[a], part[b])))
    return least


def _distance(products: NDArray[np.float32]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.sqrt(np.maximum(2.0 - 2.0 * products.astype(np.float64), 0.0))
    return found


def _cut(floats: Rows, cells: int, top: float, bottom: float, left: float, right: float) -> Rows:
    """A part of thumbnails (n, s, s, 3), its ends as shares of the sides, averaged into cells: (n, cells, cells, 3)."""
    rows, columns = _averages(top, bottom, cells), _averages(left, right, cells)
    n, side, _, channels = floats.shape
    flat: Rows = rows @ floats.reshape(n, side, side * channels)
    found: Rows = columns @ flat.reshape(n, cells, side, channels)
    return found


@cache
def _averages(start: float, end: float, cells: int) -> Rows:
    """The weights (cells, s) of a side's pixels in each cell of the part between two ends."""
    edges = np.linspace(start, end, cells + 1) * SIDE
    pixels = np.arange(SIDE)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    weights = np.maximum(overlap, 0.0)
    found: Rows = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return found


def _unit(cells: Rows) -> Rows:
    """(n, c, c, 3) -> (n, 3 c c) of length 1, without each channel's mean: brightness and contrast do not count."""
    plain = cells - cells.mean(axis=(1, 2), keepdims=True)
    flat = plain.reshape(len(cells), -1)
    found: Rows = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
    return found
