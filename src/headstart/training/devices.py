"""Where a training runs: device, precision, and the number of threads that is fastest. Imports torch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from statistics import median
from typing import Any, TypeVar

import torch
from torch import nn

from headstart.engines.torch import check_device
from headstart.threads import cores
from headstart.training.plan import Plan

TRIALS = 3
Model = TypeVar("Model", bound=nn.Module)


def place(model: Model, device: str) -> Model:
    """The model on its device; on CUDA with channels last, which its convolutions are fastest with."""
    check_device(device)
    if device == "cuda":
        return model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
    return model.to(device)


def autocast(plan: Plan) -> AbstractContextManager[Any]:
    """Autocast to bfloat16 where the plan asks for mixed precision; it needs no scaling of the loss."""
    if plan.precision != "mixed":
        return nullcontext()
    return torch.autocast(plan.device, dtype=torch.bfloat16)


@contextmanager
def threads_set(threads: int) -> Iterator[None]:
    """That many intra-op threads on the CPU while the block runs."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def fastest_threads(step: Callable[[], None]) -> int:
    """The number of threads, 1 or the number of cores or half of it, with which `step` takes least time (medians).

    Small batches are often faster with one; a machine whose cores are busy makes it more so.
    """
    most = cores()
    choices = sorted({1, max(1, most // 2), most})
    if len(choices) == 1:
        return 1
    times: dict[int, list[float]] = {n: [] for n in choices}
    for trial in range(TRIALS + 1):
        for n in choices:
            with threads_set(n):
                begun = time.perf_counter()
                step()
                if trial:  # the first one warms up
                    times[n].append(time.perf_counter() - begun)
    return min(choices, key=lambda n: median(times[n]))
