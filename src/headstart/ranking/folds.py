"""Stratified folds of the pictures, the same for every backbone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError, UserError
from headstart.images.order import shuffled

Codes = NDArray[np.int64]


def draw(
    y: Codes, names: Sequence[str], k: int, seed: int, twins: Sequence[tuple[int, int]] | NDArray[np.int64] = ()
) -> Codes:
    """The fold (n,) of each picture, every class spread evenly; by names and seed, not by the listing order.

    `twins` are pairs of rows (later, first) of copies and near copies: they share a fold. A class with one
    picture has nothing left to be learned from in the fold that judges it. Raises UserError for an impossible k.
    """
    if not 2 <= k <= len(y):
        raise UserError(f"`folds` is {k}: it must lie between 2 and the number of pictures, {len(y)}.")
    order = np.concatenate([shuffled(np.flatnonzero(y == c), names, seed, "folds") for c in np.unique(y)])
    fold = np.empty(len(y), dtype=np.int64)
    fold[order] = np.arange(len(y)) % k
    for later, first in twins:
        fold[later] = fold[first]
    for i in range(k):
        if len(np.unique(y[fold != i])) < 2:
            raise DataError("Without one fold the pictures are of one class only; add pictures or use fewer `folds`.")
    return fold
