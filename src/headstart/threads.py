"""Work spread over threads of our own, and BLAS's threads, which belong to the process: one for each call then."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import Any, TypeVar

A = TypeVar("A")
T = TypeVar("T")


def cores() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_all(function: Callable[[A], T], items: Sequence[A], *, threads: bool = True) -> list[T]:
    """`function` of each item, in order, in threads if asked."""
    if not threads or len(items) < 2:
        return [function(item) for item in items]
    with ThreadPoolExecutor(cores()) as pool:
        return list(pool.map(function, items))


def map_lazily(function: Callable[[A], T], items: Iterable[A], *, threads: bool = True) -> Iterator[T]:
    """As `map_all`, each result as soon as it and those before it are there."""
    if not threads:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(cores()) as pool:
        yield from pool.map(function, items)


class _Blas:
    """BLAS's threads, which are the process's: the first that asks for one sets it, the last to leave sets it back."""

    def __init__(self) -> None:
        self.lock, self.asking = Lock(), 0
        self.found: Any = None
        self.modules = 0
        self.limits: Any = None

    def enter(self) -> None:
        with self.lock:
            libraries = self._libraries()
            with _from_any_thread():  # each time: others than we may have set it meanwhile
                limits = libraries.limit(limits=1, user_api="blas")
            if not self.asking:
                self.limits = limits
            self.asking += 1

    def leave(self) -> None:
        with self.lock:
            self.asking -= 1
            if not self.asking:
                with _from_any_thread():
                    self.limits.restore_original_limits()

    def _libraries(self) -> Any:
        """The libraries that hold a BLAS; they are looked for anew only where modules have been imported since."""
        from threadpoolctl import ThreadpoolController

        if len(sys.modules) != self.modules:
            self.found, self.modules = ThreadpoolController(), len(sys.modules)
        return self.found


@contextmanager
def _from_any_thread() -> Iterator[None]:
    """threadpoolctl 3.8 takes no setting from a thread while another that once made one is alive; here any may."""
    from threadpoolctl import OpenBLASController

    forget = getattr(OpenBLASController, "clear_controlling_thread", lambda force: None)
    forget(force=True)
    yield
    forget(force=True)


_blas = _Blas()


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """BLAS uses one thread per call while the block runs, also where several threads are in such blocks."""
    _blas.enter()
    try:
        yield
    finally:
        _blas.leave()
