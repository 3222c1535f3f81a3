"""The learning-rate finder (Smith 2017): short steps at growing rates on a copy of the model. Imports torch."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from headstart.training.devices import autocast, place, threads_set
from headstart.training.loop import Task
from headstart.training.optimiser import Group, Optimiser
from headstart.training.steps import mixed, seed_step

STEPS = 60
LOWEST, HIGHEST = 1e-6, 1.0
SMOOTHING = 0.8
BLOWN_UP = 4.0
ROUNDING = 1e-6


@dataclass(frozen=True)
class RatesTried:
    """Smoothed losses by learning rate, and the rate at which the loss fell most steeply (None: no clear fall)."""

    rates: list[float]
    losses: list[float]
    steepest: float | None


def find_rate(task: Task) -> RatesTried:
    """Train a copy of the model for 60 steps at rates from 1e-6 to 1; stops where the loss is 4 times its least.

    The task's model, optimiser and the caller's random numbers are not touched: what follows is bit-equal to what
    would have been without it. Its batches are those of epoch 0, which no training uses.
    """
    plan = replace(task.plan, mixup=0.0)
    model = place(copy.deepcopy(task.model), plan.device).train()
    names = dict(model.named_parameters())
    groups = [
        replace(g, parameters={n: names[n] for n in g.parameters}, first_epoch=0) for g in task.groups or []
    ] or [Group("all", {n: p for n, p in names.items() if p.requires_grad})]  # fmt: skip
    optimiser = Optimiser(groups, plan)
    rates: list[float] = []
    losses: list[float] = []
    mean = 0.0
    with threads_set(plan.threads), torch.random.fork_rng(devices=[]):
        for step, rate in enumerate(np.geomspace(LOWEST, HIGHEST, STEPS)):
            seed_step(plan.seed, 0, step, plan.device)
            inputs, targets, _, _ = mixed(task.batches.batch(0, step % task.batches.steps), plan)
            with autocast(plan):
                loss = nn.functional.cross_entropy(model(*inputs).float(), targets)
            mean = SMOOTHING * mean + (1 - SMOOTHING) * float(loss.detach())
            smooth = mean / (1 - SMOOTHING ** (step + 1))
            if not np.isfinite(smooth) or (losses and smooth > BLOWN_UP * min(losses)):
                break
            rates.append(float(rate))
            losses.append(smooth)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step(float(rate), epoch=0)
    return RatesTried(rates, losses, steepest_fall(rates, losses))


def steepest_fall(rates: list[float], losses: list[float]) -> float | None:
    """The rate; None where the loss kept to what it varied by at the lowest quarter of rates, which teach little."""
    n = len(rates) // 4
    if n < 1 or min(losses[n:]) >= 2 * min(losses[:n]) - max(losses[:n]):
        return None
    falls = np.gradient(np.array(losses), np.log(rates))
    at = int(np.argmin(falls))
    return rates[at] if falls[at] < -ROUNDING * losses[at] else None
