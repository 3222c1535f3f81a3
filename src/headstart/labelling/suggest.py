"""The next pictures to label, without a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headstart.errors import DataError, UserError
from headstart.features.extract import Settings
from headstart.images.names import natural_sort
from headstart.images.sources import text
from headstart.images.sources.cells import label_of
from headstart.labelling.album import Album, Looks, open_album
from headstart.labelling.tables import for_pictures, given, image_cells
from headstart.progress import Progress, silent
from headstart.records import write_csv

COLUMNS = ("image", "label", "predicted", "confidence", "group")


@dataclass(frozen=True)
class Suggestion:
    """A picture to label next: its place in what was given and its name; `alike` are those that look the same.

    `predicted` and `confidence` are what a classifier fitted on the labels so far says, None before there is one.
    """

    index: int
    name: str
    alike: tuple[str, ...]
    predicted: str | None = None
    confidence: float | None = None


def suggest(
    images: Any,
    labels: Any,
    n: int,
    looks: Looks | None = None,
    settings: Settings | None = None,
    progress: Progress = silent,
) -> tuple[Album, list[Suggestion]]:
    """The album of `images`, and the next n suggestions after these labels; see `headstart.suggest`."""
    looks = looks or Looks()
    album = open_album(images, for_pictures(looks, images, labels), settings, progress)
    return album, suggested(album, given(labels, album, looks.reading), n)


def suggested(album: Album, labels: dict[int, str], n: int) -> list[Suggestion]:
    """The next n after labels by place."""
    names, classes = album.images.names, natural_sort(labels.values())
    rows = np.array(sorted(labels), np.int64)
    told = album.answers(rows, np.array([classes.index(labels[i]) for i in rows.tolist()], np.int64), len(classes))
    found = []
    for i in album.next(n, rows, told).tolist():
        alike = tuple(names[j] for j in album.alike(i) if j != i)
        best = None if told is None else int(told[i].argmax())
        said = (None, None) if told is None or best is None else (classes[best], float(told[i, best]))
        found.append(Suggestion(int(np.flatnonzero(album.given == i)[0]), names[i], alike, *said))
    return found


def check_replaced(table: Path) -> None:
    """Raise UserError where a file is there that is no table of suggestions, or one in which someone has typed."""
    if not table.is_file() or not table.stat().st_size:
        return
    try:
        found = text.read(table).values
    except DataError:
        found = {}
    if any(label_of(cell) is not None for cell in found.get("label", ())):
        raise UserError(
            f"out={table} holds labels, which would be lost: name another file, and give this one as `labels`."
        )
    if tuple(found) != COLUMNS:
        raise UserError(f"out={table} is not a table of suggestions: name another file.")


def write_next(album: Album, suggestions: Sequence[Suggestion], out: Path) -> None:
    """A table to fill in: look-alikes are on rows of their own, with one number in `group`."""
    cells = dict(zip(album.images.names, image_cells(album, out.parent), strict=True))
    rows = []
    for group, one in enumerate(suggestions, start=1):
        sure = "" if one.confidence is None else f"{one.confidence:.4f}"
        rows += [[cells[name], "", one.predicted or "", sure, str(group)] for name in (one.name, *one.alike)]
    write_csv(out, COLUMNS, rows)
