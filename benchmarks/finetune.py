"""Fine-tuning with stored trunk activations against the same fine-tuning without, in one run, alternating.

    python benchmarks/finetune.py DATA --backbone NAME --weights FILE [--unfreeze 3] [--images 256] [--rounds 3]

Three ways to do the same epoch of the same pictures, with the same body, top, optimiser and batches:

    stored   the trunk's activations are read from the store, as `headstart fit --method finetune` does
    live     the trunk runs anew in every epoch, in OpenVINO, beside the training (disk_gb = 0)
    usual    the whole network runs in PyTorch, the trunk frozen and without gradients; pictures decoded beside it

Each round trains two epochs in each way and takes the second; medians over the rounds are compared.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import nn

from headstart.augment import NO_VIEWS
from headstart.division import prepare
from headstart.features.extract import Extractor, Settings, extract
from headstart.features.live import LiveRows
from headstart.features.source import FeatureSource
from headstart.fitting import feature_source
from headstart.recipe import Recipe
from headstart.training.batches import RowBatches, Rows, StoredRows
from headstart.training.loop import Task, train
from headstart.training.network import Tunable, dense, groups
from headstart.training.plan import Plan
from headstart.tuning.state import threads_for
from headstart.tuning.training_split import PICTURE, TrainingSplit, split_for_training


class Usual(nn.Module):
    """The whole network on pixels, its trunk frozen: what a fine-tuning does that stores nothing."""

    def __init__(self, split: TrainingSplit, tunable: Tunable) -> None:
        super().__init__()
        self.trunk = [split.backbone.features(split.body.source)]  # in a list: no parameters of this module
        self.tunable = tunable
        self.preprocess = split.end.preprocess

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        p = self.preprocess
        mean, std = (torch.tensor(v).view(1, -1, 1, 1) * 255 for v in (p.mean, p.std))
        with torch.no_grad():
            x = rows.view(len(rows), p.height, p.width, 3).permute(0, 3, 1, 2).float()
            activations = self.trunk[0](((x - mean) / std).contiguous(memory_format=torch.channels_last))
        logits: torch.Tensor = self.tunable(activations)
        return logits


def speed(recipe: Recipe, source: FeatureSource, rows: Rows, labels: np.ndarray, plan: Plan, *, usual: bool) -> float:
    """Pictures a second in the second epoch."""
    place = split_for_training(recipe, source)
    top = dense([place.width, int(labels.max()) + 1])
    tunable = Tunable(place.body, place.shapes, place.end.preprocess, top)
    model = Usual(place, tunable) if usual else tunable
    members = groups(tunable, place.body.blocks, 0.75, 0.01)
    for group in members:
        group.parameters = {f"tunable.{n}" if usual else n: p for n, p in group.parameters.items()}
        group.anchors = {f"tunable.{n}" if usual else n: p for n, p in group.anchors.items()}
    history = train(Task(model, RowBatches(rows, labels, plan.batch_size, 0), plan, members)).history
    return history[-1]["images_per_s"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--backbone", default="mobilenetv2_100")
    parser.add_argument("--weights", default="imagenet")
    parser.add_argument("--unfreeze", type=int, default=3)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    weights = str(Path(asked.weights).resolve()) if Path(asked.weights).exists() else asked.weights
    recipe = Recipe.from_dict(
        {
            "method": "finetune",
            "data": {"source": str(Path(asked.data).resolve()) if Path(asked.data).exists() else asked.data},
            "backbone": {"name": asked.backbone, "weights": weights},
            "training": {"unfreeze": asked.unfreeze},
        }
    )
    images = prepare(recipe)
    chosen = np.random.default_rng(0).permutation(np.flatnonzero(images.parts == "train"))[: asked.images]
    images = images.take(np.sort(chosen))
    source = feature_source(recipe, images)
    place = split_for_training(recipe, source)
    with tempfile.TemporaryDirectory() as store:
        extraction = extract(images, place.rows, Settings(Path(store)))
    images = images.take(extraction.kept)
    stored = StoredRows(extraction.features)
    plan = Plan(epochs=2, batch_size=32, learning_rate=3e-4, clip=1.0, threads=threads_for(place, stored))
    print(f"{len(images)} pictures, cut behind {place.body.source}, {plan.threads} training threads; images/s:")
    pixels = FeatureSource(source.preprocess, layer=PICTURE)
    ways: dict[str, Rows] = {
        "stored": stored,
        "live": LiveRows(images, Extractor(place.rows), NO_VIEWS),
        "usual": LiveRows(images, Extractor(pixels), NO_VIEWS),
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(asked.rounds):
        for name in ways if number % 2 == 0 else reversed(ways):
            # All cores for the network that runs whole: it is the only one that works.
            threads = torch.get_num_threads() if name == "usual" else plan.threads
            own = Plan(**{**plan.to_dict(), "threads": threads})
            found[name].append(speed(recipe, source, ways[name], images.labels, own, usual=name == "usual"))
        print("  ".join(f"{name} {values[-1]:.0f}" for name, values in found.items()))
    middle = {name: median(values) for name, values in found.items()}
    print("median  " + "  ".join(f"{name} {value:.1f}" for name, value in middle.items()))
    for other in ("live", "usual"):
        print(f"stored is {middle['stored'] / middle[other]:.2f} times as fast as {other}")


if __name__ == "__main__":
    main()
