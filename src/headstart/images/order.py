"""Seeded choice that depends on the pictures' names alone: not on listing order, library versions or other pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]


def shuffled(indices: NDArray[np.int64], names: Sequence[str], seed: int, purpose: str) -> NDArray[np.int64]:
    """`indices` in the order of a keyed hash of their names: a random order that is the same everywhere.

    Taking the first k for growing k gives nested subsets.
    """
    key = hashlib.blake2b(f"{seed}/{purpose}".encode(), digest_size=16).digest()

    def rank(i: int) -> bytes:
        name = names[i].encode("utf-8", "surrogatepass")
        return hashlib.blake2b(name, key=key, digest_size=16).digest()

    return np.array(sorted(indices.tolist(), key=rank), np.int64)


def turns(names: Sequence[str], seed: int, purpose: str) -> NDArray[np.int64]:
    """For each of k names its place (k,) in a random order that is the same everywhere: who comes first in a tie."""
    place = np.empty(len(names), np.int64)
    place[shuffled(np.arange(len(names)), names, seed, purpose)] = np.arange(len(names))
    return place


def allocate(counts: Counts, total: int, most: Counts, turn: Counts | None = None) -> Counts:
    """`total` shared out in proportion to `counts` (k,) by largest remainder, never over `most` (k,).

    The shares add up to min(total, sum of most) exactly; ties go to the least `turn` (k,), or to the first.
    """
    total = min(total, int(most.sum()))
    whole = max(int(counts.sum()), 1)
    turn = np.arange(len(counts)) if turn is None else turn
    share = np.minimum(total * counts // whole, most)
    while (left := total - int(share.sum())) > 0:
        room = np.flatnonzero(share < most)
        wanting = total * counts[room] - share[room] * whole
        share[room[np.lexsort((turn[room], -wanting))[:left]]] += 1
    return share
