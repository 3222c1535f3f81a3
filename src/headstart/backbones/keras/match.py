"""The layers of a file against the table of a family: which is which, or one sentence that says what does not fit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headstart.backbones.keras.family import CLASSES, Entry, Family
from headstart.backbones.keras.reader import StoredLayer
from headstart.errors import WeightsError

MAX_CLASSES = 50_000
SHOWN = 3
"""How many names a message lists."""
NUMBERED = {
    "conv2d": re.compile(r"(?:conv2d|convolution2d)(?:_(\d+))?"),
    "batch_normalization": re.compile(r"(?:batch_?normalization)(?:_(\d+))?"),
}
"""Names that Keras gives itself: `conv2d_7` (Keras 1: `convolution2d_7`)."""
ARRAYS = {"depthwise": (1,), "separable": (2,), "norm": (4,), "conv": (1, 2), "conv bgr": (1, 2)}
"""How many arrays a layer of a kind has; the others have two, a kernel and a bias."""


@dataclass(frozen=True)
class Matched:
    """The entries of the table with their layers; `classes` is 0 for a file without the top."""

    pairs: tuple[tuple[Entry, StoredLayer], ...]
    classes: int


def match_layers(family: Family, layers: Sequence[StoredLayer], path: Path) -> Matched:
    """Every layer of the file has its entry, and every entry its layer, but for the top. Raises WeightsError."""
    named = _named(family, layers, path)
    has_top = any(name in named for entry in family.top for name in (entry.name, *entry.others))
    pairs, missing = [], []
    for entry in family.body + (family.top if has_top else ()):
        name = next((n for n in (entry.name, *entry.others) if n in named), None)
        if name is None:
            missing.append(_shown(entry))
        else:
            pairs.append((entry, named.pop(name)))
    if missing or named:
        parts = [("lacks", missing), ("holds the unknown", [layer.name for layer in named.values()])]
        clauses = [f"{verb} {_list(names)}" for verb, names in parts if names]
        raise WeightsError(f"{path} does not hold weights of {family.name}: it {' and '.join(clauses)}.")
    for entry, layer in pairs:
        _check(family, entry, layer, path)
    classes = int((0, *pairs[-1][1].arrays[0].shape)[-1]) if has_top else 0
    if classes > MAX_CLASSES:
        raise WeightsError(f"{path} has a top of {classes:,} classes, over the limit of {MAX_CLASSES:,}.")
    return Matched(tuple(pairs), classes)


def _named(family: Family, layers: Sequence[StoredLayer], path: Path) -> dict[str, StoredLayer]:
    """The layers by the names of the table. Those that Keras numbers itself are counted, from the least number on."""
    if layers and not any(layer.name for layer in layers):
        return _by_order(family, layers, path)
    found = {layer.name: layer for layer in layers}
    for stem, pattern in NUMBERED.items():
        if any(entry.name == f"{stem}#0" for entry in family.body):
            numbered = [(int(m[1] or 0), name) for name in found if (m := pattern.fullmatch(name))]
            for i, (_, name) in enumerate(sorted(numbered)):
                found[f"{stem}#{i}"] = found.pop(name)
    return found


def _by_order(family: Family, layers: Sequence[StoredLayer], path: Path) -> dict[str, StoredLayer]:
    """A file of Keras 3 may tell layers by class and number alone: the order in the model."""
    if not family.ordered:
        raise WeightsError(
            f"{path} has no layer names, so {family.name} cannot be read from it: load it in Keras and save it "
            "again as .h5."
        )
    named: dict[str, StoredLayer] = {}
    for kind in dict.fromkeys(CLASSES.values()):
        entries = [entry for entry in family.body + family.top if CLASSES[entry.kind] == kind]
        stored = [layer for layer in layers if layer.kind == kind]
        names = [entry.name for entry in entries] + [f"{kind} {i}" for i in range(len(entries), len(stored))]
        named |= dict(zip(names, stored, strict=False))
    unknown = [layer for layer in layers if layer.kind not in CLASSES.values()]
    return named | {layer.kind: layer for layer in unknown}


def _check(family: Family, entry: Entry, layer: StoredLayer, path: Path) -> None:
    expected = ARRAYS.get(entry.kind, (2,))
    if entry.kind == "norm" and not family.scaled:
        expected = (3,)
    if len(layer.arrays) not in expected:
        counts = " or ".join(map(str, expected))
        raise WeightsError(
            f"{path}: the layer {layer.name or entry.name} has {len(layer.arrays)} arrays, not {counts}."
        )


def _shown(entry: Entry) -> str:
    stem, mark, number = entry.name.partition("#")
    return f"{stem} number {int(number) + 1}" if mark else entry.name


def _list(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"layer{'s' if len(names) > 1 else ''} {', '.join(names[:SHOWN])}{more}"
