"""The weights of a network as a state: copied, put back, averaged over steps. Imports torch."""

from __future__ import annotations

import torch
from torch import nn

COUNT = "average.count"


class Average:
    """An exponential moving average of the weights (Polyak and Juditsky 1992), with the start corrected as in timm:
    the decay grows as (1 + t) / (10 + t) up to its value."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = snapshot(model) | {COUNT: torch.zeros(())}

    def follow(self, model: nn.Module) -> None:
        """Take one step towards the model's weights."""
        count = float(self.weights[COUNT]) + 1
        self.weights[COUNT].fill_(count)
        decay = min(self.decay, (1 + count) / (10 + count))
        with torch.no_grad():
            for name, value in model.state_dict().items():
                mean = self.weights[name]
                mean.lerp_(value, 1 - decay) if mean.is_floating_point() else mean.copy_(value)


def snapshot(model: nn.Module) -> dict[str, torch.Tensor]:
    """A copy of the state, on its device."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def restore(model: nn.Module, state: dict[str, torch.Tensor]) -> None:
    """Copy a state back in place; entries that the model has not are left."""
    own = model.state_dict()
    with torch.no_grad():
        for name in own.keys() & state.keys():
            own[name].copy_(state[name])


def finite(model: nn.Module) -> bool:
    """Whether every number of the state is finite."""
    return all(bool(torch.isfinite(v).all()) for v in model.state_dict().values() if v.is_floating_point())
