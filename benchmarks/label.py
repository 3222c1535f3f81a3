"""Labels saved: how many a person must give until a classifier is nearly as good as with all of them.

    python benchmarks/label.py [--data digits,mnist] [--seeds 10] [--pool 2000] [--plain] [--unbalanced] [--measured]

For each data set and seed, a pool of unlabelled pictures and test pictures are drawn. Pictures are labelled in the
order of `headstart.suggest`, with a fit (`Learner().fit`, as `headstart fit` does) at each count of `COUNTS`, and in a
random order, judged at the same counts. `needed` is where the accuracy on the test first reaches 90% of what all
labels of the pool give, between two counts by a straight line in the logarithm of labels. The saving is 1 minus the
geometric mean over the seeds of needed / needed at random, with a 95% interval (Student's t on the logarithm). In the
unbalanced versions the classes have 1 : 5 : 20 pictures (1 : 20 with two classes), shared out anew for each seed, and
accuracy is the mean of the classes' recalls. The rule was chosen on other features and pictures: raw pixels, SqueezeNet
and MobileNetV2 0.35 (decision 45).

Data and weights are those of the folder that HEADSTART_DATA names and of `weights` beside it; features are stored.
"""

from __future__ import annotations

import argparse
import os
import warnings
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

from few_labels import features
from headstart.images import ImageSet, load, select
from headstart.labelling.choosing import EVERY, Pool, doubts, mixed
from headstart.learner import Learner
from headstart.logits import apply_temperature, full_logits
from headstart.pictures import Pictures
from headstart.statistics import t_quantile

DATA = {
    "digits": "sprout",
    "mnist": "sprout",
    "fashion_mnist": "sprout",
    "cats_vs_dogs": "mobilenetv2_100",
    "hymenoptera": "mobilenetv2_100",
}
COUNTS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 18, 22, 27, 33, 40, 50, 60, 75, 90, 110, 135, 165, 200, 250, 300, 400, 500)
GOAL = 0.9
SHARES = (1, 5, 20)
DRAWN, TEST = 10_000, 1_000  # pictures of a large set, and of a test
Codes = NDArray[np.int64]
Rows = NDArray[np.float32]


class Drawn(NamedTuple):
    """A pool X (n, d), y (n,) and a test T (m, d), t (m,) of k classes."""

    X: Rows
    y: Codes
    T: Rows
    t: Codes
    k: int


def all_features(name: str, backbone: str) -> tuple[Rows, Codes]:
    """Features and classes of a data set."""
    images: ImageSet = load("digits" if name == "digits" else str(Path(os.environ["HEADSTART_DATA"]) / name))
    X, kept = features(select(images, limit=DRAWN, seed=0), name, backbone, "auto")
    return X, kept.labels


def drawn(X: Rows, y: Codes, seed: int, pool: int, unbalanced: bool) -> Drawn:
    """A pool and a test of their own."""
    rng, k = np.random.default_rng([seed, 7]), int(y.max()) + 1
    order = rng.permutation(len(X))
    m = min(TEST, len(X) * 2 // 5)
    test, rest = order[:m], order[m:]
    if unbalanced:
        shares = rng.permutation([SHARES[i % 3] for i in range(k)] if k > 2 else [SHARES[0], SHARES[2]])
        available = np.bincount(y[rest], minlength=k)
        each = min((available / shares).min(), pool / shares.sum())
        parts = [rest[y[rest] == c][: max(2, int(each * shares[c]))] for c in range(k)]
        rest = rng.permutation(np.concatenate(parts))
    rest = rest[:pool]
    return Drawn(X[rest], y[rest], X[test], y[test], k)


def answers(d: Drawn, rows: Codes) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Probabilities (m, k) of the test, and how doubtful (n,) the pool is, by a fit on some of the pool."""
    known = np.unique(d.y[rows])
    if len(known) == 1:
        return np.eye(d.k)[np.repeat(known, len(d.t))], None
    fitted = Learner().fit(Pictures(d.X[rows], d.y[rows]))
    told = apply_temperature(full_logits(fitted.head, np.concatenate([d.T, d.X]), d.k), fitted.temperature)
    return told[: len(d.t)], doubts(told[len(d.t) :])


def accuracy(d: Drawn, told: NDArray[np.float64], unbalanced: bool) -> float:
    right = told.argmax(axis=1) == d.t
    return float(np.mean([right[d.t == c].mean() for c in range(d.k)]) if unbalanced else right.mean())


def needed(d: Drawn, given: Codes | None, goal: float, unbalanced: bool, measured: bool = False) -> float:
    """Labels until the goal is reached: in a given order, or as `suggest` would ask, or the page (`measured`)."""
    pool = Pool.of(d.X) if given is None else None
    random = 0
    rows, doubt, before, last = np.zeros(0, np.int64), None, 0.0, 0
    for count in (*COUNTS, len(d.y)):
        count = min(count, len(d.y))
        if pool is None:
            rows = given[:count]
        else:
            more = pool.choose(count - last, rows, doubt)
            if measured:
                owed = max(count // EVERY - random, 0)
                order, at_random = mixed(more, np.setdiff1d(np.arange(len(d.y)), rows), count, owed)
                more = order[: count - last]
                random += int(np.isin(more, at_random).sum())
            rows = np.append(rows, more)
        told, doubt = answers(d, rows)
        reached = accuracy(d, told, unbalanced)
        if reached >= goal:
            share = (goal - before) / max(reached - before, 1e-9)
            return float(max(last, 1) * (count / max(last, 1)) ** share)
        before, last = reached, count
    return float(len(d.y))


def compare(name: str, seeds: int, pool: int, unbalanced: bool, measured: bool) -> NDArray[np.float64]:
    """(seeds, 2): labels needed with help, and at random."""
    X, y = all_features(name, DATA[name])
    found = []
    for seed in range(seeds):
        d = drawn(X, y, seed, pool, unbalanced)
        full = answers(d, np.arange(len(d.y)))[0]
        goal = GOAL * accuracy(d, full, unbalanced)
        order = np.random.default_rng([seed, 8]).permutation(len(d.y))
        found.append([needed(d, None, goal, unbalanced, measured), needed(d, order, goal, unbalanced)])
    return np.array(found)


def saving(found: NDArray[np.float64]) -> tuple[float, float, float]:
    """1 - the geometric mean of needed / needed at random, and its 95% interval."""
    logs = np.log(found[:, 0] / found[:, 1])
    half = t_quantile(len(logs) - 1, 0.95) * logs.std(ddof=1) / np.sqrt(len(logs))
    mean = float(logs.mean())
    return 1 - np.exp(mean), 1 - np.exp(mean + half), 1 - np.exp(mean - half)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=",".join(DATA))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--pool", type=int, default=2_000)
    parser.add_argument("--plain", action="store_true", help="only the sets as they are")
    parser.add_argument("--unbalanced", action="store_true", help="only the unbalanced versions")
    parser.add_argument("--measured", action="store_true", help="one in four at random, as on the page")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    print(f"{'data, features':32s} {'classes':10s} {'labels':>7s} {'random':>7s}  saved, 95% interval")
    for unbalanced in (False, True):
        if (asked.plain and unbalanced) or (asked.unbalanced and not unbalanced):
            continue
        savings = []
        for name in asked.data.split(","):
            found = compare(name, asked.seeds, asked.pool, unbalanced, asked.measured)
            value, low, high = saving(found)
            savings.append(value)
            with_help, random = np.exp(np.log(found).mean(axis=0))
            kind = "1 : 5 : 20" if unbalanced else "as they are"
            print(
                f"{name + ', ' + DATA[name]:32s} {kind:10s} {with_help:7.1f} {random:7.1f}  "
                f"{100 * value:.0f}% ({100 * low:.0f} to {100 * high:.0f})",
                flush=True,
            )
        print(f"mean saving {100 * np.mean(savings):.0f}%", flush=True)


if __name__ == "__main__":
    main()
