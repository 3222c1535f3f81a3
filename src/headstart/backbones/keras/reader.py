"""The layers of a Keras weights file, without Keras: read by `hdf5`, in a process of its own.

HDF5 is a large library of C that damaged files can hang, crash or fill the memory with. What it does is bounded from
without: by processor time for the size of the file, and by memory.
"""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from headstart.errors import WeightsError

SCRIPT = Path(__file__).with_name("hdf5.py")
SECONDS = 1.0
BYTES_PER_SECOND = 20e6
"""The slowest that a sound file may be, beyond the first `SECONDS`; gzip gives about 100e6."""
TOO_LONG = "reading it takes too long for its size, as damaged files do"
DAMAGED = "it is damaged, or of another format"


@dataclass(frozen=True)
class StoredArray:
    """An array whose values were not asked for."""

    shape: tuple[int, ...]


@dataclass(frozen=True)
class StoredLayer:
    """`arrays` are `StoredArray`, or float32 arrays on disk, in Keras's order; `kind` is the class in snake case where
    the file says it.

    `name` is '' in files that tell layers by class and number alone; those come in the order of the model.
    """

    name: str
    kind: str
    arrays: tuple[Any, ...]


@contextmanager
def stored_layers(path: Path, values: bool = False) -> Iterator[list[StoredLayer]]:
    """The layers with weights of a file, in its order; with `values`, `read` takes them within the context.

    Raises WeightsError.
    """
    with tempfile.TemporaryFile() as file:
        listed = _asked(path, values, file)
        offset, layers = file.tell(), []
        for name, kind, shapes in listed:
            arrays: list[Any] = []
            for shape in map(tuple, shapes):
                if values:
                    arrays.append(np.memmap(file, "<f4", "r", offset, shape))
                    offset += 4 * math.prod(shape)
                else:
                    arrays.append(StoredArray(shape))
            layers.append(StoredLayer(name, kind, tuple(arrays)))
        yield layers


def read(layer: StoredLayer, path: Path) -> list[NDArray[np.float32]]:
    """The values of a layer. Raises WeightsError when they are not finite."""
    arrays = [np.array(array, dtype=np.float32) for array in layer.arrays]
    if not all(np.isfinite(array).all() for array in arrays):
        raise _unusable(path, f"its layer {layer.name or layer.kind} holds values that are not finite")
    return arrays


def _asked(path: Path, values: bool, file: IO[bytes]) -> list[Any]:
    """What the process says of the layers; their values follow in `file` where it then stands."""
    seconds = SECONDS + path.stat().st_size / BYTES_PER_SECOND
    arguments = [sys.executable, "-P", str(SCRIPT), str(path), str(seconds), *(["values"] if values else [])]
    try:
        done = subprocess.run(
            arguments, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.DEVNULL, timeout=20 + 10 * seconds,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise _unusable(path, TOO_LONG) from None
    file.seek(0)
    line = file.readline()
    said = json.loads(line) if line.endswith(b"\n") else {}
    if done.returncode == 0 and "layers" in said:
        return list(said["layers"])
    late = sys.platform != "win32" and done.returncode == -signal.SIGPROF
    raise _unusable(path, TOO_LONG if late else said.get("wrong", DAMAGED))


def _unusable(path: Path, clause: str) -> WeightsError:
    return WeightsError(f"{path} cannot be used as a Keras weights file: {clause}.")
