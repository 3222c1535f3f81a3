"""Rows of float32 in one format, written and gathered: rates, bytes on disk, seconds to open.

Formats: `npy` (mapped), `hdf5` (chunks of 256 rows), `parquet` (lists of fixed size, groups of 1,024 rows), `lance`.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from common import arguments, tell

asked = arguments(format="npy", rows=50_000, width=1280, gather=5_000, place="")
BLOCK = 5_000


def blocks() -> Iterator[np.ndarray]:
    """The rows, a block at a time; the same numbers in every block but for a shift."""
    block = np.random.default_rng(0).standard_normal((BLOCK, asked.width), dtype=np.float32)
    for start in range(0, asked.rows, BLOCK):
        yield block[: min(BLOCK, asked.rows - start)] + np.float32(start)


def table(block: np.ndarray) -> Any:
    import pyarrow as pa

    return pa.table({"row": pa.FixedSizeListArray.from_arrays(pa.array(block.reshape(-1)), asked.width)})


def npy(place: Path) -> tuple[Callable[[], None], Callable[[], Any], Callable[[Any, np.ndarray], Any]]:
    def write() -> None:
        file = np.lib.format.open_memmap(place / "rows.npy", "w+", np.float32, (asked.rows, asked.width))
        at = 0
        for block in blocks():
            file[at : at + len(block)] = block
            at += len(block)
        file.flush()

    def opened() -> Any:
        return np.load(place / "rows.npy", mmap_mode="r", allow_pickle=False)

    return write, opened, lambda opened, index: opened[index]


def hdf5(place: Path) -> tuple[Callable[[], None], Callable[[], Any], Callable[[Any, np.ndarray], Any]]:
    import h5py

    def write() -> None:
        with h5py.File(place / "rows.h5", "w") as file:
            data = file.create_dataset(
                "rows", (asked.rows, asked.width), "f4", chunks=(min(256, asked.rows), asked.width)
            )
            at = 0
            for block in blocks():
                data[at : at + len(block)] = block
                at += len(block)

    return write, lambda: h5py.File(place / "rows.h5")["rows"], lambda opened, index: opened[np.sort(index)]


def parquet(place: Path) -> tuple[Callable[[], None], Callable[[], Any], Callable[[Any, np.ndarray], Any]]:
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    def write() -> None:
        with pq.ParquetWriter(
            place / "rows.parquet",
            table(np.zeros((1, asked.width), np.float32)).schema,
            compression="none",
            use_dictionary=False,
        ) as file:
            for block in blocks():
                file.write_table(table(block), row_group_size=1024)

    return write, lambda: ds.dataset(place / "rows.parquet"), lambda opened, index: opened.take(np.sort(index))


def lance(place: Path) -> tuple[Callable[[], None], Callable[[], Any], Callable[[Any, np.ndarray], Any]]:
    import lance as library

    def write() -> None:
        schema = table(np.zeros((1, asked.width), np.float32)).schema
        found = (batch for block in blocks() for batch in table(block).to_batches())
        library.write_dataset(found, str(place / "rows.lance"), schema=schema)

    return (
        write,
        lambda: library.dataset(str(place / "rows.lance")),
        lambda opened, index: opened.take(np.sort(index).tolist()),
    )


with tempfile.TemporaryDirectory(dir=asked.place or None) as folder:
    write, opened, gather = {"npy": npy, "hdf5": hdf5, "parquet": parquet, "lance": lance}[asked.format](Path(folder))
    begun = time.perf_counter()
    write()
    write_s = time.perf_counter() - begun
    size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    begun = time.perf_counter()
    data = opened()
    open_s = time.perf_counter() - begun
    index = np.random.default_rng(1).choice(asked.rows, min(asked.gather, asked.rows), replace=False)
    begun = time.perf_counter()
    rows = gather(data, index)
    gather_s = time.perf_counter() - begun
    assert len(rows) == len(index)
tell(write=asked.rows / write_s, gather=len(index) / gather_s, open_s=open_s, bytes=size)
