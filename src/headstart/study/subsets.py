"""The pictures of a study: one test part for all, and nested labelled subsets for every repeat."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from headstart.division import pictures
from headstart.errors import DataError, Refused
from headstart.images import ImageSet, Refusal, digest, select, split
from headstart.images.order import shuffled
from headstart.images.sources.folder import on_left_out
from headstart.images.split import lacking
from headstart.images.usable import keep_usable
from headstart.phrases import first_of, joined, plural
from headstart.study.recipe import Size, StudyRecipe

NOT_HAD = "Sizes left out for lack of labelled pictures:"
"""How the note on sizes begins that were asked for and are in no table."""
CellPlace = tuple[str, int]
"""(name of a size, repeat)."""


@dataclass(frozen=True, eq=False)
class Subsets:
    """Which pictures each cell learns from. `images` are all that the study uses; `test` (m,) are indices into them.

    `sizes` has, in ascending order, the name of each size and how many labelled pictures per class it means (a mean
    where classes have fewer). `labelled` has indices into `images` for each cell. `pool`: labelled pictures per class
    that the subsets were drawn from.
    """

    images: ImageSet
    test: NDArray[np.int64]
    sizes: Mapping[str, float]
    labelled: Mapping[CellPlace, NDArray[np.int64]]
    notes: tuple[str, ...] = ()
    pool: float | None = None

    def cell(self, cell: CellPlace) -> tuple[ImageSet, NDArray[np.int64]]:
        """The pictures of a cell with their parts, side by side, and their places in `images`.

        All labelled ones are 'train': an arm that held some back to make its choices would have fewer to learn from.
        """
        rows = np.concatenate([self.labelled[cell], self.test])
        parts = np.where(np.arange(len(rows)) < len(self.labelled[cell]), "train", "test")
        return replace(self.images.take(rows), parts=parts, notes=()), rows

    @cached_property
    def contents(self) -> list[bytes]:
        """The digest of each picture's content, 16 bytes; zeros where it cannot be read."""

        def content(i: int) -> bytes:
            try:
                return digest(self.images.raw(i))
            except Refused:
                return bytes(16)

        with ThreadPoolExecutor(thread_name_prefix="digest") as pool:
            return list(pool.map(content, range(len(self.images))))

    def mark(self, cell: CellPlace | None = None) -> str:
        """32 hexadecimal digits over content, name and label of the pictures of a cell, or of all, in their order."""
        images = self.images
        rows = range(len(images)) if cell is None else np.concatenate([self.labelled[cell], self.test]).tolist()
        found = hashlib.blake2b("\0".join(images.classes).encode("utf-8", "surrogatepass"), digest_size=16)
        for i in rows:
            found.update(self.contents[i] + images.names[i].encode("utf-8", "surrogatepass"))
        found.update(images.labels[list(rows)].tobytes())
        return found.hexdigest()

    def without(self, refused: NDArray[np.int64], why: Sequence[Refusal] = ()) -> Subsets:
        """The same without pictures that cannot be used; `refused` are indices into `images`, `why` their verdicts.

        A class that lost all its pictures is noted. Raises DataError where fewer than two are left.
        """
        if not len(refused):
            return self
        kept = np.setdiff1d(np.arange(len(self.images)), refused)
        place = np.full(len(self.images), -1)
        place[kept] = np.arange(len(kept))

        def moved(rows: NDArray[np.int64]) -> NDArray[np.int64]:
            found: NDArray[np.int64] = place[rows][place[rows] >= 0]
            return found

        labelled = {cell: moved(rows) for cell, rows in self.labelled.items()}
        images = keep_usable(self.images, kept, why)
        notes = (*self.notes, *images.notes[len(self.images.notes) :])
        return replace(self, images=images, test=moved(self.test), labelled=labelled, notes=notes)


def subsets(recipe: StudyRecipe) -> Subsets:
    """Draw them: the data's own test part, else a fifth; what is left can be labelled. Raises DataError."""
    images = pictures(recipe.data.model_copy(update={"allow_empty_classes": True}), recipe.seed)
    parted = split(images, seed=recipe.seed)
    test = parted.take(parted.parts == "test")
    if not len(test):
        raise _too_few(images, "no test pictures and too few to draw some from")
    if recipe.limit_test is not None:
        test = select(test, limit=recipe.limit_test, seed=recipe.seed)
    pool = np.flatnonzero(parted.parts != "test")
    by_class = [pool[parted.labels[pool] == k] for k in range(len(images.classes))]
    if min(map(len, by_class)) < 1 or len(by_class) < 2:
        raise _too_few(images, "too few classes with labelled pictures")
    sizes, notes = _sizes(recipe, np.array([len(rows) for rows in by_class]))
    tested = [parted.places[name] for name in test.names]
    drawn = _drawn(by_class, parted, sizes, recipe)
    used = np.unique(np.concatenate([*drawn.values(), tested])).astype(np.int64)
    where = np.full(len(parted), -1)
    where[used] = np.arange(len(used))
    labelled = {cell: where[rows].astype(np.int64) for cell, rows in drawn.items()}
    meant = {str(size): len(drawn[str(size), 0]) / len(images.classes) for size in sizes}
    chosen = where[tested].astype(np.int64)
    told = lacking(test, ["test"], set(images.parts.tolist()))
    per_class = len(pool) / len(images.classes)
    return Subsets(parted.take(used), chosen, meant, labelled, (*images.notes, *notes, *told), per_class)


def _too_few(images: ImageSet, what: str) -> DataError:
    """The error for data without pictures for a study: how many each class has, the fewest first, and what it takes."""
    counts = images.class_counts((images.parts == "train") | (images.parts == "")).tolist()
    fewest = sorted(zip(counts, images.classes, strict=True))
    named = first_of([f"{name} has {n:,}" for n, name in fewest], 5)
    each = "two labelled pictures" if images.groups is None else "labelled pictures of two groups"
    takes = f"two classes with {each} each: one to learn from, one for the test"
    if (images.parts == "test").any():
        takes = "two classes with a labelled picture each besides the test"
    return DataError(f"{images.title} has {what}: {named}.{on_left_out(images)} A study takes at least {takes}.")


def _sizes(recipe: StudyRecipe, counts: NDArray[np.int64]) -> tuple[list[Size], list[str]]:
    """The sizes that the data allow, ascending, `all` last."""
    wanted = sorted({size for size in recipe.sizes if size != "all"})
    if wanted and wanted[0] < 1:
        raise DataError(f"sizes={wanted[0]}: the smallest size is 1, one labelled picture of each class.")
    fits = [size for size in wanted if size < counts.max()]
    whole = "all" in recipe.sizes or counts.max() in wanted  # every subset of that size is the same
    too_large = [str(size) for size in wanted if size > counts.max()]
    notes = []
    if too_large:
        notes.append(f"{NOT_HAD} {joined(too_large)}; the largest class has {counts.max():,}.")
    short = [size for size in fits if size > counts.min()]
    if short:
        notes.append(
            f"From size {short[0]} on some classes give all the pictures they have, the smallest {counts.min():,}."
        )
    if whole and "all" not in recipe.sizes:
        notes.append(
            f"Size {counts.max():,} is called all: it takes every labelled picture, so there is one such subset."
        )
    found: list[Size] = [*fits, *(["all"] if whole else [])]  # type: ignore[list-item]
    if not found:
        raise DataError(f"sizes={wanted[0]}: no class has more than {plural(int(counts.max()), 'labelled picture')}.")
    return found, notes


def _drawn(
    by_class: list[NDArray[np.int64]], images: ImageSet, sizes: list[Size], recipe: StudyRecipe
) -> dict[CellPlace, NDArray[np.int64]]:
    """For each cell the first pictures of each class in the repeat's own order, so that sizes are nested."""
    found: dict[CellPlace, NDArray[np.int64]] = {}
    for repeat in range(recipe.repeats):
        orders = [shuffled(rows, images.names, recipe.seed, f"repeat {repeat}") for rows in by_class]
        for size in sizes:
            if size != "all" or repeat == 0:
                count = None if size == "all" else size
                found[str(size), repeat] = np.sort(np.concatenate([order[:count] for order in orders]))
    return found
