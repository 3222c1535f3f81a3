"""`ImageSet`: which pictures there are, with their labels and parts; never the pixels of files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import median_low
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError, Refused
from headstart.images.decode import DEFAULT_LIMITS, Limits, Raw, decode
from headstart.images.items import Item, header_of, raw_of, wide_values
from headstart.images.ranges import White, look
from headstart.phrases import twice

if TYPE_CHECKING:
    from PIL.Image import Image

PROBED = 64
PART = "U11"  # dtype of parts: '', 'train', 'val', 'calibration', 'test'


@dataclass(frozen=True)
class Refusal:
    """A picture that was left out: its name, the reason (a key of `REASONS`), and what was seen."""

    name: str
    reason: str
    detail: str = ""

    def error(self) -> DataError:
        """What is raised where no picture may be left out (`--strict`)."""
        why = f"{self.reason}: {self.detail}" if self.detail else self.reason
        return DataError(f"{self.name} cannot be used ({why}), and no picture may be left out here.")


@dataclass(frozen=True)
class Probe:
    """What the headers of a few pictures say: median height and width in pixels, all alike, all grey."""

    height: int
    width: int
    uniform: bool
    grey: bool


@dataclass(frozen=True, eq=False)
class ImageSet:
    """n pictures with labels: references, not pixels.

    Attributes:
        items: files (`Path`), members of a zip archive (`Member`), files far away (`Remote`), encoded `bytes`, PIL
            pictures or uint8 arrays; or one uint8 array (n,h,w[,3|4])
        names: unique; path relative to the root with '/', escaped (`names.escape`), or 'train/000123' for arrays
        labels: int64 (n,), index into `classes`, -1 where unlabelled
        classes: names in natural order
        parts: str (n,): '' (not decided), 'train', 'val', 'calibration' or 'test'
        refused: what listing had to leave out
        notes: sentences for the report
        test_drawn: whether the test part was drawn from the training pictures, not brought by the data
        groups: str (n,), pictures of one name belong together and stay on one side of every split; '' alone; or None

    >>> from headstart.images import load
    >>> digits = load("digits")
    >>> len(digits), digits.classes[:3], digits.names[0]
    (1797, ('0', '1', '2'), 'image/000000')
    >>> digits.read(0).shape
    (8, 8, 3)
    >>> len(digits.take(digits.labels == 7))
    179
    """

    items: Sequence[Item] | NDArray[np.uint8]
    names: tuple[str, ...]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    parts: NDArray[np.str_]
    refused: tuple[Refusal, ...] = ()
    title: str = ""
    notes: tuple[str, ...] = ()
    limits: Limits = DEFAULT_LIMITS
    test_drawn: bool = False
    groups: NDArray[np.str_] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", np.asarray(self.labels, np.int64))
        object.__setattr__(self, "parts", np.asarray(self.parts, PART))
        lengths = {len(self.items), len(self.names), len(self.labels), len(self.parts)}
        lengths |= set() if self.groups is None else {len(self.groups)}
        if len(lengths) > 1:
            raise DataError(f"{self.title}: items, names, labels and parts have different lengths {sorted(lengths)}.")
        if len(set(self.names)) < len(self.names):
            raise DataError(f"{self.title}: the name '{twice(self.names)}' is given to more than one picture.")

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def places(self) -> dict[str, int]:
        """Name -> index of the picture."""
        return {name: i for i, name in enumerate(self.names)}

    def class_counts(self, where: Any = slice(None)) -> NDArray[np.int64]:
        """(k,) how many labelled pictures each class has, of all or of those at indices or under a mask."""
        labels = self.labels[where]
        return np.bincount(labels[labels >= 0], minlength=len(self.classes)).astype(np.int64)

    def take(self, indices: Any) -> ImageSet:
        """The pictures at `indices` (integers or a boolean mask), in that order; classes stay as they are."""
        wanted = np.asarray(indices)
        index = np.arange(len(self))[wanted if wanted.size else wanted.astype(np.int64)]
        items = self.items[index] if isinstance(self.items, np.ndarray) else [self.items[i] for i in index]
        names = tuple(self.names[i] for i in index)
        groups = None if self.groups is None else self.groups[index]
        return replace(
            self, items=items, names=names, labels=self.labels[index], parts=self.parts[index], groups=groups
        )

    def raw(self, i: int) -> Raw:
        """The bytes of file i, or its pixels where there is no file. Raises `Refused`."""
        return raw_of(self.items[i], self.limits)

    def read(self, i: int) -> NDArray[np.uint8]:
        """Picture i as uint8 (h,w,3), grey repeated. Raises `Refused`."""
        image = decode(self.raw(i), self.limits)
        return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))

    def preview(self, name: str, side: int) -> Image | None:
        """The picture of a name, large enough to be shown at so many pixels; None where it cannot be had."""
        try:
            return decode(self.raw(self.places[name]), self.limits, preview=side) if name in self.places else None
        except Refused:
            return None

    def noted(self, beginning: str) -> str:
        """The notes that begin so, to be added to a sentence; empty where there is none."""
        return "".join(f" {note}" for note in self.notes if note.startswith(beginning))

    def probe(self) -> Probe:
        """Size and colour of `PROBED` pictures spread over the set, from their headers (as stored, before EXIF turns).

        Raises `DataError` when not one of them can be opened.
        """
        seen, refused = [], []
        looked = min(PROBED, len(self))
        for i in np.unique(np.linspace(0, len(self) - 1, looked).astype(int)):
            try:
                seen.append(header_of(self.items[i], self.limits))
            except Refused as why:
                refused.append(Refusal(self.names[i], why.reason, why.detail))
        if not seen:
            first = f"; the first: {refused[0].name} ({refused[0].reason})" if refused else ""
            raise DataError(f"{self.title}: none of the {looked} pictures looked at could be opened{first}.", refused)
        heights, widths, grey = zip(*seen, strict=True)
        uniform = len(set(heights)) == len(set(widths)) == 1
        return Probe(median_low(heights), median_low(widths), uniform, all(grey))

    def white(self) -> White:
        """The ranges that hold all the set's pictures whose type declares none: see `ranges`. To be kept by a fit.

        Arrays were looked at when the set was made; of files only TIFFs can be of such a type, and those are decoded.
        """
        white = self.limits.white or White()
        if isinstance(self.items, np.ndarray):
            return white
        wide = (values for item in self.items if (values := wide_values(item, self.limits)) is not None)
        return White(*map(max, white, look(wide)))

    def read_by(self, white: Sequence[int]) -> ImageSet:
        """The same pictures, those whose type declares no range read by `white`, which a fit has kept."""
        return replace(self, limits=replace(self.limits, white=White(*white)))
