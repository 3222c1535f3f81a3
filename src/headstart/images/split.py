"""Parts of a data set: stratified, seeded, written to `split.csv` and read back by name.

train fits and, by cross-validation, chooses; test is looked at last. A part `val` that the data bring chooses in the
place of folds, and a part `calibration` fits the temperature; neither is drawn from the training pictures.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart import records
from headstart.errors import DataError
from headstart.images.groups import drawn, numbered
from headstart.images.imageset import PART, ImageSet
from headstart.images.names import nfc
from headstart.images.order import allocate, shuffled, turns
from headstart.images.parts import check_classes_in_train, require_part
from headstart.phrases import plural

TEST_SHARE = 0.2
COLUMNS = ("name", "label", "split")
LISTED = 20
"""How many classes that a part lacks are named."""


def split(images: ImageSet, *, seed: int = 0, test: float = TEST_SHARE) -> ImageSet:
    """Fill `parts` with 'train', 'test' and what the data bring.

    Parts that the data bring are kept; undecided pictures count as train. Where they bring no test part, the share
    `test` of the training pictures is drawn, stratified by class; every class keeps a training picture, and a group
    stays on one side. What came out empty or incomplete is said in `notes`. The listing order does not matter. Raises
    `DataError` for unlabelled pictures and classes without training pictures.
    """
    _check(images)
    draw = _Draw(images, seed, np.where(images.parts == "", "train", images.parts).astype(PART))
    brought = set(draw.parts.tolist())
    is_drawn = "test" not in brought and test > 0
    if is_drawn:
        draw.take("test", round(test * draw.count("train")))
    asked = [part for part in ("val", "calibration", "test") if part in brought or (part == "test" and test > 0)]
    parted = replace(images, parts=draw.parts, test_drawn=images.test_drawn or is_drawn)
    return replace(parted, notes=(*images.notes, *lacking(parted, asked, brought)))


@dataclass
class _Draw:
    """The parts while they are drawn: parts (n,)."""

    images: ImageSet
    seed: int
    parts: NDArray[np.str_]

    def count(self, part: str) -> int:
        return int((self.parts == part).sum())

    def take(self, part: str, total: int) -> None:
        """Move `total` pictures from train, in proportion to the classes, leaving each class at least one.

        Where not all classes can have as many, chance decides which have one more, not their names.
        """
        counts = self.images.class_counts(self.parts == "train")
        turn = turns(self.images.classes, self.seed, f"classes of {part}")
        share = allocate(counts, total, np.maximum(counts - 1, 0), turn)
        if self.images.groups is None:
            self._move(part, share)
        else:
            self._move_groups(part, share)

    def _move_groups(self, part: str, share: NDArray[np.int64]) -> None:
        """Whole groups, about as many pictures of each class as its share (k,); a class keeps a training picture."""
        images, own = self.images, np.flatnonzero(self.parts == "train")
        group, labels = numbered(np.asarray(images.groups))[own], images.labels[own]
        taken = drawn(group, labels, share, [images.names[i] for i in own], self.seed)
        emptied = np.flatnonzero(~np.isin(np.arange(len(share)), labels[~taken]))
        taken &= ~np.isin(group, group[taken & np.isin(labels, emptied)])
        self.parts[own[taken]] = part

    def _move(self, part: str, share: NDArray[np.int64]) -> None:
        for k, n in enumerate(share.tolist()):
            own = np.flatnonzero((self.parts == "train") & (self.images.labels == k))
            self.parts[shuffled(own, self.images.names, self.seed, part)[:n]] = part


def lacking(images: ImageSet, asked: Sequence[str], brought: Iterable[str]) -> list[str]:
    """Sentences on parts that were `asked` for and are empty or lack classes; those not `brought` were drawn."""
    notes = []
    for part in asked:
        counts = images.class_counts(images.parts == part)
        missing = [name for name, n in zip(images.classes, counts, strict=True) if n == 0]
        why = "" if part in brought else ": too few pictures"
        if not counts.any():
            notes.append(f"The {part} part is empty{why}.")
        elif missing:
            notes.append(f"The {part} part has no picture of {_some(missing, LISTED)}{why}.")
    return notes


def _check(images: ImageSet) -> None:
    if not len(images):
        raise DataError(f"{images.title} holds no picture.")
    if (images.labels < 0).any():
        first = images.names[int(np.argmax(images.labels < 0))]
        n = int((images.labels < 0).sum())
        have = "has" if n == 1 else "have"
        raise DataError(f"{images.title}: {plural(n, 'picture')} {have} no label, first '{first}'.")
    if not np.isin(images.parts, ("", "train")).any():
        raise DataError(f"{images.title} has no training pictures: every picture is in {_some(set(images.parts))}.")
    check_classes_in_train(images.labels, images.parts, images.classes, images.title)


def write_split(images: ImageSet, path: Path) -> None:
    """Write `name,label,split` for every picture (CSV, UTF-8, sorted by name); the file appears whole or not at all."""
    rows = sorted(
        (name, images.classes[k] if k >= 0 else "", part)
        for name, k, part in zip(images.names, images.labels, images.parts.tolist(), strict=True)
    )
    records.write_csv(path, COLUMNS, rows)


def apply_split(images: ImageSet, path: Path) -> ImageSet:
    """The parts that `write_split` wrote, matched by name; a note says which classes a part lacks.

    Pictures that the run refused, as the refused.csv beside the file lists them, are in no part of it: they are taken
    for training pictures, and refused again unless they have been mended.

    Raises `DataError` when pictures are missing, new, or have another label than the file says.
    """
    rows = _rows(path, images.names)
    refused = _refused_beside(path)
    rows |= {
        name: (images.classes[k] if k >= 0 else "", "train")
        for name, k in zip(images.names, images.labels, strict=True)
        if name not in rows and name in refused
    }
    known = set(images.names)
    new = [name for name in images.names if name not in rows]
    gone = [name for name in rows if name not in known]
    if new or gone:
        raise DataError(
            f"{path} does not fit {images.title}: {_difference(new, gone)}. To draw a new split, leave `split` out; a "
            "recipe takes the split.csv next to it, so copy the recipe elsewhere first."
        )
    for name, k in zip(images.names, images.labels, strict=True):
        label = images.classes[k] if k >= 0 else ""
        if nfc(rows[name][0]) != nfc(label):
            raise DataError(f"{path} gives '{name}' the label '{rows[name][0]}', {images.title} gives it '{label}'.")
    parts = np.array([rows[name][1] for name in images.names], PART)
    parted = replace(images, parts=parts)
    brought = [part for part in ("val", "calibration", "test") if part in set(parts.tolist())]
    return replace(parted, notes=(*images.notes, *lacking(parted, brought, brought)))


def left_of_split(images: ImageSet, path: Path) -> ImageSet:
    """The pictures of a split that are still there under their labels, in its parts; what came later is left out.

    Raises `DataError` where none is left.
    """
    rows = _rows(path, images.names)
    labels = [images.classes[k] if k >= 0 else "" for k in images.labels]
    found = [rows.get(name, ("", "")) for name in images.names]
    kept = [i for i, (label, part) in enumerate(found) if part and nfc(label) == nfc(labels[i])]
    if not kept:
        raise DataError(f"{images.title} holds none of the pictures that {path} lists.")
    return replace(images, parts=np.array([part for _, part in found], PART)).take(np.array(kept))


def _refused_beside(path: Path) -> set[str]:
    """The names in the refused.csv of the same folder."""
    beside = path.with_name(records.REFUSED)
    if not beside.is_file():
        return set()
    try:
        return {row[0] for row in list(records.read_csv(beside, errors="replace"))[1:] if row}
    except (OSError, ValueError) as error:
        raise DataError(f"{beside} cannot be read: {error}.") from None


def _rows(path: Path, names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """name -> (label, part), with the names written as those of the pictures are."""
    rows: dict[str, tuple[str, str]] = {}
    try:
        lines = list(records.read_csv(path))
    except FileNotFoundError:
        raise DataError(f"There is no split file {path}.") from None
    except (OSError, ValueError) as error:
        raise DataError(f"The split file {path} cannot be read: {error}.") from None
    if not lines or tuple(lines[0]) != COLUMNS:
        raise DataError(f"{path} must start with the line '{','.join(COLUMNS)}'.")
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != 3 or line[0] in rows:
            what = "does not have three columns" if len(line) != 3 else f"names '{line[0]}' again"
            raise DataError(f"{path} row {number} {what}.")
        rows[line[0]] = (line[1], require_part(line[2], f"{path} row {number}"))
    if any(name not in rows for name in names):  # as another system, or an earlier version, wrote them
        return {nfc(name): row for name, row in rows.items()}
    return rows


def _difference(new: Sequence[str], gone: Sequence[str]) -> str:
    said = []
    if gone:
        said.append(f"{len(gone)} of its pictures {'is' if len(gone) == 1 else 'are'} not there (first '{gone[0]}')")
    if new:
        some = "1 picture is" if len(new) == 1 else f"{len(new)} pictures are"
        said.append(f"{some} not in it (first '{new[0]}')")
    return " and ".join(said)


def _some(names: Sequence[str] | set[str], most: int = 5) -> str:
    listed = sorted(f"'{name}'" for name in names)
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")
