"""Every setting of a network's training with its value and where the value comes from, as rows of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headstart.recipe import TrainingRecipe
from headstart.report.numbers import plain, shown
from headstart.report.training import ASKED

WORDS = {
    "batch_size": "Pictures per step",
    "epochs": "Maximum number of epochs",
    "learning_rate": "Peak learning rate of the head",
    "mixup": "Mixup of two pictures (0: none)",
    "layer_decay": "Learning rate of a block, as a multiple of that of the next block towards the head",
    "l2sp": "Pull of the blocks towards their original weights (0: none)",
    "batchnorm": "Statistics of batch normalisation layers",
    "head_first": "Head fitted on frozen features first",
    "blend": "Averaged with the weights from before training",
    "optimiser": "Optimiser",
    "weight_decay": "Weight decay, for weights without the pull",
    "momentum": "Momentum",
    "warmup": "Fraction of the steps in which the rate rises",
    "clip": "Largest gradient norm (0: no limit)",
    "label_smoothing": "Label smoothing (0: none)",
    "ema": "Decay of a moving average of the weights (0: none)",
    "patience": "Stop after this many epochs without a lower validation loss (0: never)",
    "gradual": "Epochs between a block's first update and that of the block below it (0: all together)",
    "sampler": "Order of the pictures",
    "seed": "Seed",
    "threads": "Threads",
    "device": "Device",
    "precision": "Precision",
}
SOURCES = {
    "seed": "the run's",
    "threads": "the fastest here, unless one was asked for",
    "device": "the engine's",
    "precision": "the engine's",
}


@dataclass(frozen=True)
class SettingRow:
    """One row: what it is in words, its name in the recipe, its value, and where that comes from."""

    words: str
    name: str
    value: str
    source: str


def choices(told: Mapping[str, Any]) -> list[SettingRow]:
    """The settings that rules of size or the user chose; `told` is the block `training` of scores.json."""
    return [_setting(each["name"], each["value"], str(each["source"])) for each in told.get("choices") or []]


def others(told: Mapping[str, Any]) -> list[SettingRow]:
    """The settings that have one default for every size of data."""
    values = {**(told.get("plan") or {}), **{key: told[key] for key in ("gradual", "sampler") if key in told}}
    known = {str(each["name"]) for each in told.get("choices") or []}
    if values.get("optimiser") != "sgd":
        known.add("momentum")
    return [_setting(name, value, _source(name, value)) for name, value in values.items() if name not in known]


def _setting(name: str, value: Any, source: str) -> SettingRow:
    return SettingRow(WORDS.get(name, shown(name)), shown(name), plain(value), shown(source, 400))


def _source(name: str, value: Any) -> str:
    if name in SOURCES:
        return SOURCES[name]
    field = TrainingRecipe.model_fields.get(name)
    return "default" if field is not None and field.default == value else ASKED
