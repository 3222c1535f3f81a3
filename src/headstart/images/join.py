"""Two sets of pictures as one: a separate test set beside the pictures to learn from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from headstart.errors import DataError, UnknownName
from headstart.images.imageset import PART, ImageSet


def with_test(images: ImageSet, test: ImageSet) -> ImageSet:
    """`images` with the pictures of `test` as their test part; classes are matched by name.

    Of `test` its own test part where it has parts, else everything. A test part of `images` is left out, with a note.
    Raises UnknownName for a class that `images` lack, DataError for unlabelled pictures.
    """
    judged = test.take(test.parts == "test") if (test.parts == "test").any() else test
    if (judged.labels < 0).any():
        raise DataError(f"{test.title}: the test pictures need labels, and '{_first_unlabelled(judged)}' has none.")
    for k in np.unique(judged.labels):
        if test.classes[k] not in images.classes:
            raise UnknownName("class", test.classes[k], images.classes, hint=f"(of {test.title}, for the test)")
    own = images.parts == "test"
    kept = images.take(~own)
    note = f"Its own test part of {int(own.sum()):,} pictures is left out: the test is {test.title}."
    taken = set(kept.names)
    labels = [images.classes.index(test.classes[k]) for k in judged.labels]
    return replace(
        kept,
        items=[*kept.items, *judged.items],
        names=(*kept.names, *(f"test:{name}" if name in taken else name for name in judged.names)),
        labels=np.concatenate([kept.labels, np.array(labels, np.int64)]),
        parts=np.concatenate([kept.parts, np.full(len(judged), "test", PART)]),
        refused=(*images.refused, *test.refused),
        notes=(*images.notes, *test.notes, *([note] if own.any() else [])),
    )


def _first_unlabelled(images: ImageSet) -> str:
    return images.names[int(np.argmax(images.labels < 0))]
