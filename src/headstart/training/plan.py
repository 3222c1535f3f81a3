"""Plan: what a training does, in numbers. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from headstart.errors import UnknownName, UserError

OPTIMISERS = ("adamw", "sgd")


@dataclass(frozen=True)
class Plan:
    """The numbers of a training. Everything here changes the result, `threads` in the last bits.

    `warmup` is a share of all steps; `clip` bounds the norm of the gradient (0: no bound); `mixup` is the parameter of
    the Beta distribution (0: off; Zhang et al. 2018); `ema` is the decay of a moving average of the weights (0: off);
    `patience` epochs without a lower validation loss end the training (0: never); `precision` `mixed` is bfloat16
    autocast on a GPU.
    """

    epochs: int = 10
    batch_size: int = 64
    optimiser: str = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    momentum: float = 0.9
    warmup: float = 0.0
    clip: float = 0.0
    label_smoothing: float = 0.0
    mixup: float = 0.0
    ema: float = 0.0
    patience: int = 0
    seed: int = 0
    threads: int = 1
    device: str = "cpu"
    precision: str = "float32"

    def __post_init__(self) -> None:
        if self.optimiser not in OPTIMISERS:
            raise UnknownName("optimiser", self.optimiser, OPTIMISERS)
        for name in ("epochs", "batch_size", "threads"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; it must be at least 1.")
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise UserError(f"learning_rate is {self.learning_rate}; it must be above 0.")
        for name in ("weight_decay", "clip", "mixup", "patience"):
            if not getattr(self, name) >= 0:
                raise UserError(f"{name} is {getattr(self, name)}; it must be 0 or more.")
        for name in ("momentum", "warmup", "label_smoothing", "ema"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; it must be at least 0 and below 1.")

    def rate(self, step: int, steps: int) -> float:
        """The factor of the learning rate at `step` of `steps`: a straight warm-up, then half a cosine down to 0."""
        warm = int(self.warmup * steps)
        if step < warm:
            return (step + 1) / warm
        return (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm))) / 2

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)
