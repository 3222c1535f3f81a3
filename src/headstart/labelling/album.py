"""The pictures to be labelled, looked at once: features, look-alikes, and points to choose by."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.audit.execute import AuditRequest, chosen
from headstart.errors import DataError
from headstart.feature_source import feature_source
from headstart.features.copies import MOST, marks
from headstart.features.extract import Settings, extract
from headstart.features.extraction import Extraction
from headstart.images import ImageSet, Limits, Refusal, load
from headstart.images.cures import cured
from headstart.images.options import Reading
from headstart.labelling.choosing import Codes, Pool, doubts
from headstart.learner import Learner
from headstart.logits import apply_temperature, full_logits
from headstart.paths import expanded
from headstart.pictures import Pictures
from headstart.progress import Progress, silent
from headstart.storage import is_address


@dataclass(frozen=True)
class Looks:
    """Who looks at the pictures, a network by name or None for the best whose weights are here (as for `audit`).

    `reading` says how the data and tables of labels are read.
    """

    backbone: str | None = None
    weights: str = "pretrained"
    engine: str = "auto"
    device: str = "auto"
    max_pixels: int = 50_000_000
    reading: Reading = field(default_factory=Reading)


@dataclass(frozen=True, eq=False)
class Album:
    """The n pictures that can be used, without labels; `looked` says which network looked at them.

    `given` (m,) says for each picture that was given, in that order, which of these it is, -1 where it cannot be used.
    """

    images: ImageSet
    extraction: Extraction
    looked: str
    refused: tuple[Refusal, ...]
    given: Codes

    @property
    def features(self) -> NDArray[np.float32]:
        """(n, d)."""
        return self.extraction.features

    @cached_property
    def pool(self) -> Pool:
        """The pictures as points to choose among."""
        return Pool.of(self.features)

    @property
    def groups(self) -> Codes:
        """A number (n,) that look-alikes share: the same picture, or one that is nearly the same."""
        return self.extraction.copies.near

    @cached_property
    def _members(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for i, group in enumerate(self.groups.tolist()):
            found.setdefault(group, []).append(i)
        return found

    def alike(self, i: int) -> list[int]:
        """Picture i and its look-alikes, in the order of the pictures."""
        return self._members[int(self.groups[i])]

    def pictures(self, rows: Codes, y: Codes) -> Pictures:
        """Some of the pictures with their classes (m,), to learn from."""
        told = marks(self.extraction.contents[rows])
        return Pictures(self.features[rows], y, groups=self.groups[rows], marks=told)

    def answers(self, rows: Codes, y: Codes, k: int) -> NDArray[np.float64] | None:
        """Probabilities (n, k) of all pictures by a fit on some with classes y (m,); None with fewer than two."""
        if len(np.unique(y)) < 2:
            return None
        fitted = Learner().fit(self.pictures(rows, y))
        return apply_temperature(full_logits(fitted.head, self.features, k), fitted.temperature)

    def left(self, done: Codes) -> Codes:
        """One of each group of look-alikes of which none is among those `done` (m,)."""
        first = np.zeros(len(self.groups), bool)
        first[np.unique(self.groups, return_index=True)[1]] = True
        return np.flatnonzero(first & ~np.isin(self.groups, self.groups[done]))

    def next(self, n: int, done: Codes, told: NDArray[np.float64] | None, seed: int = 0) -> Codes:
        """The next n pictures to label, one of each group of look-alikes; those `done` (m,) are answered already."""
        known = np.flatnonzero(np.isin(self.groups, self.groups[done]))
        return self.pool.choose(n, known, None if told is None else doubts(told), self.left(done), seed)


def open_album(
    data: Any, looks: Looks | None = None, settings: Settings | None = None, progress: Progress = silent
) -> Album:
    """List the pictures of `data` without labels, and look at each once.

    Raises UserError where there are none, or where the network cannot be had.
    """
    looks = looks or Looks()
    limits = Limits(looks.max_pixels)
    images = load(data, labelled=False, limits=limits, **looks.reading)
    if not len(images):
        raise DataError(f"No picture was found in {images.title}.{cured(images.refused)}")
    request = AuditRequest(images.title, None, looks.backbone, looks.weights, engine=looks.engine, device=looks.device)
    recipe, looked = chosen(request, images)
    extraction = extract(images, feature_source(recipe, images), settings, progress, sketches=MOST)
    refused = (*images.refused, *extraction.refused)
    kept = np.append(np.full(len(images), -1), -1)  # the last for what was not even listed
    kept[extraction.kept] = np.arange(len(extraction.kept))
    return Album(images.take(extraction.kept), extraction, looked, refused, kept[_given(data, images)])


def _given(data: Any, images: ImageSet) -> Codes:
    """The place (m,) in the listing of each path in a list, -1 for none; of other data the listing itself."""
    listed = np.arange(len(images))
    if not isinstance(data, list | tuple) or not all(isinstance(each, str | os.PathLike) for each in data):
        return listed
    where = places(images)
    names = [str(each).rstrip("/") if is_address(each) else str(expanded(each).resolve()) for each in data]
    found = np.array([where.get(name, -1) for name in names], np.int64)
    return found if set(listed.tolist()) <= set(found.tolist()) else listed  # a folder stands for many


def places(images: ImageSet) -> Mapping[str, int]:
    """Where each picture is in the set: by its name, and by its file as an absolute path."""
    found = {str(item.resolve()): i for i, item in enumerate(images.items) if isinstance(item, Path)}
    return found | images.places
