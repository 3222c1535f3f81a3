"""How time and memory grow with the work, as exponents: cost = a n^b.

    python benchmarks/growth.py [--quick] [--rounds 3]

Each measurement is a process of its own. Stages by pictures: extraction (sprout, 28 x 28) and the same again from the
store, near copies, the fit of the default head, its predictions. The fit also by classes and by features.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness import Result, Row, surroundings
from headstart.machine import peak_memory_mb

SIZES = {
    "extraction": (1_000, 8_000, 70_000),
    "extraction, stored": (1_000, 8_000, 70_000),
    "near copies": (1_000, 5_000, 20_000),
    "fit by pictures": (1_000, 8_000, 70_000),
    "fit by classes": (2, 30, 1_000),
    "fit by features": (512, 5_000, 50_000),
    "prediction": (1_000, 8_000, 70_000),
}
QUICK = {
    "extraction": (1_000, 4_000, 16_000),
    "extraction, stored": (1_000, 4_000, 16_000),
    "near copies": (1_000, 4_000, 12_000),
    "fit by pictures": (1_000, 4_000, 16_000),
    "fit by classes": (2, 20, 200),
    "fit by features": (512, 4_000, 32_000),
    "prediction": (1_000, 8_000, 70_000),
}
PICTURES = ("extraction", "extraction, stored", "near copies", "fit by pictures", "prediction")


def features(n: int, d: int, k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Non-negative features of k classes that overlap, like pooled activations."""
    rng = np.random.default_rng(0)
    y = rng.permutation(np.arange(n) % k)
    centres = rng.standard_normal((k, d), dtype=np.float32)
    X = rng.standard_normal((n, d), dtype=np.float32)
    X += centres[y] * np.float32(4 / np.sqrt(d))
    return np.maximum(X + 0.5, 0, out=X), y.astype(np.int64)


def extraction(n: int, *, again: bool) -> float:
    """Seconds of an extraction, or of the same once more."""
    from headstart.feature_source import feature_source
    from headstart.features.extract import Settings, extract
    from headstart.images import from_arrays
    from headstart.recipe import Recipe

    images = from_arrays(np.random.default_rng(0).integers(0, 256, (n, 28, 28), dtype=np.uint8))
    recipe = Recipe.from_dict({"data": {"source": "digits"}, "backbone": {"name": "sprout"}})
    with tempfile.TemporaryDirectory() as folder:
        done = extract(images, feature_source(recipe, images), Settings(Path(folder)))
        if again:
            done = extract(images, feature_source(recipe, images), Settings(Path(folder)))
    return done.wall_s - done.open_s


def copies(n: int) -> float:
    """Seconds in which near copies are looked for among thumbnails."""
    from headstart.features.copies import near

    rng = np.random.default_rng(0)
    smooth = np.kron(rng.integers(0, 256, (n, 6, 6, 3)), np.ones((1, 4, 4, 1))).astype(np.uint8)
    begun = time.perf_counter()
    near(smooth, np.ones(len(smooth), bool))
    return time.perf_counter() - begun


def fit(n: int = 4_000, d: int = 256, k: int = 10) -> float:
    """Seconds of the default head, choices and all."""
    from headstart.heads import make_head

    X, y = features(n, d, k)
    begun = time.perf_counter()
    make_head("logistic").fit(X, y)
    return time.perf_counter() - begun


def prediction(n: int) -> float:
    """Seconds for n rows."""
    from headstart.heads import make_head

    X, y = features(n, 256, 10)
    head = make_head("logistic", C=0.01).fit(X[:1000], y[:1000])
    begun = time.perf_counter()
    for _ in range(10):
        head.predict_proba(X)
    return (time.perf_counter() - begun) / 10


STAGES: dict[str, Callable[[int], float]] = {
    "extraction": lambda n: extraction(n, again=False),
    "extraction, stored": lambda n: extraction(n, again=True),
    "near copies": copies,
    "fit by pictures": lambda n: fit(n=n),
    "fit by classes": lambda k: fit(n=max(4_000, 8 * k), d=128, k=k),
    "fit by features": lambda d: fit(n=1_000, d=d, k=2),
    "prediction": prediction,
}


def case(stage: str, size: int, threads: int) -> dict[str, float]:
    """Seconds and peak MB of a process."""
    command = [sys.executable, __file__, "--stage", stage, "--size", str(size)]
    done = subprocess.run(command, capture_output=True, text=True, env=surroundings(threads, ours=True), check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def exponent(sizes: tuple[int, ...], values: list[float]) -> float:
    """The slope of the logarithms, by least squares."""
    return float(np.polyfit(np.log(sizes), np.log(np.maximum(values, 1e-9)), 1)[0])


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="up to 16,000 pictures, 200 classes, 32,000 features")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", help="stages, by commas")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.stage:
        seconds = STAGES[asked.stage](asked.size)
        print(json.dumps({"seconds": seconds, "peak_mb": peak_memory_mb()}))
        return
    tables: dict[str, list[Row]] = {}
    floors, bends = [], []
    for stage, sizes in (QUICK if asked.quick else SIZES).items():
        if asked.only and stage not in asked.only.split(","):
            continue
        found = [[case(stage, size, asked.threads) for size in sizes] for _ in range(asked.rounds)]
        rows = []
        for i, size in enumerate(sizes):
            peak = float(np.median([turn[i]["peak_mb"] for turn in found]))
            rows.append(
                Row(f"{size:,}", [turn[i]["seconds"] for turn in found], "s", note=f"peak memory {peak:,.0f} MB")
            )
        time_b = float(np.median([exponent(sizes, [each["seconds"] for each in turn]) for turn in found]))
        memory_b = float(np.median([exponent(sizes, [each["peak_mb"] for each in turn]) for turn in found]))
        told = f"{stage}: time grows with power {time_b:.2f}, peak memory with power {memory_b:.2f}"
        print(told, flush=True)
        tables[told] = rows
        if stage in PICTURES:
            floors.append((f"{stage}: no worse than linear in pictures: {time_b:.2f}", time_b <= 1.1))
        bends.append(told)
    Result("growth", "Cost as work grows", tables, "", floors, [
        "Near copies: every picture is compared with every other, by matrix products, up to 20,000 pictures in a fit "
        "and "
        "40,000 in an audit. With more pictures, near copies are not searched for.",
        "Fit by pictures changes its method at 5,000 rows: it holds out a tenth instead of using five folds.",
    ]).keep()  # fmt: skip


if __name__ == "__main__":
    main()
