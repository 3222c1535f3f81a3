"""The interval of a cross-validated score on simulated small data sets whose truth is known: coverage and width.

    python benchmarks/cv_interval.py [--draws 2000] [--sizes 50 200 1000] [--only TEXT] [--features FOLDER] [--new]

A line is one population and one n: `--draws` times n labelled pictures are drawn from it, each picture's class by
chance, and judged by stratified cross-validation in 10 folds; the truth is the accuracy on the whole population of the
classifier fitted on all n. Features are normal or heavy-tailed around one or several centres a class, in columns of
equal or of decaying variance; the accuracy of a linear classifier on them is exact for two classes, and by 40,000 draws
in as many dimensions as there are classes for more. The classifiers are stand-ins of the logistic and the ridge head
with a fixed penalty, on columns divided by a shrunk standard deviation.
Some lines, marked so, found the inflation; the totals are of the others. Beside it Wilson's interval of n answers.

Real features come with scikit-learn (digits, raw pixels) and from --features, a folder of .npz files with X (N, d) and
y (N,): n rows are drawn, and the truth is the accuracy on the other N - n. Those differ from the whole by chance and
have to be held against the n: a difference of two means of one pool has the variance of the means of n out of endless
pictures times N / (N - n), so that the difference is scaled by the root of (N - n) / N. Exit status 1 where a total of
an n leaves 93 to 97%.
"""

from __future__ import annotations

import argparse
import sys
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr

from headstart.evidence.cross_validated import FOLDS, interval
from headstart.statistics import wilson

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Labels = NDArray[np.int64]
Generator = np.random.Generator
SIZES, DRAWS, COVERED = (50, 200, 1_000), 2_000, (0.93, 0.97)
STEPS = 20  # of the accelerated gradient: an early stop is a classifier too, and each fold stops there by itself
TESTED, BANK = 40_000, 400_000
LEAST = 2  # pictures of a class, or the data are drawn again: a class of none cannot be learnt
SHRINK = 10  # pictures' worth of the mean variance in that of a column


@dataclass(frozen=True)
class Linear:
    """A classifier: the class of the largest of x coef + intercept (one column: the second where it is above 0)."""

    coef: Singles
    intercept: Singles

    def __call__(self, X: Singles) -> Labels:
        logits = X @ self.coef + self.intercept
        found: Labels = (logits[:, 0] > 0).astype(np.int64) if logits.shape[1] == 1 else logits.argmax(axis=1)
        return found


@dataclass(frozen=True)
class Population:
    """Classes around centres `far` from their middle in q of d dimensions; `penalty` grows as it gets weaker."""

    name: str
    classes: int
    d: int
    far: float
    q: int = 5
    tail: float = 0.0  # degrees of freedom of t; 0: normal
    centres: int = 1
    decay: float = 0.0  # columns' standard deviations go with this power of their number
    uneven: float = 0.0  # the share of each class is smaller by this logarithm than that of the one before
    wrong: float = 0.0  # share of labels by chance
    penalty: float = 10.0
    head: str = "logistic"
    calibrated: bool = False

    @cached_property
    def means(self) -> Singles:
        """(classes, centres, d)."""
        rng = np.random.default_rng(zlib.crc32(self.name.encode()))
        found = np.zeros((self.classes, self.centres, self.d))
        where = rng.permutation(min(self.d, 4 * self.q))[: self.q]
        drawn = rng.standard_normal((self.classes, self.centres, len(where)))
        drawn -= drawn.mean(axis=(0, 1))
        found[:, :, where] = self.far * drawn / np.sqrt((drawn**2).sum(axis=2).mean())
        return found.astype(np.float32)

    @cached_property
    def mixed(self) -> Singles | None:
        """(d, d): how the columns come from independent ones; None where they are those."""
        if not self.decay:
            return None
        turned, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((self.d, self.d)))
        return (turned * np.arange(1, self.d + 1) ** -self.decay).astype(np.float32)

    @cached_property
    def shares(self) -> Floats:
        found = np.exp(-self.uneven * np.arange(self.classes))
        return found / found.sum()

    @cached_property
    def bank(self) -> tuple[Singles, Singles]:
        """Normal draws (BANK, classes) and the stretch of each (BANK,) that makes them heavy-tailed."""
        rng = np.random.default_rng(1)
        return rng.standard_normal((BANK, self.classes), dtype=np.float32), self.stretch(BANK, rng)

    def stretch(self, n: int, rng: Generator) -> Singles:
        if not self.tail:
            return np.ones(n, np.float32)
        return np.sqrt(self.tail / rng.chisquare(self.tail, n)).astype(np.float32)

    def draw(self, n: int, rng: Generator) -> tuple[Singles, Labels]:
        y = rng.choice(self.classes, n, p=self.shares)
        while np.bincount(y, minlength=self.classes).min() < LEAST:
            y = rng.choice(self.classes, n, p=self.shares)
        X = rng.standard_normal((n, self.d), dtype=np.float32) * self.stretch(n, rng)[:, None]
        X += self.means[y, rng.integers(self.centres, size=n)]
        y = np.where(rng.random(n) < self.wrong, rng.integers(self.classes, size=n), y)
        return (X if self.mixed is None else X @ self.mixed.T), y

    def truth(self, classifier: Linear, score: float, rng: Generator) -> float:
        coef = classifier.coef if self.mixed is None else self.mixed.T @ classifier.coef
        logits = self.means @ coef + classifier.intercept
        hits = self.of_two(coef, logits) if self.classes == 2 else self.of_many(coef, logits, rng)
        return float(self.shares @ hits) * (1 - self.wrong) + self.wrong / self.classes

    def of_two(self, coef: Singles, logits: Singles) -> Floats:
        """(2,) share of right answers by class, exact but for 1,000 quantiles of the stretch."""
        stretch = np.sort(self.bank[1])[:: BANK // 1_000] if self.tail else np.ones(1)
        above = ndtr(logits[..., 0] / np.linalg.norm(coef) / stretch[:, None, None]).mean(axis=(0, 2))
        return np.array([1 - above[0], above[1]])

    def of_many(self, coef: Singles, logits: Singles, rng: Generator) -> Floats:
        """(classes,) share of right answers by class, by drawing logits, which are as normal as the features."""
        draws, (normal, stretch) = TESTED // (self.classes * self.centres), self.bank
        root = np.linalg.cholesky(coef.T @ coef + 1e-6 * np.trace(coef.T @ coef) * np.eye(self.classes))
        hits = np.zeros((self.classes, self.centres))
        for (k, j), start in np.ndenumerate(rng.integers(BANK - draws, size=hits.shape)):
            noise = normal[start : start + draws] @ root.T.astype(np.float32) * stretch[start : start + draws, None]
            hits[k, j] = np.mean((noise + logits[k, j]).argmax(axis=1) == k)
        return hits.mean(axis=1)


class Pool:
    """Real features, of which n rows are drawn."""

    def __init__(self, name: str, X: NDArray[Any], y: NDArray[Any]) -> None:
        self.name, self.X, self.calibrated = name, X.astype(np.float32), False
        self.y = np.unique(y, return_inverse=True)[1].astype(np.int64)
        self.classes, self.penalty, self.head = int(self.y.max()) + 1, 10.0, "logistic"
        self.drawn = np.zeros(len(y), bool)

    def draw(self, n: int, rng: Generator) -> tuple[Singles, Labels]:
        rows = rng.permutation(len(self.y))[:n]
        while np.bincount(self.y[rows], minlength=self.classes).min() < LEAST:
            rows = rng.permutation(len(self.y))[:n]
        self.drawn = np.isin(np.arange(len(self.y)), rows)
        return self.X[rows], self.y[rows]

    def truth(self, classifier: Linear, score: float, rng: Generator) -> float:
        rest = float(np.mean(classifier(self.X[~self.drawn]) == self.y[~self.drawn]))
        return score + float(np.mean(~self.drawn)) ** 0.5 * (rest - score)


Source = Population | Pool


def stratified(y: Labels, rng: Generator) -> Labels:
    """(n,) the fold of each picture; where one class ends the next begins."""
    order = np.lexsort((rng.random(len(y)), y))
    found = np.empty(len(y), np.int64)
    found[order] = np.arange(len(y)) % FOLDS
    return found


@dataclass(frozen=True)
class Rows:
    """Standardised features (n, r + 1) in their principal axes, with a column of ones, and how they were made."""

    Q: Singles
    sizes: Singles
    back: Singles
    middle: Singles

    @classmethod
    def of(cls, X: Singles) -> Rows:
        n, d = X.shape
        middle, variance = X.mean(axis=0), X.var(axis=0)
        scale = np.sqrt(d * (SHRINK * variance.mean() + n * variance) / (SHRINK + n))
        Z = (X - middle) / scale
        if n <= d:
            sizes, own = np.linalg.eigh(Z @ Z.T)
            sizes, own = np.maximum(sizes[1:], 1e-6), own[:, 1:]
            axes = Z.T @ (own / np.sqrt(sizes))
        else:
            sizes, axes = np.linalg.eigh(Z.T @ Z)
        Q = np.column_stack([Z @ axes, np.ones(n)])
        return cls(*(part.astype(np.float32) for part in (Q, np.append(sizes, n), axes / scale[:, None], middle)))

    def classifier(self, theta: Singles) -> Linear:
        coef = self.back @ theta[:-1]
        return Linear(coef, theta[-1] - self.middle @ coef)


def logistic(rows: Rows, Y: Singles, fold: Labels, penalty: float) -> tuple[Singles, Singles]:
    """Logits (n, k) of each picture from the fit without its fold, and the fit on all (r + 1, k).

    Nesterov's gradient on all fits at once from zero, divided by Böhning's bound of the curvature (1992).
    """
    (n, r), k, fits = rows.Q.shape, Y.shape[1], FOLDS + 1
    used = (fold[:, None] != np.arange(fits)).astype(np.float32)[..., None]
    pull = np.append(np.full(r - 1, 1 / penalty), 0.0).astype(np.float32)[:, None]
    step = 1 / ((0.25 if k == 1 else 0.5) * rows.sizes[:, None] + pull)
    now = before = np.zeros((r, fits * k), np.float32)
    for i in range(STEPS):
        residual = (probabilities((rows.Q @ now).reshape(n, fits, k)) - Y[:, None]) * used
        after = now - step * (rows.Q.T @ residual.reshape(n, -1) + pull * now)
        now, before = after + np.float32(i / (i + 3)) * (after - before), after
    logits = (rows.Q @ before).reshape(n, fits, k)
    return logits[np.arange(n), fold], before[:, -k:]


def probabilities(logits: Singles) -> Singles:
    if logits.shape[-1] == 1:
        return np.asarray(expit(logits))
    found = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(found / found.sum(axis=-1, keepdims=True))


def ridge(rows: Rows, Y: Singles, fold: Labels, penalty: float) -> tuple[Singles, Singles]:
    """The same by least squares on -1 and 1: a fold's residuals without it are (I - H)^-1 times those with it."""
    pull = np.append(np.full(rows.Q.shape[1] - 1, 1 / penalty), 0.0)
    target = 2 * Y - 1
    theta = (rows.Q.T @ target) / (rows.sizes + pull)[:, None]
    residual = target - rows.Q @ theta
    logits = np.empty_like(target)
    for f in range(FOLDS):
        own = fold == f
        H = rows.Q[own] / (rows.sizes + pull) @ rows.Q[own].T
        logits[own] = target[own] - np.linalg.solve(np.eye(len(H)) - H, residual[own])
    return logits, theta.astype(np.float32)


HEADS = {"logistic": logistic, "ridge": ridge}


def simulated(source: Source, n: int, rng: Generator) -> tuple[NDArray[np.bool_], float]:
    """The right answers of cross-validation on one data set, and the accuracy of the classifier fitted on all of it."""
    X, y = source.draw(n, rng)
    fold, rows = stratified(y, rng), Rows.of(X)
    Y = y[:, None] if source.classes == 2 else np.eye(source.classes)[y]
    logits, theta = HEADS[source.head](rows, Y.astype(np.float32), fold, source.penalty)
    found = logits[:, 0] > 0 if source.classes == 2 else logits.argmax(axis=1)
    right = found == y
    return right, source.truth(rows.classifier(theta), float(right.mean()), rng)


def known(calibrated: bool, *populations: Population) -> list[Population]:
    return [replace(each, calibrated=calibrated) for each in populations]


POPULATIONS = [
    *known(
        True,
        Population("2, near chance", 2, 50, 0.3),
        Population("2, middling", 2, 50, 1.0),
        Population("2, near the top", 2, 20, 2.4),
        Population("2, heavy tails", 2, 50, 1.5, tail=3),
        Population("2, decaying", 2, 200, 1.5, q=10, decay=0.5),
        Population("2, ridge", 2, 100, 1.8, q=10, head="ridge"),
        Population("5, uneven", 5, 100, 3.0, q=10, uneven=0.5),
        Population("5, near the top", 5, 30, 5.0, q=10),
        Population("10, middling", 10, 50, 2.5, q=10),
        Population("10, ridge", 10, 100, 5.0, q=12, decay=0.3, head="ridge"),
    ),
    *known(
        False,
        Population("two of 0.5 to 0.6", 2, 100, 0.5),
        Population("two, good", 2, 30, 1.4),
        Population("two, top", 2, 64, 2.8, q=10, decay=0.3),
        Population("two, centres", 2, 80, 3.0, q=8, centres=3, tail=5),
        Population("two, uneven", 2, 40, 1.2, uneven=1.2),
        Population("two, wrong labels", 2, 60, 2.5, wrong=0.2),
        Population("two, hardly a penalty", 2, 40, 1.5, penalty=300.0),
        Population("two, wide", 2, 640, 2.0, q=20, decay=0.4, head="ridge"),
        Population("five, decaying", 5, 128, 2.5, q=10, decay=0.4, head="ridge"),
        Population("five, heavy tails", 5, 60, 3.0, q=10, tail=3),
        Population("five, strong penalty", 5, 80, 3.0, q=8, penalty=1.0),
        Population("ten of 0.1 to 0.3", 10, 60, 1.0, q=10),
        Population("ten, centres", 10, 100, 6.0, q=20, centres=2, head="ridge"),
        Population("ten, top", 10, 80, 6.5, q=15, tail=8, head="ridge"),
    ),
]


@dataclass(frozen=True)
class Line:
    """What the intervals of one source and n did: ours and Wilson's of n, each a pair.

    spread: root mean square of score - truth, in standard errors of n answers; beyond: share of truths below and above.
    """

    truth: float
    score: float
    spread: float
    covered: tuple[float, float]
    width: tuple[float, float]
    beyond: tuple[float, float]

    def __str__(self) -> str:
        covered = "  ".join(
            f"{100 * share:5.1f}% {100 * width:5.1f}" for share, width in zip(self.covered, self.width, strict=True)
        )
        below, above = (100 * share for share in self.beyond)
        about = f"{100 * self.truth:5.1f} {100 * (self.score - self.truth):+5.1f} {self.spread:5.2f}"
        return f"{about}   {covered}   {below:4.1f} {above:4.1f}"


def measured(source: Source, n: int, draws: int) -> Line:
    rng = np.random.default_rng([n, zlib.crc32(source.name.encode())])
    found = [simulated(source, n, rng) for _ in range(draws)]
    truths, scores = np.array([truth for _, truth in found]), np.array([right.mean() for right, _ in found])
    bounds = np.array([[interval(right, source.classes), wilson(int(right.sum()), n)] for right, _ in found])
    low, high = bounds[..., 0] - truths[:, None], bounds[..., 1] - truths[:, None]
    ours, naive = ((low <= 1e-12) & (high >= -1e-12)).mean(axis=0).tolist()
    width = (high - low).mean(axis=0).tolist()
    error = max(1e-12, float(np.mean(scores * (1 - scores)))) / n
    spread = float(np.mean((scores - truths) ** 2) / error) ** 0.5
    beyond = float(np.mean(low[:, 0] > 0)), float(np.mean(high[:, 0] < 0))
    return Line(truths.mean(), scores.mean(), spread, (ours, naive), (width[0], width[1]), beyond)


def pools(folder: Path | None) -> list[Source]:
    """Digits as raw pixels, and what the folder holds."""
    from sklearn.datasets import load_digits

    found: list[Source] = [Pool("digits, raw pixels", *load_digits(return_X_y=True))]
    for path in sorted(folder.glob("*.npz")) if folder else ():
        with np.load(path, allow_pickle=False) as held:
            found.append(Pool(path.stem, held["X"], held["y"]))
    return found


def possible(source: Source, n: int) -> bool:
    """Whether n is enough for all classes, and little enough of a pool to leave a truth."""
    return n >= 4 * source.classes and (not isinstance(source, Pool) or 3 * n <= len(source.y))


def total(lines: Sequence[Line]) -> tuple[float, float, float, float]:
    """Coverage, ours and Wilson's, and the least and greatest of ours among the lines."""
    ours, naive = np.array([line.covered for line in lines]).T
    return float(ours.mean()), float(naive.mean()), float(ours.min()), float(ours.max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=DRAWS, help="data sets a line")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--only", default="", help="populations whose name holds this")
    parser.add_argument("--features", type=Path, help="folder of .npz files with X and y")
    parser.add_argument("--new", action="store_true", help="without the populations that found the inflation")
    asked = parser.parse_args()
    failed, began = 0, time.perf_counter()
    sources = [each for each in [*POPULATIONS, *pools(asked.features)] if asked.only in each.name]
    print(f"{'':28}     n  truth bias spread   ours, width   Wilson, width   truth below, above (percent, points)")
    for n in asked.sizes:
        lines = []
        for source in sources:
            if not possible(source, n) or (asked.new and source.calibrated):
                continue
            line = measured(source, n, asked.draws)
            lines += [] if source.calibrated else [line]
            print(f"{source.name:26} {'*' * source.calibrated:1} {n:5,}  {line}", flush=True)
        if lines:
            ours, naive, least, most = (100 * share for share in total(lines))
            failed += not COVERED[0] <= ours / 100 <= COVERED[1]
            print(
                f"all {len(lines)} that are new: {n:,} pictures  {ours:.1f}% ({least:.1f} to {most:.1f}), {naive:.1f}%"
            )
    print(f"* found the inflation; {asked.draws:,} data sets a line, {time.perf_counter() - began:.0f} s")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
