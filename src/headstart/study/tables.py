"""The tables of a study: one row a cell, one row an answer, one row an epoch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from headstart import records
from headstart.study.cells import Cell
from headstart.study.results import ArmResults
from headstart.study.subsets import Subsets

CELLS = (
    "arm", "size", "labelled", "repeat", "train", "val", "test", "accuracy", "log_loss", "fit_s", "features",
    "parameters", "chosen", "converged", "steps",
)  # fmt: skip
EPOCHS = (
    "arm", "size", "repeat", "epoch", "phase", "train_loss", "train_accuracy", "val_loss", "val_accuracy",
    "test_loss", "test_accuracy",
)  # fmt: skip


def write(folder: Path, drawn: Subsets, results: Sequence[ArmResults]) -> None:
    """Write study.csv, study.parquet, predictions.parquet and, where networks were trained, history.csv."""
    rows = _cells(drawn, results)
    records.write_csv(folder / "study.csv", CELLS, ([_shown(row[key]) for key in CELLS] for row in rows))
    records.write_parquet(folder / "study.parquet", pa.Table.from_pylist(rows, schema=_SCHEMA))
    records.write_parquet(folder / "predictions.parquet", _predictions(drawn, results))
    epochs = [
        [found.arm.name, cell.size, cell.repeat, *(row.get(key, "") for key in EPOCHS[3:])]
        for found in results
        for cell in _in_order(found, drawn)
        for row in cell.history
    ]
    if epochs:
        records.write_csv(folder / "history.csv", EPOCHS, epochs)


_SCHEMA = pa.schema(
    [
        ("arm", pa.string()), ("size", pa.string()), ("labelled", pa.int64()), ("repeat", pa.int64()),
        ("train", pa.int64()), ("val", pa.int64()), ("test", pa.int64()), ("accuracy", pa.float64()),
        ("log_loss", pa.float64()), ("fit_s", pa.float64()), ("features", pa.int64()), ("parameters", pa.int64()),
        ("chosen", pa.string()), ("converged", pa.bool_()), ("steps", pa.int64()),
    ]
)  # fmt: skip


def _in_order(found: ArmResults, drawn: Subsets) -> list[Cell]:
    """An arm's cells by size and repeat, not as they came to be done."""
    return [cell for size in drawn.sizes for cell in found.at(size)]


def _cells(drawn: Subsets, results: Sequence[ArmResults]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for found in results:
        for cell in _in_order(found, drawn):
            about = {"arm": found.arm.name, "labelled": cell.train + cell.val, "test": len(cell.predicted)}
            rows.append({key: about.get(key, getattr(cell, key, None)) for key in CELLS})
    return rows


def _predictions(drawn: Subsets, results: Sequence[ArmResults]) -> pa.Table:
    """One row for each arm, size, repeat and test picture; names and classes as dictionaries, which keeps it small."""
    names = pa.array([drawn.images.names[i] for i in drawn.test])
    classes = pa.array(list(drawn.images.classes))
    labels = drawn.images.labels[drawn.test]
    places = pa.array(range(len(drawn.test)), pa.int32())
    parts = []
    for found in results:
        for cell in _in_order(found, drawn):
            m = len(cell.predicted)
            columns = {
                "arm": pa.array([found.arm.name] * m).dictionary_encode(),
                "size": pa.array([cell.size] * m).dictionary_encode(),
                "repeat": pa.array([cell.repeat] * m, pa.int32()),
                "name": pa.DictionaryArray.from_arrays(places, names),
                "label": pa.DictionaryArray.from_arrays(pa.array(labels, pa.int32()), classes),
                "predicted": pa.DictionaryArray.from_arrays(pa.array(cell.predicted, pa.int32()), classes),
            }
            parts.append(pa.table(columns))
    return pa.concat_tables(parts).unify_dictionaries()


def _shown(value: object) -> object:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else value
