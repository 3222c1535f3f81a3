"""Processes that train one network together: each learns from its share of every batch. Imports torch.

PyTorch's DistributedDataParallel averages the gradients (Li et al. 2020). A batch, its order and its mixing are drawn
by every process from the same (seed, epoch, step); a process runs the network on every `size`-th row. So the losses are
those of one process up to rounding. Masks of dropout alone are drawn for each share.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import nn

T = TypeVar("T")


@dataclass(frozen=True)
class Crew:
    """This process is number `rank` of `size`."""

    rank: int = 0
    size: int = 1

    @classmethod
    def here(cls) -> Crew:
        """That of PyTorch's process group; without one, this process alone."""
        distributed = torch.distributed
        if not distributed.is_available() or not distributed.is_initialized():
            return cls()
        return cls(distributed.get_rank(), distributed.get_world_size())

    def joined(self, model: nn.Module) -> nn.Module:
        """The model to train with: its gradients are the mean of all processes'."""
        if self.size == 1:
            return model
        from torch.nn.parallel import DistributedDataParallel

        return DistributedDataParallel(model, broadcast_buffers=False)

    def share(self, n: int) -> slice:
        """This process's rows of a batch of n; one that has none takes the first, and `mean` does not count it."""
        return slice(self.rank, None, self.size) if self.rank < n else slice(0, 1)

    def mean(self, losses: torch.Tensor, n: int) -> torch.Tensor:
        """What to differentiate: the losses of this process's share of a batch of n."""
        if self.size == 1:
            return losses.mean()
        return losses.sum() * (self.size / n if self.rank < n else 0.0)

    def over_all(self, values: list[float], device: str) -> list[float]:
        """The mean of each value over all processes."""
        if self.size == 1:
            return values
        found = torch.tensor(values, dtype=torch.float64, device=device)
        torch.distributed.all_reduce(found)
        return [float(value) / self.size for value in found]

    def of_first(self, value: Callable[[], T]) -> T:
        """What the first process finds, in all of them."""
        if self.size == 1:
            return value()
        told: list[Any] = [value() if self.rank == 0 else None]
        torch.distributed.broadcast_object_list(told, src=0)
        found: T = told[0]
        return found

    def first_before_others(self, work: Callable[[], T]) -> T:
        """Do the work in the first process, and then in the others, which find what it has stored."""
        if self.size == 1:
            return work()
        if self.rank > 0:
            torch.distributed.barrier()
            return work()
        try:
            return work()
        finally:
            torch.distributed.barrier()
