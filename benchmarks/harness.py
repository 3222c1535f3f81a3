"""What the speed benchmarks share: other programs in environments of their own, runs by turns, and results on disk.

A peer is a script of `peers/` that runs in an environment made for it, and prints one line of JSON last. Whatever is
compared runs by turns in one session, so that other work on the machine slows all alike; a figure is the median.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from headstart.paths import cache_dir

HERE = Path(__file__).parent
OURS = Path(__file__).parents[1] / "src"


def results_dir() -> Path:
    """Where each benchmark leaves its result for `report.py`."""
    return cache_dir() / "benchmarks" / "results"


def same(*names: str) -> list[str]:
    """Requirements for the versions that this environment has."""
    return [f"{name}=={version(name)}" for name in names]


def environment(name: str, packages: Sequence[str], overrides: Sequence[str] = ()) -> Path:
    """The Python of an environment with these packages, made by uv the first time."""
    folder = cache_dir() / "benchmarks" / "environments" / name
    python, made = folder / "bin" / "python", folder / "made.json"
    wanted = json.dumps([*packages, *overrides])
    if made.is_file() and made.read_text() == wanted:
        return python
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if uv is None:
        raise SystemExit("The peers are installed by uv, which is not there: pip install uv.")
    print(f"making the environment {name}: {', '.join(packages)}", flush=True)
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True)
    (folder / "overrides.txt").write_text("\n".join(overrides))
    command = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python]
    command += ["--overrides", folder / "overrides.txt"] if overrides else []
    subprocess.run([*command, *packages], check=True)
    made.write_text(wanted)
    return python


def surroundings(threads: int, *, ours: bool = False) -> dict[str, str]:
    """The environment variables of a run: so many threads, and modules compiled once as an installation has them."""
    found = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")}
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
        found[name] = str(threads)
    found["PYTHONPYCACHEPREFIX"] = str(cache_dir() / "benchmarks" / "bytecode")
    found |= {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    if ours:
        found["PYTHONPATH"] = str(OURS)
    return found


def told(python: Path, script: str, arguments: Mapping[str, Any], threads: int) -> dict[str, Any]:
    """What a peer prints, and `wall_s` of its whole process."""
    command = [str(python), str(HERE / "peers" / script), *(f"--{k}={v}" for k, v in arguments.items())]
    begun = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=surroundings(threads), check=False)
    if done.returncode:
        raise RuntimeError(f"{script} failed: {done.stderr.strip()[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found | {"wall_s": time.perf_counter() - begun}


def command(*arguments: str, threads: int, cache: Path) -> tuple[float, str]:
    """Wall seconds of a `headstart` command in a fresh process, and what it printed."""
    code = "import sys; from headstart.cli import main; sys.argv[0] = 'headstart'; main()"
    env = surroundings(threads, ours=True) | {"HEADSTART_CACHE": str(cache)}
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=env, check=False
    )
    if done.returncode:
        raise RuntimeError(f"headstart {' '.join(arguments)} failed: {done.stderr.strip()[-2000:]}")
    return time.perf_counter() - begun, done.stdout


@dataclass
class Row:
    """One line of a table: what was measured, its values in a unit, and the ratio to the line it is compared with."""

    what: str
    values: list[float]
    unit: str
    ratios: list[float] = field(default_factory=list)
    note: str = ""

    @property
    def middle(self) -> float:
        """The median."""
        return statistics.median(self.values)

    @property
    def ratio(self) -> float | None:
        """The median of the ratios of each round."""
        return statistics.median(self.ratios) if self.ratios else None


@dataclass
class Result:
    """What a benchmark found: `tables` by title, `floors` as sentences with whether they hold, and what to know."""

    name: str
    title: str
    tables: dict[str, list[Row]]
    ratio_is: str
    floors: list[tuple[str, bool]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    charted: str = ""
    """The table whose ratios the plot shows, if any."""

    def keep(self) -> None:
        """Print it, and write it where `report.py` finds it."""
        for title, rows in self.tables.items():
            print(f"\n{title}")
            for row in rows:
                spread = f"{min(row.values):,.4g} to {max(row.values):,.4g}"
                ratio = (
                    ""
                    if row.ratio is None
                    else f"  ratio {row.ratio:.2f} ({min(row.ratios):.2f} to {max(row.ratios):.2f})"
                )
                print(f"  {row.what:46} {row.middle:>10,.4g} {row.unit} ({spread}){ratio}  {row.note}")
        for told, holds in self.floors:
            print(f"{'holds ' if holds else 'MISSED'}: {told}")
        for note in self.notes:
            print(f"Note: {note}")
        results_dir().mkdir(parents=True, exist_ok=True)
        options = (Path(each).name if Path(each).exists() else each for each in sys.argv[1:])
        content = asdict(self) | {"date": time.strftime("%Y-%m-%d"), "machine": machine()}
        content["command"] = " ".join(["python", f"benchmarks/{self.name}.py", *options])
        (results_dir() / f"{self.name}.json").write_text(json.dumps(content, indent=1))


def by_turns(ways: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Values of each way, measured by turns."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds):
        for name, way in ways.items():
            found[name].append(way())
            print(f"  round {turn + 1}: {name}: {found[name][-1]:,.4g}", flush=True)
    return found


def rows_of(
    found: Mapping[str, list[float]],
    unit: str,
    ours: str,
    notes: Mapping[str, str] | None = None,
    *,
    rates: bool = False,
) -> list[Row]:
    """A line for each way; the ratio says how many times as fast `ours` was in the same round."""
    own, lines = found[ours], []
    for what, values in found.items():
        ratios = [(a / b if rates else b / a) for a, b in zip(own, values, strict=False)] if what != ours else []
        lines.append(Row(what, values, unit, ratios, (notes or {}).get(what, "")))
    return lines


def machine() -> str:
    """The kind of machine, in words."""
    model, flags = platform.processor() or platform.machine(), ""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        text = info.read_text()
        model = next((line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name")), model)
        words = set(next((line for line in text.splitlines() if line.startswith("flags")), "").split())
        known = {"avx2": "AVX2", "avx512f": "AVX-512", "avx512_vnni": "VNNI", "avx_vnni": "VNNI", "amx_int8": "AMX"}
        flags = ", ".join(dict.fromkeys(known[word] for word in known if word in words))
    return f"{os.cpu_count()} cores of {model}" + (f" ({flags})" if flags else "")
