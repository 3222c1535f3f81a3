"""What is left of the pictures when those that cannot be used are out: classes that lost all of theirs are named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError
from headstart.images.imageset import ImageSet, Refusal
from headstart.phrases import plural


def keep_usable(images: ImageSet, kept: NDArray[np.int64], refused: Sequence[Refusal]) -> ImageSet:
    """The pictures at `kept` (m,), with a note for each class that lost all its training pictures.

    Raises DataError, which has the `refused`, where fewer than two classes are left to train on.
    """
    left = images.take(kept)
    before, after = _classes(images), _classes(left)
    lost = sorted(before - after)
    if not lost:
        return left
    reasons = {r.name: r.reason for r in refused}
    told = [_told(images, k, reasons) for k in lost]
    if len(after) < 2:
        only = f"'{images.classes[next(iter(after))]}' is the only class left" if after else "no class is left"
        shown = "; ".join(told[:3]) + (
            f"; and {plural(len(told) - 3, 'class', 'classes')} more" if len(told) > 3 else ""
        )
        raise DataError(f"{images.title}: {shown}; {only}, and training needs two.", refused=refused)
    notes = (f"{t[0].upper()}{t[1:]}: the class is not learnt, see refused.csv." for t in told)
    return replace(left, notes=(*images.notes, *notes))


def _classes(images: ImageSet) -> set[int]:
    """Those with a picture to train on."""
    train = np.isin(images.parts, ("", "train")) & (images.labels >= 0)
    return set(np.unique(images.labels[train]).tolist())


def _told(images: ImageSet, k: int, reasons: dict[str, str]) -> str:
    """`all 20 training pictures of class '0' were refused (12 truncated, 8 not-an-image)`."""
    rows = np.flatnonzero((images.labels == k) & np.isin(images.parts, ("", "train")))
    why = by_reason(reasons[images.names[i]] for i in rows if images.names[i] in reasons)
    count = f"all {len(rows):,} training pictures" if len(rows) > 1 else "the only training picture"
    return f"{count} of class '{images.classes[k]}' {'were' if len(rows) > 1 else 'was'} refused ({why})"


def by_reason(reasons: Iterable[str]) -> str:
    """`12 truncated, 8 not-an-image`, the commonest first."""
    return ", ".join(f"{n:,} {reason}" for reason, n in Counter(reasons).most_common())
