"""What a run ran on: versions, platform, processor, and the memory that it took."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "headstart", "torch", "torchvision", "timm", "openvino", "scikit-learn", "scipy", "numpy", "pillow", "lmdb",
    "safetensors",
)  # fmt: skip


def environment() -> dict[str, Any]:
    """What the run ran on: versions, platform, processor."""
    found = dict(_versions())
    return {
        "headstart": found.pop("headstart", "unknown"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _processor(),
        "cores": os.cpu_count(),
        "packages": found,
    }


@functools.cache
def _versions() -> dict[str, str]:
    """Package -> version, of those that are installed; read once, because that takes 0.1 s."""
    found = {}
    for name in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def peak_memory_mb() -> float:
    """The largest resident memory so far of this process, or of one that it started and that ended, in MB."""
    if sys.platform == "win32":
        return 0.0
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
    # Linux's own count: what `getrusage` says includes the process that started this one
    own = _kilobytes("self/status", "VmHWM") * 1024 or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return max(own, children) / 1e6


def free_memory() -> int | None:
    """Bytes that new work may take; None where the system does not say."""
    return _kilobytes("meminfo", "MemAvailable") * 1024 or None


def _kilobytes(file: str, key: str) -> int:
    return int(_linux(file, key).removesuffix("kB") or 0)


def _processor() -> str:
    return _linux("cpuinfo", "model name") or platform.processor() or platform.machine()


def _linux(file: str, key: str) -> str:
    """What the first line `key: value` of a file under /proc says; '' where there is none, as on other systems."""
    try:
        lines = Path("/proc", file).read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")
