"""Fewer pictures: some classes, a stratified limit, or n training pictures a class."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError, UnknownName, UserError
from headstart.images.imageset import ImageSet
from headstart.images.names import natural_sort, nfc
from headstart.images.order import allocate, shuffled, turns


def select(
    images: ImageSet,
    *,
    classes: Iterable[str] | None = None,
    limit: int | None = None,
    train_per_class: int | None = None,
    seed: int = 0,
) -> ImageSet:
    """Keep the named classes, then at most `limit` pictures, then `train_per_class` training pictures of each class.

    The limit is shared out over part and class by largest remainder (exactly `limit` when there are as many) and
    leaves every class at least one training picture. `train_per_class` thins 'train' (and undecided pictures) only;
    a class that has fewer keeps all and a note says so. Same seed, same pictures, in any listing order; a smaller
    number picks a subset of a larger one's. Raises `UnknownName` for a class, `DataError` for a limit below the
    number of classes.
    """
    if classes is not None:
        images = _classes(images, classes)
    if limit is not None:
        images = _limit(images, _positive(limit, "limit"), seed)
    if train_per_class is not None:
        images = _train_per_class(images, _positive(train_per_class, "train-per-class"), seed)
    return images


def _positive(n: int, what: str) -> int:
    if n < 1:
        raise UserError(f"{what} must be at least 1, not {n}.")
    return n


def _classes(images: ImageSet, wanted: Iterable[str]) -> ImageSet:
    known = {nfc(name): name for name in images.classes}
    names = natural_sort(known.get(nfc(str(name).strip()), str(name).strip()) for name in wanted)
    for name in names:
        if name not in images.classes:
            comma = any("," in known for known in images.classes)
            quotes = "; in text, a name with a comma is in quotes: '\"a, b\",c'" if comma else ""
            raise UnknownName("class", name, images.classes, hint=f"(in {images.title}{quotes})")
    if not names:
        raise UserError("No class was named.")
    renumber = np.full(len(images.classes) + 1, -1, np.int64)  # the last entry serves label -1
    renumber[[images.classes.index(name) for name in names]] = np.arange(len(names))
    labels = renumber[images.labels]
    return replace(images, labels=labels, classes=names).take(np.flatnonzero(labels >= 0))


def _limit(images: ImageSet, limit: int, seed: int) -> ImageSet:
    if limit >= len(images):
        return images
    strata, inverse, counts = np.unique(
        np.stack([_part_codes(images), images.labels]), axis=1, return_inverse=True, return_counts=True
    )
    names = [f"{code}/{images.classes[k] if k >= 0 else ''}" for code, k in strata.T.tolist()]
    turn = turns(names, seed, "limit")
    share = allocate(counts, limit, counts, turn)
    train = np.flatnonzero((strata[0] == 0) & (strata[1] >= 0))
    if limit < len(train):
        raise DataError(f"A limit of {limit} is below the {len(train)} classes of {images.title}; raise it.")
    for stratum in train[share[train] == 0]:  # give it the one that another can best spare
        spare = share.copy()
        spare[train] -= 1
        share[np.lexsort((turn, -spare))[0]] -= 1
        share[stratum] += 1
    groups = [np.flatnonzero(inverse == k) for k in range(len(counts))]
    chosen = [shuffled(g, images.names, seed, "limit")[:n] for g, n in zip(groups, share, strict=True)]
    return images.take(np.sort(np.concatenate(chosen)))


def _part_codes(images: ImageSet) -> NDArray[np.int64]:
    """0 for training (also undecided), otherwise one number a part."""
    names = np.unique(images.parts)
    codes = np.searchsorted(names, images.parts) + 1
    codes[(images.parts == "") | (images.parts == "train")] = 0
    return codes.astype(np.int64)


def _train_per_class(images: ImageSet, n: int, seed: int) -> ImageSet:
    train = (images.parts == "") | (images.parts == "train")
    keep, short = [np.flatnonzero(~train)], []
    for k, name in enumerate(images.classes):
        own = np.flatnonzero(train & (images.labels == k))
        keep.append(shuffled(own, images.names, seed, "train per class")[:n])
        if len(own) == 0:
            raise DataError(f"{images.title}: class '{name}' has no training picture.")
        if len(own) < n:
            short.append(f"'{name}' {len(own)}")
    note = f"Fewer than {n} training pictures: {', '.join(short[:10])}{' ...' if len(short) > 10 else ''}."
    kept = images.take(np.sort(np.concatenate(keep)))
    return replace(kept, notes=(*images.notes, note)) if short else kept
