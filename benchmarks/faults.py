"""What must hold when inputs are hostile or odd, disks fill up and processes die: one table, with zero failures.

    python benchmarks/faults.py [--scale 0.01] [--only bundles,weights]

Each file of `benchmarks/faults/` tries one kind and can be run alone. At `--scale 1` the numbers are those that a
release is measured with (hours); smaller scales draw fewer mutations, kills and rounds. Exit code 1 where something
failed.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).with_suffix("")
Row = tuple[str, int, int, str]


def rows(file: Path, scale: float) -> Iterator[Row]:
    """(what was tried, how many, how many failed, a note) of one kind."""
    spec = importlib.util.spec_from_file_location(f"faults_{file.stem}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield from module.rows(scale)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=0.01)
    parser.add_argument("--only", default="", help="kinds by the names of their files, separated by commas")
    asked = parser.parse_args()
    files = {file.stem: file for file in sorted(FOLDER.glob("*.py"))}
    unknown = sorted(set(filter(None, asked.only.split(","))) - set(files))
    if unknown:
        parser.error(f"unknown kinds: {', '.join(unknown)}; there are {', '.join(files)}")
    failures, started = 0, time.perf_counter()
    print(f"{'kind':10s} {'what was tried':64s} {'tried':>8s} {'failed':>7s}  note")
    for kind in asked.only.split(",") if asked.only else files:
        for what, tried, failed, note in rows(files[kind], asked.scale):
            failures += failed
            print(f"{kind:10s} {what:64s} {tried:8,d} {failed:7,d}  {note}", flush=True)
    print(f"{failures:,} failures; scale {asked.scale:g}, {time.perf_counter() - started:,.0f} s")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
