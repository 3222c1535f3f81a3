"""Every number of a training: the user's, or by rules of size. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from headstart.engines import EngineChoice
from headstart.errors import UserError
from headstart.recipe import Recipe, TrainingRecipe
from headstart.training import rules
from headstart.training.plan import Plan
from headstart.training.rules import Choice

TOPS = ("logistic", "linear", "mlp")
"""Heads that are dense layers and can go on learning with the network."""


@dataclass(frozen=True)
class TrainingSettings:
    """A training's plan and what is special to networks; `choices` says where each number comes from."""

    plan: Plan
    layer_decay: float
    l2sp: float
    gradual: int
    batchnorm: Literal["frozen", "trained"]
    head_first: bool
    blend: bool
    sampler: Literal["shuffle", "balanced"]
    choices: tuple[Choice, ...]


def training_settings(recipe: Recipe, n: int, engine: EngineChoice, validated: bool) -> TrainingSettings:
    """The settings for `n` training pictures, and validation pictures or none, on the device of `engine`.

    Raises UserError where the choices do not fit together.
    """
    asked, tuned = recipe.training, recipe.method == "finetune"
    check(recipe)
    batch = _chosen(asked, rules.network_batch(recipe.method, n))
    epochs = _chosen(asked, rules.epochs(recipe.method, n, int(batch.value), validated))
    found = {
        choice.name: choice
        for choice in (
            batch,
            epochs,
            _chosen(asked, rules.patience(recipe.method, int(epochs.value), validated)),
            _chosen(asked, rules.learning_rate(recipe.method, asked.optimiser, not validated and n < rules.FEW)),
            _chosen(asked, rules.mixup(n)),
            _chosen(asked, rules.layer_decay() if tuned else Choice("layer_decay", 1.0, "no block knows more")),
            _chosen(asked, rules.l2sp() if tuned else Choice("l2sp", 0.0, "there is nothing to keep")),
            _chosen(asked, rules.batchnorm() if tuned else Choice("batchnorm", "trained", "it knows nothing yet")),
            _chosen(asked, Choice("head_first", tuned, "LP-FT: Kumar et al. 2022")),
            _chosen(asked, Choice("blend", tuned, "WiSE-FT: Wortsman et al. 2022")),
        )
    }
    value = {name: choice.value for name, choice in found.items()}
    plan = Plan(
        epochs=int(value["epochs"]), batch_size=int(value["batch_size"]), optimiser=asked.optimiser,
        learning_rate=float(value["learning_rate"]), weight_decay=asked.weight_decay, momentum=asked.momentum,
        warmup=asked.warmup, clip=asked.clip, label_smoothing=asked.label_smoothing,
        mixup=float(value["mixup"]), ema=asked.ema, patience=int(value["patience"]), seed=recipe.seed,
        threads=asked.threads or 1, device=engine.device, precision=engine.precision,
    )  # fmt: skip
    return TrainingSettings(
        plan, float(value["layer_decay"]), float(value["l2sp"]), asked.gradual,
        "trained" if value["batchnorm"] == "trained" else "frozen", bool(value["head_first"]), bool(value["blend"]),
        asked.sampler, tuple(found.values()),
    )  # fmt: skip


def _chosen(asked: TrainingRecipe, rule: Choice) -> Choice:
    """The rule's choice, or the user's."""
    value: Any = getattr(asked, rule.name)
    return rule if value is None else Choice(rule.name, value, "as asked")


def check(recipe: Recipe) -> None:
    """Raise UserError where a recipe's choices for training a network do not fit together."""
    method, asked = recipe.method, recipe.training
    if recipe.head.name not in TOPS:
        raise UserError(
            f"method={method} trains the head with the network, which head={recipe.head.name} does not support; "
            f"choose one of {', '.join(TOPS)}."
        )
    if method == "scratch":
        if asked.unfreeze not in (None, "all"):
            raise UserError(f"method=scratch trains the whole network; leave unfreeze={asked.unfreeze} out.")
        if asked.head_first:
            raise UserError("head_first fits the head first, on pretrained features; from scratch there are none.")
        if recipe.backbone.weights not in ("imagenet", "pretrained", "none"):
            raise UserError(f"method=scratch begins with random weights; leave weights={recipe.backbone.weights} out.")
