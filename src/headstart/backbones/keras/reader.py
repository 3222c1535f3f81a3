"""The layers of a Keras weights file, without Keras: names and arrays, none of which is read before it is asked for.

Three layouts, all HDF5: `layer_names` and `weight_names` (Keras 1 and 2, and `model.save("x.h5")` of Keras 3);
`layers/CLASS_NUMBER/vars/NUMBER` (`save_weights("x.weights.h5")`); and that one within the zip file `x.keras`.
The files may come from strangers: no link is followed, no other file opened, no code run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.backbones.keras.archive import Unusable, explained, opened

MAX_LAYERS = 5_000
MAX_VALUES = 1 << 28
"""Of all arrays together: VGG19, the largest, has 1.4e8."""
PARENTS = ("layers", "_layer_checkpoint_dependencies")
"""Where Keras 3, and the last versions of Keras 2, put the layers of a model."""


@dataclass(frozen=True)
class StoredLayer:
    """`arrays` are h5py datasets in Keras's order; `kind` is the class in snake case where the file says it.

    `name` is '' in files that tell layers by class and number alone; those come in the order of the model.
    """

    name: str
    kind: str
    arrays: tuple[Any, ...]


@contextmanager
def stored_layers(path: Path) -> Iterator[list[StoredLayer]]:
    """The layers with weights of a file, in its order; `read` takes their values within the context.

    Raises WeightsError.
    """
    import h5py

    with ExitStack() as stack:
        with explained(path):
            raw = stack.enter_context(opened(path))
            layers = _layers(stack.enter_context(h5py.File(raw, "r")))
        yield layers


def read(layer: StoredLayer, path: Path) -> list[NDArray[np.float32]]:
    """The values of a layer. Raises WeightsError when they cannot be read or are not finite."""
    with explained(path):
        arrays = [np.asarray(array[...], dtype=np.float32) for array in layer.arrays]
        if not all(np.isfinite(array).all() for array in arrays):
            raise Unusable(f"its layer {layer.name or layer.kind} holds values that are not finite")
        return arrays


def _layers(file: Any) -> list[StoredLayer]:
    root = _child(file, "model_weights") if "model_weights" in file else file
    layers = _listed(root) if _has_names(root, "layer_names") else _numbered(root)
    values = sum(array.size for layer in layers for array in layer.arrays)
    if values > MAX_VALUES:
        raise Unusable(f"it holds {values:,} values, over the limit of {MAX_VALUES:,}")
    return [layer for layer in layers if layer.arrays]


def _listed(root: Any) -> list[StoredLayer]:
    """The layout with `layer_names`."""
    found = []
    for name in _names(root, "layer_names"):
        group = _child(root, name)
        found.append(StoredLayer(name, "", tuple(_array(group, w) for w in _names(group, "weight_names"))))
    return found


def _numbered(root: Any) -> list[StoredLayer]:
    """The layout of Keras 3. The number in a group's name counts the layers of its class, from none and `_1` on."""
    parent = next((p for p in PARENTS if p in root), None)
    if parent is None:
        raise Unusable("it has no layer_names and no group 'layers'")
    group, found = _child(root, parent), []
    if len(group) > MAX_LAYERS:
        raise Unusable(f"it holds {len(group):,} layers, over the limit of {MAX_LAYERS:,}")
    for key in sorted(group, key=_natural):
        layer = _child(group, key)
        if any(p in layer for p in PARENTS):
            raise Unusable(f"it holds a model within the model ({key}): save the inner model by itself")
        if "vars" in layer:
            variables = _child(layer, "vars")
            arrays = tuple(_array(variables, n) for n in sorted(variables, key=_natural))
            found.append(StoredLayer(_text(variables.attrs.get("name", "")), _natural(key)[0], arrays))
    return found


def _natural(key: str) -> tuple[str, int]:
    """`conv2d_10` -> (`conv2d`, 10), `conv2d` -> (`conv2d`, 0), `12` -> ('', 12): sorts by number."""
    matched = re.fullmatch(r"(.*?)_?(\d+)", key) if re.search(r"(_|^)\d+$", key) else None
    return (matched[1], int(matched[2])) if matched else (key, 0)


def _has_names(group: Any, key: str) -> bool:
    return key in group.attrs or f"{key}0" in group.attrs


def _names(group: Any, key: str) -> list[str]:
    """An attribute that lists names; one too long for HDF5 is cut into `key0`, `key1`, ..."""
    if not _has_names(group, key):
        raise Unusable(f"its group {group.name} has no {key}")
    cut = takewhile(group.attrs.__contains__, (f"{key}{i}" for i in count()))
    parts = [key] if key in group.attrs else cut
    found = [_text(name) for part in parts for name in group.attrs[part]]
    if len(found) > MAX_LAYERS:
        raise Unusable(f"its {key} has {len(found):,} entries, over the limit of {MAX_LAYERS:,}")
    return found


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _child(group: Any, path: str) -> Any:
    """What lies at a path below a group, by plain links alone."""
    import h5py

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
    import h5py

    found = _child(group, path)
    if not isinstance(found, h5py.Dataset) or found.is_virtual or found.external:
        raise Unusable(f"{path!r} is no array in this file")
    if found.dtype.kind != "f":
        raise Unusable(f"{path!r} has values of type {found.dtype}, not floating-point numbers")
    return found
