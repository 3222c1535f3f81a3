"""A Parquet table, with paths or with pictures in it (`{bytes, path}`, as Hugging Face's `datasets` writes them).

A few kilobytes may stand for millions of equal rows, or for one value of gigabytes in thousands of rows. What its pages
become is bounded before they are unpacked, and what comes out of them while it is read, a few rows at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

from headstart.errors import DataError
from headstart.images.archive import MAX_RATIO
from headstart.images.sources.cells import Columns, check_columns
from headstart.images.sources.parquet_pages import Damaged, unpacked_sizes

MAX_BYTES = 4 * 2**30
"""Pictures of one table; they are held in memory as they are encoded."""
FREE_BYTES = 128 * 2**20
"""What a table may expand to where `MAX_RATIO` times its size is less."""
MAX_ROWS, FREE_ROWS = 2_000_000, 100_000
"""Rows of a table; over `FREE_ROWS` not more than it has bytes, as each names a picture of its own."""
_ROWS, _BATCH = 16, 256 * 2**20  # rows read at a time, and fewer where they might take more than these bytes


def read(table: Path, wanted: Iterable[str]) -> Columns:
    """The `wanted` columns that the table has; the others by name, without values. Raises `DataError`.

    Classes that the metadata of `datasets` name are told with the column.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        if not table.is_file():
            raise OSError("no regular file")
        with pyarrow.parquet.ParquetFile(table) as file:
            schema, n = file.schema_arrow, file.metadata.num_rows
            columns = [name for name in schema.names if name in set(wanted)]
            check_columns(columns, table)
            most = min(MAX_ROWS, max(FREE_ROWS, table.stat().st_size))
            _check_rows(n, most, table)
            values: dict[str, list[Any]] = {name: [] for name in schema.names}
            for name, cells in _cells(file, columns, most, table) if columns else ():
                values[name] += cells
                _check_rows(len(values[name]), most, table)  # whatever the file said
    except (OSError, pyarrow.ArrowException, Damaged) as error:
        raise DataError(f"The table {table} cannot be read as Parquet: {str(error)[:200]}.") from None
    n = len(values[columns[0]]) if columns else n
    return Columns(values, tuple(range(1, n + 1)), classes=_classes(schema.metadata or {}))


def _cells(file: Any, columns: list[str], rows: int, table: Path) -> Iterator[tuple[str, list[Any]]]:
    """(column, its next values), a few rows at a time. Raises `DataError` before they take too much memory."""
    size = table.stat().st_size
    most = min(MAX_BYTES, max(FREE_BYTES, MAX_RATIO * size))
    total, largest = _unpacked(file.metadata, columns, rows, table)
    _check_bytes(total, most, table)
    total = 0
    for batch in file.iter_batches(max(1, min(_ROWS, _BATCH // max(1, largest))), columns=columns):
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            total += _size(column)
            _check_bytes(total, most, table)
            yield name, _values(column, name, table)


def _size(column: Any) -> int:
    """How many bytes the values have, one that occurs many times as often as it occurs."""
    import pyarrow
    from pyarrow import compute

    if isinstance(column, pyarrow.DictionaryArray):
        try:
            lengths = compute.binary_length(column.dictionary).take(column.indices)
        except pyarrow.ArrowNotImplementedError:  # numbers
            return int(column.nbytes)
        return int(column.indices.nbytes + (compute.sum(lengths).as_py() or 0))
    if isinstance(column, pyarrow.StructArray):
        return sum(map(_size, column.flatten()))
    inner = isinstance(column, pyarrow.ListArray | pyarrow.LargeListArray | pyarrow.FixedSizeListArray)
    return _size(column.flatten()) if inner else int(column.nbytes)


def _unpacked(metadata: Any, columns: list[str], rows: int, table: Path) -> tuple[int, int]:
    """How many bytes the pages of the columns take, unpacked, and the most of one page, so of one value, too."""
    total = largest = packed = 0
    with table.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        for i in range(metadata.num_row_groups):
            group = metadata.row_group(i)
            for chunk in map(group.column, range(group.num_columns)):
                path = chunk.path_in_schema
                if any(path == name or path.startswith(f"{name}.") for name in columns):
                    _check_rows(chunk.num_values, rows, table)  # more than rows where a cell is a list
                    packed += chunk.total_compressed_size
                    if packed > len(content):  # a footer may name the same pages in thousands of row groups
                        raise Damaged("its columns overlap")
                    for size in unpacked_sizes(content, chunk):
                        total += size
                        largest = max(largest, size)
    return total, largest


def _values(column: Any, name: str, table: Path) -> list[Any]:
    """The values as Python has them. Raises `DataError` for text that is not UTF-8, and dates that no calendar has."""
    found: list[Any]
    try:
        found = column.to_pylist()
    except (ValueError, OverflowError, LookupError, ImportError) as error:
        why = str(error)[:200].rstrip(".")
        raise DataError(
            f"{table}: the column '{name[:100]}' ({str(column.type)[:100]}) has a value that cannot be read: {why}; "
            "write it as text in UTF-8."
        ) from None
    return found


def _check_rows(n: int, most: int, table: Path) -> None:
    if n > most:
        raise DataError(f"{table} has {n:,} rows or values, over {most:,}: split it, or remove duplicate rows.")


def _check_bytes(n: int, most: int, table: Path) -> None:
    if n > most:
        raise DataError(
            f"The contents of {table} take over {most / 2**20:,.0f} MiB: save its pictures as files and give a table "
            "of their paths."
        )


def _classes(metadata: dict[bytes, bytes]) -> dict[str, list[str]]:
    """Column -> class names by position, where the metadata of `datasets` name them."""
    from headstart import documents

    try:
        features = documents.parse(metadata[b"huggingface"])["info"]["features"]
        return {
            str(column): [str(name) for name in about["names"]]
            for column, about in features.items()
            if isinstance(about, dict) and about.get("_type") == "ClassLabel"
        }
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}
