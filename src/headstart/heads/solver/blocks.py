"""Row blocks on all cores: each thread multiplies with a single-threaded BLAS, so sums do not depend on the machine.

BLAS's own threads wait in busy loops, which on a shared or small machine costs several times the work itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from headstart.threads import map_all

Features = NDArray[np.float64] | NDArray[np.float32]
T = TypeVar("T")
BLOCK = 4096
BLOCK_BYTES = 16 * 2**20
VERY_LARGE = 2**29
"""Numbers in a matrix, 2 GiB as float32, from which it may lie in a mapped file: no copy of it is made."""
SMALL = 2**20  # numbers in a matrix below which threads cost more than they bring


class Taken:
    """Some rows of a matrix (n, d) that is too large to be copied; each is fetched when it is asked for."""

    def __init__(self, X: Features, rows: NDArray[np.int64]) -> None:
        self.X, self.rows = X, rows
        self.shape = (len(rows), X.shape[1])
        self.size = len(rows) * X.shape[1]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: Any) -> Features:
        found: Features = self.X[self.rows[key]]
        return found


def taken(X: Features, rows: Any) -> Features:
    """Some rows of X (n, d), copied; of a very large X without a copy."""
    if X.size < VERY_LARGE or (isinstance(rows, slice) and isinstance(X, np.ndarray)):
        found: Features = X[rows]
        return found
    return cast(Features, Taken(X, np.arange(len(X))[rows]))


def row_blocks(X: Features) -> Iterator[slice]:
    """Slices of rows that cover X (n, d), each about 16 MiB as float64."""
    rows = max(1, BLOCK_BYTES // (8 * max(1, X.shape[1])))
    return (slice(start, start + rows) for start in range(0, len(X), rows))


def map_rows(function: Callable[[slice], T], n: int, width: int, block: int = BLOCK) -> list[T]:
    """`function` of each block of up to `block` of n rows, in order; in threads when n * width is large."""
    blocks = [slice(start, start + block) for start in range(0, n, block)]
    return map_all(function, blocks, threads=n * width >= SMALL)
