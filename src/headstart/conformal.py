"""Sets of classes instead of one answer: split conformal prediction (decision 0037).

    bundle/conformal.safetensors   `scores` float32 (n,): 1 - p of the true class of n pictures, sorted

The pictures are those that a fit answered which had not seen them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart import tensors
from headstart.statistics import conformal_quantile

FILE = "conformal.safetensors"
MOST = 1 << 24


@dataclass(frozen=True, eq=False)
class Conformal:
    """`scores` (n,) float32, sorted: 1 - p of the true class, of pictures that the answering fit had not seen.

    >>> p = np.linspace(0.4, 1.0, 99)
    >>> conformal = Conformal.of(np.column_stack([p, 1 - p]), np.zeros(99, np.int64))
    >>> conformal.sets(np.array([[0.55, 0.45], [0.98, 0.02]]), coverage=0.95).tolist()
    [[True, True], [True, False]]
    """

    scores: NDArray[np.float32]

    @classmethod
    def of(cls, probabilities: NDArray[np.floating[Any]], y: NDArray[np.int64]) -> Conformal:
        """From probabilities (n, k) for pictures of the classes y (n,)."""
        p = probabilities[np.arange(len(y)), y]
        return cls(np.sort(np.clip(1 - p, 0, 1).astype(np.float32)))

    def sets(self, probabilities: NDArray[np.float64], coverage: float) -> NDArray[np.bool_]:
        """(m, k) probabilities -> (m, k) which classes are in each picture's set.

        A class is in it if its 1 - p is at most the k-th smallest score, k = ceil((n + 1) coverage); all are where
        k > n. So the true class is in the set with a chance of `coverage` at least (Vovk, Gammerman & Shafer 2005;
        Sadinle, Lei & Wasserman 2019), of pictures like those that gave the scores. A set may be empty.
        """
        limit = conformal_quantile(self.scores, coverage)
        if limit is None:
            return np.ones(probabilities.shape, dtype=bool)
        return np.asarray((1 - probabilities).astype(np.float32) <= np.float32(limit))

    def needed(self, coverage: float) -> int:
        """The fewest scores for such sets: the least n with ceil((n + 1) coverage) <= n."""
        return int(np.ceil(coverage / (1 - coverage) - 1e-9))

    def enough(self, coverage: float) -> bool:
        """Whether the scores are enough for sets of this coverage that are not always full."""
        return conformal_quantile(self.scores, coverage) is not None


def write(conformal: Conformal, folder: Path) -> None:
    """Write the scores to `folder`."""
    tensors.write({"scores": conformal.scores}, folder / FILE)


def read(folder: Path) -> Conformal:
    """The scores in `folder`. Raises ValueError with one clause for a file that holds something else."""
    stored = tensors.header(folder / FILE)
    scores = stored.get("scores")
    if len(stored) != 1 or scores is None or scores.dtype != "F32" or len(scores.shape) != 1 or scores.shape[0] > MOST:
        raise ValueError(f"{FILE} does not hold one row of scores")
    found: NDArray[np.float32] = tensors.arrays(folder / FILE)["scores"]
    if not ((found >= 0) & (found <= 1)).all() or (np.diff(found) < 0).any():
        raise ValueError(f"the scores of {FILE} are not sorted numbers from 0 to 1")
    return Conformal(found)
