"""Verdicts on simulated studies whose truth is known: false verdicts, coverage, power.

    python benchmarks/verdicts.py [--studies 4000] [--draws 2000] [--only TEXT] [--rivals]

An answer is right where a sum of normal effects is above 0: the arm's level at that size, the picture's difficulty
(shared by both arms, and the arm's own), the subset's effect (shared, and the arm's own; it carries over from one size
to the next, since subsets are nested), and noise. So the true accuracy, the expectation over subsets and pictures, is
exact, and so is the difference over all sizes. Each line is one population, each study a new draw of pictures and of
subsets. The first lines are exact: coverage under normal errors for every share of subsets in the variance.
--rivals prints the coverage of other intervals instead. Exit status 1 where a bound is missed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri, ndtr, ndtri

from headstart.evidence.answers import Answers
from headstart.evidence.bootstrap import BEND, CAUTION, Bootstrap, Variances, resampled
from headstart.evidence.curves import area_weights
from headstart.evidence.verdict import HELPED, HURT, NONE, OPEN, judge
from headstart.statistics import t_quantile, z_quantile

Floats = NDArray[np.float64]
SIZES = (5.0, 10.0, 20.0, 50.0, 100.0)
CARRIED = 0.7  # correlation of a subset's effect from one size to the next
AT_ONCE = 2**24  # answers held at a time


@dataclass(frozen=True)
class Population:
    """Two arms with true accuracies at each size, tested on m pictures in r repeats; the rest: standard deviations."""

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
ABOVE = (0.53, 0.65, 0.75, 0.85, 0.91)
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
    Population("subsets rule", 2_000, 5, RISING, RISING, shared=0.2, own=0.2),
    Population("large test set", 10_000, 5, (0.9,), (0.9,), own=0.02),
    Population("large, subsets rule, 3 repeats", 10_000, 3, (0.9,), (0.9,), shared=0.2, own=0.1),
    Population("large, near the top", 10_000, 5, (0.99,), (0.99,)),
]
BETTER = [
    Population("+3 points", 2_000, 5, (0.90,), (0.87,)),
    Population("+3 points, noisy fits", 2_000, 5, (0.90,), (0.87,), noise=1.0),
    Population("+3 points, 10 repeats", 2_000, 10, (0.53,), (0.50,)),
    Population("+3 points, 5 sizes", 2_000, 5, ABOVE, RISING),
    Population("+2 near the top", 500, 5, (0.99,), (0.97,)),
    Population("steeper curve", 500, 10, RISING, (0.40, 0.55, 0.70, 0.82, 0.90), own=0.1),
]
"""Arms that are equal, and arms that are not; power is asked of those called "+3 points"."""
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
        covered += holds((found.estimate.low or 0.0, found.estimate.high or 0.0), population.truth)
        words.append(judge(found, float(np.mean(boot.answers.right[0] != boot.answers.right[1]))).word)
    shares = {name: sum(word.startswith(name) for word in words) / number for name in (HELPED, HURT, NONE, OPEN)}
    return {"covered": covered / number, **shares}


def holds(interval: tuple[float, float], truth: float) -> bool:
    return interval[0] - 1e-12 <= truth <= interval[1] + 1e-12


def rivals(population: Population, number: int, draws: int, seed: int) -> dict[str, float]:
    """Coverage of intervals that are not used, each on the same studies."""
    covered: dict[str, int] = {}
    weights, rng = area_weights(population.sizes), np.random.default_rng(seed)
    batch = max(1, AT_ONCE // (4 * len(population.first) * population.r * population.m))
    for start in range(0, number, batch):
        answers = [population.draw(rng) for _ in range(min(batch, number - start))]
        tables = np.stack([np.tensordot(weights, a.right[0] * 1.0 - a.right[1], axes=1) for a in answers])
        moved = resampled(tables.reshape(-1, population.m), draws, rng)
        for answer, table, own in zip(answers, tables, np.split(moved, len(answers), axis=1), strict=True):
            parts = Bootstrap(answer, np.empty((0, 2, len(weights))), np.empty((0, 0))).variances(
                np.stack([weights, -weights])
            )
            for name, interval in others(table, own, parts, rng).items():
                covered[name] = covered.get(name, 0) + holds(interval, population.truth)
    return {name: count / number for name, count in covered.items()}


def others(table: Floats, moved: Floats, parts: Variances, rng: np.random.Generator) -> dict[str, tuple[float, float]]:
    """Other 95% intervals of the mean of a table (r, m), with its row means moved (draws, r) by resampled pictures."""
    r, rows = len(table), table.mean(axis=1)
    drawn = rng.multinomial(r, np.full(r, 1 / r), size=len(moved)) / r
    plain, naive = rows.mean() + moved.mean(axis=1), (drawn * (rows + moved)).sum(axis=1)
    subsets = drawn @ rows
    alone = max(0.0, parts.subsets - parts.rest)
    total = max(parts.pictures + alone, 1e-30)
    half = t_quantile(min(1e6, total**2 * (r - 1) / max(alone, 1e-30) ** 2), 0.95) * total**0.5
    low, high = (tuple(np.quantile(d, [0.025, 0.975]).tolist()) for d in (plain, naive))
    return {
        "pictures alone": low,
        "both, percentile": high,
        "subsets alone, percentile": tuple(np.quantile(subsets, [0.025, 0.975]).tolist()),
        "Satterthwaite": (rows.mean() - half, rows.mean() + half),
    }


def expected(r: int) -> tuple[float, float]:
    """Least and greatest coverage of the 95% interval with normal errors, over the shares of P and S + E."""
    ratios = chdtri(r - 1, (np.arange(2_000) + 0.5) / 2_000) / (r - 1)  # estimated over true variance, equally likely
    found = []
    for share in np.linspace(0.0, 1.0, 51):
        total = 1 - share + share * ratios
        bent = (share * ratios / total) ** BEND
        z, t = z_quantile(0.95), t_quantile(r - 1, 0.95)
        found.append(float(np.mean(2 * ndtr(CAUTION * (z + (t - z) * bent) * total**0.5) - 1)))
    return min(found), max(found)


def missed(population: Population, found: dict[str, float]) -> list[str]:
    """The bounds that this population's figures do not keep."""
    said = []
    if not COVERED[0] <= found["covered"] <= COVERED[1]:
        said.append("coverage")
    if not population.truth and found[HELPED] + found[HURT] > FALSE:
        said.append("false verdicts")
    if population.name.startswith("+3 points") and found[HELPED] < POWER:
        said.append("power")
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=4_000)
    parser.add_argument("--draws", type=int, default=2_000, help="of each bootstrap; 10,000 in a study")
    parser.add_argument("--only", default="", help="populations whose name holds this")
    parser.add_argument("--rivals", action="store_true")
    asked = parser.parse_args()
    failed, began = 0, time.perf_counter()
    measure = rivals if asked.rivals else figures
    for r in (2, 3, 5, 10):
        print(f"normal errors, {r} repeats: coverage " + " to ".join(f"{100 * share:.1f}%" for share in expected(r)))
    for seed, population in enumerate([*EQUAL, *BETTER]):
        if asked.only not in population.name:
            continue
        found = measure(population, asked.studies, asked.draws, seed)
        told = "  ".join(f"{name} {100 * share:5.1f}%" for name, share in found.items())
        low = [] if asked.rivals else missed(population, found)
        failed += bool(low)
        about = f"m {population.m:6,} r {population.r:2} sizes {len(population.first)} d {100 * population.truth:+.1f}"
        print(f"{population.name:34} {about}  {told}  {', '.join(low)}".rstrip(), flush=True)
    print(f"{asked.studies:,} studies a line, {time.perf_counter() - began:.0f} s")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
