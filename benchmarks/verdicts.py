"""Verdicts on simulated studies whose truth is known: what is said wrongly, coverage, power.

    python benchmarks/verdicts.py [--studies 300] [--only TEXT] [--jobs 1]

Each line is one population (`benchmarks/populations.py`). Printed are the percent of studies in which

    verdict    some pair's verdict over all sizes is false: equal arms called helped, hurt, better or worse
    sizes      some pair's verdict at some size is
    sentence   some pair's sentence says so
    any        any of them
    covered    the interval over all sizes holds the truth; that of the transfer ratio does; all of the intervals by
               size hold theirs; those of one arm's accuracies do, on average
    found      the sizes at which the first pair's verdict says rightly which arm is better, on average
    helped, hurt, none, open    the first pair's verdict

The first lines are exact: coverage under normal errors for every share of subsets in the variance. Exit status 1 where
a bound is missed.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.special import chdtri, ndtr

from headstart.evidence import power
from headstart.evidence.accuracy import curves_of
from headstart.evidence.bootstrap import Bootstrap
from headstart.evidence.pairwise import Pair, compare, compare_all
from headstart.evidence.variance import CAUTION, bend
from headstart.schema.verdicts import HELPED, HURT, NONE, OPEN, Comparison, Estimate, Verdict
from headstart.statistics import t_quantile, z_quantile
from populations import BETTER, EQUAL, HARD, PLANNED, Population

CLAIM = re.compile(r"(?<!whether )transfer (helped|hurt)|\b(is|are) (better|worse)\b| and (helped|hurt|better|worse) ")
DRAWS = 100
"""Of the joint bootstrap, which only ratios and equivalences take: no verdict depends on it."""
CHUNK = 50
"""Studies that a process carries out before it takes others."""
FALSE, COVERED, POWER = 0.05, (0.93, 0.98), 0.80


@dataclass
class Tally:
    """Counts over studies."""

    studies: int = 0
    found: dict[str, float] = field(default_factory=dict)

    def add(self, name: str, value: float) -> None:
        self.found[name] = self.found.get(name, 0.0) + value

    def share(self, name: str) -> float:
        return self.found.get(name, 0.0) / self.studies


def pairs(population: Population) -> list[Pair]:
    """Those that say whether transfer helped first, the primary ones before the others."""
    names, half = population.names, population.arms // 2
    across = [Pair(one, other) for one in names[:half] for other in names[half:]]
    parts = names[:half], names[half:]
    within = [Pair(a, b, transfer=False) for part in parts for i, a in enumerate(part) for b in part[i + 1 :]]
    return [*across, *within]


def claims(verdict: Verdict) -> bool:
    """Whether it says that one of the arms is better."""
    return verdict.sign != 0


def figures(population: Population, number: int, seed: int | tuple[int, int], draws: int = DRAWS) -> dict[str, float]:
    """Shares of the studies."""
    rng, tally, half = np.random.default_rng(seed), Tally(number), population.arms // 2
    asked, primary = pairs(population), population.arms - half
    for _ in range(number):
        boot = Bootstrap.of(population.draw(rng), draws)
        found = compare_all(boot, asked, primary)
        judged(tally, population, found)
        one_arm(tally, population, boot)
    return {name: tally.share(name) for name in COLUMNS}


COLUMNS = (
    "verdict",
    "sizes",
    "sentence",
    "any",
    "covered",
    "covered ratio",
    "covered by size",
    "covered arm",
    "found",
    HELPED,
    HURT,
    NONE,
    OPEN,
)


def judged(tally: Tally, population: Population, found: list[Comparison]) -> None:
    """Add one study."""
    wrong = population.equal * np.array(
        [
            any(claims(each.verdict) for each in found),
            any(claims(size) for each in found for size in each.by_size),
            any(CLAIM.search(each.sentence.replace("Transfer", "transfer")) for each in found),
        ]
    )
    for name, value in zip(COLUMNS, (*wrong, wrong.any()), strict=False):
        tally.add(name, value)
    first = found[0]
    tally.add("covered", holds(first.verdict.difference, population.truth))
    tally.add("covered ratio", first.ratio is not None and holds(first.ratio, population.ratio))
    sizes = zip(first.by_size, population.truths, strict=True)
    tally.add("covered by size", all(holds(each.difference, truth) for each, truth in sizes))
    found_by_size = [size.sign == np.sign(truth) for size, truth in zip(first.by_size, population.truths, strict=True)]
    tally.add("found", 0.0 if population.equal else float(np.mean(found_by_size)))
    tally.add(next(word for word in (HELPED, HURT, NONE, "") if first.verdict.word.startswith(word)) or OPEN, 1)


def one_arm(tally: Tally, population: Population, boot: Bootstrap) -> None:
    """Whether the first arm's intervals hold its accuracy: the average over sizes that vary."""
    if population.heavy:
        return  # its accuracy is not exact
    last = len(population.first) - (population.whole and len(population.first) > 1)
    each = zip(curves_of(boot)[0][:last], population.first[:last], strict=True)
    tally.add("covered arm", float(np.mean([holds(estimate, truth) for estimate, truth in each])))


def holds(found: Estimate, truth: float) -> bool:
    assert found.low is not None and found.high is not None
    return found.low - 1e-12 <= truth <= found.high + 1e-12


def planned(population: Population, number: int, seed: int | tuple[int, int]) -> tuple[float, float]:
    """Mean of the repeats that pilots ask for, and how often they find the difference; 100 where none are enough."""
    rng, repeats, found = np.random.default_rng(seed), 0, 0
    for _ in range(number):
        pilot = compare(Bootstrap.of(population.draw(rng), DRAWS), *population.names)
        wanted = power.plan(power.spread_of(pilot, population.r), abs(population.truth)).repeats or power.REPEATS[-1]
        study = compare(Bootstrap.of(replace(population, r=wanted).draw(rng), DRAWS), *population.names)
        repeats, found = repeats + wanted, found + (study.verdict.sign > 0)
    return repeats / number, found / number


def expected(r: int, level: float = 0.95) -> tuple[float, float]:
    """Least and greatest coverage of the interval with normal errors, over the shares of P and S + E."""
    ratios = chdtri(r - 1, (np.arange(2_000) + 0.5) / 2_000) / (r - 1)  # estimated over true variance, equally likely
    found = []
    for share in np.linspace(0.0, 1.0, 51):
        total = 1 - share + share * ratios
        bent = (share * ratios / total) ** bend(r)
        z, t = z_quantile(level), t_quantile(r - 1, level)
        found.append(float(np.mean(2 * ndtr(CAUTION * (z + (t - z) * bent) * total**0.5) - 1)))
    return min(found), max(found)


def missed(population: Population, found: dict[str, float], studies: int) -> list[str]:
    """The bounds that this population's figures do not keep, with two standard errors of so many studies."""
    slack, said = 2 * (FALSE * (1 - FALSE) / studies) ** 0.5, []
    if COVERED[0] - slack > found["covered"] and population.r > 1 and population.name != "all alone":
        said.append("coverage")
    said += [name for name in COLUMNS[:4] if found[name] > FALSE + slack]
    if population.name.startswith("+3 points") and found[HELPED] < POWER:
        said.append("power")
    return said


def line(population: Population, studies: int, chunks: list[dict[str, float]]) -> tuple[str, bool]:
    """The line of a population from shares of equal numbers of its studies, and whether a bound is missed."""
    found = {name: float(np.mean([each[name] for each in chunks])) for name in COLUMNS}
    low = missed(population, found, studies)
    told = " ".join(f"{100 * found[name]:15.1f}" for name in COLUMNS)
    return f"{population.name:44}{told}  {', '.join(low)}".rstrip(), bool(low)


def line_of_plan(population: Population, studies: int, chunks: list[tuple[float, float]]) -> tuple[str, bool]:
    """The same of one whose repeats are planned from pilots."""
    repeats, share = np.mean(chunks, axis=0).tolist()
    return f"{population.name:44}{repeats:5.1f} repeats on average find it in {100 * share:.1f}%", share < POWER


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=300)
    parser.add_argument("--only", default="", help="populations whose name holds this")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    asked = parser.parse_args()
    failed, began = 0, time.perf_counter()
    for r in (2, 3, 5, 10, 20):
        told = ", ".join(
            "{:.1f} to {:.1f}".format(*(100 * x for x in expected(r, level))) for level in (0.95, 0.99, 0.998)
        )
        print(f"normal errors, {r} repeats: coverage at 95, 99 and 99.8%: {told}")
    print(f"{'':44}" + " ".join(f"{name[:15]:>15}" for name in COLUMNS))
    work: list[tuple[Any, Any, int, Population]] = [
        *((figures, line, seed, each) for seed, each in enumerate([*EQUAL, *HARD, *BETTER])),
        *((planned, line_of_plan, seed, each) for seed, each in enumerate(PLANNED)),
    ]
    with ProcessPoolExecutor(asked.jobs) as pool:
        started = [
            (each, told, [pool.submit(made, each, CHUNK, (seed, i)) for i in range(max(1, asked.studies // CHUNK))])
            for made, told, seed, each in work
            if asked.only in each.name
        ]
        for each, told, chunks in started:
            words, low = told(each, len(chunks) * CHUNK, [chunk.result() for chunk in chunks])
            failed += low
            print(words, flush=True)
    print(f"{asked.studies:,} studies a line, {time.perf_counter() - began:.0f} s")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
