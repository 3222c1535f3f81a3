"""Pieces of work as tasks of Ray: cells of a study, backbones of a ranking."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from headstart.cluster.connect import connected
from headstart.spread import Spread

A = TypeVar("A")
B = TypeVar("B")
AGAIN = 3
"""How often a task runs again whose worker or node was lost."""


@contextmanager
def spread_on(cluster: str | None) -> Iterator[Spread | None]:
    """A Spread by the tasks of a cluster; None without one."""
    if cluster is None:
        yield None
        return
    with connected(cluster) as ray:

        def spread(work: Callable[[A], B], items: Sequence[A], *, gpu: bool = False) -> Iterator[tuple[A, B]]:
            return _each(ray, work, items, gpu)

        yield spread


def _each(ray: Any, work: Callable[[A], B], items: Sequence[A], gpu: bool) -> Iterator[tuple[A, B]]:
    """Each item with what its task gave, as they are done; tasks are ended when the caller takes no more."""
    task = ray.remote(_done).options(num_cpus=1, num_gpus=int(gpu), max_retries=AGAIN)
    shared = ray.put(work)  # once for all tasks
    waiting = {task.remote(shared, item): item for item in items}
    try:
        while waiting:
            (first,), _ = ray.wait(list(waiting), num_returns=1)
            item = waiting.pop(first)
            yield item, ray.get(first)
    finally:
        for left in waiting:
            ray.cancel(left, force=True)


def _done(work: Callable[[A], B], item: A) -> B:
    return work(item)
