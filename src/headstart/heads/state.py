"""What the arrays of a fitted head must be: shape, type and range of each, for heads that come from files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from headstart.documents import shown

LARGEST = 1e30
"""Of any number in a head: its products with features and with each other are finite then."""
LEAST = 1 / LARGEST
"""Of a number that divides, or whose logarithm is taken."""
KINDS = {"f": "floating-point numbers", "u": "whole numbers from 0 on"}


class State(NamedTuple):
    """One array: `shape` of numbers and letters (d features, k classes, n rows), `kind` a key of `KINDS`, its range.

    `high` may be `k` or `n` too: below the number of classes or rows.
    """

    shape: tuple[str | int, ...]
    kind: str = "f"
    low: float = -LARGEST
    high: float | str = LARGEST


def check(arrays: Mapping[str, NDArray[Any]], states: Mapping[str, State], sizes: dict[str, int]) -> None:
    """Raise ValueError with one clause unless `arrays` are exactly those of `states`, at these sizes, and finite.

    A letter that is not in `sizes` is settled by the first array that has it, and is 1 at the least.
    """
    lacking, others = states.keys() - arrays.keys(), arrays.keys() - states.keys()
    if lacking:
        raise ValueError(f"the array {sorted(lacking)[0]} is missing")
    if others:
        raise ValueError(f"it has the array {shown(sorted(others)[0])}, which a head of this kind does not have")
    for name, state in states.items():
        _check_shape(name, arrays[name].shape, state, sizes)
        _check_values(name, arrays[name], state, sizes)


def _check_shape(name: str, shape: tuple[int, ...], state: State, sizes: dict[str, int]) -> None:
    if len(shape) == len(state.shape):
        for letter, size in zip(state.shape, shape, strict=True):
            if isinstance(letter, str) and size > 0:
                sizes.setdefault(letter, size)
    wanted = tuple(sizes.get(each, 1) if isinstance(each, str) else each for each in state.shape)
    if shape != wanted:
        told, instead = ("x".join(map(str, each)) or "a single number" for each in (shape, wanted))
        raise ValueError(f"its array {name} is {told}, not {instead}")


def _check_values(name: str, array: NDArray[Any], state: State, sizes: dict[str, int]) -> None:
    kinds = "f" if state.kind == "f" else "iu"
    if array.dtype.kind not in kinds or (state.kind == "f" and array.dtype.itemsize < 4):
        raise ValueError(f"its array {name} is of type {array.dtype}; it must hold {KINDS[state.kind]}")
    high = sizes[state.high] - 1 if isinstance(state.high, str) else state.high
    low = max(state.low, 0.0) if state.kind == "u" else state.low
    with np.errstate(invalid="ignore"):
        fine = bool(((array >= low) & (array <= high)).all())
    if not fine and array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"its array {name} holds values that are not finite")
    if not fine:
        raise ValueError(f"its array {name} holds numbers beyond {low:g} to {high:g}")
