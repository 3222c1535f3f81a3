"""Few labelled pictures: the default head against every other choice, on the same pictures and features.

    python benchmarks/few_labels.py [--data digits,mnist] [--backbones sprout] [--sizes 1,3,10] [--seeds 10]

For every data set, every backbone and every number of labelled pictures per class, `seeds` subsets are drawn; all are
judged on the same test pictures. `default` is what `headstart fit` does: `Learner().fit`. `best` is the setting of
the highest mean accuracy on the test pictures, known in hindsight, of a grid of scalings x (logistic regression over C,
ridge, linear discriminants, prototypes, nearest neighbours). As the best of some ninety it flatters itself by what
chance gives the luckiest. Rivals, with the paired difference to the default and its standard error over the subsets:
scikit-learn's LogisticRegression(C=1) on features as they are (solved here, to the same optimum), RidgeClassifierCV and
LinearDiscriminantAnalysis on standardised features. Ridge has no probabilities: its log loss is that of the softmax of
its scores.

Data and weights are those of the folder that HEADSTART_DATA names and of `weights` beside it; features are stored.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import RidgeClassifierCV
from sklearn.preprocessing import StandardScaler

from headstart.feature_source import feature_source
from headstart.features.extract import Settings, extract
from headstart.heads.few_rows import unit
from headstart.heads.principal import Diagonal
from headstart.heads.solver.rows import Dense
from headstart.heads.solver.scaler import Scaler
from headstart.heads.solver.softmax import Problem, minimise
from headstart.images import ImageSet, load, select, split
from headstart.learner import Learner
from headstart.logits import log_softmax
from headstart.metrics import ece, ece_null_mean
from headstart.paths import features_dir
from headstart.pictures import Pictures
from headstart.recipe import Recipe

DATA = ("digits", "mnist", "fashion_mnist", "cats_vs_dogs", "hymenoptera")
BACKBONES = ("sprout", "mobilenetv2_100", "squeezenet1_0", "mobilenetv1_075")
SIZES = ("1", "2", "3", "5", "10", "20", "50", "100", "all")
POOL, TEST = 4000, 2000  # labelled and test pictures of the large sets: `all` is all of these
JUDGED = 1000  # test pictures
STRENGTHS = tuple(10.0**e for e in (-0.5, 0.5, 1.5, 2.5, 3.5))
Matrix = NDArray[np.float64]


class Cell(NamedTuple):
    """One subset: accuracies of the grid, and (accuracy, log loss) of the default and its rivals."""

    grid: dict[str, float]
    named: dict[str, tuple[float, float]]
    ece: tuple[float, float]
    guess: float
    seconds: float


def pictures(name: str) -> ImageSet:
    """The pictures of a data set, divided into train and test."""
    root = Path(os.environ["HEADSTART_DATA"])
    images = load("digits" if name == "digits" else str(root / name))
    if name in ("mnist", "fashion_mnist"):
        train, test = (images.take(np.flatnonzero((images.parts == "test") == t)) for t in (False, True))
        kept = {*select(train, limit=POOL, seed=0).names, *select(test, limit=TEST, seed=0).names}
        images = images.take(np.array([i for i, n in enumerate(images.names) if n in kept]))
    return split(images, seed=0, test=0.4)


def features(images: ImageSet, name: str, backbone: str, layer: str) -> tuple[NDArray[np.float32], ImageSet]:
    """Features (n, d) of all pictures by a backbone, or their pixels."""
    folder = Path(os.environ["HEADSTART_DATA"]).resolve().parent / "weights"
    chosen: dict[str, Any] = {"layer": layer, "name": backbone}
    if (folder / f"{backbone}.onnx").is_file():
        chosen["name"] = str(folder / f"{backbone}.onnx")
    elif backbone != "sprout":
        chosen["weights"] = str(folder / f"{backbone}.safetensors")
    sections = {"data": {"source": name}} | ({"method": "pixels"} if backbone == "pixels" else {"backbone": chosen})
    done = extract(images, feature_source(Recipe.from_dict(sections), images), Settings(features_dir()))
    return done.features, images.take(done.kept)


def scaled(X: NDArray[np.float32], T: NDArray[np.float32]) -> Iterator[tuple[str, Matrix, Matrix]]:
    """Training rows X and test rows T by each scaling, reduced to the span of X, mean squared length 1."""
    units = unit(X), unit(T)
    full = StandardScaler().fit(X.astype(np.float64))
    shrunk, unit_shrunk = Scaler.measure(X), Scaler.measure(units[0])
    made = {
        "raw": (X, T),
        "standardised": (full.transform(X), full.transform(T)),
        "shrunk": (shrunk.apply(X), shrunk.apply(T)),
        "unit": units,
        "unit, shrunk": (unit_shrunk.apply(units[0]), unit_shrunk.apply(units[1])),
    }
    for name, (A, B) in made.items():
        mean = A.mean(axis=0, dtype=np.float64)
        A, B = A - mean, B - mean
        wide = A.shape[1] > len(A)
        squares, V = np.linalg.eigh(A @ A.T if wide else A.T @ A)
        kept = squares > 1e-10 * squares[-1]
        axes = A.T @ (V[:, kept] / np.sqrt(squares[kept])) if wide else V[:, kept]
        power = np.sqrt(max(squares[kept].sum() / len(A), 1e-300))
        yield name, A @ axes / power, B @ axes / power


def logistic(A: Matrix, y: NDArray[np.int64], k: int, strengths: tuple[float, ...]) -> Iterator[Matrix]:
    """Weights (r + 1, k) for every C."""
    theta, curvature = np.zeros((A.shape[1] + 1, k)), Diagonal(variances=np.square(A).mean(axis=0))
    for C in strengths:
        problem = Problem(Dense(A), y, np.full(len(y), 1 / len(y)), 1 / (C * len(y)))
        theta = minimise(problem, theta, tol=1e-5 / max(1.0, C**0.5), max_iter=300, curvature=curvature).theta
        yield theta


def grid(A: Matrix, y: NDArray[np.int64], k: int, B: Matrix, width: int) -> Iterator[tuple[str, Matrix]]:
    """Scores (m, k) of B by every head of the grid fitted on A."""
    for C, theta in zip(STRENGTHS, logistic(A, y, k, STRENGTHS), strict=True):
        yield f"logistic C={C:.2g}", B @ theta[:-1] + theta[-1]
    targets = np.eye(k)[y] - np.eye(k)[y].mean(axis=0)
    variances, V = np.linalg.eigh(A.T @ A / len(y))
    slopes = V.T @ (A.T @ targets / len(y))
    for alpha in (1e-4, 1e-3, 1e-2, 0.1, 1.0):
        yield f"ridge {alpha:g}", B @ (V @ (slopes / (np.maximum(variances, 0) + alpha)[:, None]))
    means = np.stack([A[y == c].mean(axis=0) for c in range(k)])
    within, V = np.linalg.eigh((A - means[y]).T @ (A - means[y]) / max(len(y) - k, 1))
    within = np.maximum(within, 0)
    if within.sum() > 1e-12:
        for share in (0.1, 0.5, 0.9):
            inverse = (V / ((1 - share) * within + share * within.sum() / width)) @ V.T
            yield (
                f"discriminant {share:g}",
                B @ (inverse @ means.T) - 0.5 * np.einsum("kd,dk->k", means, inverse @ means.T),
            )
    yield "prototype", 2 * B @ means.T - np.square(means).sum(axis=1)
    near, rows = (M / np.maximum(np.linalg.norm(M, axis=1, keepdims=True), 1e-12) for M in (A, B))
    yield "prototype, cosine", rows @ np.stack([near[y == c].mean(axis=0) for c in range(k)]).T
    order = np.argsort(-(rows @ near.T), axis=1)[:, :9]
    for n in (1, 3, 9):
        yield (
            f"{n} nearest",
            np.stack([(y[order[:, :n]] == c).sum(axis=1) + 1e-3 * (y[order[:, 0]] == c) for c in range(k)], 1),
        )


def rivals(
    X: NDArray[np.float32], y: NDArray[np.int64], T: NDArray[np.float32], raw: tuple[Matrix, Matrix]
) -> dict[str, Matrix]:
    """Logarithms of probabilities (m, k) of the test rows T by each rival."""
    k, centred = int(y.max()) + 1, X.astype(np.float64) - X.mean(axis=0, dtype=np.float64)
    power = float(np.square(centred).sum()) / len(X)  # C = 1 on rows as they are, on rows of mean square 1
    (theta,) = logistic(raw[0], y, k, (power,))
    full = StandardScaler().fit(X.astype(np.float64))
    A, B = full.transform(X), full.transform(T)
    scores = RidgeClassifierCV().fit(A, y).decision_function(B)
    scores = np.column_stack([-scores, scores]) if scores.ndim == 1 else scores
    found = {"logistic C=1": raw[1] @ theta[:-1] + theta[-1], "ridge": scores}
    if len(y) > k:
        found["discriminants"] = np.log(np.maximum(LinearDiscriminantAnalysis().fit(A, y).predict_proba(B), 1e-15))
    return {name: log_softmax(np.asarray(logits, dtype=np.float64)) for name, logits in found.items()}


def cell(X: NDArray[np.float32], y: NDArray[np.int64], T: NDArray[np.float32], t: NDArray[np.int64]) -> Cell:
    """Everything on one subset."""
    k, found, raw = int(y.max()) + 1, {}, None
    for scaling, A, B in scaled(X, T):
        raw = (A, B) if scaling == "raw" else raw
        found |= {f"{scaling}, {name}": float((s.argmax(1) == t).mean()) for name, s in grid(A, y, k, B, X.shape[1])}
    started = time.process_time()
    fitted = Learner().fit(Pictures(X, y))
    seconds = time.process_time() - started
    logits = {"default": log_softmax(fitted.head.logits(T) / fitted.temperature), **rivals(X, y, T, raw)}
    named = {n: (float((p.argmax(1) == t).mean()), float(-p[np.arange(len(t)), t].mean())) for n, p in logits.items()}
    proba = np.exp(logits["default"])
    shares = np.bincount(y, minlength=k) / len(y)
    return Cell(found, named, (ece(t, proba), ece_null_mean(proba)), float(-np.log(shares[t]).mean()), seconds)


def subset(y: NDArray[np.int64], size: str, seed: int) -> NDArray[np.int64]:
    """Rows of `size` pictures of each class, as far as they go."""
    rng, each = np.random.default_rng([seed, 1]), len(y) if size == "all" else int(size)
    return np.concatenate([rng.permutation(np.flatnonzero(y == c))[:each] for c in np.unique(y)])


def mean_se(values: list[float]) -> tuple[float, float]:
    """Mean and standard error."""
    return float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


def row(cells: list[Cell]) -> dict[str, Any]:
    """One line of the table."""
    means = {name: np.mean([c.grid[name] for c in cells]) for name in set.intersection(*(set(c.grid) for c in cells))}
    best = max(means, key=lambda name: means[name])
    own = [c.named["default"][0] for c in cells]
    told: dict[str, Any] = {"accuracy": mean_se(own), "best": best, "best_accuracy": float(means[best])}
    told["regret"] = told["best_accuracy"] - told["accuracy"][0]
    told["rivals"] = {
        name: mean_se([c.named["default"][0] - c.named[name][0] for c in cells])
        for name in ("logistic C=1", "ridge", "discriminants")
        if all(name in c.named for c in cells)
    }
    told["log_loss"] = {
        name: float(np.mean([c.named[name][1] for c in cells])) for name in ["default", *told["rivals"]]
    }
    told["guess"] = float(np.mean([c.guess for c in cells]))
    told["ece"], told["null"] = (float(np.mean([c.ece[i] for c in cells])) for i in (0, 1))
    told["seconds"] = float(np.mean([c.seconds for c in cells]))
    return told


def line(name: str, size: str, told: dict[str, Any]) -> str:
    """A line for people."""
    accuracy, se = (100 * value for value in told["accuracy"])
    against = " ".join(f"{100 * d:+5.1f}±{100 * e:.1f}" for d, e in told["rivals"].values())
    losses = " ".join(f"{value:.2f}" for value in told["log_loss"].values())
    return (
        f"{name:32s}{size:>4s} {accuracy:5.1f}±{se:.1f} {100 * told['regret']:+5.1f} {told['best']:34s} {against:32s} "
        f"{losses:24s} {told['guess']:.2f} {told['ece']:.3f} {told['null']:.3f} {told['seconds']:5.2f}"
    )


def summary(rows: list[dict[str, Any]]) -> None:
    """What the issue asks for, over all lines."""
    for title, sizes in (
        ("1 and 2 a class", ("1", "2")),
        ("3 and more", tuple(s for s in SIZES if s not in ("1", "2"))),
    ):
        chosen = [r for r in rows if r["size"] in sizes]
        if not chosen:
            continue
        print(f"\n{title}: {len(chosen)} lines")
        print(
            f"  mean regret {100 * np.mean([r['regret'] for r in chosen]):.2f} points, largest "
            f"{100 * max(r['regret'] for r in chosen):.1f}"
        )
        for name in ("logistic C=1", "ridge", "discriminants"):
            found = [(r["rivals"][name], r) for r in chosen if name in r["rivals"]]
            low = [
                f"{r['name']} {r['size']} ({100 * d:+.1f}±{100 * e:.1f})" for (d, e), r in found if d < -(0.005 + 2 * e)
            ]
            losses = [np.mean([r["log_loss"][n] for _, r in found]) for n in ("default", name)]
            print(
                f"  {name}: {100 * np.mean([d for (d, _), _ in found]):+.2f} points on average; log loss "
                f"{losses[0]:.3f} against {losses[1]:.3f}; lower by more than 0.5 + 2 SE: {', '.join(low) or 'nowhere'}"
            )
        above = [f"{r['name']} {r['size']}" for r in chosen if r["log_loss"]["default"] > r["guess"]]
        print(f"  log loss above guessing: {', '.join(above) or 'nowhere'}")
        errors, null = (np.mean([r[key] for r in chosen]) for key in ("ece", "null"))
        print(f"  calibration error {errors:.3f}, of a calibrated one {null:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=",".join(DATA))
    parser.add_argument("--backbones", default=",".join(BACKBONES))
    parser.add_argument("--layer", default="pooled")
    parser.add_argument("--sizes", default=",".join(SIZES))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--large-seeds", type=int, default=4, help="subsets at 50 and 100 a class")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    rows: list[dict[str, Any]] = []
    print(
        "data, features                  size  accuracy  regret best in hindsight              against logistic C=1, "
        "ridge, discriminants; log losses of default and these; of guessing; ECE, of a calibrated one; seconds"
    )
    for name in asked.data.split(","):
        images = pictures(name)
        for backbone in asked.backbones.split(","):
            X, kept = features(images, name, backbone, asked.layer)
            train, test = np.flatnonzero(kept.parts != "test"), np.flatnonzero(kept.parts == "test")
            test = np.random.default_rng(0).permutation(test)[:JUDGED]
            most = np.bincount(kept.labels[train]).max()
            for size in asked.sizes.split(","):
                if size != "all" and int(size) >= most:
                    continue
                seeds = 1 if size == "all" else asked.large_seeds if int(size) >= 50 else asked.seeds
                cells = []
                for seed in range(seeds):
                    own = train[subset(kept.labels[train], size, seed)]
                    cells.append(cell(X[own], kept.labels[own], X[test], kept.labels[test]))
                rows.append({"name": f"{name}, {backbone}", "size": size, **row(cells)})
                print(line(rows[-1]["name"], size, rows[-1]), flush=True)
                if asked.out:
                    asked.out.write_text(json.dumps(rows, indent=1))
    summary(rows)


if __name__ == "__main__":
    main()
