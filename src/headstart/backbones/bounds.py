"""Bounds of a process that reads a file for the first time, before the program itself does (decision 51)."""

from __future__ import annotations

import sys
from pathlib import Path

SPARE = 512 << 20
"""Bytes beside four times the weights."""


def bound(size: int, seconds: int | None = None) -> None:
    """Let this process take, from here on, little more memory than `size` bytes of weights do, and so many seconds."""
    if sys.platform != "linux":
        return
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    _limit(resource.RLIMIT_AS, pages * resource.getpagesize() + SPARE + 4 * size)
    if seconds is not None:
        _limit(resource.RLIMIT_CPU, int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2])) + seconds)


def _limit(what: int, value: int) -> None:
    """Set the limit that counts now; the one that it may be raised to again stays."""
    import resource

    _, most = resource.getrlimit(what)
    resource.setrlimit(what, (value if most == resource.RLIM_INFINITY else min(value, most), most))
