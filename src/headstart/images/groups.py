"""Pictures that belong together (of one patient, one burst, one camera): they stay on one side of every split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError
from headstart.images.order import shuffled

Codes = NDArray[np.int64]
LARGEST = 0.5
"""A group of more than this share of the pictures leaves too little to judge it by."""


def numbered(groups: NDArray[np.str_]) -> Codes:
    """A number (n,) that pictures of one group share, from names (n,); one without a name ('') is alone.

    >>> numbered(np.array(["ann", "", "bob", "ann", ""])).tolist()
    [0, 2, 1, 0, 3]
    """
    alone = groups == ""
    found = np.empty(len(groups), np.int64)
    named = np.unique(groups[~alone], return_inverse=True)[1].reshape(-1)
    found[~alone] = named
    found[alone] = named.max(initial=-1) + 1 + np.arange(int(alone.sum()))
    return found


def torn(group: Codes, values: NDArray[Any]) -> NDArray[np.bool_]:
    """Which pictures (n,) share their group (n,) with one of another value (n,): a label, a part."""
    codes = np.unique(values, return_inverse=True)[1].reshape(-1)
    most, least = np.full(len(group), -1), np.full(len(group), len(values) + 1)
    np.maximum.at(most, group, codes)
    np.minimum.at(least, group, codes)
    return np.asarray(most[group] != least[group])


def together(group: Codes, parts: NDArray[np.str_], labels: Codes, names: Sequence[str], seed: int) -> NDArray[np.str_]:
    """The parts (n,) with every group (n,) on one side of train and test: where one of it, drawn, already is.

    So the test keeps its size on average. A class whose every training picture would leave keeps them.
    """
    parts = parts.copy()
    for number in np.unique(group[torn(group, parts == "test")]):
        members = np.flatnonzero(group == number)
        leader = shuffled(members, names, seed, "copies")[0]
        parts[members] = np.where(np.isin(parts[members], ("train", "test")), parts[leader], parts[members])
        if not np.isin(labels[members], labels[parts == "train"]).all():
            parts[members[parts[members] == "test"]] = "train"
    return parts


def drawn(group: Codes, labels: Codes, wanted: Codes, names: Sequence[str], seed: int) -> NDArray[np.bool_]:
    """Which pictures (n,) are drawn, whole groups (n,) alone, so that each class comes near its number `wanted` (k,).

    Groups come in a random order; one is taken where it brings the numbers nearer.
    """
    members: dict[int, list[int]] = {}
    for i in shuffled(np.arange(len(group)), names, seed, "groups").tolist():
        members.setdefault(int(group[i]), []).append(i)
    left, taken = wanted.astype(np.int64), np.zeros(len(group), bool)
    for rows in members.values():
        counts = np.bincount(labels[rows], minlength=len(left))
        if np.abs(left - counts).sum() < np.abs(left).sum():
            left, taken[rows] = left - counts, True
    return taken


def check_groups(groups: NDArray[np.str_], title: str) -> None:
    """Raise `DataError` where one group (n,) holds so many pictures that nothing is left to judge them by."""
    names, counts = np.unique(groups[groups != ""], return_counts=True)
    if len(names) and counts.max() > LARGEST * len(groups):
        raise DataError(
            f"{title}: {counts.max():,} of {len(groups):,} pictures are in the group '{names[counts.argmax()][:100]}'. "
            "Pictures of a group stay on one side of every split, so it may hold half of them at most: make the groups "
            "smaller, or leave them out."
        )
