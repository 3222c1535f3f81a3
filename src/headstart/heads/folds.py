"""Which rows a head is tried on before it is fitted on all of them: folds, or a part held out where rows are many.

Everything is drawn by the content of the rows, so the order in which they are given does not matter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.phrases import plural

Codes = NDArray[np.int64]
Indices = NDArray[np.int64]
FOLDS = 5
FEW = 60
"""With fewer rows, folds are drawn several times, until so many rows were judged."""
MOST_REPEATS = 5
ENOUGH, MANY = 1_000, 5_000
"""From so many rows on a part held out says as much as folds do: a fifth, then a tenth, at most `HELD_OUT_MOST`."""
HELD_OUT_MOST = 5_000


@dataclass(frozen=True, eq=False)
class Folds:
    """Trials of a head: each is (rows fitted on, rows judged), as indices or slices. `words` says how they were drawn.

    Every judged row's class is among the rows fitted on.
    """

    pairs: tuple[tuple[Any, Any], ...]
    words: str

    def __len__(self) -> int:
        return len(self.pairs)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return iter(self.pairs)

    def judged(self, n: int) -> Indices:
        """The rows judged, one trial after another: indices into n rows, some more than once."""
        rows = np.arange(n)
        return np.concatenate([rows[judged] for _, judged in self.pairs])

    def first(self) -> Folds:
        """The first trial alone, where several would take too long."""
        fitted, judged = self.pairs[0]
        return self if len(self) == 1 else Folds(((fitted, judged),), f"{plural(len(judged), 'picture')} held out")


NONE = Folds((), "nothing held out")
"""Where nothing can be tried."""


def brought(y: Codes, fitted: int) -> Folds:
    """Validation rows that the data bring: those with classes y (n,) below the `fitted` rows.

    One whose class is missing among those fitted on is not judged.
    """
    judged = np.flatnonzero(np.isin(y[fitted:], y[:fitted])) + fitted
    if not len(judged):
        return NONE
    rows = slice(fitted, len(y)) if len(judged) == len(y) - fitted else judged
    return Folds(((slice(0, fitted), rows),), f"the {plural(len(judged), 'validation picture')}")


def folds_for(
    X: NDArray[Any],
    y: Codes,
    groups: Indices | None = None,
    marks: Sequence[bytes] | None = None,
    *,
    one: bool = False,
    views: int = 0,
) -> Folds:
    """Trials on rows X (n, d) with classes y (n,), by a rule of size; `NONE` where nothing can be tried.

    Five stratified folds, fewer where no class has so many rows, drawn several times where rows are few; from `ENOUGH`
    rows on, or with `one`, a part held out.  Rows of one group (n,) stay together.  Chance goes by `marks` (n,), which
    tell the rows apart, else by what is in them.
    A row whose class would be missing among those fitted on is not judged.  Below the n rows of pictures X may hold
    those of `views` views of each, in the same order: they are fitted on with their picture and never judged.
    """
    n = len(y) // (1 + views)
    X, y = X[:n], y[:n]
    counts = np.bincount(y)
    if (counts >= 2).sum() < 2:
        return NONE
    names, held_out = marks or contents(X), n >= ENOUGH or one
    if held_out:
        total = min(round(n / (10 if n >= MANY else FOLDS)), HELD_OUT_MOST)
        k, repeats = max(2, round(n / max(1, total))), 1
    else:
        k = int(min(FOLDS, counts.max()))
        repeats = min(MOST_REPEATS, -(-FEW // n))
    drawn = [_pairs(numbers(y, k, names, groups, again), y) for again in range(repeats)]
    pairs = [(_with_views(fitted, n, views), judged) for found in drawn for fitted, judged in found]
    if not pairs:
        return NONE
    if held_out:
        return Folds((pairs[0],), f"{plural(len(pairs[0][1]), 'picture')} held out")
    times = f", drawn {repeats} times," if repeats > 1 else ""
    return Folds(tuple(pairs), f"{k}-fold cross-validation{times} on {n:,} pictures")


def _with_views(fitted: Indices, n: int, views: int) -> Indices:
    """Rows, and those of the same pictures in every view below the n plain ones."""
    return np.concatenate([fitted + n * view for view in range(1 + views)])


def numbers(y: Codes, k: int, names: Sequence[bytes], groups: Indices | None = None, again: int = 0) -> Indices:
    """The fold of each row (n,), 0 to k - 1, every class spread evenly; `again` draws others.

    The rows of a group follow the first of them.
    """
    key = again.to_bytes(8, "little")
    order = sorted(range(len(y)), key=lambda i: (y[i], hashlib.blake2b(names[i], key=key, digest_size=8).digest()))
    if groups is None:
        fold = np.empty(len(y), dtype=np.int64)
        fold[order] = np.arange(len(y)) % k
        return fold
    turn: dict[int, int] = {}
    for i in order:
        turn.setdefault(int(groups[i]), len(turn) % k)
    return np.array([turn[int(group)] for group in groups], dtype=np.int64)


def contents(X: NDArray[Any]) -> list[bytes]:
    """A digest of each row, the same for float32 and for float64 that holds it."""
    with np.errstate(over="ignore"):
        return [hashlib.blake2b(row.astype(np.float32).tobytes(), digest_size=8).digest() for row in X]


def _pairs(number: Indices, y: Codes) -> tuple[tuple[Indices, Indices], ...]:
    found = []
    for fold in np.unique(number):
        fitted = np.flatnonzero(number != fold)
        known = np.unique(y[fitted])
        judged = np.flatnonzero((number == fold) & np.isin(y, known))
        if len(judged) and len(known) >= 2:
            found.append((fitted, judged))
    return tuple(found)
