"""Two sets of pictures as one: a separate test set beside the pictures to learn from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError, UnknownName
from headstart.images.imageset import PART, ImageSet
from headstart.images.names import nfc
from headstart.phrases import plural


def with_test(images: ImageSet, test: ImageSet, classes: Iterable[str] | None = None) -> ImageSet:
    """`images` with the pictures of `test` as their test part; classes are matched by name.

    Of `test` its own test part where it has one, else everything; of that the named `classes` alone where some are
    named. A test part of `images` is left out. Notes say what was taken and what was not.
    Raises UnknownName for a class that `images` lack, DataError for unlabelled pictures.
    """
    judged = test.take(test.parts == "test") if (test.parts == "test").any() else test
    left = len(test) - len(judged)
    judged = judged if classes is None else _only(judged, {nfc(str(name).strip()) for name in classes})
    if (judged.labels < 0).any():
        first = judged.names[int(np.argmax(judged.labels < 0))]
        raise DataError(f"{test.title}: the test pictures need labels, and '{first}' has none.")
    place = {nfc(name): k for k, name in enumerate(images.classes)}
    for k in np.unique(judged.labels):
        if nfc(test.classes[k]) not in place:
            raise UnknownName(
                "class", test.classes[k], images.classes, hint=f"Only the test pictures {test.title} have it."
            )
    own = images.parts == "test"
    kept = images.take(~own)
    taken = set(kept.names)
    labels = [place[nfc(test.classes[k])] for k in judged.labels]
    return replace(
        kept,
        items=[*kept.items, *judged.items],
        names=(*kept.names, *(f"test:{name}" if name in taken else name for name in judged.names)),
        labels=np.concatenate([kept.labels, np.array(labels, np.int64)]),
        parts=np.concatenate([kept.parts, np.full(len(judged), "test", PART)]),
        groups=_groups(kept, judged),
        refused=(*images.refused, *test.refused),
        notes=(*images.notes, *test.notes, *_notes(images.title, int(own.sum()), test.title, left)),
    )


def _groups(images: ImageSet, test: ImageSet) -> NDArray[np.str_] | None:
    """The names of the groups of both; None where neither has any."""
    if images.groups is None and test.groups is None:
        return None
    return np.concatenate([np.full(len(each), "") if each.groups is None else each.groups for each in (images, test)])


def _only(images: ImageSet, classes: set[str]) -> ImageSet:
    """The pictures of these classes, and those without a label."""
    wanted = [k for k, name in enumerate(images.classes) if nfc(name) in classes]
    return images.take(np.isin(images.labels, [-1, *wanted]))


def _notes(data: str, own: int, test: str, left: int) -> list[str]:
    """Which pictures the test is, and which ones it is not: the data's own, and the other parts of the separate set."""
    notes = [f"The test set is the test part of {test}; its other parts are not used ({plural(left, 'picture')})."]
    if not left:
        notes = [f"The test set is {test}."]
    if own:
        notes.append(f"The test part of {data} itself, {plural(own, 'picture')}, is not used.")
    return notes
