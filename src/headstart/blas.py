"""BLAS's threads, which belong to the process: one for each call where rows are spread over threads of our own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any


class _Blas:
    """BLAS's threads, which are the process's: the first that asks for one sets it, the last to leave sets it back."""

    def __init__(self) -> None:
        self.lock, self.asking = Lock(), 0
        self.limits: Any = None

    def enter(self) -> None:
        from threadpoolctl import threadpool_limits

        with self.lock:
            if not self.asking:
                self.limits = threadpool_limits(1, user_api="blas")
            self.asking += 1

    def leave(self) -> None:
        with self.lock:
            self.asking -= 1
            if not self.asking:
                self.limits.restore_original_limits()


_blas = _Blas()


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """BLAS uses one thread per call while the block runs, also where several threads are in such blocks."""
    _blas.enter()
    try:
        yield
    finally:
        _blas.leave()
