"""A Parquet table, with paths or with pictures in it (`{bytes, path}`, as Hugging Face's `datasets` writes them)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from headstart.errors import DataError
from headstart.images.sources.cells import Columns

MAX_BYTES = 4 * 2**30
"""Pictures of one table; they are held in memory as they are encoded."""
_ROWS = 16  # read at a time, so that a column that lies about its size is found out early


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
            schema = file.schema_arrow
            columns = [name for name in schema.names if name in set(wanted)]
            values: dict[str, list[Any]] = {name: [] for name in schema.names}
            total = 0
            for batch in file.iter_batches(_ROWS, columns=columns):
                total += batch.nbytes
                if total > MAX_BYTES:
                    raise DataError(
                        f"The pictures in {table} take over {MAX_BYTES // 2**30} GiB: write them as files, and a table "
                        "of their paths."
                    )
                for name, found in batch.to_pydict().items():
                    values[name] += found
            numbers = range(1, file.metadata.num_rows + 1)
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(f"The table {table} cannot be read as Parquet: {str(error)[:200]}.") from None
    return Columns(values, tuple(numbers), classes=_classes(schema.metadata or {}))


def _classes(metadata: dict[bytes, bytes]) -> dict[str, list[str]]:
    """Column -> class names by position, where the metadata of `datasets` name them."""
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return {
            str(column): [str(name) for name in about["names"]]
            for column, about in features.items()
            if isinstance(about, dict) and about.get("_type") == "ClassLabel"
        }
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}
