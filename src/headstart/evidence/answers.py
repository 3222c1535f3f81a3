"""`Answers`: which arm answered which test picture right, fitted on how many labelled pictures, in which repeat."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

FAR, DEVIATIONS = 0.15, 6.0  # of accuracy, and standard deviations of the others: such a fit looks failed
MOST = 0.98  # of the pool; a subset of all of it has no spread that could be seen


@dataclass(frozen=True, eq=False)
class Answers:
    """Right answers of a arms at s sizes in r repeats on the same m test pictures.

    sizes: (s,) float64, ascending, labelled pictures per class; right: (a, s, r, m) bool. In a repeat all arms were
    fitted on the same labelled pictures, and a smaller size's pictures are among a larger one's. A size with one
    subset only, "all", repeats its answers. What else is known, and nothing of it when left out:

    unlearnt: (a, s) bool, where an arm answers no better than without looking (`evidence.learnt`)
    single: (s,) bool, the sizes with one subset; where left out, those with the same answers in every repeat
    pool: labelled pictures per class that the subsets were drawn from, so that it is known how far they overlap
    groups: (m,) int64, a number that near copies among the test pictures share
    failed: (a, s, r) bool, single fits that failed, of arms that learn otherwise; where left out, those that lie far
        below all others of their arm and size
    """

    arms: tuple[str, ...]
    sizes: NDArray[np.float64]
    right: NDArray[np.bool_]
    unlearnt: NDArray[np.bool_] | None = None
    single: NDArray[np.bool_] | None = None
    pool: float | None = None
    groups: NDArray[np.int64] | None = None
    failed: NDArray[np.bool_] | None = None

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

    @cached_property
    def n_groups(self) -> int:
        """The number of test pictures, near copies counted once."""
        return self.n_test if self.groups is None else len(np.unique(self.groups))

    @cached_property
    def accuracy(self) -> NDArray[np.float64]:
        """(a, s, r) share of right answers."""
        found: NDArray[np.float64] = self.right.mean(axis=3)
        return found

    @cached_property
    def once(self) -> NDArray[np.bool_]:
        """(s,) the sizes with one subset."""
        if self.repeats == 1:
            return np.ones(len(self.sizes), np.bool_)
        if self.single is not None:
            return self.single
        same = np.asarray((self.right == self.right[:, :, :1]).all(axis=(0, 2, 3)))
        shares = self.accuracy[:, :, 0]
        return same & ((shares > 0) & (shares < 1)).any(axis=0)

    @cached_property
    def drawn(self) -> NDArray[np.int64]:
        """The sizes, by number, that a figure over all sizes is about: those with several subsets; all without any."""
        return np.arange(len(self.sizes)) if self.once.all() else np.flatnonzero(~self.once)

    @property
    def overlap(self) -> NDArray[np.float64]:
        """(s,) the share of the pool that a subset takes, at most `MOST`."""
        return np.minimum(self.sizes / self.pool, MOST) if self.pool else np.zeros(len(self.sizes))

    def lost(self, arm: int) -> NDArray[np.bool_]:
        """(s,) the sizes at which an arm, by number, did not learn."""
        return np.zeros(len(self.sizes), np.bool_) if self.unlearnt is None else self.unlearnt[arm]

    def sound(self, arms: list[int], sizes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(r,) the repeats in which no fit of these arms at these sizes failed."""
        return ~np.asarray(self.failing[arms][:, sizes].any(axis=(0, 1)))

    @cached_property
    def failing(self) -> NDArray[np.bool_]:
        """(a, s, r) the fits that failed, as given or as they look."""
        if self.failed is not None:
            return self.failed
        found = np.zeros(self.accuracy.shape, np.bool_)
        for repeat in range(self.repeats if self.repeats > 3 else 0):
            others = np.delete(self.accuracy, repeat, axis=2)
            far = np.maximum(FAR, DEVIATIONS * others.std(axis=2, ddof=1))
            found[:, :, repeat] = self.accuracy[:, :, repeat] < others.min(axis=2) - far
        return found

    def failures(self, arm: int) -> tuple[int, int]:
        """How many fits of an arm, by number, failed, and of how many, each set of labelled pictures once."""
        each = self.failing[arm, self.drawn]
        return int(each.sum()), each.size

    def fall(self, arm: int) -> NDArray[np.float64]:
        """(s,) how much lower the accuracy of an arm's failed fits is than that of the others at a size."""
        lost, accuracy = self.failing[arm], self.accuracy[arm]
        others = np.where(lost, np.nan, accuracy)
        found: NDArray[np.float64] = np.nan_to_num(np.nanmean(others, axis=1) - accuracy[lost].mean())
        return np.maximum(found, 0.0)

    def taking(self, repeats: NDArray[np.bool_]) -> Answers:
        """The same of some repeats alone (r,)."""
        failed = self.failing[:, :, repeats]
        return replace(self, right=self.right[:, :, repeats], single=self.once, failed=failed)
