"""The engine for GPUs, and the fallback on CPUs: PyTorch, in batches of one fixed size.

The last batch is filled up with zeros, so every row is computed by the same kernels whatever came with it. Float32 is
exact (TF32 is off), because features must agree between engines; `mixed` runs under autocast and is another space of
the store.
"""

from __future__ import annotations

import copy
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import islice
from typing import TYPE_CHECKING

from headstart.engines.base import Engine, Picture, Row, Tag
from headstart.errors import UserError

if TYPE_CHECKING:
    import torch

    from headstart.backbones import BaseBackbone
    from headstart.preprocess import Preprocess

BATCH = {"cuda": 64, "mps": 32, "cpu": 8}
LARGE = 640 * 640
"""Pixels of an input from which on a batch has fewer of them, so that it takes no more memory."""


class TorchEngine(Engine):
    """A backbone run by PyTorch on `device` in `precision`. See `Engine`."""

    def __init__(
        self,
        backbone: BaseBackbone,
        layer: str,
        preprocess: Preprocess,
        *,
        device: str = "cpu",
        precision: str = "float32",
    ) -> None:
        import torch

        from headstart.backbones import as_pytorch

        check_device(device)
        self._device = torch.device(device)
        self._mixed = precision == "mixed"
        self._batch = max(1, min(BATCH[device], BATCH[device] * LARGE // (preprocess.height * preprocess.width)))
        self.busy_s = 0.0
        self._buffers: list[torch.Tensor] = []
        module = as_pytorch(backbone).features(layer)
        if device != "cpu":
            module = copy.deepcopy(module).to(self._device)  # the backbone's own network stays where it is
        self._module = module.eval()
        for tensor in (*self._module.parameters(), *self._module.buffers()):
            if tensor.ndim == 4:  # `Module.to` would also try the five dimensions of a mask of windows, and fail
                tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)
        self._mean = torch.tensor(preprocess.mean, device=self._device).view(1, -1, 1, 1) * 255
        self._std = torch.tensor(preprocess.std, device=self._device).view(1, -1, 1, 1) * 255

    def stream(self, pictures: Iterable[tuple[Tag, Picture]]) -> Iterator[tuple[Tag, Row]]:
        """See `Engine.stream`. On a GPU the rows of a batch are fetched while it computes the next one."""
        source = iter(pictures)
        waiting: deque[tuple[list[Tag], torch.Tensor]] = deque()
        ahead, number = int(self._device.type == "cuda"), 0
        while chunk := list(islice(source, self._batch)):
            batch = self._filled([picture for _, picture in chunk], number)
            begun = time.perf_counter()
            waiting.append(([tag for tag, _ in chunk], self._infer(batch)))
            self.busy_s += time.perf_counter() - begun
            number += 1
            if len(waiting) > ahead:
                yield from self._fetched(*waiting.popleft())
        for tags, rows in waiting:
            yield from self._fetched(tags, rows)

    def _filled(self, pictures: list[Picture], number: int) -> torch.Tensor:
        """The pictures as a batch of the fixed size, the rest of it zeros; on a GPU one of two in pinned memory."""
        import torch

        shape = (self._batch, *pictures[0].shape)
        if not self._buffers or tuple(self._buffers[0].shape) != shape:
            pinned = self._device.type == "cuda"
            self._buffers = [torch.zeros(shape, dtype=torch.uint8, pin_memory=pinned) for _ in range(2)]
        buffer = self._buffers[number % 2]
        array = buffer.numpy()
        for slot, picture in enumerate(pictures):
            array[slot] = picture
        array[len(pictures) :] = 0
        return buffer

    def _fetched(self, tags: list[Tag], rows: torch.Tensor) -> Iterator[tuple[Tag, Row]]:
        begun = time.perf_counter()
        found = rows.cpu().numpy()
        self.busy_s += time.perf_counter() - begun
        yield from zip(tags, found, strict=False)

    def _infer(self, batch: torch.Tensor) -> torch.Tensor:
        import torch

        pixels = batch.to(self._device, non_blocking=True).permute(0, 3, 1, 2)
        with torch.inference_mode(), torch.autocast(self._device.type, enabled=self._mixed), _exact(self._mixed):
            x = ((pixels.float() - self._mean) / self._std).contiguous(memory_format=torch.channels_last)
            rows: torch.Tensor = self._module(x)
        return rows.float()


def _exact(mixed: bool) -> AbstractContextManager[None]:
    """No TF32 and no autotuned choice of algorithm in float32, so that a row is the same on every run."""
    import torch

    flags: AbstractContextManager[None] = torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=mixed
    )
    return flags


def check_device(device: str) -> None:
    """Raise UserError where PyTorch has no such device here."""
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("device=cuda: PyTorch finds no CUDA device here; use device=cpu.")
    if device == "mps" and not torch.backends.mps.is_available():
        raise UserError("device=mps: PyTorch finds no Apple GPU here; use device=cpu.")
