"""AdamW with a cosine schedule, by PyTorch's functional form. Imports torch.

`torch.optim.AdamW` does the same steps, but its constructor imports PyTorch's compiler, which takes 2 s: longer than
training a head on a few thousand stored features.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch.optim.adamw import adamw

BETAS = (0.9, 0.999)
EPSILON = 1e-8


class CosineAdamW:
    """Loshchilov and Hutter 2019; the learning rate falls from its start to 0 over `steps` along a half cosine."""

    def __init__(
        self, parameters: Iterable[torch.Tensor], learning_rate: float, weight_decay: float, steps: int
    ) -> None:
        self._parameters = list(parameters)
        self._means = [torch.zeros_like(p) for p in self._parameters]
        self._squares = [torch.zeros_like(p) for p in self._parameters]
        self._counts = [torch.tensor(0.0) for _ in self._parameters]
        self._start, self._decay, self._steps, self._done = learning_rate, weight_decay, steps, 0

    @property
    def learning_rate(self) -> float:
        """The rate of the next step."""
        return self._start * (1 + math.cos(math.pi * self._done / self._steps)) / 2

    def step(self) -> None:
        """One update by the gradients, which are cleared."""
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        with torch.no_grad():
            adamw(
                self._parameters, gradients, self._means, self._squares, [], self._counts,
                foreach=False, fused=True, amsgrad=False, beta1=BETAS[0], beta2=BETAS[1],
                lr=self.learning_rate, weight_decay=self._decay, eps=EPSILON, maximize=False,
            )  # fmt: skip
        for p in self._parameters:
            p.grad = None
        self._done += 1
