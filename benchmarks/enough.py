"""Is it enough? How often the forecast of accuracy at 2 and 4 times the labels holds, and how near `--target` comes.

    python benchmarks/enough.py [--data digits,mnist] [--draws 20]

For each data set and number of labels n, `draws` sets of n labelled pictures are drawn. The forecast is that of
`headstart label`: the default head, its settings chosen on all n, judged in ten folds and on parts of them. The truth
is the accuracy on other pictures of the same head fitted on 2n and 4n pictures that hold those n, averaged over six
draws, because a single test is too small to judge by. `holds` is the share of draws whose 90% interval holds it,
`width` the mean width in points, `anything` that of all accuracies from today's to 100%. For a target, the mean
accuracy with 2n and with 4n, the labels that it is said to take are compared with 2n and 4n: `near` is the share
within a factor of 1.5. The priors of the forecast were set by other features: raw pixels, SqueezeNet and MobileNetV2
0.35 (decision 45).

Data and weights are those of the folder that HEADSTART_DATA names and of `weights` beside it; features are stored.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

from headstart.classifier import full_logits
from headstart.enough import enough, out_of_fold, settled
from headstart.evidence.forecast import Forecast
from headstart.heads.folds import contents, numbers
from headstart.learner import FOLDS, Learner, Pictures
from label import DATA, Codes, Rows, all_features

SIZES = {"hymenoptera": (30, 40, 60)}
USUAL = (60, 200)
TEST, JUDGED = 3_000, 6  # pictures of a test, and draws whose accuracies make the truth
FACTOR = 1.5


class Draw(NamedTuple):
    """A forecast, the accuracies with n, 2n and 4n pictures (of the first draws), and the seconds beside the fit."""

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
    head = Learner().fit(pictures).head
    started, again = time.process_time(), settled(head)
    assert again is not None
    fold = numbers(pictures.y, FOLDS, contents(pictures.X))
    wrong = out_of_fold(again, pictures, k, fold).argmax(axis=1) != pictures.y
    found = enough(head, pictures, k, wrong, fold)
    seconds = time.process_time() - started
    judged = (n, 2 * n, 4 * n) if seed < JUDGED else ()
    truth = tuple(accuracy(X[own[:m]], y[own[:m]], X[test], y[test]) for m in judged)
    return None if found is None else Draw(found, truth, seconds)


def row(n: int, draws: list[Draw]) -> NDArray[np.float64]:
    """(draws, 9): held and width at 2n and 4n, width of anything, said to be odd, near at 2n and 4n, seconds."""
    mean = np.maximum.accumulate(np.mean([d.truth for d in draws if d.truth], axis=0))
    found = []
    for d in draws:
        cells = []
        for times, place in ((2, 1), (4, 2)):
            _, low, high = d.forecast.at(times * n)
            cells += [low <= mean[place] <= high, high - low]
        near = []
        for times, place in ((2, 1), (4, 2)):
            said = d.forecast.needed(mean[place])[0] / (times * n)
            near.append(1 / FACTOR <= said <= FACTOR)
        found.append([*cells, 1 - d.forecast.accuracy[-1], bool(d.forecast.odd), *near, d.seconds])
    return np.array(found, dtype=np.float64)


def line(name: str, n: str, found: NDArray[np.float64]) -> str:
    held2, width2, held4, width4, anything, odd, near2, near4, seconds = found.mean(axis=0)
    return (
        f"{name:32s} {n:>5s} {len(found):5d}  {100 * held2:4.0f}% {100 * width2:5.1f}  {100 * held4:4.0f}% "
        f"{100 * width4:5.1f} {100 * anything:8.1f}  {100 * odd:3.0f}%  {100 * near2:4.0f}% {100 * near4:4.0f}% "
        f"{seconds:6.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=",".join(DATA))
    parser.add_argument("--draws", type=int, default=20)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    print(
        f"{'data, features':32s} {'n':>5s} draws  2n: holds, width  4n: holds, width, anything  odd  near 2n, 4n  "
        "seconds"
    )
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
