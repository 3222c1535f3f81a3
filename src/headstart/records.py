"""The files of a run folder, each written whole or not at all.

recipe.toml  split.csv  history.csv  scores.json  predictions.csv  refused.csv  environment.json  bundle/  report.html
"""

from __future__ import annotations

import csv
import io
import json
import os
import platform
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.errors import UserError

PACKAGES = (
    "headstart", "torch", "torchvision", "timm", "openvino", "scikit-learn", "scipy", "numpy", "pillow", "lmdb",
    "safetensors",
)  # fmt: skip
MANY_CLASSES = 20
"""Up to this many classes predictions.csv has a column of probabilities for each."""


def claim(folder: Path) -> Path:
    """The run folder, new or an earlier run's to write anew; it is made when the first file is written.

    Raises UserError when it holds something that is not a run, so that nothing of the user's is overwritten.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--out {folder} is a file; name a folder.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "recipe.toml").is_file():
        raise UserError(f"--out {folder} holds other files and no run; name a new folder or an earlier run's.")
    return folder


def unused(folder: Path) -> Path:
    """The folder, or the first of folder-2, folder-3, ... that does not exist: a run without --out replaces none."""
    found, number = folder, 1
    while found.exists():
        number += 1
        found = folder.with_name(f"{folder.name}-{number}")
    return found


def make(folder: Path) -> None:
    """Create a folder and its parents; raises UserError when the disk does not allow it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"The folder {folder} cannot be made ({error.strerror}); name another with --out.") from error


def write_text(path: Path, text: str) -> None:
    """Replace a file in one step; a reader sees the old content or the new, never a part."""
    part = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    part.write_text(text, encoding="utf-8", newline="")
    part.replace(path)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON; a number that JSON cannot hold is an error, not `NaN`."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table with a header line."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_text(path, out.getvalue())


def write_history(path: Path, history: Sequence[Mapping[str, float]]) -> None:
    """One line a step; the columns are the keys of all rows in the order they first appear."""
    columns = list(dict.fromkeys(key for row in history for key in row))
    write_csv(path, columns, ([row.get(c, "") for c in columns] for row in history))


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


def environment() -> dict[str, Any]:
    """What the run ran on: versions, platform, processor."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "headstart": found.pop("headstart", "unknown"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _processor(),
        "cores": os.cpu_count(),
        "packages": found,
    }


def peak_memory_mb() -> float:
    """The largest resident memory so far of this process, or of one that it started and that ended, in MB (10^6 bytes)."""
    if sys.platform == "win32":
        return 0.0
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
    own = _high_water() or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return max(own, children) / 1e6


def _high_water() -> int:
    """Bytes by Linux's own count, 0 elsewhere: what `getrusage` says includes the process that started this one."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
