"""Which engine runs a backbone, where, and how exactly."""

from __future__ import annotations

import contextlib
import ctypes
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headstart.engines.base import Engine
from headstart.errors import UnknownName, UserError

if TYPE_CHECKING:
    from headstart.backbones import BaseBackbone
    from headstart.preprocess import Preprocess

PRECISIONS = ("float32", "mixed", "int8")
ON_OPENVINO = ("float32", "int8")
DEVICES = ("cpu", "cuda", "mps")


@dataclass(frozen=True)
class EngineChoice:
    """Which engine runs the backbone, where, and how exactly: part of a feature's key in the store.

    `threads` are those of OpenVINO, 0 for as many as there are cores; they change no feature.
    """

    name: str
    device: str
    precision: str
    threads: int = 0

    def open(self, backbone: BaseBackbone, layer: str, preprocess: Preprocess) -> Engine:
        """Compile the backbone up to `layer`; may take seconds the first time, which is then cached.

        Raises UnknownName for a layer, UserError for what the engine cannot run.
        """
        return ENGINES[self.name](self, backbone, layer, preprocess)


def _openvino(choice: EngineChoice, backbone: BaseBackbone, layer: str, preprocess: Preprocess) -> Engine:
    if choice.precision == "int8":
        raise UserError("precision=int8 is calibrated on pictures, but this engine is opened without any.")
    from headstart.engines.openvino import OpenVINOEngine

    return OpenVINOEngine(backbone, layer, preprocess, choice.threads)


def _torch(choice: EngineChoice, backbone: BaseBackbone, layer: str, preprocess: Preprocess) -> Engine:
    from headstart.engines.torch import TorchEngine

    return TorchEngine(backbone, layer, preprocess, device=choice.device, precision=choice.precision)


ENGINES: dict[str, Callable[[EngineChoice, BaseBackbone, str, Preprocess], Engine]] = {
    "openvino": _openvino,
    "torch": _torch,
}
"""Each opens a backbone up to a layer, and imports its library then."""

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
        device = "cpu" if engine == "openvino" or precision == "int8" else _best_device()
    if engine == "auto":
        engine = "openvino" if device == "cpu" and precision in ON_OPENVINO else "torch"
    if precision == "mixed" and device == "cpu":
        raise UserError("precision=mixed is for GPUs, and there is none here (device=cpu); leave it out.")
    if engine == "openvino" and (device != "cpu" or precision not in ON_OPENVINO):
        raise UserError(
            f"The openvino engine runs in float32 or int8 on the CPU; for {device} in {precision} use engine=torch."
        )
    if engine == "torch" and precision == "int8":
        raise UserError("precision=int8 is for the CPU with engine=openvino; use mixed on a GPU.")
    return EngineChoice(engine, device, precision)


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
