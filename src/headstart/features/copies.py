"""Which pictures are copies of each other, or nearly: what learnt from one must not be judged by another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

NEAR = 0.13
"""Pictures nearer to each other than this times the median distance to the nearest other picture are near copies."""
MOST = 5e10
"""Products up to which near copies are looked for: the square of the pictures times the features."""


def groups(X: NDArray[Any], twins: Sequence[tuple[int, int]] = ()) -> NDArray[np.int64]:
    """A number (n,) that copies share, by features X (n, d) and pairs of rows (later, first) of the same content.

    Rows are compared at unit length; near copies are closer than `NEAR` of the median distance to the nearest row.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    n = len(X)
    pairs = np.array(twins, dtype=np.int64).reshape(-1, 2)
    if n > 2 and float(n) ** 2 * X.shape[1] <= MOST:
        pairs = np.concatenate([pairs, _near(X, pairs[:, 0])])
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def marks(contents: NDArray[np.uint8]) -> list[bytes]:
    """What tells pictures apart: the digest of each one's content, from (n, 16)."""
    return [row.tobytes() for row in contents]


def _near(X: NDArray[Any], later: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pairs (m, 2) of rows that are near copies."""
    rows = np.setdiff1d(np.arange(len(X)), later)  # one of each content
    if len(rows) < 3:
        return np.empty((0, 2), dtype=np.int64)
    unit = X[rows].astype(np.float32)
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-12)
    blocks = [slice(start, start + 1024) for start in range(0, len(rows), 1024)]
    nearest = np.concatenate([_distances(unit, block).min(axis=1) for block in blocks])
    limit = NEAR * float(np.median(nearest))
    found = []
    for block in blocks:
        first, second = np.nonzero(_distances(unit, block) < limit)
        found.append(np.column_stack([rows[first + block.start], rows[second]]))
    return np.concatenate(found)


def _distances(unit: NDArray[np.float32], block: slice) -> NDArray[np.float32]:
    """Distances (b, n) of the rows of a block to all; infinite to itself."""
    squares = 2.0 - 2.0 * (unit[block] @ unit.T)
    squares[np.arange(len(squares)), np.arange(len(squares)) + block.start] = np.inf
    distances: NDArray[np.float32] = np.sqrt(np.maximum(squares, 0.0))
    return distances
