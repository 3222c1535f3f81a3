"""Joint draws of all accuracies of a study, for figures that are no sums of them: a ratio, a fitted curve, an inverse.

    draw = accuracy + pictures, resampled with replacement, + subsets, by normal multipliers

each widened as the interval of the linear figure nearest to the one that is wanted (`evidence.variance`, decision 15).
Resampling rows and columns together would count what both hold three times (the pigeonhole bootstrap, Owen 2007). All
figures of a study share the draws: differences and ratios are paired.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.errors import UserError
from headstart.evidence.answers import Answers
from headstart.evidence.variance import Spread, spread

Floats = NDArray[np.float64]
DRAWS = 10_000
CELLS = 2**22  # weights held at a time: about 100 MB with what makes them
EXACT = 2**24  # whole numbers up to here are exact in float32


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """The draws of one study, shared by all its quantities, and made when the first of them needs some.

    Coefficients below are (a, s), like the accuracies.
    """

    answers: Answers
    draws: int = DRAWS
    seed: int = 0

    @classmethod
    def of(cls, answers: Answers, draws: int = DRAWS, seed: int = 0) -> Bootstrap:
        """The draws for these answers: the same for any order of the test pictures and of the repeats.

        Raises UserError for fewer than two test pictures, which have no spread.
        """
        if answers.n_groups < 2:
            told = "one test picture" if answers.n_test < 2 else "test pictures that are all near copies of each other"
            raise UserError(f"Arms cannot be compared on {told}: use two or more.")
        return cls(_in_order(answers), draws, seed)

    @cached_property
    def accuracy(self) -> Floats:
        """(a, s) mean over repeats."""
        found: Floats = self.answers.accuracy.mean(axis=2)
        return found

    @cached_property
    def moves(self) -> tuple[Floats, Floats]:
        """(draws, a, s), how far the accuracies move when the test pictures are drawn again; (draws, r) normal."""
        a, s, r, m = self.answers.right.shape
        counts = self.answers.right.sum(axis=2, dtype=np.int64).reshape(a * s, m)
        rng = np.random.default_rng(self.seed)
        moved = resampled(counts, self.draws, rng, self.answers.groups).reshape(self.draws, a, s) / r
        return moved, rng.standard_normal((self.draws, r))

    def spread(self, coefficients: Floats) -> Spread:
        """A linear quantity with its variance."""
        return spread(self.answers, coefficients)

    def joint(self, coefficients: Floats) -> Floats:
        """(draws, a, s) accuracies within 0..1, widened as for the quantity with these coefficients."""
        pictures, multipliers = self.moves
        by_pictures, by_subsets = self.spread(coefficients).widening
        subsets = np.tensordot(multipliers, _standard(self.answers.accuracy), axes=(1, 2))
        return np.clip(self.accuracy + by_pictures * pictures + by_subsets * subsets, 0.0, 1.0)


def resampled(
    counts: NDArray[np.int64], draws: int, rng: np.random.Generator, groups: NDArray[np.int64] | None = None
) -> Floats:
    """(draws, k) how far the row means of counts (k, m) move when the m columns are drawn again with replacement.

    Columns of one group (m,) are drawn together. Corrected for one degree of freedom. Sums of whole numbers, so that
    equal rows move exactly alike.
    """
    m, total = counts.shape[1], counts.sum(axis=1)
    sizes = np.ones(m, np.int64)
    if groups is not None:
        number = np.unique(groups, return_inverse=True)[1]
        sizes = np.bincount(number)
        counts = np.stack([np.bincount(number, weights=row) for row in counts]).astype(np.int64)
    g = len(sizes)
    rows = np.concatenate([counts, sizes[None]])
    dtype: type[np.floating[Any]] = np.float32 if g * max(1, int(rows.max())) < EXACT else np.float64
    columns, step = np.ascontiguousarray(rows.T, dtype=dtype), max(1, CELLS // g)
    sums = np.empty((draws, len(rows)))
    for start in range(0, draws, step):
        size = min(step, draws - start)
        sums[start : start + size] = _weights(size, g, rng).astype(dtype) @ columns
    moved: Floats = (sums[:, :-1] - total * (sums[:, -1:] / m)) / m * (g / (g - 1)) ** 0.5
    return moved


def _weights(draws: int, m: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(draws, m) how often each of m pictures is drawn in m draws with replacement."""
    drawn = rng.integers(0, m, size=(draws, m))
    drawn += np.arange(draws)[:, None] * m
    return np.bincount(drawn.ravel(), minlength=draws * m).reshape(draws, m)


def _standard(rows: Floats) -> Floats:
    """Deviations (..., r) from their mean, so that their sum times standard normals has the variance of that mean."""
    r = rows.shape[-1]
    deviations: Floats = (rows - rows.mean(axis=-1, keepdims=True)) / max(1, r * (r - 1)) ** 0.5
    return deviations


def _in_order(answers: Answers) -> Answers:
    """The same answers, repeats and pictures in an order that depends on the answers alone."""
    repeats = np.lexsort(answers.accuracy.reshape(-1, answers.repeats))
    packed = np.packbits(answers.right[:, :, repeats].reshape(-1, answers.n_test), axis=0)
    pictures = np.argsort(np.ascontiguousarray(packed.T).view(f"V{len(packed)}").ravel(), kind="stable")
    return replace(
        answers,
        right=answers.right[:, :, repeats][..., pictures],
        groups=None if answers.groups is None else answers.groups[pictures],
        failed=None if answers.failed is None else answers.failed[:, :, repeats],
        single=answers.once,
    )
