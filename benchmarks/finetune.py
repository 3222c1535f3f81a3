"""Fine-tuning with stored trunk activations against the same fine-tuning without, and against fastai, by turns.

    python benchmarks/finetune.py DATA --weights FILE [--backbone mobilenetv2_100] [--unfreeze 3] [--quick] [--rounds 3]

Ways to do the same epoch of the same pictures, with the same body, top, optimiser and batches:

    stored    the trunk's activations are read from the store, as `headstart fit --method finetune` does
    halved    the same, kept in float16: half the disk and memory, and how far activations and the last loss move
    live      the trunk runs anew in every epoch, in OpenVINO, beside the training (disk_gb = 0)
    usual     the whole network runs in PyTorch, the trunk frozen and without gradients; pictures decoded beside it
    fastai    its `vision_learner` with the last three blocks trained (with --unfreeze 3 and a class folder as DATA)

Each round trains two epochs in each way and takes the second.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from classifier import TORCH, subset
from harness import Result, by_turns, environment, rows_of, same, told
from headstart.division import prepare
from headstart.feature_source import feature_source
from headstart.features.extract import Extractor, Settings, extract
from headstart.features.live import LiveRows
from headstart.features.source import FeatureSource
from headstart.recipe import Recipe
from headstart.training.batches import RowBatches, Rows, StoredRows
from headstart.training.loop import Task, train
from headstart.training.network import Tunable, dense, groups
from headstart.training.plan import Plan
from headstart.tuning.state import threads_for
from headstart.tuning.training_split import PICTURE, TrainingSplit, split_for_training
from headstart.views import NO_VIEWS


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


class Halved:
    """Rows kept in float16, and in float32 where they are asked for."""

    def __init__(self, X: NDArray[np.float32]) -> None:
        self.X = X.astype(np.float16)

    def __len__(self) -> int:
        return len(self.X)

    def take(self, indices: NDArray[np.int64], epoch: int) -> NDArray[np.float32]:
        """See `Rows`."""
        return self.X[indices].astype(np.float32)


def speed(
    recipe: Recipe, source: FeatureSource, rows: Rows, labels: np.ndarray, plan: Plan, *, usual: bool
) -> tuple[float, float]:
    """Pictures a second in the second epoch, and its loss."""
    place = split_for_training(recipe, source)
    top = dense([place.width, int(labels.max()) + 1])
    tunable = Tunable(place.body, place.shapes, place.end.preprocess, top)
    model = Usual(place, tunable) if usual else tunable
    members = groups(tunable, place.body.blocks, 0.75, 0.01)
    for group in members:
        group.parameters = {f"tunable.{n}" if usual else n: p for n, p in group.parameters.items()}
        group.anchors = {f"tunable.{n}" if usual else n: p for n, p in group.anchors.items()}
    history = train(Task(model, RowBatches(rows, labels, plan.batch_size, 0), plan, members)).history
    return history[-1]["images_per_s"], history[-1]["train_loss"]


def fastai_speed(data: Path, n: int, threads: int) -> float:
    """Pictures a second in fastai's second epoch; two pictures are its validation part."""
    python = environment("fastai", ["fastai", *same(*TORCH)], same("torch", "torchvision"))
    with subset(data, n, judged=2) as part:
        found = told(python, "torch_classifier.py", {"data": part, "form": "fastai-blocks"}, threads)
    return float(n / found["epoch_s"][-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--backbone", default="mobilenetv2_100")
    parser.add_argument("--weights", default="imagenet")
    parser.add_argument("--unfreeze", type=int, default=3)
    parser.add_argument("--images", type=int)
    parser.add_argument("--quick", action="store_true", help="128 pictures")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-fastai", action="store_true")
    asked = parser.parse_args()
    asked.images = asked.images or (128 if asked.quick else 512)
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
    rows: dict[str, Rows] = {
        "stored": stored,
        "halved": Halved(extraction.features),
        "live": LiveRows(images, Extractor(place.rows), NO_VIEWS),
        "usual": LiveRows(images, Extractor(pixels), NO_VIEWS),
    }
    losses: dict[str, list[float]] = {name: [] for name in rows}

    def of(name: str) -> Callable[[], float]:
        # All cores for the network that runs whole: it is the only one that works.
        threads = torch.get_num_threads() if name == "usual" else plan.threads
        own = Plan(**{**plan.to_dict(), "threads": threads})

        def run() -> float:
            rate, loss = speed(recipe, source, rows[name], images.labels, own, usual=name == "usual")
            losses[name].append(loss)
            return rate

        return run

    ways: dict[str, Callable[[], float]] = {name: of(name) for name in rows}
    data = Path(asked.data)
    if not asked.no_fastai and asked.unfreeze == 3 and (data / "train").is_dir():
        ways["fastai"] = lambda: fastai_speed(data, len(images), os.cpu_count() or 1)
    found = by_turns(ways, asked.rounds)
    whole, halved = extraction.features, rows["halved"]
    apart = float(np.abs(halved.take(np.arange(len(whole)), 1) - whole).max() / whole.std())
    loss = {name: float(np.median(values)) for name, values in losses.items()}
    notes = {
        "stored": f"{whole.nbytes / len(whole) / 1e3:.1f} kB a picture, loss {loss['stored']:.5f}",
        "halved": f"{whole.nbytes / len(whole) / 2e3:.1f} kB, loss {loss['halved']:.5f}, activations up to {apart:.4f} "
        "standard deviations apart",
    }
    lines = rows_of(found, "images/s", "stored", notes, rates=True)
    middle = {row.what: row.ratio for row in lines if row.ratio is not None}
    floors = [
        (f"3 times as fast per epoch as {name}: {middle[name]:.1f} times", middle[name] >= 3)
        for name in ("live", "usual", "fastai")
        if name in middle
    ]
    title = f"An epoch of the last {asked.unfreeze} blocks of {asked.backbone}, {len(images)} pictures"
    notes_of_all = [
        f"The network is cut after {place.body.source}. Number of training threads: {plan.threads}, the fastest of "
        "those tried."
    ]
    Result(
        "finetune", "Fine-tuning", {title: lines}, "how many times as fast stored activations are", floors, notes_of_all
    ).keep()


if __name__ == "__main__":
    main()
