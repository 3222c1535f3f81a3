"""What `sprout` is worth: logistic regression on its features, on those of its untrained self, and on raw pixels.

    python benchmarks/sprout.py --out docs/sprout
    python benchmarks/sprout.py --arms sprout --also "second edition=runs/sprout/sprout.safetensors"

For each data set, number of labelled pictures of each class and seed, `headstart fit --train-per-class` draws the
pictures, and the head is fitted on all of them. The test part is the data's own, or a fifth where there is none. All
arms see the same pictures. Writes evaluation.csv and evaluation.md. `--also NAME=FILE` measures other weights of sprout
(`headstart pretrain sprout` writes such) beside those in the package.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headstart import records
from headstart.division import prepare
from headstart.errors import UserError
from headstart.feature_source import feature_source
from headstart.features.extract import Settings, extract
from headstart.heads import make_head
from headstart.images import ImageSet, load
from headstart.images.parts import part_rows
from headstart.recipe import Recipe

DATA = ("digits", "mnist", "fashion_mnist", "cats_vs_dogs", "hymenoptera")
SIZES = (5, 10, 50, 100)
ARMS: dict[str, dict[str, object]] = {
    "sprout": {"backbone": {"name": "sprout"}},
    "untrained sprout": {"backbone": {"name": "sprout", "weights": "none"}},
    "raw pixels": {"method": "pixels"},
}


@dataclass(frozen=True)
class Row:
    data: str
    arm: str
    per_class: int
    seed: int
    test_pictures: int
    accuracy: float


def recipe(source: str, arm: str, per_class: int, seed: int) -> Recipe:
    data = {"source": source, "train_per_class": per_class}
    return Recipe.from_dict({"seed": seed, "data": data, **ARMS[arm]})


def measure(name: str, source: str, seeds: int, arms: list[str]) -> list[Row]:
    """All rows of one data set; the features of a picture are computed once for each arm."""
    source = found_at(source)
    everything = load(source)
    smallest = int(np.bincount(everything.labels[np.isin(everything.parts, ("", "train"))]).min())
    drawn = {
        (n, seed): prepare(recipe(source, "sprout", n, seed)) for n in SIZES if n <= smallest for seed in range(seeds)
    }
    needed = sorted({picture for images in drawn.values() for picture in images.names})
    place = {picture: i for i, picture in enumerate(everything.names)}
    pictures = everything.take(np.array([place[picture] for picture in needed]))
    rows = []
    for arm in arms:
        # Random weights are those of seed 0 throughout: what varies is the subset.
        done = extract(pictures, feature_source(recipe(source, arm, 5, 0), pictures), Settings())
        features = {pictures.names[i]: row for i, row in zip(done.kept, done.features, strict=True)}
        for (n, seed), images in drawn.items():
            right = scored(images, features)
            rows.append(Row(name, arm, n, seed, len(right), float(right.mean())))
        sizes = dict.fromkeys(n for n, _ in drawn)
        found = {n: np.mean([r.accuracy for r in rows if r.arm == arm and r.per_class == n]) for n in sizes}
        print(f"{name:14} {arm:17}", *(f"{n}: {value:.3f}" for n, value in found.items()), flush=True)
    return rows


def found_at(source: str) -> str:
    """A folder of that name in HEADSTART_DATA where there is one, else the name."""
    folder = Path(os.environ.get("HEADSTART_DATA", "")) / source
    return str(folder) if source == "hymenoptera" and folder.is_dir() else source


def scored(images: ImageSet, features: dict[str, np.ndarray]) -> np.ndarray:
    """Which test pictures the head gets right: (n,) bool."""
    X = np.stack([features[picture] for picture in images.names])
    parts = part_rows(images)
    train, val, test = ((X[parts[name]], images.labels[parts[name]]) for name in ("train", "val", "test"))
    head = make_head("logistic")
    head.fit(*train, validation=val if len(val[0]) else None)
    return np.asarray(head.predict(test[0]) == test[1])


def kept(file: Path) -> list[Row]:
    """The rows of an earlier evaluation."""
    if not file.is_file():
        return []
    with file.open(newline="", encoding="utf-8") as lines:
        found = list(csv.DictReader(lines))
    return [
        Row(r["data"], r["arm"], int(r["per_class"]), int(r["seed"]), int(r["test_pictures"]), float(r["accuracy"]))
        for r in found
    ]


def merged(old: list[Row], new: list[Row]) -> list[Row]:
    """New rows in place of old ones for the same data and arm, in the order of the tables above."""
    renewed = {(row.data, row.arm) for row in new}
    rows = [row for row in old if (row.data, row.arm) not in renewed] + new
    arms = list(dict.fromkeys([*ARMS, *(row.arm for row in rows)]))
    return sorted(rows, key=lambda r: (DATA.index(r.data), arms.index(r.arm), r.per_class, r.seed))


def write(rows: list[Row], file: Path) -> None:
    columns = ("data", "arm", "per_class", "seed", "test_pictures", "accuracy")
    records.write_csv(
        file, columns, ([r.data, r.arm, r.per_class, r.seed, r.test_pictures, f"{r.accuracy:.4f}"] for r in rows)
    )


def table(rows: list[Row]) -> str:
    """Markdown: a line for each data set and arm, mean and standard deviation over the seeds in percent."""
    cells: dict[tuple[str, str], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        cells[row.data, row.arm][row.per_class].append(100 * row.accuracy)
    best: dict[tuple[str, int], float] = {}
    for (data, _), by_size in cells.items():
        for n, values in by_size.items():
            best[data, n] = max(best.get((data, n), 0.0), float(np.mean(values)))
    lines = ["| data (test pictures) | features | 5 of each | 10 | 50 | 100 |", "|---|---|---|---|---|---|"]
    for (data, arm), by_size in cells.items():
        tests = next(row.test_pictures for row in rows if row.data == data)
        shown = []
        for n in SIZES:
            if n not in by_size:
                shown.append("")
                continue
            text = f"{np.mean(by_size[n]):.1f} ± {np.std(by_size[n], ddof=1):.1f}"
            shown.append(f"**{text}**" if np.mean(by_size[n]) == best[data, n] else text)
        lines.append(f"| {data} ({tests:,}) | {arm} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="*", default=list(DATA), help="names, or folders, also in $HEADSTART_DATA")
    parser.add_argument("--arms", nargs="*", default=list(ARMS), choices=list(ARMS))
    parser.add_argument("--also", nargs="*", default=[], help="NAME=FILE: an arm with other weights of sprout")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="folder for evaluation.csv and evaluation.md")
    args = parser.parse_args()
    for name, _, weights in (each.partition("=") for each in args.also):
        ARMS[name] = {"backbone": {"name": "sprout", "weights": str(Path(weights).resolve())}}
        args.arms.append(name)
    file = args.out / "evaluation.csv" if args.out else None
    rows = kept(file) if file else []
    for source in args.data:
        started = time.perf_counter()
        try:
            rows = merged(rows, measure(Path(source).name, source, args.seeds, args.arms))
        except UserError as missing:
            print(f"{source} is left out: {missing}")
            continue
        print(f"{source}: {time.perf_counter() - started:.0f} s")
        if file:
            write(rows, file)
            file.with_suffix(".md").write_text(HEADING + table(rows), encoding="utf-8")
    print(table(rows))


HEADING = """# What sprout is worth

Accuracy in percent on test pictures: mean and standard deviation over five seeded subsets of labelled pictures,
logistic head, everything as `headstart fit --train-per-class` does it. The best of each column and data set is bold.
Made by `python benchmarks/sprout.py --out docs/sprout`.

"""


if __name__ == "__main__":
    main()
