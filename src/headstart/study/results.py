"""What the arms of a study came to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.features.source import FeatureSource
from headstart.study.arms import Arm
from headstart.study.cells import Cell


@dataclass
class ArmResults:
    """An arm's cells by (size, repeat) up to so many repeats, what is known about it, and why something is missing."""

    arm: Arm
    repeats: int
    source: FeatureSource | None = None
    cells: dict[tuple[str, int], Cell] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    failed: str | None = None

    def at(self, size: str) -> list[Cell]:
        """The cells of one size in the order of their repeats."""
        return [cell for (own, _), cell in sorted(self.cells.items(), key=lambda item: item[0][1]) if own == size]

    def complete(self, size: str) -> bool:
        """Whether every repeat of a size is there; `all` has one."""
        return len(self.at(size)) == (1 if size == "all" else self.repeats)

    def predicted(self, size: str, repeats: int) -> NDArray[np.int64]:
        """(r, m) class indices of the first repeats; the one subset of `all` is repeated."""
        found = np.array([cell.predicted for cell in self.at(size)[:repeats]], dtype=np.int64)
        return np.repeat(found, repeats, axis=0) if len(found) == 1 < repeats else found


def common(arms: Iterable[ArmResults]) -> int:
    """The repeats that all of some arms have."""
    return min(found.repeats for found in arms)


def near_copies(group: NDArray[np.int64]) -> list[list[int]]:
    """The groups of near copies among the test pictures: their places, of groups of two and more; `group` (m,)."""
    number, counts = np.unique(group, return_counts=True)
    return [np.flatnonzero(group == each).tolist() for each in number[counts > 1]]


def grouped(results: Sequence[ArmResults], m: int) -> NDArray[np.int64] | None:
    """A number (m,) that near copies among the test pictures share; None where there are none, or none are known."""
    known = next((found.about["near"] for found in results if found.about.get("near")), None)
    if not known:
        return None
    group = np.arange(m)
    for places in known:
        if max(places) < m:
            group[places] = places[0]
    return group
