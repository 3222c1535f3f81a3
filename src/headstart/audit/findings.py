"""What an audit looks at, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from headstart.errors import HeadstartError
from headstart.features.copies import Copies, marks
from headstart.features.extraction import Extraction
from headstart.heads.folds import numbers
from headstart.images import ImageSet, Refusal
from headstart.images.sketch import Sketches
from headstart.learner import Learner
from headstart.pictures import Pictures
from headstart.progress import Progress

Codes = NDArray[np.int64]
Level = Literal["error", "warning", "note"]
FOLDS = 5
NEIGHBOURS = 10
ENOUGH = 50
"""Labelled pictures below which no label is doubted: too few to learn from."""
BLOCK = 1024


@dataclass(frozen=True)
class Finding:
    """One thing that was found: `at` is the picture in the audited set (None for a class or a refused file).

    `other` is the picture that it copies, `suggested` the class that it seems to be of, `score` the figure it was
    found by. `drops` are pictures that the clean table leaves out because of it.
    """

    name: str
    detail: str
    at: int | None = None
    other: int | None = None
    suggested: str = ""
    score: float | None = None
    drops: tuple[int, ...] = ()


class Neighbours(NamedTuple):
    """Of each of m pictures the nearest others (m, k) that are no copies of it, and the distances (m, k)."""

    at: Codes
    distances: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Material:
    """The m pictures that can be used with all that was seen of them; `problem` says why they have no labels.

    `refused` are the files that cannot be used.
    """

    images: ImageSet
    extraction: Extraction
    refused: tuple[Refusal, ...]
    progress: Progress
    problem: str = ""

    @property
    def copies(self) -> Copies:
        """Which of them copy each other."""
        return self.extraction.copies

    @property
    def sketches(self) -> Sketches:
        """How they look, (m,)."""
        assert self.extraction.sketches is not None
        return self.extraction.sketches

    @cached_property
    def parts(self) -> NDArray[np.str_]:
        """(m,): what is not decided counts as train."""
        return np.where(self.images.parts == "", "train", self.images.parts)

    @cached_property
    def labelled(self) -> Codes:
        """The pictures that have a label."""
        return np.flatnonzero(self.images.labels >= 0)

    def label(self, i: int) -> str:
        """The class of picture i, '' without one."""
        k = int(self.images.labels[i])
        return self.images.classes[k] if k >= 0 else ""

    @cached_property
    def neighbours(self) -> Neighbours:
        """By the cosine of their features about the mean."""
        X = self.extraction.features.astype(np.float32)
        unit = X - X.mean(axis=0)
        unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-12)
        m, group = len(X), self.copies.near
        k = min(NEIGHBOURS, m - 1)
        at, distances = np.zeros((m, k), np.int64), np.zeros((m, k))
        for start in range(0, m if k else 0, BLOCK):
            rows = np.arange(start, min(start + BLOCK, m))
            near = unit[rows] @ unit.T
            near[group[rows][:, None] == group] = -2.0
            chosen = np.argpartition(-near, k - 1, axis=1)[:, :k]
            order = np.argsort(-np.take_along_axis(near, chosen, axis=1), axis=1, kind="stable")
            at[rows] = np.take_along_axis(chosen, order, axis=1)
            close = np.take_along_axis(near, at[rows], axis=1)
            distances[rows] = np.sqrt(np.maximum(2.0 - 2.0 * close, 0.0))
        return Neighbours(at, distances)

    @cached_property
    def answers(self) -> NDArray[np.float64] | None:
        """Probabilities (n, k) of the labelled pictures, each by a fit on other folds that saw no copy of it.

        None where there are fewer than `ENOUGH`, or they cannot be learnt from.
        """
        rows = self.labelled
        y = self.images.labels[rows]
        if len(rows) < ENOUGH or len(np.unique(y)) < 2:
            return None
        told, groups = marks(self.extraction.contents[rows]), self.copies.together[rows]
        pictures = Pictures(self.extraction.features[rows], y, groups=groups, marks=told)
        fold = numbers(y, FOLDS, told, groups)
        try:
            return Learner().cross_validate(pictures, len(self.images.classes), self.progress, fold).probabilities
        except HeadstartError:
            return None


class Check(NamedTuple):
    """A check: what it is called, how grave its findings are, what they mean, and the function that finds them."""

    title: str
    level: Level
    words: str
    find: Callable[[Material], Iterable[Finding]]
