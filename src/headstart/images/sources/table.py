"""A table of pictures: text in columns or Parquet, with an image and a label column, perhaps `split` and `group`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from headstart.errors import DataError, Refused
from headstart.images.cures import cured
from headstart.images.files import check_status
from headstart.images.groups import check_groups
from headstart.images.imageset import PART, ImageSet, Refusal
from headstart.images.labels import encode, is_missing
from headstart.images.names import escape
from headstart.images.options import LoadOptions
from headstart.images.parts import check_classes_in_train, require_part
from headstart.images.sources import parquet, text
from headstart.images.sources.by_name import found_by_name
from headstart.images.sources.cells import Columns, column, label_of, located, optional, passed_over, several
from headstart.paths import one_way

PARQUET = (".parquet", ".pq")
SUFFIXES = (".csv", ".tsv", ".tab", ".txt", *PARQUET)


@dataclass(frozen=True)
class _Row:
    """What a row says: a file or the bytes of a picture, a label (None: none), a part."""

    item: Path | bytes
    label: Any
    part: str
    group: str


@dataclass(frozen=True)
class _Used:
    """The columns that are read; None: there is none."""

    image: str
    label: str | None
    split: str | None
    group: str | None


def accepts(data: Any) -> bool:
    """A file whose ending is that of a table."""
    return isinstance(data, Path) and data.suffix.lower() in SUFFIXES and not data.is_dir()


def is_table(name: str) -> bool:
    """Whether the text names a table, by its ending."""
    return name.lower().endswith(SUFFIXES)


def load(data: Path, options: LoadOptions) -> ImageSet:
    """One picture a row; paths are relative to the table's folder. A missing file is refused, not an error.

    Where no file is as it is written, they are looked for by name below that folder (`by_name`), and a note says so.

    The encoding and the separator of text are found out. In Parquet the pictures themselves may be in the column.
    Raises `DataError` for a missing column, an empty cell, an unknown split, or a picture that is named twice with
    different labels or splits.
    """
    columns, used = _read(data, options)
    rows, refused = _rows(data, columns, used)
    files = {name: row.item for name, row in rows.items() if isinstance(row.item, Path)}
    found, note = found_by_name(data.parent, files if len(files) == len(rows) else {})
    rows = {name: replace(row, item=found.get(name, row.item)) for name, row in rows.items()}
    columns = replace(columns, notes=(*columns.notes, *filter(None, [note])))
    if used.label is not None:
        others = [name for name in columns.values if name not in (used.image, used.label)]
        read = [kind for kind in ("split", "group") if getattr(used, kind) is not None]
        columns = replace(columns, notes=(*columns.notes, *passed_over(others, read)))
    return _imageset(data, rows, refused, (columns, columns.classes.get(used.label or ""), options))


def _used(names: Iterable[str], options: LoadOptions, table: Path) -> _Used:
    return _Used(
        column(names, "image", options.image_column, table),
        column(names, "label", options.label_column, table) if options.labelled else None,
        optional(names, "split", options.split_column, table),
        optional(names, "group", options.group_column, table),
    )


def _read(table: Path, options: LoadOptions) -> tuple[Columns, _Used]:
    if table.suffix.lower() in PARQUET:
        used = _used(parquet.read(table, ()).values, options, table)
        columns = parquet.read(table, [name for name in astuple(used) if name is not None])
    else:
        columns = text.read(table)
        used = _used(columns.values, options, table)
    if not columns.numbers:
        raise DataError(f"{table} has no rows.")
    return columns, used


def _rows(table: Path, columns: Columns, used: _Used) -> tuple[dict[str, _Row], list[Refusal]]:
    """The rows by the names of their pictures, and those that name one again."""
    n = len(columns.numbers)
    values, classes = columns.values, columns.classes.get(used.label or "")
    cells, labels = values[used.image], values[used.label] if used.label is not None else [None] * n
    paths = Counter(str(cell.get("path")) for cell in cells if isinstance(cell, dict))
    rows: dict[str, _Row] = {}
    refused: list[Refusal] = []
    first_names: dict[str, str] = {}
    parts, groups = (values[name] if name is not None else [""] * n for name in (used.split, used.group))
    for number, cell, value, part, group in zip(columns.numbers, cells, labels, parts, groups, strict=True):
        where = f"{table} row {number}"
        name, item = _picture(cell, number, paths, table, where)
        if isinstance(item, Path):  # `a/1.png`, `b/../a/1.png` and the whole path are one picture
            name = first_names.setdefault(one_way(item), name)
        known = None if classes and value == -1 else label_of(value)  # -1: how `datasets` writes no label
        row = _Row(item, known, require_part(_written(part), where), _written(group))
        if name not in rows:
            rows[name] = row
        elif replace(rows[name], item=item) == row:
            refused.append(Refusal(escape(name), "same-file", f"row {number} names it again"))
        else:
            raise DataError(f"{where} gives '{name}' a different label, split or group than an earlier row.")
    return rows, refused


def _written(cell: Any) -> str:
    """The text of a cell, '' of an empty one."""
    return "" if is_missing(cell) else str(cell).strip()


def _picture(cell: Any, number: int, paths: Mapping[str, int], table: Path, where: str) -> tuple[str, Path | bytes]:
    """(name, file or bytes) of a cell: a path, the bytes of a picture, or `{bytes, path}`."""
    content, path = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (None, cell)
    if isinstance(path, bytes):
        content, path = path, None
    written = "" if is_missing(path) else str(path).strip()
    if isinstance(content, bytes):
        alone = written and paths.get(written, 0) == 1
        return (written if alone else f"row/{number:06d}{f'/{written}' if written else ''}"), content
    if not written:
        raise DataError(f"{where} has no path in the image column.")
    if len(written) > 4096 or "\0" in written:
        raise DataError(f"{where} has {len(written):,} characters in the image column that are not a path.")
    return located(table.parent, written)


def _imageset(
    table: Path,
    rows: dict[str, _Row],
    refused: list[Refusal],
    rest: tuple[Columns, list[str] | None, LoadOptions],
) -> ImageSet:
    columns, classes, options = rest
    if options.labelled and (blank := [name for name, row in rows.items() if row.label is None]):
        raise DataError(
            f"{table}: {len(blank):,} of {len(rows):,} rows have no label (empty, None or NaN), first the row of "
            f"'{blank[0][:100]}'; fill them in or leave these rows out."
        )
    kept = [name for name, row in rows.items() if not _is_refused(name, row.item, refused, options)]
    labels = [rows[name].label for name in kept]
    index, named = encode(labels if options.labelled else None, classes, len(kept), str(table))
    parts = np.array([rows[name].part for name in kept], PART)
    if not kept:
        first = f"; the first: {refused[0].name[:100]} ({refused[0].reason})" if refused else ""
        raise DataError(
            f"{table}: none of the {len(rows)} pictures it names can be used{first}. Paths are relative to the table's "
            f"folder; below it no file has such a name, or several have.{cured(refused)}"
        )
    check_classes_in_train(index, parts, named, str(table))
    groups = np.array([rows[name].group for name in kept])
    check_groups(groups, str(table))
    return ImageSet(
        items=[rows[name].item for name in kept],
        names=tuple(map(escape, kept)),
        labels=index,
        classes=named,
        parts=parts,
        refused=tuple(refused),
        title=escape(table.name),
        notes=(*columns.notes, *several(labels)),
        limits=options.limits,
        groups=groups if (groups != "").any() else None,
    )


def _is_refused(name: str, item: Path | bytes, refused: list[Refusal], options: LoadOptions) -> bool:
    if isinstance(item, bytes):
        return False
    try:
        check_status(item.stat(), options.limits)
    except Refused as why:
        refused.append(Refusal(escape(name), why.reason, why.detail))
    except (OSError, ValueError) as error:
        reason = "missing-file" if isinstance(error, FileNotFoundError | NotADirectoryError) else "unreadable"
        refused.append(Refusal(escape(name), reason, getattr(error, "strerror", None) or str(error)))
    else:
        return False
    return True
