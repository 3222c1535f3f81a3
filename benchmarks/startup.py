"""How long a fresh process takes: help, import, the first prediction, a fit on stored features; and on what.

    python benchmarks/startup.py DATA --weights mobilenetv2_100.safetensors [--quick] [--rounds 5]

Everything runs once before it is measured, so that modules are compiled and the network is converted, as after the
first command of an installation.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from harness import Result, by_turns, command, rows_of, surroundings

HELP, IMPORT, NEW, KNOWN, FIT = (
    "headstart --help", "import headstart", "predict one new picture", "predict one stored picture",
    "fit on stored features, with its report",
)  # fmt: skip
FLOORS = {HELP: 0.16, IMPORT: 0.04, NEW: 0.8, FIT: 2.0}


def picture(source: Path, folder: Path, number: int) -> Path:
    """A JPEG that no store knows: a copy with a few bytes behind its end."""
    new = folder / f"{number}.jpg"
    new.write_bytes(source.read_bytes() + number.to_bytes(8, "big"))
    return new


def importing(code: str, threads: int) -> float:
    """Seconds of a Python that runs `code`."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, env=surroundings(threads, ours=True))
    return time.perf_counter() - begun


def spent(arguments: list[str], threads: int, cache: Path) -> str:
    """Which packages a command imports, by their own milliseconds, the dearest first."""
    code = f"import sys; sys.argv = {['headstart', *arguments]!r}; from headstart.cli import _main; _main(sys.argv[1:])"
    env = surroundings(threads, ours=True) | {"HEADSTART_CACHE": str(cache)}
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], check=True, env=env, capture_output=True, text=True
    )
    own: Counter[str] = Counter()
    for line in done.stderr.splitlines():
        fields = line.removeprefix("import time:").split("|")
        if len(fields) == 3 and fields[0].strip().isdigit():
            own[fields[2].strip().split(".")[0]] += int(fields[0])
    total = sum(own.values())
    return f"{total / 1000:.0f} ms of imports: " + ", ".join(
        f"{name} {us / 1000:.0f}" for name, us in own.most_common(8)
    )


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--quick", action="store_true", help="three rounds")
    parser.add_argument("--limit", type=int, default=4000)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    asked = parser.parse_args()
    one = next(path for path in sorted((asked.data / "test").rglob("*.jpg")))
    numbers = iter(range(1, 10_000))
    with tempfile.TemporaryDirectory() as place:
        folder, cache, threads = Path(place), Path(place) / "cache", asked.threads
        fitting = ["fit", str(asked.data.resolve()), "--backbone", "mobilenetv2_100"]
        fitting += ["--weights", str(asked.weights.resolve()), "--limit", str(asked.limit)]
        run = str(folder / "run")

        def fit() -> float:
            return command(*fitting, "--out", str(folder / f"run{next(numbers)}"), threads=threads, cache=cache)[0]

        def predict(path: Path) -> float:
            return command("predict", run, str(path), threads=threads, cache=cache)[0]

        command(*fitting, "--out", run, threads=threads, cache=cache)
        predict(picture(one, folder, next(numbers)))
        ways = {
            HELP: lambda: command("--help", threads=threads, cache=cache)[0],
            IMPORT: lambda: max(1e-3, importing("import headstart", threads) - importing("pass", threads)),
            NEW: lambda: predict(picture(one, folder, next(numbers))),
            KNOWN: lambda: predict(one),
            FIT: fit,
        }
        for way in ways.values():
            way()
        found = by_turns(ways, asked.rounds or (3 if asked.quick else 5))
        new = str(picture(one, folder, next(numbers)))
        notes = [
            f"{NEW}: {spent(['predict', run, new], threads, cache)}.",
            f"{FIT}: {spent([*fitting, '--out', str(folder / 'last')], threads, cache)}.",
        ]
    rows = rows_of(found, "s", HELP)
    for row in rows:
        row.ratios = []
    floors = [
        (f"{row.what}: {FLOORS[row.what]:g} s: {row.middle:.2f} s", row.middle <= FLOORS[row.what])
        for row in rows
        if row.what in FLOORS
    ]
    Result("startup", "Start-up", {"Seconds in a fresh process": rows}, "", floors, notes).keep()


if __name__ == "__main__":
    main()
