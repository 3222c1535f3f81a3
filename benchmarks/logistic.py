"""LogisticHead against scikit-learn's LogisticRegression: same data, same objective, alternating runs.

    python benchmarks/logistic.py [--features FILE.npz] [--C 0.01] [--runs 5] [--threads 2]

FILE.npz holds `features` (n, d), `labels` (n,) and, if rows are to be left out, `split` ('train' is used).  Without it
60,000 x 512 correlated features of 10 classes are made.  Both minimise (1/N) sum NLL + ||W||^2 / (2 C N) on features
standardised within the measured time, both by LogisticHead's scaler.  The optimum is LogisticHead's with tol=1e-10;
scikit-learn's tol is tightened until its objective is within 1e-6 (relative) of it; LogisticHead runs with its
defaults.  Each run is a process of its own; peak memory is that of the process, with the features it reads.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.heads.solver.scaler import Scaler, standardised

GAP = 1e-6
TOLERANCES = (1e-5, 3e-6, 1e-6, 1e-7)


def synthetic(
    n: int = 60_000, d: int = 512, k: int = 10, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Non-negative features with a power-law spectrum, like pooled activations, and noisy labels."""
    rng = np.random.default_rng(seed)
    spectrum = 1.0 / np.sqrt(1.0 + np.arange(d))
    mix = (np.linalg.qr(rng.standard_normal((d, d)))[0] * spectrum).astype(np.float32)
    latent = rng.standard_normal((n, d), dtype=np.float32)
    logits = latent @ (rng.standard_normal((d, k)) * spectrum[:, None] * 3).astype(np.float32)
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    return np.maximum(latent @ mix.T + 0.1, 0, dtype=np.float32), labels


def read(path: str | None) -> tuple[NDArray[Any], NDArray[Any]]:
    if path is None:
        return synthetic()
    with np.load(path, allow_pickle=False) as file:
        X, y = file["features"], file["labels"]
        if "split" in file:
            keep = file["split"] == "train"
            X, y = X[keep], y[keep]
    return X, y


def objective(X: NDArray[Any], y: NDArray[Any], C: float, model: tuple[NDArray[Any], NDArray[Any]]) -> float:
    """The objective for weights (d, k) and bias (k,) that act on standardised features."""
    coef, bias = model
    logits = Scaler.measure(X).apply(X) @ coef + bias
    logits -= logits.max(axis=1, keepdims=True)
    codes = np.unique(y, return_inverse=True)[1]
    loss = np.log(np.exp(logits).sum(axis=1)).mean() - logits[np.arange(len(y)), codes].mean()
    return float(loss + (coef**2).sum() / (2 * C * len(y)))


def fit_ours(X: NDArray[Any], y: NDArray[Any], C: float, tol: float) -> tuple[float, int, tuple[Any, Any]]:
    from headstart.heads.logistic import LogisticHead

    start = time.perf_counter()
    head = LogisticHead(C=C, tol=tol).fit(X, y)
    seconds = time.perf_counter() - start
    scaler = Scaler.measure(X)
    return seconds, head.n_iter_, (head.coef_ * scaler.scale[:, None], head.intercept_ + scaler.mean @ head.coef_)


def fit_scikit(X: NDArray[Any], y: NDArray[Any], C: float, tol: float) -> tuple[float, int, tuple[Any, Any]]:
    from sklearn.linear_model import LogisticRegression

    start = time.perf_counter()
    Z = standardised([X], Scaler.measure(X), X.dtype.type)
    binary = len(np.unique(y)) == 2  # the binomial at C is the two-logit softmax at C / 2
    model = LogisticRegression(C=2 * C if binary else C, tol=tol, max_iter=20_000).fit(Z, y)
    seconds = time.perf_counter() - start
    coef, bias = model.coef_.T.astype(np.float64), model.intercept_.astype(np.float64)
    if binary:
        coef, bias = np.hstack([-coef, coef]) / 2, np.hstack([-bias, bias]) / 2
    return seconds, int(model.n_iter_.max()), (coef, bias)


def work(name: str, features: str | None, C: float, tol: float) -> None:
    """One run; prints its figures as JSON."""
    X, y = read(features)
    X = X.astype(np.float64) if name == "scikit-learn float64" else X
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    spent = time.process_time()
    seconds, iterations, model = (fit_ours if name == "headstart" else fit_scikit)(X, y, C, tol)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = {
        "seconds": seconds,
        "cpu_s": time.process_time() - spent,
        "iterations": iterations,
        "before_mb": before,
        "peak_mb": peak,
    }
    print(json.dumps(figures | {"objective": objective(X, y, C, model)}))


def measured(name: str, features: str | None, C: float, tol: float) -> dict[str, float]:
    """One run in a process of its own."""
    command = [sys.executable, __file__, "--work", name, "--C", str(C), "--tol", str(tol)]
    command += ["--features", features] if features else []
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    figures: dict[str, float] = json.loads(out.strip().splitlines()[-1])
    return figures


def sufficient_tolerance(name: str, features: str | None, C: float, best: float) -> float | None:
    """The loosest tolerance whose objective is within GAP of the best, or None."""
    for tol in TOLERANCES:
        figures = measured(name, features, C, tol)
        gap = figures["objective"] / best - 1
        print(f"  {name} tol={tol:g}: {figures['seconds']:.2f} s, gap {gap:.1e}", flush=True)
        if gap <= GAP:
            return tol
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features")
    parser.add_argument("--C", type=float, default=0.01)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--tol", type=float, default=1e-6)
    parser.add_argument("--threads", type=int, default=2, help="processors and BLAS threads for both")
    parser.add_argument("--scikit-tol", type=float, help="known to suffice in float64: no search, no float32")
    parser.add_argument("--work")
    given = parser.parse_args()
    if given.work:
        work(given.work, given.features, given.C, given.tol)
        return
    for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(given.threads)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: given.threads])
    best = measured("headstart", given.features, given.C, 1e-10)["objective"]
    print(f"optimum {best:.12f} at C = {given.C:g}")
    names = {"headstart": 1e-6}
    for name in ("scikit-learn float64",) if given.scikit_tol else ("scikit-learn float32", "scikit-learn float64"):
        tol = given.scikit_tol or sufficient_tolerance(name, given.features, given.C, best)
        if tol is not None:
            names[name] = tol
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(given.runs):
        for name, tol in names.items():
            runs[name].append(measured(name, given.features, given.C, tol))
            print(f"  {name}: {runs[name][-1]['seconds']:.2f} s", flush=True)
    table(runs, names, best)


def table(runs: dict[str, list[dict[str, float]]], names: dict[str, float], best: float) -> None:
    """Medians over runs; `ratio` is the median of (its seconds / headstart's seconds) of the same round."""
    heads = ("", "tol", "seconds", "ratio", "CPU s", "iterations", "gap", "peak MB", "data MB")
    print(f"{heads[0]:22}" + "".join(f"{head:>11}" for head in heads[1:]))
    ours = [run["seconds"] for run in runs["headstart"]]
    for name, rows in runs.items():
        middle = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
        ratio = statistics.median(row["seconds"] / own for row, own in zip(rows, ours, strict=True))
        print(f"{name:22}{names[name]:11.0e}{middle['seconds']:11.2f}{ratio:11.1f}{middle['cpu_s']:11.1f}", end="")
        print(f"{middle['iterations']:11.0f}{middle['objective'] / best - 1:11.1e}", end="")
        print(f"{middle['peak_mb']:11.0f}{middle['before_mb']:11.0f}")


if __name__ == "__main__":
    main()
