"""Tables of labels: read as people have them, also half filled in, and written for `fit`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from headstart.audit.files import NOT_UTF8
from headstart.errors import DataError
from headstart.images import ImageSet, load
from headstart.images.labels import without_point
from headstart.images.options import Reading, without_columns
from headstart.images.sources import text
from headstart.images.sources.cells import column, label_of, located, written
from headstart.images.sources.table import PARQUET, is_table
from headstart.labelling.album import Album, Looks, places
from headstart.phrases import plural
from headstart.records import write_csv

COLUMNS = ("image", "label", "by")
BY = ("hand", "random", "proposed")
"""Who may have said so in a table that is read; anything else is `table`."""
Row = tuple[str, str, str]
"""Image, label and who said so."""


class Known(NamedTuple):
    """Labels by place in the album and who said so, and the rows of a table that are of pictures that the album lacks.

    Those name their file as an absolute path.
    """

    labels: dict[int, str]
    by: dict[int, str]
    strangers: list[Row]


def read_labels(data: str | os.PathLike[str], images: ImageSet, reading: Reading | None = None) -> Known:
    """Labels of these pictures from a table, whose rows without a label are passed over, or from class folders.

    Pictures are known by their files. Raises UserError for what cannot be read.
    """
    path, reading = Path(data), reading or Reading()
    if is_table(path.name) and path.suffix.lower() not in PARQUET and path.is_file():
        rows = _rows(path, reading, images)
    else:
        found = load(data, allow_empty_classes=True, **(reading if is_table(path.name) else without_columns(reading)))
        rows = [
            (str(item.resolve()) if isinstance(item, Path) else name, found.classes[k], "table")
            for item, name, k in zip(found.items, found.names, found.labels.tolist(), strict=True)
        ]
    where = places(images)
    labels: dict[int, str] = {}
    told: dict[int, str] = {}
    for name, label, by in rows:
        if name in where and labels.setdefault(where[name], label) != label:
            raise DataError(f"{data} gives {images.names[where[name]]} two labels, {labels[where[name]]} and {label}.")
        if name in where:
            told.setdefault(where[name], by)
    return Known(labels, told, [row for row in rows if row[0] not in where])


def check_columns(table: Path) -> None:
    """Raise DataError where a table has more columns than labels need: to write it again would lose them."""
    names = text.read(table).values
    needed = {column(names, kind, None, table) for kind in ("image", "label")} | {"by", ""}
    if more := [name for name in names if name not in needed]:
        raise DataError(
            f"{table} has columns that a table of labels would not keep ({', '.join(more[:5])}): "
            f"leave it as it is, give it as `labels` and another `out`."
        )


def brought(data: str | os.PathLike[str], images: ImageSet, reading: Reading | None = None) -> Known:
    """The same of labels that someone brings. Raises DataError too where not one of them is of these pictures."""
    known = read_labels(data, images, reading)
    if known.strangers and not known.labels:
        raise DataError(
            f"labels={data}: {plural(len(known.strangers), 'label')}, but none for a picture of {images.title}. "
            "Pictures are matched by their files: write paths relative to the table's folder, or absolute ones."
        )
    return known


def for_pictures(looks: Looks, data: Any, labels: Any) -> Looks:
    """How the pictures are looked at: columns are those of the table of labels alone, where `data` is no table."""
    tables = [isinstance(each, str | os.PathLike) and is_table(Path(each).name) for each in (data, labels)]
    return replace(looks, reading=without_columns(looks.reading)) if tables == [False, True] else looks


def _rows(table: Path, reading: Reading, images: ImageSet) -> list[Row]:
    """The rows that have a label, with the file as an absolute path, or the name of a picture that has no file.

    A table without the columns that are asked for is one of ours, beside a table of pictures that has them.
    """
    columns = text.read(table)
    asked = {"image": reading.get("image_column"), "label": reading.get("label_column")}
    image, label = (
        column(columns.values, kind, name if name in columns.values else None, table) for kind, name in asked.items()
    )
    found = []
    items = dict(zip(images.names, images.items, strict=True))
    said = columns.values.get("by") or ["table"] * len(columns.numbers)
    for cell, value, by in zip(columns.values[image], columns.values[label], said, strict=True):
        label_name = _name_of(value)
        if label_name is not None:
            name = cell.strip()
            found.append((_file(table, name, items.get(name)), label_name, by if by in BY else "table"))
    return found


def _file(table: Path, name: str, item: Any) -> str:
    """The file that a table means by a name; `item` is the picture of that name, where there is one.

    Where no file is as it is written, that picture is meant: it was found by the same name (`sources.by_name`).
    """
    if item is not None and not isinstance(item, Path):
        return name
    file = located(table.parent, name)[1]
    return str((file if item is None or file.exists() else item).resolve())


def given(labels: Any, album: Album, reading: Reading | None = None) -> dict[int, str]:
    """Labels by place in the album, from what `read_labels` takes, or a label or None for each picture given.

    A dict has names, paths, or places among the pictures given. Raises DataError where they do not fit the pictures.
    """
    if labels is None:
        return {}
    if isinstance(labels, str | os.PathLike):
        return brought(labels, album.images, reading).labels
    if not isinstance(labels, Mapping):
        labels = dict(enumerate(labels))
        if len(labels) != len(album.given):
            many = f"{plural(len(labels), 'entry', 'entries')} for {plural(len(album.given), 'picture')}"
            raise DataError(f"`labels` has {many}; give one for each.")
    where, found = places(album.images), dict[int, str]()
    for key, value in labels.items():
        i, label = _place(key, where, album), _name_of(value)
        if i >= 0 and label is not None and found.setdefault(i, label) != label:
            raise DataError(f"`labels` give {album.images.names[i]} two labels, {found[i]} and {label}.")
    return found


def _place(key: Any, where: Mapping[str, int], album: Album) -> int:
    """The place of the picture that a key of `labels` stands for, -1 of one that cannot be used."""
    if isinstance(key, str | os.PathLike):
        name = os.fspath(key)
        if (i := where.get(name, where.get(str(Path(name).resolve())))) is not None:
            return i
        raise DataError(f"`labels` name {name}, which is not a picture of {album.images.title}.")
    if isinstance(key, int | np.integer) and 0 <= key < len(album.given):
        return int(album.given[key])
    many = plural(len(album.given), "picture")
    raise DataError(
        f"`labels` name {key}, which is not a position among the {many}; give names, paths or positions counted from 0."
    )


def _name_of(value: Any) -> str | None:
    """The class that a label stands for, None for no label."""
    label = label_of(value)
    return None if label is None else str(without_point(label))


def write_labels(path: Path, rows: Iterable[Sequence[str]]) -> None:
    """Write rows of `COLUMNS`: image, label, and who said so (one of `BY`, or `table`)."""
    write_csv(path, COLUMNS, rows)


def image_cells(album: Album, folder: Path) -> list[str]:
    """How a table in `folder` names each picture. Raises DataError for one that no table can name."""
    images = album.images
    cells = [written(item, name, folder) for item, name in zip(images.items, images.names, strict=True)]
    for cell, name in zip(cells, images.names, strict=True):
        if why := _unwritable(cell):
            raise DataError(f"{name}: {why}; give the file another name.")
    return cells


def _unwritable(cell: str) -> str:
    """Why `fit` would not find a picture by this cell, '' where it does."""
    try:
        cell.encode()
    except UnicodeEncodeError:
        return NOT_UTF8
    if os.path.expanduser(cell) != cell:  # noqa: PTH111 (as `expanded`)
        return "a table would read it as a path in a home folder"
    if cell == cell.strip():
        return ""
    return f"a file name {'ends in' if cell == cell.lstrip() else 'begins with'} a space, so a table cannot hold it"
