"""What the peers' scripts share. No module of Headstart is imported here: their environments do not have it."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from typing import Any


def arguments(**defaults: Any) -> argparse.Namespace:
    """`--name=value` for each name, of the type of its default."""
    parser = argparse.ArgumentParser()
    for name, value in defaults.items():
        parser.add_argument(f"--{name}", type=type(value), default=value)
    return parser.parse_args()


def tell(**figures: Any) -> None:
    """The last line of a script."""
    print(json.dumps(figures), flush=True)


def timed(work: Callable[[], Any]) -> float:
    """Seconds."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def threads() -> int:
    """How many the benchmark allows."""
    return int(os.environ["OMP_NUM_THREADS"])
