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
from headstart.images.sources.by_name import elsewhere, found_by_name
from headstart.images.sources.cells import (
    NOT_A_NUMBER,
    Columns,
    column,
    label_of,
    located,
    odd_labels,
    optional,
    parts_of,
    passed_over,
    text_of,
    without_points,
)
from headstart.paths import one_way

PARQUET = (".parquet", ".pq")
MANY_ROWS = 30
"""Pictures from which labels that are all different are no classes."""
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
    found, note = found_by_name(data, files if len(files) == len(rows) else {})
    rows |= {name: replace(rows[name], item=file) for name, file in found.items()}
    columns = replace(columns, notes=(*columns.notes, *filter(None, [note])))
    if used.label is not None:
        others = [name for name in columns.values if name not in (used.image, used.label)]
        read = [kind for kind in ("split", "group") if getattr(used, kind) is not None]
        columns = replace(columns, notes=(*columns.notes, *passed_over(others, read)))
    images = _imageset(data, rows, refused, (columns, columns.classes.get(used.label or ""), options))
    missing = [] if found else [each.name for each in images.refused if each.reason == "missing-file"]
    return replace(images, notes=(*images.notes, *elsewhere(data, missing))) if missing else images


def _used(names: Iterable[str], options: LoadOptions, table: Path) -> _Used:
    listed = list(names)

    def asked(kind: str) -> str | None:
        named: str | None = getattr(options, kind)
        known = options.fitted_columns.get(kind)
        return known if named is None and known in listed else named

    return _Used(
        column(listed, "image", asked("image_column"), table),
        column(listed, "label", asked("label_column"), table) if options.labelled else None,
        optional(listed, "split", asked("split_column"), table),
        optional(listed, "group", asked("group_column"), table),
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
    cells, labels = values[used.image], without_points(values[used.label]) if used.label is not None else [None] * n
    paths = Counter(str(cell.get("path")) for cell in cells if isinstance(cell, dict))
    rows: dict[str, _Row] = {}
    refused: list[Refusal] = []
    first_names: dict[str, str] = {}
    parts = [""] * n if used.split is None else parts_of(values[used.split], used.split)
    groups = [""] * n if used.group is None else without_points(values[used.group])
    for number, cell, value, part, group in zip(columns.numbers, cells, labels, parts, groups, strict=True):
        where = f"{table} row {number}"
        name, item = _picture(cell, number, paths, table, where)
        if isinstance(item, Path):  # `a/1.png`, `b/../a/1.png` and the whole path are one picture
            name = first_names.setdefault(one_way(item), name)
        known = None if classes and value == -1 else label_of(value)  # -1: how `datasets` writes no label
        known = None if known in NOT_A_NUMBER else known
        row = _Row(item, known, require_part(text_of(part), where), text_of(group))
        if name not in rows:
            rows[name] = row
        elif replace(rows[name], item=item) == row:
            refused.append(Refusal(escape(name), "same-file", f"row {number} names it again"))
        else:
            raise DataError(f"{where} {_contradiction(name[:100], rows[name], row)}")
    return rows, refused


def _contradiction(name: str, earlier: _Row, row: _Row) -> str:
    """What a second row of one picture says that the first does not."""
    for what, before, now in (
        ("label", earlier.label, row.label),
        ("split", earlier.part, row.part),
        ("group", earlier.group, row.group),
    ):
        if before != now:
            return f"gives '{name}' the {what} '{now}', and an earlier row gives it '{before}'."
    return f"names '{name}', and an earlier row names another picture so."


def _picture(cell: Any, number: int, paths: Mapping[str, int], table: Path, where: str) -> tuple[str, Path | bytes]:
    """(name, file or bytes) of a cell: a path, the bytes of a picture, or `{bytes, path}`."""
    content, path = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (None, cell)
    if isinstance(path, bytes):
        content, path = path, None
    said = "" if is_missing(path) else str(path).strip()
    if isinstance(content, bytes):
        alone = said and paths.get(said, 0) == 1
        return (said if alone else f"row/{number:06d}{f'/{said}' if said else ''}"), content
    if not said:
        raise DataError(f"{where} has no path in the image column.")
    if len(said) > 4096 or "\0" in said:
        raise DataError(f"{where} has {len(said):,} characters in the image column that are not a path.")
    return located(table.parent, said)


def _imageset(
    table: Path,
    rows: dict[str, _Row],
    refused: list[Refusal],
    rest: tuple[Columns, list[str] | None, LoadOptions],
) -> ImageSet:
    columns, classes, options = rest
    if options.labelled and (blank := [name for name, row in rows.items() if row.label is None]):
        raise DataError(
            f"{table}: {len(blank):,} of {len(rows):,} rows have no label (empty, NA or NaN), first the row of "
            f"'{blank[0][:100]}'; fill them in or leave these rows out."
        )
    kept = [name for name, row in rows.items() if not _is_refused(name, row.item, refused, options)]
    labels = [rows[name].label for name in kept]
    index, named = encode(labels if options.labelled else None, classes, len(kept), str(table))
    if len(kept) >= MANY_ROWS and len(named) == len(kept) and options.labelled:
        raise DataError(
            f"{table}: each of the {len(kept):,} pictures has a label of its own, such as '{named[0][:100]}', so these "
            "are no classes: is `label_column` another one?"
        )
    parts = np.array([rows[name].part for name in kept], PART)
    if not kept:
        told = next((each for each in refused if each.reason != "same-file"), None)
        first = f"; the first: {told.name[:100]} ({told.reason})" if told else ""
        raise DataError(
            f"{table}: none of the {len(rows)} pictures it names can be used{first}. Paths are relative to the table's "
            f"folder, and no picture below it has such a name.{cured(refused)}"
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
        notes=(*columns.notes, *odd_labels(labels)),
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
