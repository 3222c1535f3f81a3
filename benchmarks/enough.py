"""Is it enough? How often the forecast of accuracy at 2 and 4 times the labels holds, and how near `--target` comes.

    python benchmarks/enough.py [--data digits,mnist] [--draws 20]

For each data set and number of labels n, `draws` sets of n labelled pictures are drawn. The forecast is that of
`headstart label`: the default head, its settings chosen on all n, judged in ten folds and on parts of them. The truth
is the accuracy on other pictures of the same head fitted on n to 4n pictures that hold those n, averaged over the
draws, because a single test is too small to judge by. `holds` is the share of draws whose 90% interval holds it,
`width` the mean width in points, `anything` that of all accuracies from today's to 100%.

The targets are the accuracies that this mean curve reaches after 1.2, 1.4, 1.7, 2, 2.4, 2.8, 3.4 and 4 times n labels:
evenly spread, on a logarithmic scale, over what four times the labels bring. `near` is the share of draws and targets
for which the number of labels that is said is within a factor of 1.5 of that; `holds` the share whose interval holds
it. Three figures are there to compare `near` with. `twice`: who says twice n whatever the data, and so knows nothing
but how the targets were made. `median`: the middle of what the data allow, where nothing is known of who asks.
`knowing`: who knows, besides the same answers to the n pictures, the true mean curve up to its level, and that the
target is reached by 4n; no forecast has so much. `apart` is the share where two figures that are printed contradict
each other: the likely accuracy at 2n or 4n is below the target and the number is smaller than that, or above and
larger. `off` is the mean distance in points of the likely accuracy at 4n from the truth, `off, asked` that of who
names a target, and `held 4n, asked` the share of these intervals that hold it.

The priors of the forecast were chosen on these data (decision 45 says how, and how it does on sets left out).

Data and weights are those of the folder that HEADSTART_DATA names and of `weights` beside it; features are stored.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from dataclasses import replace
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

from headstart.enough import described, enough, out_of_fold, settled
from headstart.evidence.forecast import DOUBLINGS, NEAR, Forecast
from headstart.heads.folds import contents, numbers
from headstart.learner import FOLDS, Learner
from headstart.logits import apply_temperature, full_logits
from headstart.pictures import Pictures
from label import DATA, Codes, Rows, all_features

SIZES = {"hymenoptera": (30, 40, 60)}
USUAL = (60, 200)
TEST = 3_000
STEPS = np.arange(5) / 2  # doublings of n at which the truth is measured
TARGETS = np.arange(1, 9) / 4  # doublings of n that the targets take
COLUMNS = (
    "held 2n", "width", "held 4n", "width", "anything", "odd", "near", "holds", "apart", "off", "off, asked",
    "held 4n, asked", "twice", "median", "knowing", "seconds",
)  # fmt: skip
WIDTHS = ("width", "anything", "off", "off, asked")


class Draw(NamedTuple):
    """A forecast, the accuracies after each of `STEPS`, and the seconds beside the fit."""

    forecast: Forecast
    truth: tuple[float, ...]
    seconds: float


def accuracy(X: Rows, y: Codes, T: Rows, t: Codes) -> float:
    head = Learner().fit(Pictures(X, y)).head
    return float((full_logits(head, T, int(t.max()) + 1).argmax(axis=1) == t).mean())


def draw(X: Rows, y: Codes, n: int, seed: int) -> Draw | None:
    """One set of n labelled pictures, and what they say."""
    order = np.random.default_rng([seed, n, 11]).permutation(len(X))
    own, test, k = order[: 4 * n], order[4 * n : 4 * n + TEST], int(y.max()) + 1
    pictures = Pictures(X[own[:n]], y[own[:n]])
    if len(np.unique(pictures.y)) < 2:
        return None
    fitted = Learner().fit(pictures)
    started, again = time.process_time(), settled(fitted.head)
    assert again is not None
    fold = numbers(pictures.y, FOLDS, contents(pictures.X))
    answers = apply_temperature(out_of_fold(again, pictures, k, fold), fitted.temperature)
    found = enough(fitted.head, pictures, k, answers, fold)
    seconds = time.process_time() - started
    sizes = [round(n * 2.0**step) for step in STEPS]
    truth = tuple(accuracy(X[own[:m]], y[own[:m]], X[test], y[test]) for m in sizes)
    return None if found is None else Draw(found, truth, seconds)


def most_likely(chance: NDArray[np.float64]) -> float:
    """The middle of the range of `NEAR` squared, in doublings, with most of the chance at each of `DOUBLINGS`."""
    until, half = np.cumsum(chance), np.log2(NEAR)
    inside = np.interp(DOUBLINGS + half, DOUBLINGS, until) - np.interp(DOUBLINGS - half, DOUBLINGS, until, left=0)
    return float(DOUBLINGS[inside.argmax()])


def medians(found: Forecast, goals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Doublings after which half of the forecast's mixture has reached each logarithm of an error; inf where never."""
    places = DOUBLINGS[::8]
    errors = np.log([1 - found.at(found.n * 2.0**each)[0] for each in places])
    return np.where(goals < errors.min(), np.inf, np.interp(-goals, -errors, places))


def knowing(found: Forecast, curve: NDArray[np.float64], goal: float) -> float:
    """Doublings that a goal takes, of one who knows the logarithms of the true errors (5,) but for a constant."""
    within = DOUBLINGS[(DOUBLINGS >= 0) & (DOUBLINGS <= 2)]
    level, spread = float(found.weights @ found.level), float(found.spread[0])
    off = (goal - level - (np.interp(within, STEPS, curve) - curve[0])) / spread
    chance = np.zeros(len(DOUBLINGS))
    chance[(DOUBLINGS >= 0) & (DOUBLINGS <= 2)] = np.exp(-0.5 * (off**2 - (off**2).min()))
    return most_likely(chance)


def asked_for(found: Forecast, goals: NDArray[np.float64], truth: float) -> NDArray[np.float64]:
    """(targets, 6): doublings, low and high of each; figures contradict each other; distance at 4n; interval holds."""
    rows = []
    for target in 1 - np.exp(goals):
        told = described(found, float(target))
        if told.target is None:  # an odd curve
            told = described(replace(found, odd=""), float(target))
        assert told.target is not None
        ends = [np.inf if each is None else each for each in (told.target.labels, told.target.low, told.target.high)]
        apart = any(
            (each.accuracy < target - 1e-9 and ends[0] < each.labels - 1)
            or (each.accuracy > target + 1e-9 and ends[0] > each.labels + 1)
            for each in told.ahead
        )
        last = told.ahead[-1]
        rows.append(
            [*np.log2(np.array(ends) / found.n), apart, abs(last.accuracy - truth), last.low <= truth <= last.high]
        )
    return np.array(rows, dtype=np.float64)


def row(n: int, draws: list[Draw]) -> NDArray[np.float64]:
    """(draws, columns), a share of 0 to 1 or a width."""
    mean = np.maximum.accumulate(np.mean([d.truth for d in draws], axis=0))
    curve = np.log(1 - mean)
    goals, found = np.interp(TARGETS, STEPS, curve), []
    for d in draws:
        cells = []
        for times, place in ((2, 2), (4, 4)):
            _, low, high = d.forecast.at(times * n)
            cells += [low <= mean[place] <= high, high - low]
        said = asked_for(d.forecast, goals, mean[4])
        alone = abs(d.forecast.at(4 * n)[0] - mean[4])
        known = np.array([knowing(d.forecast, curve, goal) for goal in goals])
        others = (np.ones(len(goals)), medians(d.forecast, goals), known)
        near = [np.mean(np.abs(each - TARGETS) <= np.log2(NEAR) + 1e-9) for each in (said[:, 0], *others)]
        holds = np.mean((said[:, 1] <= TARGETS) & (said[:, 2] >= TARGETS))
        odd = bool(d.forecast.odd)
        told = [near[0], holds, said[:, 3].mean(), alone, said[:, 4].mean(), said[:, 5].mean(), *near[1:]]
        found.append([*cells, 1 - d.forecast.accuracy[-1], odd, *told, d.seconds])
    return np.array(found, dtype=np.float64)


def line(name: str, n: str, found: NDArray[np.float64]) -> str:
    cells = []
    for title, value in zip(COLUMNS, found.mean(axis=0), strict=True):
        shown = (
            f"{value:.2f}" if title == "seconds" else f"{100 * value:.1f}" if title in WIDTHS else f"{100 * value:.0f}%"
        )
        cells.append(shown.rjust(len(title)))
    return f"{name:32s} {n:>4s} {len(found):5d}  " + "  ".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=",".join(DATA))
    parser.add_argument("--draws", type=int, default=20)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    print(f"{'data, features':32s} {'n':>4s} draws  " + "  ".join(COLUMNS))
    everything = []
    for name in asked.data.split(","):
        X, y = all_features(name, DATA[name])
        for n in SIZES.get(name, USUAL):
            draws = [d for seed in range(asked.draws) if (d := draw(X, y, n, seed)) is not None]
            everything.append(row(n, draws))
            print(line(f"{name}, {DATA[name]}", str(n), everything[-1]), flush=True)
    print(line("all", "", np.concatenate(everything)))


if __name__ == "__main__":
    main()
