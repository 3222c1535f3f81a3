"""The parts of a data set and how people spell them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError, UnknownName
from headstart.images.imageset import ImageSet

PARTS = ("train", "val", "calibration", "test")
_NO_FOLDS = (
    ". Numbers of folds are not read: write train and test, or leave the column out, and every picture is judged by "
    "cross-validation."
)
SPELLINGS: dict[str, str] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "calibration": "calibration",
    "test": "test",
    "testing": "test",
    "t10k": "test",
}


def part_of(name: str) -> str | None:
    """The part that a folder or a table cell names, in any case and spelling; None when it names none."""
    return SPELLINGS.get(name.strip().casefold())


def require_part(name: str, where: str) -> str:
    """As `part_of`, '' for an empty cell; raises `UnknownName`."""
    if not name.strip():
        return ""
    part = part_of(name)
    if part is None:
        raise UnknownName("split", name, PARTS, hint=f"({where}){_NO_FOLDS if name.strip().isdecimal() else ''}")
    return part


def part_rows(images: ImageSet) -> dict[str, slice]:
    """The rows of each part, which lie side by side: slices, so that features are viewed and not copied."""
    found = {}
    for part in PARTS:
        rows = np.flatnonzero(images.parts == part)
        found[part] = slice(int(rows[0]), int(rows[-1]) + 1) if len(rows) else slice(0, 0)
    return found


def rows_in(rows: slice) -> int:
    """The number of rows of a part."""
    return int(rows.stop - rows.start)


def check_classes_in_train(
    labels: NDArray[np.int64], parts: NDArray[np.str_], classes: Iterable[str], title: str
) -> None:
    """Every class of a later part must occur in training. Raises `DataError` naming those that do not.

    A set without any training part (a test folder alone) is left as it is.
    """
    training = (parts == "train") | (parts == "")
    if not training.any():
        return
    names = list(classes)
    missing = sorted(set(labels[~training & (labels >= 0)].tolist()) - set(labels[training].tolist()))
    if missing:
        where = sorted(set(parts[np.isin(labels, missing)].tolist()))
        raise DataError(
            f"{title}: class {', '.join(repr(names[k]) for k in missing)} has pictures in {' and '.join(where)} but "
            "none in train, so it cannot be learned; add training pictures or leave the class out."
        )
