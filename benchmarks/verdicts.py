"""Verdicts on simulated studies whose truth is known: false verdicts, coverage, power.

    python benchmarks/verdicts.py [--studies 2000] [--draws 2000] [--only TEXT] [--rivals]

An answer is right where a sum of normal effects is above 0: the arm's level at that size, the picture's difficulty
(shared by both arms, and the arm's own), the subset's effect (shared, and the arm's own; it carries over from a size to
the next, since subsets are nested), and noise. So the true accuracy, the expectation over subsets and pictures, is exact
and so is the difference over all sizes. Each line is one population, each study a new draw of pictures and of subsets.
--rivals adds the coverage of other intervals. Exit status 1 where a bound is missed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from headstart.evidence.answers import Answers
from headstart.evidence.bootstrap import Bootstrap, Variances, resampled
from headstart.evidence.curves import area_weights
from headstart.evidence.interval import t_quantile, z_quantile
from headstart.evidence.verdict import HELPED, HURT, NONE, judge

Floats = NDArray[np.float64]
SIZES = (5.0, 10.0, 20.0, 50.0, 100.0)
CARRIED = 0.7  # correlation of a subset's effect from one size to the next
AT_ONCE = 2**24  # answers held at a time


@dataclass(frozen=True)
class Population:
    """Two arms with true accuracies at each size, tested on m pictures in r repeats; the rest are standard deviations."""

    name: str
    m: int
    r: int
    first: tuple[float, ...]
    second: tuple[float, ...]
    shared: float = 0.15
    own: float = 0.05
    difficulty: float = 1.0
    taste: float = 0.4
    noise: float = 0.5

    @property
    def truth(self) -> float:
        return float((np.array(self.first) - self.second) @ area_weights(self.sizes))

    @property
    def sizes(self) -> Floats:
        return np.array(SIZES[: len(self.first)])

    def draw(self, rng: np.random.Generator) -> Answers:
        s, parts = len(self.first), (self.shared, self.own, self.difficulty, self.taste, self.noise)
        levels = ndtri(np.array([self.first, self.second])) * np.linalg.norm(parts)
        subsets = self.shared * carried((1, s, self.r), rng) + self.own * carried((2, s, self.r), rng)
        pictures = self.difficulty * normal((1, self.m), rng) + self.taste * normal((2, self.m), rng)
        sums = self.noise * normal((2, s, self.r, self.m), rng)
        sums += pictures[:, None, None, :]
        sums += (levels[:, :, None] + subsets)[..., None].astype(np.float32)
        return Answers(("first", "second"), self.sizes, sums > 0)


def normal(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    return rng.standard_normal(shape, dtype=np.float32)


def carried(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Standard normals that are correlated along the axis of sizes."""
    found = rng.standard_normal(shape)
    for i in range(1, shape[1]):
        found[:, i] = CARRIED * found[:, i - 1] + (1 - CARRIED**2) ** 0.5 * found[:, i]
    return found


RISING = (0.50, 0.62, 0.72, 0.82, 0.88)
EQUAL = [
    Population("small test set, 3 repeats", 200, 3, (0.5,), (0.5,)),
    Population("small test set, 5 repeats", 200, 5, (0.9,), (0.9,)),
    Population("small test set, 5 sizes", 200, 5, RISING, RISING),
    Population("no effect of the subset", 500, 5, (0.9,), (0.9,), shared=0.0, own=0.0),
    Population("no effect of the subset, 3 repeats", 500, 3, (0.9,), (0.9,), shared=0.0, own=0.0),
    Population("noisy fits, 3 repeats", 500, 3, (0.9,), (0.9,), noise=1.0),
    Population("subsets as strong as pictures", 500, 5, RISING, RISING, own=0.1),
    Population("subsets as strong as pictures, 3 repeats", 2_000, 3, (0.9,), (0.9,), own=0.06),
    Population("typical", 2_000, 5, (0.9,), (0.9,)),
    Population("typical, 5 sizes", 2_000, 5, RISING, RISING),
    Population("typical, 10 repeats", 2_000, 10, (0.9,), (0.9,)),
    Population("near the top", 2_000, 5, (0.99,), (0.99,)),
    Population("subsets rule", 2_000, 5, RISING, RISING, shared=0.2, own=0.2),
    Population("large test set", 10_000, 5, (0.9,), (0.9,), own=0.02),
    Population("large test set, subsets rule", 10_000, 5, (0.9,), (0.9,), shared=0.2, own=0.1),
    Population("large test set, near the top", 10_000, 3, (0.99,), (0.99,)),
]
BETTER = [
    Population("+3 points, typical", 2_000, 5, (0.90,), (0.87,)),
    Population("+3 points, typical, 3 repeats", 2_000, 3, (0.90,), (0.87,)),
    Population("+3 points, 5 sizes", 2_000, 5, tuple(x + 0.03 for x in RISING), RISING),
    Population("+2 points near the top", 500, 5, (0.99,), (0.97,)),
    Population("steeper curve", 500, 10, RISING, (0.40, 0.55, 0.70, 0.82, 0.90), own=0.1),
]
"""Populations; POWER below is asked of those that begin with "+3 points"."""
FALSE, COVERED, POWER = 0.05, (0.93, 0.97), 0.80


def studies(population: Population, number: int, draws: int, seed: int) -> Iterator[Bootstrap]:
    """Bootstrapped studies; a batch shares its weights of the pictures, which is what takes time."""
    rng = np.random.default_rng(seed)
    batch = max(1, AT_ONCE // (2 * len(population.first) * population.r * population.m))
    for start in range(0, number, batch):
        answers = [population.draw(rng) for _ in range(min(batch, number - start))]
        counts = np.concatenate([a.right.sum(axis=2).reshape(-1, population.m) for a in answers])
        moved = resampled(counts, draws, rng).reshape(draws, len(answers), 2, -1) / population.r
        for i, each in enumerate(answers):
            yield Bootstrap(each, np.ascontiguousarray(moved[:, i]), rng.standard_normal((draws, population.r)))


def figures(population: Population, number: int, draws: int, seed: int) -> dict[str, float]:
    """Shares of the studies with each verdict, and whose 95% interval holds the truth."""
    weights = area_weights(population.sizes)
    words, covered = [], 0
    for boot in studies(population, number, draws, seed):
        found = boot.spread(np.stack([weights, -weights]))
        low, high = found.estimate.low, found.estimate.high
        assert low is not None and high is not None
        covered += low <= population.truth <= high
        words.append(judge(found, float(np.mean(boot.answers.right[0] != boot.answers.right[1]))).word)
    shares = {name: sum(word.startswith(name) for word in words) / number for name in (HELPED, HURT, NONE)}
    return {"covered": covered / number, **shares}
