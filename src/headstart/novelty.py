"""Novelty detection: whether a picture is like those that a classifier was fitted on, or of none of its classes.

    bundle/novelty.safetensors   `reference` float16 (m, w); for wide features `buckets` int32 (d,), `signs` int8 (d,)

A picture is as strange as it is far from the nearest of up to `MOST` training pictures, by cosine distance of features
(decision 0036). The threshold is the conformal quantile of what each of those is to the others, so about `ALARMS` of
pictures like them are taken for strangers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from headstart import tensors
from headstart.statistics import conformal_quantile
from headstart.threads import single_threaded_blas

FILE = "novelty.safetensors"
ALARMS = 0.05
"""Share of pictures like those fitted on that may be taken for strangers."""
MOST = 2_000
"""Training pictures that are kept to compare with."""
WIDTH = 2_048
"""Numbers that are kept of each; of wider features the sums in so many buckets."""
BLOCK = 1_024
SPARSE = 128
"""Rows from which SciPy's sparse product, ten times as fast, is worth the fifth of a second that its import takes."""
Features = NDArray[np.floating[Any]]
Codes = NDArray[np.int64]


class Sketch(NamedTuple):
    """Count sketch (Charikar, Chen & Farach-Colton 2002; Weinberger et al. 2009): cosines stay as they are on average.

    Each of d features goes, with its sign (d,) int8, into the sum of one of w `buckets` (d,) int32.
    """

    buckets: NDArray[np.int32]
    signs: NDArray[np.int8]

    @classmethod
    def drawn(cls, d: int) -> Sketch:
        """Of d features, the same each time."""
        rng = np.random.default_rng(0)
        buckets = (rng.permutation(d) % WIDTH).astype(np.int32)
        return cls(buckets, rng.choice(np.array([-1, 1], np.int8), d))

    def __call__(self, X: Features) -> NDArray[np.float32]:
        """(n, d) -> (n, w) float32; a row's sums are the same to the last bit among few rows and among many."""
        X = X.astype(np.float32, copy=False)
        if len(X) >= SPARSE:
            from scipy.sparse import csr_array

            entries = self.signs.astype(np.float32), (np.arange(len(self.signs)), self.buckets)
            product: NDArray[np.float32] = X @ csr_array(entries)
            return product
        sums = np.zeros((len(X), int(self.buckets.max()) + 1), np.float32)
        for row, here in zip(X, sums, strict=True):
            np.add.at(here, self.buckets, row * self.signs)
        return sums


@dataclass(frozen=True, eq=False)
class Novelty:
    """Training pictures to compare with: `reference` (m, w) float16, each row of length 1.

    A picture whose score is over `threshold` is a stranger; None where the pictures were too few to say (fewer than 19
    for 5%). With a `sketch`, features (n, d) are made (n, w) by it; without, w = d.

    >>> rng = np.random.default_rng(0)
    >>> novelty = Novelty.fit(rng.normal([3.0, 0.0, 0.0], 0.3, (100, 3)))
    >>> novelty.known(np.array([[3.0, 0.1, 0.0], [0.0, 0.0, 3.0]])).tolist()
    [True, False]
    """

    reference: NDArray[np.float16]
    threshold: float | None
    sketch: Sketch | None = None

    @classmethod
    def fit(
        cls,
        X: Features,
        groups: Codes | None = None,
        marks: Sequence[bytes] | None = None,
        held_out: Features | None = None,
    ) -> Novelty:
        """From features X (n, d) of training pictures.

        The threshold is by each against the others that are not its copies (of the same group (n,)), or by pictures
        `held_out` (m, d). Where there are more than `MOST`, which of them are kept goes by `marks`, not by their order.
        """
        rows = np.arange(len(X))
        if len(X) > MOST:
            order = rows if marks is None else np.array(sorted(rows.tolist(), key=lambda i: marks[i]))
            rows = np.sort(np.random.default_rng(0).permutation(order)[:MOST])
        sketch = Sketch.drawn(X.shape[1]) if X.shape[1] > WIDTH else None
        bare = cls(np.empty((0, 0), np.float16), None, sketch)
        found = cls(bare._placed(X[rows]).astype(np.float16), None, sketch)
        if held_out is not None:
            scores = found.score(held_out)
        else:
            scores = found._scores_of_each(rows if groups is None else groups[rows])
        return cls(found.reference, conformal_quantile(scores, 1 - ALARMS), sketch)

    def score(self, features: Features) -> NDArray[np.float32]:
        """(n, d) features -> (n,) how strange each picture is: 0 like a training picture, 1 like none, at most 2.

        The distance to the k-th nearest neighbour of features at length 1 is that of Sun et al. 2022, "Out-of-
        distribution detection with deep nearest neighbors"; k is 1 here.
        """
        blocks = [features[start : start + BLOCK] for start in range(0, len(features), BLOCK)]
        with single_threaded_blas():  # its threads would wait for cores at which an engine is at work
            found = [1 - (self._placed(block) @ self._rows.T).max(axis=1) for block in blocks]
        return np.concatenate(found) if found else np.empty(0, np.float32)

    def known(self, features: Features) -> NDArray[np.bool_]:
        """(n, d) features -> (n,) whether each picture is like those fitted on; all are where there is no threshold."""
        limit = np.inf if self.threshold is None else self.threshold
        return np.asarray(self.score(features) <= limit)

    @cached_property
    def _rows(self) -> NDArray[np.float32]:
        return self.reference.astype(np.float32)

    def _placed(self, X: Features) -> NDArray[np.float32]:
        """(n, d) -> (n, w) of length 1; a row of zeros stays one."""
        Z = X.astype(np.float32) if self.sketch is None else self.sketch(X)
        Z /= np.maximum(np.abs(Z).max(axis=1, keepdims=True), np.float32(1e-30))  # else squares may overflow
        Z /= np.maximum(np.linalg.norm(Z, axis=1, keepdims=True), np.float32(1e-30))
        return Z

    def _scores_of_each(self, groups: Codes) -> NDArray[np.float32]:
        """What each row of the reference is to those of other groups (m,); of none, where there is but one."""
        scores = np.empty(len(groups), np.float32)
        for start in range(0, len(groups), BLOCK):
            block = slice(start, start + BLOCK)
            cosines = self._rows[block] @ self._rows.T
            cosines[groups[block][:, None] == groups] = -np.inf
            scores[block] = 1 - cosines.max(axis=1)
        return scores[np.isfinite(scores)]


def write(novelty: Novelty, folder: Path) -> None:
    """Write all but the threshold, which the manifest has, to `folder`."""
    arrays: dict[str, NDArray[Any]] = {"reference": novelty.reference}
    if novelty.sketch is not None:
        arrays |= {"buckets": novelty.sketch.buckets, "signs": novelty.sketch.signs}
    tensors.write(arrays, folder / FILE)


def read(folder: Path, threshold: float | None, d: int) -> Novelty:
    """What `folder` has for d features. Raises ValueError with one clause for a file that holds something else."""
    stored = tensors.header(folder / FILE)
    told = {name: (tensor.dtype, len(tensor.shape)) for name, tensor in stored.items()}
    wide = {"buckets": ("I32", 1), "signs": ("I8", 1)} if d > WIDTH else {}
    if told != {"reference": ("F16", 2), **wide}:
        raise ValueError(f"{FILE} does not hold what is needed to recognise strangers among pictures of {d:,} features")
    m, w = stored["reference"].shape
    if not 1 <= m <= MOST or w != min(d, WIDTH) or any(stored[name].shape != (d,) for name in wide):
        raise ValueError(f"the arrays of {FILE} do not fit {d:,} features")
    arrays = tensors.arrays(folder / FILE)
    lengths = np.linalg.norm(arrays["reference"].astype(np.float32), axis=1)
    if not (lengths < 1.01).all():
        raise ValueError(f"the reference of {FILE} has rows that are longer than 1")
    if not wide:
        return Novelty(arrays["reference"], threshold)
    sketch = Sketch(arrays["buckets"], arrays["signs"])
    counts = np.bincount(np.clip(sketch.buckets, 0, w), minlength=w + 1)
    if sketch.buckets.min() < 0 or counts[w] or not counts[:w].all() or not (np.abs(sketch.signs) == 1).all():
        raise ValueError(f"the buckets or signs of {FILE} are not those of a sketch")
    return Novelty(arrays["reference"], threshold, sketch)
