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
    own = _high_water() or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return max(own, children) / 1e6


def _high_water() -> int:
    """Bytes by Linux's own count, 0 elsewhere: what `getrusage` says includes the process that started this one."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
