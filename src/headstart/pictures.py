"""`Pictures`: what a head is fitted on, as features, with all that says how their rows belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.heads.folds import Folds, brought, folds_for

Features = NDArray[np.float32]
Codes = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Pictures:
    """What a head is fitted on: features X (n, d) and classes y (n,) of n labelled pictures.

    The last `validation` of them are a validation part that the data bring. `stacked` has the rows of the others and,
    below them, those of every view of them, to learn from. `averaged` are features (n, d) of views whose answers are
    averaged with the plain picture's. Pictures of one of the `groups` (n,) are copies of each other. `marks` (n,) tell
    pictures apart by their content: what engine computed the features, in the last bits, does not draw other folds.
    """

    X: Features
    y: Codes
    validation: int = 0
    stacked: Features | None = None
    averaged: Sequence[Features] = ()
    groups: Codes | None = None
    marks: Sequence[bytes] | None = None

    @property
    def train(self) -> int:
        """Pictures that are no validation part."""
        return len(self.y) - self.validation

    @property
    def views(self) -> int:
        """Views of each picture beside the plain one."""
        return 0 if self.stacked is None else len(self.stacked) // max(1, self.train) - 1

    @property
    def copies(self) -> int:
        """Pictures that share their group with another."""
        sizes = np.bincount(self.groups) if self.groups is not None else np.zeros(0, dtype=np.int64)
        return int(sizes[sizes > 1].sum())

    def take(self, rows: Codes) -> Pictures:
        """Some of the pictures; none of them validates any more, and those that did have no views to learn from."""
        stacked = None
        if self.stacked is not None and not self.validation:
            stacked = self.stacked[np.concatenate([rows + self.train * view for view in range(1 + self.views)])]
        averaged = [view[rows] for view in self.averaged]
        groups = None if self.groups is None else self.groups[rows]
        marks = None if self.marks is None else [self.marks[row] for row in rows]
        return Pictures(self.X[rows], self.y[rows], 0, stacked, averaged, groups, marks)

    def rows(self, *, dear: bool) -> tuple[Features, Codes, Folds]:
        """Rows to fit, their classes, and what to choose on: the validation part, or folds; none are empty ones."""
        train, times = self.train, 1 + self.views
        learned = self.X[:train] if self.stacked is None else self.stacked
        y = np.tile(self.y[:train], times)
        if not self.validation:
            return learned, y, folds_for(learned, y, self.groups, self.marks, one=dear, views=times - 1)
        rows = self.X if times == 1 else np.concatenate([learned, self.X[train:]])
        y = np.concatenate([y, self.y[train:]])
        return rows, y, brought(y, len(learned))
