"""A table of pictures: CSV, TSV or Parquet with the columns `image,label[,split]`."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from headstart.errors import DataError, Refused, nearest
from headstart.images.files import check_status
from headstart.images.imageset import PART, ImageSet, Refusal
from headstart.images.names import escape
from headstart.images.options import LoadOptions
from headstart.images.parts import check_classes_in_train, require_part
from headstart.images.sources.arrays import encode
from headstart.records import as_written

SUFFIXES = (".csv", ".tsv", ".parquet", ".pq")
Columns = dict[str, list[Any]]


def accepts(data: Any) -> bool:
    """A file whose ending is that of a table."""
    return isinstance(data, Path) and data.suffix.lower() in SUFFIXES and not data.is_dir()


def load(data: Path, options: LoadOptions) -> ImageSet:
    """One picture a row; paths are relative to the table's folder. A missing file is refused, not an error.

    Raises `DataError` for a missing column, an empty cell, an unknown split, or a picture that is named twice with
    different labels or splits.
    """
    columns = _read(data)
    images = _column(columns, "image", data)
    labels = _column(columns, "label", data) if options.labelled else [None] * len(images)
    splits = columns.get("split", [""] * len(images))
    rows: dict[str, tuple[str, str]] = {}
    refused: list[Refusal] = []
    for number, (image, label, part) in enumerate(zip(images, labels, splits, strict=True), start=2):
        name, row = _row(image, label, part, f"{data} row {number}")
        if name not in rows:
            rows[name] = row
        elif rows[name] == row:
            refused.append(Refusal(escape(name), "same-file", f"row {number} names it again"))
        else:
            raise DataError(f"{data} row {number} gives '{name}' another label or split than an earlier row.")
    return _imageset(data, rows, refused, options)


def _row(image: Any, label: Any, part: Any, where: str) -> tuple[str, tuple[str, str]]:
    """(path as written, (label, part)) of one row, checked."""
    path = "" if image is None else str(image).strip()
    if not path:
        raise DataError(f"{where} has no path in the column 'image'.")
    text = "" if label is None else str(label).strip()
    return path, (text, require_part("" if part is None else str(part), where))


def _imageset(table: Path, rows: dict[str, tuple[str, str]], refused: list[Refusal], options: LoadOptions) -> ImageSet:
    if options.labelled and (blank := [name for name, (label, _) in rows.items() if not label]):
        raise DataError(f"{table}: {len(blank)} rows have no label, first the row of '{blank[0]}'.")
    paths = {name: table.parent / name for name in rows}
    kept = [name for name in rows if not _is_refused(name, paths[name], refused, options)]
    index, classes = encode([rows[name][0] or None for name in kept], None, len(kept), str(table))
    parts = np.array([rows[name][1] for name in kept], PART)
    if not kept:
        first = f"; the first: {refused[0].name} ({refused[0].reason})" if refused else ""
        raise DataError(
            f"{table}: none of its {len(rows)} pictures can be used{first}. Paths are relative to the table's folder."
        )
    check_classes_in_train(index, parts, classes, str(table))
    return ImageSet(
        items=[paths[name] for name in kept],
        names=tuple(escape(Path(name).as_posix()) for name in kept),
        labels=index,
        classes=classes,
        parts=parts,
        refused=tuple(refused),
        title=escape(table.name),
        limits=options.limits,
    )


def _is_refused(name: str, path: Path, refused: list[Refusal], options: LoadOptions) -> bool:
    try:
        check_status(path.stat(), options.limits)
    except Refused as why:
        refused.append(Refusal(escape(name), why.reason, why.detail))
    except (OSError, ValueError) as error:
        reason = "missing-file" if isinstance(error, FileNotFoundError | NotADirectoryError) else "unreadable"
        refused.append(Refusal(escape(name), reason, getattr(error, "strerror", None) or str(error)))
    else:
        return False
    return True


def _column(columns: Columns, name: str, table: Path) -> list[Any]:
    if name in columns:
        return columns[name]
    near = nearest(name, columns)
    hint = f" Is it '{near[0]}'? Rename it." if near else ""
    raise DataError(
        f"{table} has no column '{name}' (needed: image,label; optional: split); "
        f"its columns are {', '.join(map(repr, columns))}.{hint}"
    )


def _read(table: Path) -> Columns:
    columns = _parquet(table) if table.suffix.lower() in (".parquet", ".pq") else _csv(table)
    if not any(columns.values()):
        raise DataError(f"{table} has no rows.")
    return columns


def _csv(table: Path) -> Columns:
    delimiter = "\t" if table.suffix.lower() == ".tsv" else ","
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file, delimiter=delimiter) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"The table {table} cannot be read as UTF-8 text: {error}.") from None
    if not rows:
        raise DataError(f"The table {table} is empty.")
    header: Sequence[str] = [name.strip() for name in rows[0]]
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise DataError(f"{table} row {number} has {len(row)} cells, the header has {len(header)}.")
    return {name: [as_written(row[i]) for row in rows[1:]] for i, name in enumerate(header)}


def _parquet(table: Path) -> Columns:
    import pyarrow
    import pyarrow.parquet

    try:
        names = pyarrow.parquet.read_schema(table).names
        wanted = [name for name in ("image", "label", "split") if name in names]
        read = pyarrow.parquet.read_table(table, columns=wanted).to_pydict()
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(f"The table {table} cannot be read as Parquet: {error}.") from None
    return {name: read.get(name, []) for name in names}
