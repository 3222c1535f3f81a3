"""Which pictures to label next: those that stand for many others of which the classifier is not sure.

Facility location (Nemhauser, Wolsey and Fisher 1978; for active learning Wei, Iyer and Bilmes 2015): of all sets S of n
pictures take the one, greedily, that makes

    sum over pictures i of  doubt_i x max over j in S and the labelled of  exp(-|x_i - x_j|^2 / scale)

largest. Without a classifier every doubt is 1, and the first pictures are the most typical ones of the densest regions.
With one, doubt is 1 minus the margin between its two best classes, so the next are uncertain, typical of what is
uncertain, and unlike each other and all that is labelled. `benchmarks/label.py` measures it (decision 45).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int64]
Rows = NDArray[np.float32]
MOST = 5_000
"""Pictures that are compared with each other; of more, so many are drawn anew each time."""
WIDTH = 128
"""Principal axes in which distances are measured."""
NEIGHBOUR = 20
"""The scale is the median squared distance to so far a neighbour."""
BLOCK = 512
EVERY = 4
"""On the page one picture in so many is drawn at random: by those the accuracy is measured."""


@dataclass(frozen=True, eq=False)
class Pool:
    """All n pictures as points (n, w) of length 1 about their mean, and the scale of what is near."""

    points: Rows
    scale: float

    @classmethod
    def of(cls, features: Rows) -> Self:
        """From features (n, d) of any network."""
        points = _points(features)
        some = points[_spread(len(points), MOST)]
        far = np.partition(_squares(points[_spread(len(points), BLOCK)], some), k := min(NEIGHBOUR, len(some) - 1))
        return cls(points, max(float(np.median(far[:, k])), 1e-6))

    def choose(
        self,
        n: int,
        labelled: Codes,
        doubt: NDArray[np.float64] | None = None,
        candidates: Codes | None = None,
        seed: int = 0,
    ) -> Codes:
        """The next n pictures, at most, in the order in which they should be labelled; all are among the candidates.

        `labelled` (m,) are answered already; `doubt` (n,) is how unsure the classifier is of each picture, 0 to 1, None
        where there is none yet. Without `candidates` they are all that are not labelled.
        """
        rest = np.setdiff1d(np.arange(len(self.points)) if candidates is None else candidates, labelled)
        if len(rest) > MOST:
            rest = np.sort(np.random.default_rng([seed, len(labelled)]).permutation(rest)[:MOST])
        if not len(rest) or n < 1:
            return rest[:0]
        weights = np.ones(len(rest)) if doubt is None else np.maximum(doubt[rest], 1e-6)
        near = self._near(rest, rest)
        covered = np.zeros(len(rest), np.float32)
        for start in range(0, len(labelled), BLOCK):
            covered = np.maximum(covered, self._near(rest, labelled[start : start + BLOCK]).max(axis=1))
        return rest[_greedy(near, weights.astype(np.float32), covered, n)]

    def _near(self, a: Codes, b: Codes) -> Rows:
        """How near (m, l) pictures are to others, 0 to 1."""
        found = np.empty((len(a), len(b)), np.float32)
        for start in range(0, len(a), BLOCK):
            part = slice(start, start + BLOCK)
            found[part] = np.exp(_squares(self.points[a[part]], self.points[b]) / -self.scale)
        return found


def mixed(chosen: Codes, rest: Codes, seed: int, owed: int = 0) -> tuple[Codes, Codes]:
    """The chosen (m,) with random ones of the rest among them, every fourth and as many as are `owed` first; and those.

    The chosen are harder than the others, so the share of them that is named rightly says little of all; that of the
    random ones does.
    """
    drawn = np.random.default_rng([seed, 3]).permutation(rest)[: owed + len(chosen) // (EVERY - 1)]
    kept = chosen[~np.isin(chosen, drawn)]
    order = np.insert(kept, np.minimum((EVERY - 1) * np.maximum(np.arange(len(drawn)) + 1 - owed, 0), len(kept)), drawn)
    return order, drawn


def doubts(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 minus the margin (n,) between the two most probable classes, of probabilities (n, k)."""
    if probabilities.shape[1] < 2:
        return np.ones(len(probabilities))
    two = np.partition(probabilities, -2, axis=1)[:, -2:]
    return np.asarray(1.0 - (two[:, 1] - two[:, 0]), dtype=np.float64)


def _greedy(near: Rows, weights: Rows, covered: Rows, n: int) -> Codes:
    """Places (m,) of the pictures that add most, one after the other.

    What a picture adds only falls as others are chosen, so what it added once is a bound, and few are computed anew
    (lazy greedy, Minoux 1978).
    """
    first: Iterable[float] = np.concatenate(
        [weights @ np.maximum(near[:, i : i + BLOCK] - covered[:, None], 0) for i in range(0, near.shape[1], BLOCK)]
    ).tolist()
    heap = [(-gain, j) for j, gain in enumerate(first)]
    heapq.heapify(heap)
    chosen: list[int] = []
    while heap and len(chosen) < n:
        j = heapq.heappop(heap)[1]
        gain = float(weights @ np.maximum(near[:, j] - covered, 0))
        if heap and gain < -heap[0][0] * (1 - 1e-6):
            heapq.heappush(heap, (-gain, j))
            continue
        chosen.append(j)
        covered = np.maximum(covered, near[:, j])
    return np.array(chosen, np.int64)


def _points(features: Rows) -> Rows:
    """Features (n, d) about their mean, at length 1, in at most `WIDTH` principal axes."""
    X: Rows = features.astype(np.float32) - features.mean(axis=0, dtype=np.float64).astype(np.float32)
    X /= np.maximum(np.linalg.norm(X, axis=1, keepdims=True), 1e-12)
    if min(X.shape) <= WIDTH:
        return X
    from sklearn.utils.extmath import randomized_svd

    axes = randomized_svd(X[_spread(len(X), MOST)], WIDTH, n_iter=2, random_state=0)[2]
    found: Rows = (X @ axes.T).astype(np.float32)
    return found


def _squares(a: Rows, b: Rows) -> Rows:
    """Squared distances (m, l) of points (m, w) and (l, w)."""
    return np.asarray(np.maximum(np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1) - 2 * a @ b.T, 0))


def _spread(n: int, most: int) -> Codes:
    """Rows, at most so many, spread evenly over n."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64))
