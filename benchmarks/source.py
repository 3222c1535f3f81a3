"""Does a source model of one's own help? Fashion-MNIST as the source, MNIST with few labelled pictures as the target.

    python benchmarks/source.py SOURCE TARGET [--architecture sprout] [--per-class 10] [--seeds 5] [--epochs 3]
        [--limit PICTURES] [--arms scratch,frozen,finetuned]

Trains the architecture once from random weights on SOURCE (`headstart pretrain`), then for each seed, on the same
labelled pictures of TARGET and the same test part: that network frozen with a new head, fine-tuned, and the same
architecture from scratch with the same number of steps. Prints every accuracy, and means with 95% intervals over the
seeds (Student's t; paired for the differences).
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from scipy.stats import t

from headstart.pretraining.source import pretrain
from headstart.recipe import Recipe
from headstart.run import execute

ARMS = ("scratch", "frozen", "finetuned")


def interval(values: list[float]) -> str:
    """Mean with the 95% interval of the mean, in percent."""
    x = 100 * np.array(values)
    half = t.ppf(0.975, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x))
    return f"{x.mean():.2f} ({x.mean() - half:.2f} to {x.mean() + half:.2f})"


def accuracy(arm: str, weights: Path, asked: argparse.Namespace, seed: int, folder: Path) -> float:
    """Test accuracy of one arm."""
    recipe: dict[str, object] = {
        "seed": seed,
        "data": {"source": asked.target, "train_per_class": asked.per_class},
        "backbone": {"name": asked.architecture},
        "method": {"scratch": "scratch", "frozen": "features", "finetuned": "finetune"}[arm],
    }
    if arm != "scratch":
        recipe["backbone"] = {"name": asked.architecture, "weights": str(weights)}
    if arm == "finetuned":
        recipe["training"] = {"unfreeze": "all"}
    run = execute(Recipe.from_dict(recipe), folder / f"{arm}-{seed}")
    return float(run.scores["after"]["test"]["accuracy"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("--architecture", default="sprout")
    parser.add_argument("--per-class", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--limit", type=int, default=None, help="pictures of the source")
    parser.add_argument("--arms", default=",".join(ARMS))
    asked = parser.parse_args()
    arms = [arm for arm in ARMS if arm in asked.arms.split(",")]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = {"source": asked.source} | ({"limit": asked.limit} if asked.limit else {})
        source = {"data": data, "backbone": {"name": asked.architecture}, "training": {"epochs": asked.epochs}}
        made = pretrain(Recipe.from_dict({**source, "method": "scratch"}), folder / "source.safetensors")
        own = made.run.scores["after"]["test"]["accuracy"]
        print(f"source {asked.source}: {own:.4f} on its own test part after {asked.epochs} epochs", flush=True)
        found: dict[str, list[float]] = {arm: [] for arm in arms}
        for seed in range(asked.seeds):
            for arm in arms:
                found[arm].append(accuracy(arm, made.weights, asked, seed, folder))
            print(f"seed {seed}  " + "  ".join(f"{arm} {values[-1]:.4f}" for arm, values in found.items()), flush=True)
    print(f"target {asked.target}, {asked.per_class} labelled pictures per class, percent:")
    for arm, values in found.items():
        print(f"  {arm:<10} {interval(values)}")
    for arm in arms[1:]:
        gains = [a - b for a, b in zip(found[arm], found["scratch"], strict=True)]
        print(f"  {arm} - scratch {interval(gains)}")


if __name__ == "__main__":
    main()
