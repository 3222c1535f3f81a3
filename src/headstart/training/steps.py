"""What a step of training draws by chance: from (seed, epoch, step) and nothing else. Imports torch."""

from __future__ import annotations

import numpy as np
import torch

from headstart.training.batches import Batch
from headstart.training.plan import Plan


def seed_of(*numbers: int) -> int:
    """One seed of 63 bits from several numbers, well mixed."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


def seed_step(seed: int, epoch: int, step: int, device: str) -> None:
    """Seed PyTorch's generators for one step: dropout and mixup depend on (seed, epoch, step) alone."""
    drawn = seed_of(seed, epoch, step)
    torch.default_generator.manual_seed(drawn)
    if device == "cuda":
        torch.cuda.manual_seed(drawn)
    elif device == "mps":
        torch.mps.manual_seed(drawn)


def mixed(batch: Batch, plan: Plan) -> tuple[tuple[torch.Tensor, ...], torch.Tensor, torch.Tensor, float]:
    """The batch on the device; with mixup blended with itself in another order: inputs, targets, the others', share."""
    inputs = tuple(x.to(plan.device, non_blocking=True) for x in batch.inputs)
    targets = batch.targets.to(plan.device, non_blocking=True)
    if plan.mixup == 0 or len(targets) < 2:
        return inputs, targets, targets, 1.0
    a = torch.distributions.Beta(plan.mixup, plan.mixup).sample().item()
    share, order = max(a, 1 - a), torch.randperm(len(targets))
    order = order.to(plan.device)
    return tuple(share * x.float() + (1 - share) * x[order].float() for x in inputs), targets, targets[order], share
