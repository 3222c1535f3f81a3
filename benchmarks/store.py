"""The feature store against other formats: write and gather rates, size on disk, time to open.

    python benchmarks/store.py [--rows 1000000] [--width 1280] [--quick] [--rounds 3]

Rows are simulated. Every format is written from blocks and then asked for rows in random order; the store is given and
asked for one row at a time, under a content's digest and with a checksum, which no other has. Then one space of every
two is dropped by a limit, and what rows deleted from a space give back to compaction is told.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import lmdb
import numpy as np

from harness import Result, Row, environment, rows_of, same, told
from headstart.features import room
from headstart.features.store import FeatureStore, space_id

OURS = "Headstart (LMDB, checksums)"
FORMATS = {".npy, mapped": "npy", "HDF5": "hdf5", "Parquet": "parquet", "Lance": "lance"}
MEASURES = {
    "write": "rows/s written",
    "gather": "rows/s gathered in random order",
    "open_s": "s to open",
    "bytes": "GB on disk",
}
BLOCK = 5_000
SPACE = {"format": 1, "backbone": "simulated"}


def key(i: int) -> bytes:
    """Like a digest: its order is not that of the rows."""
    return np.random.default_rng(i).bytes(16)


def ours(rows: int, width: int, gather: int, place: str | None) -> dict[str, float]:
    """The store's figures."""
    block = np.random.default_rng(0).standard_normal((BLOCK, width), dtype=np.float32)
    keys = [key(i) for i in range(rows)]
    with tempfile.TemporaryDirectory(dir=place) as folder:
        root = Path(folder)
        begun = time.perf_counter()
        with FeatureStore.open(root, SPACE) as store:
            for start in range(0, rows, BLOCK):
                shifted = block[: min(BLOCK, rows - start)] + np.float32(start)
                for i, row in enumerate(shifted):
                    store.put(keys[start + i], row)
                store.flush()  # as an extraction does not outrun its engine
        write_s = time.perf_counter() - begun
        size = room.size_of(root / space_id(SPACE))
        index = np.random.default_rng(1).choice(rows, min(gather, rows), replace=False)
        begun = time.perf_counter()
        with FeatureStore.open(root, SPACE) as store:
            open_s = time.perf_counter() - begun
            begun = time.perf_counter()
            for i in index:
                assert store.get(keys[i]) is not None
            gather_s = time.perf_counter() - begun
    return {"write": rows / write_s, "gather": len(index) / gather_s, "open_s": open_s, "bytes": float(size)}


def upkeep(width: int, place: str | None) -> str:
    """What a limit and compaction do, in a sentence."""
    rows = np.random.default_rng(0).standard_normal((2_000, width), dtype=np.float32)
    with tempfile.TemporaryDirectory(dir=place) as folder:
        root = Path(folder)
        spaces = [{**SPACE, "layer": str(i)} for i in range(4)]
        for space in spaces:
            with FeatureStore.open(root, space) as store:
                for i, row in enumerate(rows):
                    store.put(key(i), row)
        room.set_limit(root, 5 * room.size_of(root / space_id(spaces[0])) // 2)
        begun = time.perf_counter()
        gone = room.keep_to_limit(root)
        dropped_s = time.perf_counter() - begun
        env = lmdb.open(str(root / space_id(spaces[3])), map_size=1 << 36, lib_version=0)
        with env.begin(write=True) as txn:
            for i in range(1_000):
                txn.delete(key(i))
        env.close()
        before, begun = room.size_of(root / space_id(spaces[3])), time.perf_counter()
        freed = room.compact(root)
        compact_s = time.perf_counter() - begun
    return (
        f"With a limit of two and a half spaces, {len(gone)} out of 4 were dropped in {1000 * dropped_s:.0f} ms. "
        f"Compacting a space of {before / 1e6:.0f} MB after half of its rows were deleted freed {freed / 1e6:.0f} MB "
        f"in {compact_s:.2f} s."
    )


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--gather", type=int, default=5_000)
    parser.add_argument("--quick", action="store_true", help="50,000 rows")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--place", help="a folder on the disk to be measured")
    asked = parser.parse_args()
    rows = asked.rows or (50_000 if asked.quick else 1_000_000)
    place = asked.place
    needed = 3 * rows * asked.width * 4
    if shutil.disk_usage(place or tempfile.gettempdir()).free < needed:
        raise SystemExit(f"{rows:,} rows need {needed / 1e9:.0f} GB of free disk; give --rows or --place.")
    python = environment("store", ["h5py", "pyarrow", "pylance", *same("numpy")])
    given = {"rows": rows, "width": asked.width, "gather": asked.gather, "place": place or ""}
    ways: dict[str, Callable[[], dict[str, float]]] = {OURS: lambda: ours(rows, asked.width, asked.gather, place)}
    for name, kind in FORMATS.items():
        ways[name] = lambda k=kind: told(python, "stores.py", {**given, "format": k}, os.cpu_count() or 1)  # type: ignore[misc]
    found: dict[str, dict[str, list[float]]] = {measure: {name: [] for name in ways} for measure in MEASURES}
    for turn in range(asked.rounds):
        for name, way in ways.items():
            figures = way()
            for measure in MEASURES:
                found[measure][name].append(figures[measure] / (1e9 if measure == "bytes" else 1))
            print(f"  round {turn + 1}: {name}: {figures['write']:,.0f} rows/s written", flush=True)
    tables: dict[str, list[Row]] = {}
    for measure, unit in MEASURES.items():
        tables[unit] = rows_of(found[measure], unit.split()[0], OURS, rates=measure in ("write", "gather"))
    title = f"The store: {rows:,} rows of {asked.width:,}"
    Result("store", title, tables, "how many times as good Headstart is", notes=[
        "In LMDB, a row of 1,280 float32 numbers takes two pages of 4,096 bytes and a little more: 8.2 kB for 5.1 kB "
        "of data.",
        "Rows are gathered from the page cache of the operating system; HDF5, Parquet and Lance are asked for sorted "
        "rows, all in one call.",
        upkeep(asked.width, place),
    ]).keep()  # fmt: skip


if __name__ == "__main__":
    main()
