"""The engine for GPUs, and the fallback on CPUs: PyTorch, in batches of one fixed size.

The last batch is filled up with zeros, so every row is computed by the same kernels whatever came with it. Float32 is
exact (TF32 is off), because features must agree between engines; `mixed` runs under autocast and is another space of
the store.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from headstart.engines.base import Picture, Row, Tag, collect
from headstart.errors import UserError

if TYPE_CHECKING:
    import torch

    from headstart.backbones import BaseBackbone
    from headstart.preprocess import Preprocess

BATCH = {"cuda": 64, "mps": 32, "cpu": 8}


class TorchEngine:
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
        self._batch = BATCH[device]
        self.busy_s = 0.0
        self._module = as_pytorch(backbone).features(layer).to(self._device).eval()
        for tensor in (*self._module.parameters(), *self._module.buffers()):
            if tensor.ndim == 4:  # `Module.to` would also try the five dimensions of a mask of windows, and fail
                tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)
        self._mean = torch.tensor(preprocess.mean, device=self._device).view(1, -1, 1, 1) * 255
        self._std = torch.tensor(preprocess.std, device=self._device).view(1, -1, 1, 1) * 255

    def stream(self, pictures: Iterable[tuple[Tag, Picture]]) -> Iterator[tuple[Tag, Row]]:
        """See `Engine.stream`."""
        source = iter(pictures)
        while chunk := list(islice(source, self._batch)):
            batch = np.zeros((self._batch, *chunk[0][1].shape), dtype=np.uint8)
            for slot, (_, picture) in enumerate(chunk):
                batch[slot] = picture
            begun = time.perf_counter()
            rows = self._infer(batch)
            self.busy_s += time.perf_counter() - begun
            for slot, (tag, _) in enumerate(chunk):
                yield tag, rows[slot]

    def run(self, batch: Picture) -> Row:
        """See `Engine.run`."""
        return collect(self, batch)

    def _infer(self, batch: Picture) -> Row:
        import torch

        pixels = torch.from_numpy(batch).to(self._device, non_blocking=True).permute(0, 3, 1, 2)
        with torch.inference_mode(), torch.autocast(self._device.type, enabled=self._mixed), _exact(self._mixed):
            x = ((pixels.float() - self._mean) / self._std).contiguous(memory_format=torch.channels_last)
            rows: torch.Tensor = self._module(x)
        return rows.float().cpu().numpy()


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
