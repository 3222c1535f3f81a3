"""`Answers`: which arm answered which test picture right, fitted on how many labelled pictures, in which repeat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Answers:
    """Right answers of a arms at s sizes in r repeats on the same m test pictures.

    sizes: (s,) float64, ascending, labelled pictures per class; right: (a, s, r, m) bool. In a repeat all arms were
    fitted on the same labelled pictures, and a smaller size's pictures are among a larger one's. A size with one
    subset only, "all", repeats its answers, so that nothing varies between its repeats. unlearnt: (a, s) bool, where an
    arm answers no better than without looking (`evidence.learnt`); nowhere when left out.
    """

    arms: tuple[str, ...]
    sizes: NDArray[np.float64]
    right: NDArray[np.bool_]
    unlearnt: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        expected = (len(self.arms), len(self.sizes))
        if self.right.ndim != 4 or self.right.shape[:2] != expected or 0 in self.right.shape:
            raise ValueError(f"right must be (arms, sizes, repeats, m) with {expected} first, not {self.right.shape}.")
        if (np.diff(self.sizes) <= 0).any():
            raise ValueError(f"sizes must ascend, not {self.sizes.tolist()}.")

    @property
    def repeats(self) -> int:
        """The number of subsets of labelled pictures."""
        return int(self.right.shape[2])

    @property
    def n_test(self) -> int:
        """The number of test pictures."""
        return int(self.right.shape[3])

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """(a, s, r) share of right answers."""
        found: NDArray[np.float64] = self.right.mean(axis=3)
        return found

    def lost(self, arm: int) -> NDArray[np.bool_]:
        """(s,) the sizes at which an arm, by number, did not learn."""
        return np.zeros(len(self.sizes), np.bool_) if self.unlearnt is None else self.unlearnt[arm]

    def of(self, arm: str) -> NDArray[np.bool_]:
        """(s, r, m) of one arm."""
        found: NDArray[np.bool_] = self.right[self.arms.index(arm)]
        return found
