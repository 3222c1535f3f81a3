"""How pieces of work that do not depend on each other are done: here one after another, or at once on many machines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

A = TypeVar("A")
B = TypeVar("B")


class Spread(Protocol):
    """Does a piece of work for each item."""

    def __call__(self, work: Callable[[A], B], items: Sequence[A], *, gpu: bool = False) -> Iterator[tuple[A, B]]:
        """Each item with what came of it, as they are done, in any order; `gpu` is whether each needs one."""
        ...


def in_turn(work: Callable[[A], B], items: Sequence[A], *, gpu: bool = False) -> Iterator[tuple[A, B]]:
    """A Spread that does one after another."""
    for item in items:
        yield item, work(item)
