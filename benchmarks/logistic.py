"""LogisticHead against scikit-learn and PyTorch: same data, same objective, by turns.

    python benchmarks/logistic.py [--quick] [--problems 60000x512x10,2000x1280x2] [--rounds 3] [--C 0.01]
    python benchmarks/logistic.py --features FILE.npz

A problem is rows x features x classes, simulated; FILE.npz holds `features` (n, d), `labels` (n,) and, if rows are to
be left out, `split` ('train' is used). All minimise (1/N) sum NLL + ||W||^2 / (2 C N) on features standardised within
the measured time. The optimum is LogisticHead's with tol=1e-10; the tolerance of the others is tightened until their
objective is within 1e-6 (relative) of it; LogisticHead runs with its defaults. With `choice`, C is chosen too:
LogisticHead by its own trials, scikit-learn by LogisticRegressionCV over 13 values on as many folds, or, from 5,000
rows on, on a held-out tenth. Each run is a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness import Result, Row, surroundings
from headstart.heads.solver.scaler import Scaler, standardised
from headstart.machine import peak_memory_mb

GAP = 1e-6
PROBLEMS = ("2000x1280x2", "6400x37632x2", "60000x512x10", "60000x1280x10")
CHOICES = ("2000x1280x2", "60000x1280x10")
QUICK, QUICK_CHOICES = ("2000x1280x2", "1600x12544x2", "20000x512x10"), ("2000x1280x2", "8000x512x10")
TOLERANCES = {
    "headstart": (1e-6,),
    "torch": (1e-4, 1e-5, 1e-6),
    "lbfgs": (1e-5, 1e-6, 1e-7),
    "newton-cholesky": (1e-4, 1e-6),
}
WORDS = {
    "headstart": "Headstart", "lbfgs": "scikit-learn, lbfgs", "lbfgs32": "scikit-learn, lbfgs, float32",
    "newton-cholesky": "scikit-learn, newton-cholesky", "torch": "PyTorch, L-BFGS",
}  # fmt: skip
DENSE = 3_000
"""Weights up to which newton-cholesky is measured: it factorises a matrix of as many rows and columns."""
FOLDS, HELD_FROM = 5, 5_000
Model = tuple[NDArray[Any], NDArray[Any]]


def synthetic(n: int, d: int, k: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Non-negative features with a power-law spectrum, like pooled activations, and noisy labels."""
    rng = np.random.default_rng(seed)
    r = min(d, 512)
    spectrum = 1.0 / np.sqrt(1.0 + np.arange(r))
    mix = (np.linalg.qr(rng.standard_normal((d, r)))[0] * spectrum).astype(np.float32)
    latent = rng.standard_normal((n, r), dtype=np.float32)
    logits = latent @ (rng.standard_normal((r, k)) * spectrum[:, None] * 3).astype(np.float32)
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    X = latent @ mix.T + np.float32(0.1)
    if r < d:
        X += np.float32(0.02) * rng.standard_normal((n, d), dtype=np.float32)
    return np.maximum(X, 0, out=X), labels


def read(problem: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """A problem's rows, or those of a file."""
    if not problem.endswith(".npz"):
        n, d, k = map(int, problem.split("x"))
        return synthetic(n, d, k)
    with np.load(problem, allow_pickle=False) as file:
        X, y = file["features"], file["labels"]
        keep = file["split"] == "train" if "split" in file else slice(None)
        return X[keep], y[keep]


def objective(X: NDArray[Any], y: NDArray[Any], C: float, model: Model) -> float:
    """The objective for weights (d, k) and bias (k,) that act on standardised features."""
    coef, bias = model
    logits = Scaler.measure(X).apply(X) @ coef + bias
    logits -= logits.max(axis=1, keepdims=True)
    codes = np.unique(y, return_inverse=True)[1]
    loss = np.log(np.exp(logits).sum(axis=1)).mean() - logits[np.arange(len(y)), codes].mean()
    return float(loss + (coef**2).sum() / (2 * C * len(y)))


def headstart(X: NDArray[Any], y: NDArray[Any], C: float, tol: float) -> tuple[float, Model]:
    """Seconds, and the model on standardised features."""
    from headstart.heads.logistic import LogisticHead

    start = time.perf_counter()
    head = LogisticHead(C=C, tol=tol).fit(X, y)
    seconds = time.perf_counter() - start
    scaler = Scaler.measure(X)
    return seconds, (head.coef_ * scaler.scale[:, None], head.intercept_ + scaler.mean @ head.coef_)


def scikit(solver: str) -> Callable[[NDArray[Any], NDArray[Any], float, float], tuple[float, Model]]:
    """The same of scikit-learn."""

    def fit(X: NDArray[Any], y: NDArray[Any], C: float, tol: float) -> tuple[float, Model]:
        from sklearn.linear_model import LogisticRegression

        X = X if solver == "lbfgs32" else X.astype(np.float64)
        start = time.perf_counter()
        Z = standardised([X], Scaler.measure(X), X.dtype.type)
        binary = len(np.unique(y)) == 2  # the binomial at C is the two-logit softmax at C / 2
        name = solver.removesuffix("32")
        model = LogisticRegression(C=2 * C if binary else C, tol=tol, max_iter=20_000, solver=name).fit(Z, y)
        seconds = time.perf_counter() - start
        coef, bias = model.coef_.T.astype(np.float64), model.intercept_.astype(np.float64)
        if binary:
            coef, bias = np.hstack([-coef, coef]) / 2, np.hstack([-bias, bias]) / 2
        return seconds, (coef, bias)

    return fit


def pytorch(X: NDArray[Any], y: NDArray[Any], C: float, tol: float) -> tuple[float, Model]:
    """The same by torch.optim.LBFGS with a strong Wolfe line search, in float32."""
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    start = time.perf_counter()
    classes, codes = np.unique(y, return_inverse=True)
    Z, target = torch.from_numpy(standardised([X], Scaler.measure(X), np.float32)), torch.from_numpy(codes)
    weights = torch.zeros(Z.shape[1], len(classes), requires_grad=True)
    bias = torch.zeros(len(classes), requires_grad=True)
    settings: dict[str, Any] = {"max_iter": 5_000, "max_eval": 10_000, "tolerance_grad": tol, "tolerance_change": 0.0}
    step = torch.optim.LBFGS([weights, bias], history_size=20, line_search_fn="strong_wolfe", **settings)

    def closure() -> torch.Tensor:
        step.zero_grad()
        loss = torch.nn.functional.cross_entropy(Z @ weights + bias, target) + (weights**2).sum() / (2 * C * len(Z))
        loss.backward()
        return loss

    step.step(closure)
    seconds = time.perf_counter() - start
    return seconds, (weights.detach().double().numpy(), bias.detach().double().numpy())


FITS = {
    "headstart": headstart,
    "torch": pytorch,
    **{name: scikit(name) for name in ("lbfgs", "lbfgs32", "newton-cholesky")},
}


def choosing(name: str, X: NDArray[Any], y: NDArray[Any]) -> float:
    """Seconds of a fit that chooses its penalty."""
    from headstart.heads.logistic import LogisticHead, c_grid

    start = time.perf_counter()
    if name == "headstart":
        LogisticHead().fit(X, y)
        return time.perf_counter() - start
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.model_selection import PredefinedSplit, StratifiedKFold

    X = X.astype(np.float64)
    start = time.perf_counter()
    Z = standardised([X], Scaler.measure(X), X.dtype.type)
    held = np.where(np.arange(len(y)) % 10 == 0, 0, -1)
    folds = PredefinedSplit(held) if len(y) >= HELD_FROM else StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    tol = TOLERANCES[name][0]
    LogisticRegressionCV(
        Cs=c_grid(Z.shape[1]),
        cv=folds,
        scoring="neg_log_loss",
        solver=name,
        tol=tol,
        max_iter=20_000,
        use_legacy_attributes=False,
    ).fit(Z, y)
    return time.perf_counter() - start


def work(name: str, problem: str, C: float, tol: float, *, choice: bool) -> None:
    """One run; prints its figures as JSON."""
    X, y = read(problem)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # so few rows that folds lack a class
        choosing(name, X[:200], y[:200]) if choice else FITS[name](X[:200], y[:200], C, 1e-3)  # imports, and warms up
    before = peak_memory_mb()
    spent = time.process_time()
    if choice:
        figures = {"seconds": choosing(name, X, y)}
    else:
        seconds, model = FITS[name](X, y, C, tol)
        figures = {"seconds": seconds, "objective": objective(X, y, C, model)}
    figures |= {"cpu_s": time.process_time() - spent, "before_mb": before}
    print(json.dumps(figures | {"peak_mb": peak_memory_mb()}))


def measured(name: str, problem: str, C: float, tol: float, threads: int, *, choice: bool = False) -> dict[str, float]:
    """One run in a process of its own."""
    command = [sys.executable, __file__, "--work", name, "--problems", problem, "--C", str(C), "--tol", str(tol)]
    command += ["--choice"] if choice else []
    done = subprocess.run(command, capture_output=True, text=True, env=surroundings(threads, ours=True), check=False)
    if done.returncode:
        raise RuntimeError(f"{name} on {problem}: {done.stderr.strip()[-2000:]}")
    figures: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def sufficient(name: str, problem: str, C: float, best: float, threads: int) -> float | None:
    """The loosest tolerance whose objective is within GAP of the best, or None."""
    for tol in TOLERANCES[name.removesuffix("32")]:
        figures = measured(name, problem, C, tol, threads)
        gap = figures["objective"] / best - 1
        print(f"  {name} tol={tol:g}: {figures['seconds']:.2f} s, gap {gap:.1e}", flush=True)
        if gap <= GAP:
            return tol
    return None


def by_turns(names: dict[str, float], problem: str, C: float, rounds: int, threads: int, *, choice: bool) -> list[Row]:
    """A line for each name."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, tol in names.items():
            runs[name].append(measured(name, problem, C, tol, threads, choice=choice))
            print(f"  {name}: {runs[name][-1]['seconds']:.2f} s", flush=True)
    rows, own = [], [run["seconds"] for run in runs["headstart"]]
    for name, found in runs.items():
        seconds = [run["seconds"] for run in found]
        ratios = [b / a for a, b in zip(own, seconds, strict=True)] if name != "headstart" else []
        cpu, peak = (float(np.median([run[key] for run in found])) for key in ("cpu_s", "peak_mb"))
        told = f"tol {names[name]:.0e}, {cpu:.1f} s of processor time in all, peak {peak:,.0f} MB"
        rows.append(Row(WORDS[name], seconds, "s", ratios, told))
    return rows


def of_problem(problem: str, C: float, rounds: int, threads: int) -> list[Row]:
    """All that solve it to the same objective."""
    best = measured("headstart", problem, C, 1e-10, threads)["objective"]
    print(f"{problem}: optimum {best:.12f} at C = {C:g}", flush=True)
    X, y = read(problem) if problem.endswith(".npz") else (None, None)
    d, k = (X.shape[1], len(np.unique(y))) if X is not None else [int(part) for part in problem.split("x")][1:]
    names = {"headstart": 1e-6}
    for name in ("lbfgs32", "lbfgs", "newton-cholesky", "torch"):
        if name == "newton-cholesky" and d * (k if k > 2 else 1) > DENSE:
            continue
        tol = sufficient(name, problem, C, best, threads)
        if tol is not None:
            names[name] = tol
    return by_turns(names, problem, C, rounds, threads, choice=False)


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", help="rows of a file in place of the problems")
    parser.add_argument("--problems")
    parser.add_argument("--choices", help="problems on which C is chosen too")
    parser.add_argument("--quick", action="store_true", help="smaller problems")
    parser.add_argument("--C", type=float, default=0.01)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tol", type=float, default=1e-6)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="processors and BLAS threads for all")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--choice", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.work:
        work(asked.work, asked.problems, asked.C, asked.tol, choice=asked.choice)
        return

    def listed(given: str | None, usual: Sequence[str]) -> list[str]:
        return list(usual) if given is None else [part for part in given.split(",") if part]

    problems = [asked.features] if asked.features else listed(asked.problems, QUICK if asked.quick else PROBLEMS)
    choices = [] if asked.features else listed(asked.choices, QUICK_CHOICES if asked.quick else CHOICES)
    tables: dict[str, list[Row]] = {}
    floors: list[tuple[str, bool]] = []

    def floor(title: str, rows: list[Row], least: float) -> None:
        tables[title] = rows
        own = rows[0].values
        theirs = [row.values for row in rows if row.what.startswith("scikit-learn")]
        if theirs:
            times = float(np.median([min(each) / a for a, *each in zip(own, *theirs, strict=True)]))
            floors.append(
                (f"{title}: {least:g} times as fast as scikit-learn's best: {times:.1f} times", times >= least)
            )

    for problem in problems:
        floor(
            f"{problem.replace('x', ' x ')}, C = {asked.C:g}",
            of_problem(problem, asked.C, asked.rounds, asked.threads),
            3,
        )
    for problem in choices:
        n, d, k = map(int, problem.split("x"))
        names = {"headstart": 1e-6, "lbfgs": TOLERANCES["lbfgs"][0]}
        names |= {"newton-cholesky": TOLERANCES["newton-cholesky"][0]} if d * (k if k > 2 else 1) <= DENSE else {}
        rounds = asked.rounds if n < HELD_FROM else 1
        rows = by_turns(names, problem, asked.C, rounds, asked.threads, choice=True)
        floor(f"{problem.replace('x', ' x ')}, C chosen", rows, 5)
    Result("logistic", "Heads: logistic regression", tables, "its time as a multiple of Headstart's", floors, [
        f"newton-cholesky is left out beyond {DENSE:,} weights. The measured time includes scaling the features. "
        "Solvers "
        "that do not come within 1e-6 of the lowest objective at any of the tolerances tried are left out.",
    ]).keep()  # fmt: skip


if __name__ == "__main__":
    main()
