"""Checks of copies: duplicates within a part, between parts, and between classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.audit.findings import Codes, Finding, Material
from headstart.images.groups import numbered, torn
from headstart.images.parts import PARTS


def duplicate(material: Material) -> Iterator[Finding]:
    """Each picture with the content or the pixels of an earlier one of its part and class."""
    first: dict[tuple[int, str, int], int] = {}
    for i, key in enumerate(
        zip(material.copies.same.tolist(), material.parts.tolist(), material.images.labels.tolist(), strict=True)
    ):
        other = first.setdefault(key, i)
        if other != i:
            yield Finding(material.images.names[i], f"the same as {material.images.names[other]}", i, other, drops=(i,))


def near(material: Material) -> Iterator[Finding]:
    """Pairs of one part that are nearly the same, the nearest first."""
    copies = material.copies
    for at in np.argsort(copies.distances, kind="stable"):
        a, b = (int(i) for i in copies.pairs[at])
        if material.parts[a] == material.parts[b]:
            told = f"nearly the same as {material.images.names[a]}"
            yield Finding(material.images.names[b], told, b, a, score=float(copies.distances[at]))


def leak(material: Material) -> Iterator[Finding]:
    """Each picture of a part that is in an earlier part too, or nearly, or whose group is."""
    told_of: set[int] = set()
    rank = np.array([PARTS.index(part) for part in material.parts.tolist()], dtype=np.int64)
    for members in _torn_groups(material.copies.near, rank):
        for i in members[rank[members] > rank[members].min()].tolist():
            earlier = members[rank[members] < rank[i]]
            same = earlier[material.copies.same[earlier] == material.copies.same[i]]
            other = int((same if len(same) else earlier)[0])
            told = f"{'the same' if len(same) else 'nearly the same'} as {material.images.names[other]}"
            trained = tuple(earlier[rank[earlier] == 0].tolist())
            told_of.add(i)
            yield Finding(material.images.names[i], f"{told} in {material.parts[other]}", i, other, drops=trained)
    groups = material.images.groups
    if groups is None:
        return
    for members in _torn_groups(numbered(groups), rank):
        for i in members[rank[members] > rank[members].min()].tolist():
            earlier = members[rank[members] < rank[i]]
            if i not in told_of and len(earlier):
                told = f"of the group '{groups[i]}', which is in {material.parts[int(earlier[0])]} too"
                trained = tuple(earlier[rank[earlier] == 0].tolist())
                yield Finding(material.images.names[i], told, i, int(earlier[0]), drops=trained)


def conflict(material: Material) -> Iterator[Finding]:
    """Each picture that is in another class too, or nearly, after the first of them."""
    labels, copies = material.images.labels, material.copies
    for members in _torn_groups(copies.near, labels):
        first = int(members[0])
        for i in members[labels[members] != labels[first]].tolist():
            same = members[(copies.same[members] == copies.same[i]) & (labels[members] != labels[i])]
            other = int(same[0]) if len(same) else first
            told = f"{'the same' if len(same) else 'nearly the same'} as {material.images.names[other]}"
            drops = (i, *same.tolist()) if len(same) else ()
            yield Finding(material.images.names[i], f"{told} of {material.label(other)}", i, other, drops=drops)


def _torn_groups(group: Codes, values: NDArray[Any]) -> Iterator[Codes]:
    """The members of each group with more than one value, in the order of the pictures."""
    rows = np.flatnonzero(torn(group, values))
    order = rows[np.argsort(group[rows], kind="stable")]
    yield from np.split(order, np.flatnonzero(np.diff(group[order])) + 1) if len(order) else ()
