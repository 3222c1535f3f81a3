"""Simulated studies whose truth is known, for `benchmarks/verdicts.py`.

An answer is right where a sum of normal effects is above 0: the arm's level at that size, the picture's difficulty
(shared by all arms, and the arm's own), the subset's effect (shared, and the arm's own; it carries over from one size
to the next, since subsets are nested), and noise. So the true accuracy, the expectation over subsets and pictures, is
exact, and so is every difference. Each study is a new draw of pictures and of subsets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from headstart.evidence.answers import Answers
from headstart.evidence.curves import area_weights

Floats = NDArray[np.float64]
SIZES = (5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0)
CARRIED = 0.7  # correlation of a subset's effect from one size to the next
CHANCE = 0.1  # accuracy of a fit that failed
RISING = (0.50, 0.62, 0.72, 0.82, 0.88)
ABOVE = (0.53, 0.65, 0.75, 0.85, 0.91)
TEN = (0.50, 0.56, 0.62, 0.67, 0.72, 0.77, 0.82, 0.85, 0.88, 0.90)


@dataclass(frozen=True)
class Population:
    """Arms with true accuracies at each size, tested on m pictures in r repeats. Of the rest the first are deviations.

    shared, own: effect of the subset; difficulty, taste: of the picture; noise: of each answer; uneven: the second
    arm's `own` is so many times the first's; heavy: difficulty has a t distribution with 3 degrees of freedom;
    whole: the last size is `all`, one subset; pool: labelled pictures per class that subsets are drawn from; cluster:
    test pictures come in groups of so many near copies; failing: chance that a fit of the second arm stays at chance;
    counted: its accuracy is so much higher otherwise that with those fits it is `second`; arms: how many, half of them
    transfer arms, equal to `first`; start: the place of the smallest size among `SIZES`.
    """

    name: str
    m: int
    r: int
    first: tuple[float, ...]
    second: tuple[float, ...]
    shared: float = 0.15
    own: float = 0.05
    difficulty: float = 1.0
    taste: float = 0.4
    noise: float = 0.7
    uneven: float = 1.0
    heavy: bool = False
    whole: bool = False
    pool: float | None = None
    cluster: int = 1
    failing: float = 0.0
    counted: bool = False
    arms: int = 2
    start: int = 0

    @property
    def truths(self) -> Floats:
        """(s,) first minus second at each size."""
        return np.array(self.first) - np.array(self.second)

    @property
    def truth(self) -> float:
        """Over all sizes that vary."""
        last = len(self.first) - (self.whole and len(self.first) > 1)
        return float(self.truths[:last] @ area_weights(self.sizes[:last]))

    @property
    def ratio(self) -> float:
        """The first arm's area under the curve over the second's."""
        last = len(self.first) - (self.whole and len(self.first) > 1)
        one, other = np.array([self.first, self.second])[:, :last] @ area_weights(self.sizes[:last])
        return float(one / other)

    @property
    def equal(self) -> bool:
        """Whether the arms are, at every size."""
        return not self.truths.any()

    @property
    def sizes(self) -> Floats:
        """(s,) labelled pictures per class."""
        return np.array(SIZES[self.start : self.start + len(self.first)])

    @property
    def names(self) -> tuple[str, ...]:
        """Transfer arms first."""
        half = self.arms // 2
        return (*(f"transfer-{i}" for i in range(half)), *(f"free-{i}" for i in range(self.arms - half)))

    def draw(self, rng: np.random.Generator) -> Answers:
        """A study."""
        a, s, half = self.arms, len(self.first), self.arms // 2
        lost = self.failing if self.counted else 0.0
        second = (np.array(self.second) - lost * CHANCE) / (1 - lost)
        accuracy = np.array([*[self.first] * half, *[second] * (a - half)])
        levels = ndtri(accuracy) * np.linalg.norm(
            (self.shared, self.own, self.difficulty, self.taste, self.noise)
        )  # with `uneven` and `heavy` arms are equal still, and only equal ones are drawn so
        ratio = np.where(np.arange(a) < half, 1.0, self.uneven)[:, None, None]
        own = self.own * ratio * self.subsets((a, s, self.r), rng)
        subsets = self.shared * self.subsets((1, s, self.r), rng) + own
        groups = np.arange(self.m) // self.cluster
        pictures = self.difficulty * self.hard(rng)[groups] + self.taste * normal((a, self.m), rng)[:, groups]
        noise = normal((a, s, self.r, self.m), rng)
        if self.cluster > 1:  # near copies are mostly answered alike
            noise = 0.9 * noise[..., groups] + (1 - 0.9**2) ** 0.5 * normal(noise.shape, rng)
        sums = self.noise * noise
        sums += pictures[:, None, None, :]
        if self.uneven != 1:  # the level that makes up for the wider spread
            parts = (self.shared, self.own * self.uneven, self.difficulty, self.taste, self.noise)
            levels[half:] *= np.linalg.norm(parts) / np.linalg.norm((self.shared, self.own, *parts[2:]))
        sums += (levels[:, :, None] + subsets)[..., None].astype(np.float32)
        return self.answers(sums > 0, rng)

    def answers(self, right: NDArray[np.bool_], rng: np.random.Generator) -> Answers:
        """With what a study knows besides: fits that failed, the one subset of `all`, the pool, near copies."""
        failed = np.zeros(right.shape[:3], np.bool_)
        failed[self.arms // 2 :] = rng.random(failed[self.arms // 2 :].shape) < self.failing
        right[failed] = rng.random((int(failed.sum()), self.m)) < CHANCE
        single = np.zeros(len(self.first), np.bool_)
        if self.whole:
            single[-1] = True
            right[:, -1], failed[:, -1] = right[:, -1, :1], failed[:, -1, :1]
        groups = np.arange(self.m) // self.cluster if self.cluster > 1 else None
        learnt_at_times = failed & ~failed.all(axis=2, keepdims=True)
        return Answers(
            self.names, self.sizes, right, failed.all(axis=2), single=single, pool=self.pool, groups=groups,
            failed=learnt_at_times,
        )  # fmt: skip

    def hard(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """(1, m) difficulties, of which groups take the first; as long as a picture's whatever the group."""
        if self.heavy:
            return (rng.standard_t(3, self.m) / 3**0.5).astype(np.float32)
        return normal((self.m,), rng)

    def subsets(self, shape: tuple[int, int, int], rng: np.random.Generator) -> Floats:
        """(a, s, r) standard normals: effects of subsets, alike from one size to the next.

        From a pool every labelled picture has an effect, and a subset has the mean of its own, as nested ones do.
        """
        if self.pool is None:
            return carried(shape, rng)
        effects = rng.standard_normal((shape[0], 1, int(self.pool)))
        found = np.empty(shape)
        for repeat in range(shape[2]):
            order = rng.permutation(int(self.pool))
            for i, n in enumerate(self.sizes.astype(int)):
                found[:, i, repeat] = effects[:, 0, order[:n]].mean(axis=1) * n**0.5
        return found


def normal(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """Standard normals."""
    return rng.standard_normal(shape, dtype=np.float32)


def carried(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Standard normals that are correlated along the axis of sizes."""
    found = rng.standard_normal(shape)
    for i in range(1, shape[1]):
        found[:, i] = CARRIED * found[:, i - 1] + (1 - CARRIED**2) ** 0.5 * found[:, i]
    return found


EQUAL = [
    Population("half right, 3 repeats", 200, 3, (0.5,), (0.5,)),
    Population("small test set", 200, 5, (0.9,), (0.9,)),
    Population("small test set, 5 sizes", 200, 5, RISING, RISING, noise=1.0),
    Population("no effect of the subset", 500, 5, (0.9,), (0.9,), shared=0.0, own=0.0),
    Population("no effect of the subset, 3 repeats", 500, 3, (0.9,), (0.9,), shared=0.0, own=0.0),
    Population("noisy fits, 3 repeats", 500, 3, (0.9,), (0.9,), noise=1.0),
    Population("5 sizes, 3 repeats", 500, 3, RISING, RISING),
    Population("typical", 2_000, 5, (0.9,), (0.9,)),
    Population("typical, 3 repeats", 2_000, 3, (0.9,), (0.9,)),
    Population("typical, 10 repeats", 2_000, 10, (0.9,), (0.9,)),
    Population("typical, 5 sizes", 2_000, 5, RISING, RISING),
    Population("near the top", 2_000, 5, (0.99,), (0.99,)),
    Population("near the top, 50 pictures", 50, 5, (0.99,), (0.99,)),
    Population("subsets rule", 2_000, 5, RISING, RISING, shared=0.2, own=0.2),
    Population("large test set", 10_000, 5, (0.9,), (0.9,), own=0.02),
    Population("large, subsets rule, 3 repeats", 10_000, 3, (0.9,), (0.9,), shared=0.2, own=0.1),
    Population("large, near the top", 10_000, 5, (0.99,), (0.99,)),
]
"""Arms that are equal, in studies of the plain kind."""
HARD = [
    Population("5 sizes, 5 repeats", 500, 5, RISING, RISING, own=0.1),
    Population("10 sizes", 500, 5, TEN, TEN, own=0.1),
    Population("10 sizes, 20 repeats", 500, 20, TEN, TEN, own=0.1),
    Population("2 repeats", 500, 2, RISING, RISING, own=0.1),
    Population("1 repeat", 500, 1, RISING, RISING, own=0.1),
    Population("1 repeat, 1 size", 500, 1, (0.9,), (0.9,), own=0.1),
    Population("all as the last size", 500, 5, RISING, RISING, own=0.1, whole=True),
    Population("all alone", 500, 5, (0.9,), (0.9,), own=0.1, whole=True),
    Population("overlapping subsets, 5 sizes", 500, 5, RISING, RISING, own=0.1, pool=120),
    Population("overlapping subsets, 2,000 pictures", 2_000, 5, RISING, RISING, own=0.2, noise=0.4, pool=120),
    Population("overlapping subsets, 1 size", 2_000, 5, (0.85,), (0.85,), own=0.2, noise=0.4, pool=120, start=4),
    Population("near copies of 5", 500, 5, (0.9,), (0.9,), cluster=5),
    Population("near copies of 10, 5 sizes", 500, 5, RISING, RISING, own=0.1, cluster=10),
    Population("fits that fail, 1 size", 500, 5, (0.85,), (0.85,), own=0.1, failing=0.1),
    Population("fits that fail, 5 sizes", 500, 5, RISING, RISING, own=0.1, failing=0.1),
    Population("fits that fail, counted, 5 sizes", 500, 5, RISING, RISING, own=0.1, failing=0.1, counted=True),
    Population("6 arms", 500, 5, RISING, RISING, own=0.1, arms=6),
    Population("unequal variances", 500, 5, RISING, RISING, own=0.05, uneven=4.0),
    Population("hard pictures, heavy tails", 500, 5, RISING, RISING, own=0.1, heavy=True, difficulty=2.0),
]
"""Arms that are equal, in studies that say more than they know if one is not careful."""
BETTER = [
    Population("+3 points", 2_000, 5, (0.90,), (0.87,)),
    Population("+3 points, noisy fits", 2_000, 5, (0.90,), (0.87,), noise=1.0),
    Population("+3 points, 10 repeats", 2_000, 10, (0.53,), (0.50,)),
    Population("+3 points, 5 sizes", 2_000, 5, ABOVE, RISING),
    Population("+3 points, 5 sizes, steady", 500, 10, ABOVE, RISING),
    Population("3 points, subsets rule, 5 repeats", 2_000, 5, (0.90,), (0.87,), own=0.1),
    Population("3 points, subsets rule, 10 repeats", 2_000, 10, (0.90,), (0.87,), own=0.1),
    Population("3 points, 5 sizes, two source-free arms", 2_000, 5, ABOVE, RISING, arms=3),
    Population("+2 near the top", 500, 5, (0.99,), (0.97,)),
    Population("steeper curve", 500, 10, RISING, (0.40, 0.55, 0.70, 0.82, 0.90), own=0.1),
    Population("steeper curve, all last", 500, 5, ABOVE, RISING, own=0.1, whole=True),
]
"""Arms that differ; power of 80% is asked of those called "+3 points"."""
PLANNED = [
    Population("3 points, planned", 2_000, 5, (0.90,), (0.87,), own=0.1),
    Population("3 points, half right, planned", 2_000, 5, (0.63,), (0.60,), own=0.1),
    Population("3 points, 5 sizes, planned", 2_000, 5, ABOVE, RISING, own=0.15),
]
"""Whose repeats are those that a plan from a pilot of five says would find 3 points."""
