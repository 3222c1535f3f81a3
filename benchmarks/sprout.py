"""What `sprout` is worth: logistic regression on its features, on those of its untrained self, and on raw pixels.

    python benchmarks/sprout.py --out docs/sprout

For each data set, number of labelled pictures of each class and seed, `headstart fit --train-per-class` draws the
pictures: a tenth of them chooses C, a tenth is kept for the temperature (and not used here), and the test part is the
data's own, or a fifth where there is none. All arms see the same pictures. Writes evaluation.csv and evaluation.md.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headstart import records
from headstart.errors import UserError
from headstart.features.extract import Settings, extract
from headstart.heads import make_head
from headstart.images import ImageSet, load
from headstart.outcome import part_rows
from headstart.recipe import Recipe
from headstart.run import feature_source, fit_head, prepare

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


def measure(name: str, source: str, seeds: int) -> list[Row]:
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
    for arm in ARMS:
        # Random weights are those of seed 0 throughout: what varies is the subset.
        done = extract(pictures, feature_source(recipe(source, arm, 5, 0), pictures), Settings())
        features = {pictures.names[i]: row for i, row in zip(done.kept, done.features, strict=True)}
        for (n, seed), images in drawn.items():
            right = scored(images, features, recipe(source, arm, n, seed))
            rows.append(Row(name, arm, n, seed, len(right), float(right.mean())))
        found = {n: np.mean([r.accuracy for r in rows if r.arm == arm and r.per_class == n]) for n in SIZES}
        print(f"{name:14} {arm:17}", *(f"{n}: {value:.3f}" for n, value in found.items()), flush=True)
    return rows


def found_at(source: str) -> str:
    """A folder of that name in HEADSTART_DATA where there is one, else the name."""
    folder = Path(os.environ.get("HEADSTART_DATA", "")) / source
    return str(folder) if source == "hymenoptera" and folder.is_dir() else source


def scored(images: ImageSet, features: dict[str, np.ndarray], chosen: Recipe) -> np.ndarray:
    """Which test pictures the head gets right: (n,) bool."""
    X = np.stack([features[picture] for picture in images.names])
    parts = part_rows(images)
    head = make_head("logistic")
    fit_head(head, chosen.head, X, images.labels, parts)
    return np.asarray(head.predict(X[parts["test"]]) == images.labels[parts["test"]])


def table(rows: list[Row]) -> str:
    """Markdown: a line for each data set and arm, mean and standard deviation over the seeds in percent."""
    cells: dict[tuple[str, str], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        cells[row.data, row.arm][row.per_class].append(100 * row.accuracy)
    best = {(data, n): max(np.mean(cells[data, arm][n]) for arm in ARMS) for (data, _), by in cells.items() for n in by}
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
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="folder for evaluation.csv and evaluation.md")
    args = parser.parse_args()
    rows: list[Row] = []
    for source in args.data:
        started = time.perf_counter()
        try:
            rows += measure(Path(source).name, source, args.seeds)
        except UserError as missing:
            print(f"{source} is left out: {missing}")
        print(f"{source}: {time.perf_counter() - started:.0f} s")
    print(table(rows))
    if args.out:
        columns = ("data", "arm", "per_class", "seed", "test_pictures", "accuracy")
        values = [[r.data, r.arm, r.per_class, r.seed, r.test_pictures, f"{r.accuracy:.4f}"] for r in rows]
        records.write_csv(args.out / "evaluation.csv", columns, values)
        (args.out / "evaluation.md").write_text(HEADING + table(rows), encoding="utf-8")


HEADING = """# What sprout is worth

Accuracy in percent on test pictures: mean and standard deviation over five seeded subsets of labelled pictures,
logistic head, everything as `headstart fit --train-per-class` does it: a tenth of the labelled pictures chooses C, a
tenth is kept for the temperature. The best of each column and data set is bold.
Made by `python benchmarks/sprout.py --out docs/sprout`.

"""


if __name__ == "__main__":
    main()
