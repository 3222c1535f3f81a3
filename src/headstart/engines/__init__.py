"""Engines run a frozen backbone on pictures and give features; they never train.

All engines take `(b, h, w, c) uint8` pictures that the preprocessing made and have the normalisation inside. A row
depends on its own picture alone: not on the batch, the order, or what ran before.
"""

from __future__ import annotations

import contextlib
import ctypes
import platform
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from headstart.errors import UnknownName, UserError

if TYPE_CHECKING:
    from headstart.backbones import Backbone
    from headstart.preprocess import Preprocess

Picture = NDArray[np.uint8]
Row = NDArray[Any]
"""(d,) float32 features, or uint8 pixels."""
Tag = TypeVar("Tag")

ENGINES = ("openvino", "torch")
PRECISIONS = ("float32", "mixed")
DEVICES = ("cpu", "cuda", "mps")


class Engine(Protocol):
    """A compiled, frozen backbone. `busy_s` counts the seconds its requests took, added up over those in parallel."""

    busy_s: float

    def stream(self, pictures: Iterable[tuple[Tag, Picture]]) -> Iterator[tuple[Tag, Row]]:
        """Take (tag, (h, w, c) uint8) as they come and give (tag, (d,) float32) as they are done, in any order.

        Pulls only as many pictures as it has room for, so memory stays constant whatever the number of pictures.
        """
        ...

    def run(self, batch: Picture) -> Row:
        """Features of a batch: (b, h, w, c) uint8 -> (b, d) float32, rows in the order of the batch."""
        ...


@dataclass(frozen=True)
class EngineChoice:
    """Which engine runs the backbone, where, and how exactly: part of a feature's key in the store."""

    name: str
    device: str
    precision: str

    def open(self, backbone: Backbone, layer: str, preprocess: Preprocess) -> Engine:
        """Compile the backbone up to `layer`; may take seconds the first time, which is then cached."""
        if self.name == "openvino":
            from headstart.engines.openvino import OpenVINOEngine

            return OpenVINOEngine(backbone, layer, preprocess)
        from headstart.engines.torch import TorchEngine

        return TorchEngine(backbone, layer, preprocess, device=self.device, precision=self.precision)


ON_CPU = EngineChoice("openvino", "cpu", "float32")


def choose(engine: str = "auto", device: str = "auto", precision: str = "float32") -> EngineChoice:
    """Resolve `auto`: PyTorch where there is a GPU, OpenVINO on the CPU. Imports neither.

    Raises UnknownName for a name not in the tables, UserError for a combination that does not exist.
    """
    for kind, value, known in (
        ("engine", engine, ("auto", *ENGINES)),
        ("device", device, ("auto", *DEVICES)),
        ("precision", precision, PRECISIONS),
    ):
        if value not in known:
            raise UnknownName(kind, value, known)
    if device == "auto":
        device = "cpu" if engine == "openvino" else _best_device()
    if engine == "auto":
        engine = "openvino" if device == "cpu" and precision == "float32" else "torch"
    if precision == "mixed" and device == "cpu":
        raise UserError("precision=mixed is for GPUs, and there is none here (device=cpu); leave it out.")
    if engine == "openvino" and (device != "cpu" or precision != "float32"):
        raise UserError(
            f"The openvino engine runs in float32 on the CPU; for {device} in {precision} use engine=torch."
        )
    return EngineChoice(engine, device, precision)


def collect(engine: Engine, batch: Picture) -> Row:
    """`Engine.run` in terms of `Engine.stream`: (b, h, w, c) uint8 -> (b, d) float32 in the order of the batch."""
    rows = dict(engine.stream(enumerate(batch)))
    if not rows:
        raise UserError("An empty batch has no features: give at least one picture.")
    return np.stack([rows[i] for i in range(len(batch))])


def _best_device() -> str:
    if _cuda_devices() > 0:
        return "cuda"
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return "mps"
    return "cpu"


def _cuda_devices() -> int:
    """The number of CUDA devices by the driver's own count: importing torch for it would cost seconds."""
    count = ctypes.c_int(0)
    with contextlib.suppress(OSError, AttributeError):
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        if driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0:
            return count.value
    return 0
