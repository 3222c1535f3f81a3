"""What is in a Keras weights file. Run as a script, in a process of its own: a damaged file may hang or crash HDF5.

    python -P hdf5.py FILE SECONDS [values] -> a line of JSON; with `values` all arrays follow, as float32

The line is {"layers": [[name, kind, [shape, ...]], ...]} or {"wrong": clause}. Three layouts, all HDF5: `layer_names`
and `weight_names` (Keras 1 and 2, and `model.save("x.h5")` of Keras 3); `layers/CLASS_NUMBER/vars/NUMBER`
(`save_weights("x.weights.h5")`); and that one within the zip file `x.keras`. The files may come from strangers: no
link is followed, no other file opened, no code run, and time and memory are bounded. It imports nothing of Headstart.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import stat
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, takewhile
from pathlib import Path, PurePosixPath
from typing import IO, Any

import h5py
import numpy as np

MAX_LAYERS = 5_000
MAX_NAME = 1_000
MAX_VALUES = 1 << 28
"""Of all arrays together: VGG19, the largest, has 1.4e8."""
MAX_FILE = 4 << 30
"""Bytes of the weights within a `.keras` file, which may hold an optimiser's state of twice their size."""
MAX_RATIO = 20
"""Keras does not compress, and weights hardly can be."""
MEMORY = 160 << 20
"""Bytes beside the interpreter and its libraries. Arrays are read in blocks of `BLOCK`."""
BLOCK = 16 << 20
PLAIN_FILTERS = {"gzip", "lzf", None}
INNER = "model.weights.h5"
PARENTS = ("layers", "_layer_checkpoint_dependencies")
"""Where Keras 3, and the last versions of Keras 2, put the layers of a model."""
Layer = tuple[str, str, list[Any]]
"""Name, class in snake case where the file says it, and datasets in Keras's order."""


class Unusable(Exception):
    """One clause that says what is wrong with a file."""


def main(path: Path, seconds: float, values: bool, out: IO[bytes]) -> None:
    """Say what is in a file, or what is wrong with it."""
    limit(seconds)
    try:
        with opened(path) as raw, h5py.File(raw, "r") as file:
            layers = layers_in(file, _size(raw))
            listed = [[name, kind, [list(array.shape) for array in arrays]] for name, kind, arrays in layers]
            out.write(json.dumps({"layers": listed}).encode() + b"\n")
            for array in (a for _, _, arrays in layers if values for a in arrays):
                _write(array, out)
            out.flush()
    except Unusable as error:
        _refuse(out, str(error))
    except MemoryError:
        _refuse(out, "reading it takes too much memory")
    except Exception:  # what h5py and zipfile raise has no common base
        _refuse(out, "it is damaged, or of another format")


def _refuse(out: IO[bytes], clause: str) -> None:
    out.seek(0)
    out.truncate()
    out.write(json.dumps({"wrong": clause}).encode() + b"\n")
    out.flush()


def limit(seconds: float) -> None:
    """End this process after that much work of its processor, or when it needs much memory, where the system can."""
    if sys.platform == "win32":
        return
    import resource

    signal.setitimer(signal.ITIMER_PROF, seconds)  # its signal ends a process, in the midst of C code too
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    statm = Path("/proc/self/statm")
    if statm.is_file():
        most = int(statm.read_text().split()[0]) * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The HDF5 file itself; that of a `.keras` file is unpacked into a temporary file that has no name."""
    if path.suffix.lower() != ".keras":
        with path.open("rb") as file:
            yield file
        return
    with zipfile.ZipFile(path) as archive, tempfile.TemporaryFile() as unpacked:
        with archive.open(_member(archive)) as packed:  # gives no more bytes than the table says
            shutil.copyfileobj(packed, unpacked)
        unpacked.seek(0)
        yield unpacked


def _member(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """The member with the weights, in an archive that has nothing in it that Keras does not write."""
    for info in archive.infolist():
        name = PurePosixPath(info.filename.replace("\\", "/"))
        if name.is_absolute() or ".." in name.parts or ":" in info.filename:
            raise Unusable(f"its member {info.filename[:MAX_NAME]!r} points out of the archive")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise Unusable(f"its member {info.filename[:MAX_NAME]!r} is a link")
    found = [info for info in archive.infolist() if info.filename == INNER]
    if len(found) != 1:
        raise Unusable(f"it holds {len(found)} members {INNER}, not one")
    if found[0].flag_bits & 1:
        raise Unusable(f"its {INNER} is encrypted")
    if found[0].file_size > min(MAX_FILE, MAX_RATIO * found[0].compress_size):
        raise Unusable(f"its {INNER} would expand from {found[0].compress_size:,} to {found[0].file_size:,} bytes")
    return found[0]


def layers_in(file: Any, size: int) -> list[Layer]:
    """The layers with weights of an HDF5 file of `size` bytes, in its order. Raises Unusable."""
    root = _child(file, "model_weights") if "model_weights" in file else file
    layers = [layer for layer in (_listed(root) if _has_names(root, "layer_names") else _numbered(root)) if layer[2]]
    arrays = [array for _, _, found in layers for array in found]
    values, stored = sum(array.size for array in arrays), sum(array.nbytes for array in arrays)
    if values > MAX_VALUES:
        raise Unusable(f"it holds {values:,} values, over the limit of {MAX_VALUES:,}")
    if stored > MAX_RATIO * size:
        raise Unusable(f"its {size:,} bytes would expand to {stored:,}")
    return layers


def _listed(root: Any) -> Iterator[Layer]:
    """The layout with `layer_names`."""
    for name in _names(root, "layer_names"):
        group = _child(root, name)
        yield name, "", [_array(group, w) for w in _names(group, "weight_names")]


def _numbered(root: Any) -> Iterator[Layer]:
    """The layout of Keras 3. The number in a group's name counts the layers of its class, from none and `_1` on."""
    parent = next((p for p in PARENTS if p in root), None)
    if parent is None:
        raise Unusable("it has no layer_names and no group 'layers'")
    group = _child(root, parent)
    for key in _keys(group):
        layer = _child(group, key)
        if any(p in layer for p in PARENTS):
            raise Unusable(f"it holds a model within the model ({key}): save the inner model by itself")
        if "vars" in layer:
            variables = _child(layer, "vars")
            arrays = [_array(variables, n) for n in _keys(variables)]
            yield _text(variables.attrs.get("name", "")), _natural(key)[0], arrays


def _keys(group: Any) -> list[str]:
    if len(group) > MAX_LAYERS:
        raise Unusable(f"its group {group.name} holds {len(group):,} entries, over the limit of {MAX_LAYERS:,}")
    return sorted(group, key=_natural)


def _natural(key: str) -> tuple[str, int]:
    """`conv2d_10` -> (`conv2d`, 10), `conv2d` -> (`conv2d`, 0), `12` -> ('', 12): sorts by number."""
    matched = re.fullmatch(r"(.*?)_?(\d+)", key) if re.search(r"(_|^)\d{1,9}$", key) else None
    return (matched[1], int(matched[2])) if matched else (key, 0)


def _has_names(group: Any, key: str) -> bool:
    return key in group.attrs or f"{key}0" in group.attrs


def _names(group: Any, key: str) -> list[str]:
    """An attribute that lists names; one too long for HDF5 is cut into `key0`, `key1`, ..."""
    if not _has_names(group, key):
        raise Unusable(f"its group {group.name} has no {key}")
    cut = takewhile(group.attrs.__contains__, (f"{key}{i}" for i in count()))
    found: list[str] = []
    for part in [key] if key in group.attrs else cut:
        entries = group.attrs.get_id(part).shape
        if entries is None or len(entries) != 1 or len(found) + entries[0] > MAX_LAYERS:
            raise Unusable(f"its {key} is not a list, or has more than {MAX_LAYERS:,} entries")
        found += [_text(name) for name in group.attrs[part]]
    return found


def _text(value: Any) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    if len(text) > MAX_NAME:
        raise Unusable(f"it holds a name of {len(text):,} characters")
    return text


def _child(group: Any, path: str) -> Any:
    """What lies at a path below a group, by plain links alone."""
    for part in PurePosixPath(path).parts:
        if part in ("/", ".."):
            raise Unusable(f"the path {path!r} leads out of its group")
        link = group.get(part, getlink=True) if isinstance(group, h5py.Group) else None
        if not isinstance(link, h5py.HardLink):
            raise Unusable(f"{path!r} is missing or is a link")
        group = group[part]
    return group


def _array(group: Any, path: str) -> Any:
    """A dataset of floating-point numbers that lies in this file."""
    found = _child(group, path)
    if not isinstance(found, h5py.Dataset) or found.is_virtual or found.external:
        raise Unusable(f"{path!r} is not an array in this file")
    if found.dtype.kind != "f":
        raise Unusable(f"{path!r} has values of type {found.dtype}, not floating-point numbers")
    if found.compression not in PLAIN_FILTERS:
        raise Unusable(f"{path!r} is compressed with {found.compression}")
    if not found.size:
        raise Unusable(f"{path!r} has the shape {found.shape}, so it holds no values")
    return found


def _write(array: Any, out: IO[bytes]) -> None:
    """The values of a dataset, in blocks of rows."""
    if not array.shape:
        out.write(np.asarray(array[()], dtype="<f4").tobytes())
        return
    step = max(1, BLOCK // (array.nbytes // len(array)))
    for start in range(0, len(array), step):
        out.write(np.asarray(array[start : start + step], dtype="<f4").tobytes())


def _size(file: IO[bytes]) -> int:
    size = file.seek(0, 2)
    file.seek(0)
    return size


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:] == ["values"], sys.stdout.buffer)
