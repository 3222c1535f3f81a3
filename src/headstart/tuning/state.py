"""What of a training outlives its process: its saved state, and what was measured on this machine. Imports torch."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from headstart.backbones import memory
from headstart.recipe import Recipe
from headstart.threads import cores
from headstart.training.batches import Rows, StoredRows
from headstart.training.checkpoint import Keeper
from headstart.training.devices import fastest_threads
from headstart.training.network import Tunable, dense
from headstart.tuning.rows import TrainingRows
from headstart.tuning.training_split import TrainingSplit

TRIAL_ROWS = 32


def keeper(recipe: Recipe, split: TrainingSplit, rows: TrainingRows, folder: Path) -> Keeper:
    """Keeps the training's state in `folder`, under a name for all that decides what it comes to."""
    told = recipe.model_dump_json(exclude={"training": {"find_rate", "disk_gb"}})
    digest = hashlib.blake2b(told.encode(), digest_size=16)
    versions = [version(package) for package in ("headstart", "torch", "timm", "torchvision")]
    digest.update(json.dumps([split.rows.space(), split.end.space(), versions], sort_keys=True).encode())
    for values in (rows.images.names, rows.images.labels.tolist(), rows.images.parts.tolist()):
        digest.update(json.dumps([str(value) for value in values]).encode())
    if isinstance(rows.plain, StoredRows):
        digest.update(np.ascontiguousarray(rows.plain.X).data)
    return Keeper(folder, digest.hexdigest())


def threads_for(split: TrainingSplit, rows: Rows) -> int:
    """The threads that train fastest on this CPU: measured once for a network and a batch, then remembered."""
    if split.end.engine.device != "cpu":
        return 1
    batch = min(len(rows), TRIAL_ROWS)
    question = ["threads", split.backbone.architecture, split.body.source, list(split.size), batch, cores()]
    known = memory.recall(question)
    if known is not None:
        return int(known["threads"])
    top = dense([split.width, 2])
    network = Tunable(
        split.backbone.trainable_part(_layer(split), split.end.layer), split.shapes, split.end.preprocess, top
    ).train()
    x = torch.from_numpy(np.ascontiguousarray(rows.take(np.arange(batch), 0)))

    def step() -> None:
        network(x).sum().backward()
        network.zero_grad()

    threads = fastest_threads(step)
    memory.remember(question, {"threads": threads})
    return threads


def _layer(split: TrainingSplit) -> str | None:
    return None if split.whole else split.body.source.removeprefix("cut:")
