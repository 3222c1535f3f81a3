"""The files of a run folder, each written whole or not at all.

recipe.toml  split.csv  history.csv  scores.json  predictions.csv  fitted_on.csv  refused.csv  environment.json  bundle/
report.html
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart import shared

_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
"""How a cell begins that a spreadsheet would take for a formula, after any number of apostrophes."""
REFUSED = "refused.csv"
MANY_CLASSES = 20
"""Up to this many classes predictions.csv has a column of probabilities for each."""


def write_text(path: Path, text: str) -> None:
    """Replace a file in one step; a reader sees the old content or the new, never a part."""
    with shared.replacing(path) as part:
        part.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")  # half a character, in JSON too


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON; a number that JSON cannot hold is an error, not `NaN`."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table with a header line, as a spreadsheet needs it (decision 25); `read_csv` gives the cells back.

    A text that a spreadsheet would take for a formula gets an apostrophe before it; a table that is not all ASCII
    begins with a byte order mark. With HEADSTART_CSV=plain neither is written.
    """
    plain = os.environ.get("HEADSTART_CSV") == "plain"
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    quoted = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in itertools.chain([columns], rows):
        cells = list(row if plain else map(_as_text, row))
        returns = any(isinstance(cell, str) and "\r" in cell for cell in cells)  # to csv no reason to quote
        (quoted if returns else writer).writerow(cells)
    text = out.getvalue()
    write_text(path, text if plain or text.isascii() else f"\ufeff{text}")


def cell(value: Any) -> Any:
    """A value of JSON as a cell of a table."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return "; ".join(value)
    return f"{value:.6g}" if isinstance(value, float) else "" if value is None else value


def read_csv(path: Path, errors: str = "strict") -> Iterator[list[str]]:
    """The rows of a table that `write_csv` wrote, the header first. Raises OSError, and ValueError for what is none."""
    with path.open(newline="", encoding="utf-8-sig", errors=errors) as file:
        rows = csv.reader(file)
        try:
            for row in rows:
                yield list(map(as_written, row))
        except csv.Error as error:
            raise ValueError(f"line {rows.line_num}: {error}") from error


def as_written(cell: str) -> str:
    """A cell without the apostrophe that `write_csv` may have put before it."""
    return cell[1:] if cell[:1] == "'" and _FORMULA.match(cell) else cell


def _as_text(cell: Any) -> Any:
    if not isinstance(cell, str) or not _FORMULA.match(cell):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell  # -1.5 is a number


def write_parquet(path: Path, table: Any) -> None:
    """Write a table of pyarrow's."""
    import pyarrow.parquet as pq

    with shared.replacing(path) as part:
        pq.write_table(table, part)


def write_history(path: Path, history: Sequence[Mapping[str, float]]) -> None:
    """One line a step; the columns are the keys of all rows in the order they first appear."""
    columns = list(dict.fromkeys(key for row in history for key in row))
    write_csv(path, columns, ([row.get(c, "") for c in columns] for row in history))


def write_refused(folder: Path, refused: Iterable[Any]) -> Path:
    """List the pictures that were left out (objects with `name`, `reason`, `detail`); the path of the table."""
    write_csv(folder / REFUSED, ["name", "reason", "detail"], ((r.name, r.reason, r.detail) for r in refused))
    return folder / REFUSED


def prediction_columns(classes: Sequence[str]) -> list[str]:
    """The columns that say what was predicted: name of the class, confidence, and p:<class> for few classes."""
    return ["predicted", "confidence", *(f"p:{c}" for c in classes if len(classes) <= MANY_CLASSES)]


def prediction_cells(probabilities: NDArray[np.float64], classes: Sequence[str]) -> list[list[str]]:
    """(n, k) probabilities -> n lists of cells for `prediction_columns`."""
    best = probabilities.argmax(axis=1)
    many = len(classes) > MANY_CLASSES
    return [
        [classes[k], f"{row[k]:.6f}", *([] if many else (f"{p:.6f}" for p in row))]
        for k, row in zip(best, probabilities, strict=True)
    ]
