"""Pictures of none of the classes: how often they are told, and how often a picture is taken for one by mistake.

    python benchmarks/novelty.py [--cases digits,cats] [--sizes 5,20,all] [--seeds 5] [--rival]

For every case, a data set with a backbone, and every number of training pictures per class: `alarms` is the share of
its own test pictures that `Novelty` takes for strangers (aimed at: 5%), and for each set of strangers the area under
the ROC curve, which knows no threshold, and the share that is told. `--rival` adds the Mahalanobis distance to the
nearest class mean, with a shared covariance (Lee et al. 2018; Ledoit & Wolf 2004), on features at length 1; its
threshold is by five folds. It cannot be had for features of more than a few thousand numbers. Sets of classes follow:
the share of test pictures whose set holds the true class, the mean size of sets, and the share that are empty.

Data and weights are those of the folder that HEADSTART_DATA names and of `weights` beside it; features are stored.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf
from sklearn.metrics import roc_auc_score

from headstart.feature_source import feature_source
from headstart.features.extract import Extractor, Settings
from headstart.heads.few_rows import unit
from headstart.images import ImageSet, from_arrays, load, load_unlabelled, select, split
from headstart.learner import Learner
from headstart.novelty import ALARMS, Novelty
from headstart.paths import features_dir
from headstart.pictures import Pictures
from headstart.recipe import Recipe
from headstart.statistics import conformal_quantile

TRAIN, TEST, STRANGE = 2000, 600, 200
Rows = NDArray[np.float32]
Scorer = Callable[[Rows], NDArray[np.floating[Any]]]


class Case(NamedTuple):
    """A data set, what its features are of, and who is strange to it."""

    data: str
    backbone: str
    layer: str
    strangers: tuple[str, ...]


CASES = {  # the rule was chosen by the figures of the first two
    "digits": Case("digits", "pixels", "auto", ("fashion_mnist", "noise")),
    "hymenoptera": Case("hymenoptera", "mobilenetv2_100", "auto", ("cats_vs_dogs", "imagenet_samples", "noise")),
    "cats": Case("cats_vs_dogs", "mobilenetv2_100", "auto", ("hymenoptera", "imagenet_samples", "noise")),
    "digits-sprout": Case("digits", "sprout", "auto", ("fashion_mnist", "noise")),
    "fashion": Case("fashion_mnist", "squeezenet1_0", "auto", ("mnist", "noise")),
    "mnist": Case("mnist", "pixels", "auto", ("fashion_mnist", "noise")),
    "hymenoptera-wide": Case("hymenoptera", "mobilenetv1_075", "last_conv", ("imagenet_samples", "noise")),
}


class Data(NamedTuple):
    """Features and classes of a case's pictures, which are its test, who copies whom, and features of strangers."""

    X: Rows
    y: NDArray[np.int64]
    test: NDArray[np.bool_]
    near: NDArray[np.int64]
    strangers: dict[str, Rows]


def pictures(name: str, train: int, test: int) -> ImageSet:
    """Some pictures of a data set, divided; of strangers the test part alone."""
    root = Path(os.environ["HEADSTART_DATA"])
    if name == "noise":
        rng = np.random.default_rng(0)
        return from_arrays([rng.integers(0, 256, (64, 64, 3), np.uint8) for _ in range(STRANGE)])
    if name == "imagenet_samples":
        return load_unlabelled([str(root / name)])
    images = split(load("digits" if name == "digits" else str(root / name)), seed=0, test=0.4)
    parts = [images.take(np.flatnonzero((images.parts == "test") == told)) for told in (False, True)]
    kept = {
        n for part, limit in zip(parts, (train, test), strict=True) if limit for n in select(part, limit=limit).names
    }
    return images.take(np.array([i for i, n in enumerate(images.names) if n in kept]))


def features(case: Case) -> Data:
    """Of a case's pictures and its strangers, all by the preprocessing of the case."""
    folder = Path(os.environ["HEADSTART_DATA"]).resolve().parent / "weights"
    chosen: dict[str, Any] = {"layer": case.layer, "name": case.backbone}
    if (folder / f"{case.backbone}.onnx").is_file():
        chosen["name"] = str(folder / f"{case.backbone}.onnx")
    elif case.backbone != "sprout":
        chosen["weights"] = str(folder / f"{case.backbone}.safetensors")
    own = {"method": "pixels"} if case.backbone == "pixels" else {"backbone": chosen}
    images = pictures(case.data, TRAIN, TEST)
    source = feature_source(Recipe.from_dict({"data": {"source": case.data}} | own), images)
    with Extractor(source, Settings(features_dir())) as extractor:
        done = extractor.extract(images, sketches=TRAIN + TEST)
        kept = images.take(done.kept)
        strange = {name: extractor.extract(pictures(name, 0, STRANGE)).features for name in case.strangers}
    return Data(done.features, kept.labels, kept.parts == "test", done.copies.near, strange)


def mahalanobis(Z: Rows, y: NDArray[np.int64], group: NDArray[np.int64]) -> tuple[Scorer, float | None]:
    """The rival: its scores, and its threshold by five folds."""

    def fitted(rows: NDArray[np.int64]) -> Scorer:
        classes, codes = np.unique(y[rows], return_inverse=True)
        means = np.stack([Z[rows][codes == k].mean(axis=0) for k in range(len(classes))])
        shared = ledoit_wolf((Z[rows] - means[codes]).astype(np.float64), assume_centered=True)[0]
        root = np.linalg.cholesky(np.linalg.inv(shared))
        return lambda T: (((T @ root)[:, None] - (means @ root)[None]) ** 2).sum(axis=-1).min(axis=1)

    numbers = np.unique(group, return_inverse=True)[1]
    fold = np.random.default_rng(0).permutation(int(numbers.max()) + 1)[numbers] % 5
    scores = np.empty(len(Z))
    for k in range(5):
        if (fold == k).any():
            scores[fold == k] = fitted(np.flatnonzero(fold != k))(Z[fold == k])
    return fitted(np.arange(len(Z))), conformal_quantile(scores, 1 - ALARMS)


def told(score: Scorer, limit: float | None, test: Rows, strangers: dict[str, Rows]) -> list[float]:
    """False alarms, then for each set of strangers the area under the curve and the share told."""
    own, found = score(test), []
    limit = np.inf if limit is None else limit
    for rows in strangers.values():
        theirs = score(rows)
        y = np.r_[np.zeros(len(own)), np.ones(len(theirs))]
        found += [float(roc_auc_score(y, np.r_[own, theirs])), float((theirs > limit).mean())]
    return [float((own > limit).mean()), *found]


def measured(data: Data, size: int | None, seed: int, rival: bool) -> dict[str, list[float]]:
    """The figures of one subset of the training pictures, by method."""
    train, rng = np.flatnonzero(~data.test), np.random.default_rng(seed)
    if size is not None:
        train = np.concatenate([rng.permutation(train[data.y[train] == k])[:size] for k in np.unique(data.y)])
    X, y, near = data.X[train], data.y[train], data.near[train]
    novelty = Novelty.fit(X, near)
    found = {"nearest": told(novelty.score, novelty.threshold, data.X[data.test], data.strangers)}
    if rival and X.shape[1] < 5000:
        score, limit = mahalanobis(unit(X), y, near)
        strangers = {name: unit(rows) for name, rows in data.strangers.items()}
        found["Mahalanobis"] = told(score, limit, unit(data.X[data.test]), strangers)
    return found


def covered(data: Data, coverage: float = 0.9) -> str:
    """How often sets hold the true class of the test pictures, of a logistic regression on all training pictures."""
    train, y = np.flatnonzero(~data.test), data.y[data.test]
    fit = Learner().fit(Pictures(data.X[train], data.y[train], groups=data.near[train]))
    logits = fit.head.logits(data.X[data.test]) / fit.temperature
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    assert fit.conformal is not None
    sets = fit.conformal.sets(p, coverage)
    right, holds = (p.argmax(axis=1) == y).mean(), sets[np.arange(len(y)), y].mean()
    size, empty = sets.sum(axis=1).mean(), (~sets.any(axis=1)).mean()
    return f"coverage {coverage:g}: {holds:.3f}, mean size {size:.2f}, empty {empty:.3f}; accuracy {right:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--sizes", default="5,20,all")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rival", action="store_true")
    asked = parser.parse_args()
    for name in asked.cases.split(","):
        case = CASES[name]
        data = features(case)
        print(f"\n{name}: {case.data}, {case.backbone} {case.layer}, {data.X.shape[1]:,} features", flush=True)
        for size in (None if each == "all" else int(each) for each in asked.sizes.split(",")):
            seeds = range(1 if size is None else asked.seeds)
            runs = [measured(data, size, seed, asked.rival) for seed in seeds]
            for method in runs[0]:
                alarms, *rest = 100 * np.mean([run[method] for run in runs], axis=0)
                pairs = zip(case.strangers, rest[::2], rest[1::2], strict=True)
                strange = "; ".join(f"{who} AUROC {auc:.1f}, told {share:.1f}" for who, auc, share in pairs)
                print(f"  {size or 'all'} a class, {method}: alarms {alarms:.1f}; {strange}", flush=True)
        for coverage in (0.9, 0.95, 0.99):
            print(f"  {covered(data, coverage)}", flush=True)


if __name__ == "__main__":
    main()
