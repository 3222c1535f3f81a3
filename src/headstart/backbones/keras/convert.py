"""Arrays as Keras lays them out into tensors as PyTorch does. Imports torch.

Keras has kernels as (height, width, in, out), those of depthwise convolutions as (height, width, in, 1), and dense
ones as (in, out); PyTorch has (out, in, height, width), (in, 1, height, width) and (out, in).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from headstart.backbones.checkpoint import dimensions
from headstart.backbones.keras.family import Entry
from headstart.backbones.keras.match import Matched
from headstart.backbones.keras.reader import StoredLayer, read
from headstart.errors import WeightsError

NORM = ("weight", "bias", "running_mean", "running_var")
Array = NDArray[np.float32]


def state(matched: Matched, own: Mapping[str, torch.Tensor], path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file under the names and in the shapes of the network's state `own`.

    Raises WeightsError that names the layer whose shape differs or whose values are not finite.
    """
    found: dict[str, torch.Tensor] = {}
    into: dict[str, Array] = {}
    for entry, layer in matched.pairs:
        arrays = _read(entry, layer, path)
        if entry.bias_into and len(arrays) == 2:
            into[f"{entry.bias_into}.running_mean"] = arrays.pop()
        for name, array in _tensors(entry, arrays, own):
            if name not in own or tuple(own[name].shape) != array.shape:
                expected = dimensions(own[name].shape) if name in own else "none"
                raise WeightsError(
                    f"{path}: the layer {layer.name or entry.name} does not fit: its {name.rpartition('.')[2]} is "
                    f"{dimensions(array.shape)} instead of {expected} (as PyTorch lays it out)."
                )
            found[name] = torch.from_numpy(np.ascontiguousarray(array))
    for name, bias in into.items():  # norm(x + b) with the mean m is norm(x) with the mean m - b
        found[name] = found[name] - torch.from_numpy(bias)
    return found


def _read(entry: Entry, layer: StoredLayer, path: Path) -> list[Array]:
    arrays = read(layer, path)
    dimensions = {"norm": 1, "dense": 2, "dense map": 2, "dense cell": 2}.get(entry.kind, 4)
    wrong = [a.ndim for a in arrays[: 2 if entry.kind == "separable" else 1] if a.ndim != dimensions]
    if wrong:
        name = layer.name or entry.name
        raise WeightsError(f"{path}: the layer {name} has an array of {wrong[0]} dimensions, not {dimensions}.")
    return arrays


def _tensors(entry: Entry, arrays: list[Array], own: Mapping[str, torch.Tensor]) -> Iterator[tuple[str, Array]]:
    """The name of each tensor in the network, and its values."""
    if entry.kind == "norm":
        gamma = [] if len(arrays) == 4 else [np.ones_like(arrays[0])]
        for name, array in zip(NORM, [*gamma, *arrays], strict=True):
            yield f"{entry.path}.{name}", array
    elif entry.kind == "separable":
        yield f"{entry.path}.conv1.weight", arrays[0].transpose(2, 3, 0, 1)
        yield f"{entry.path}.pointwise.weight", arrays[1].transpose(3, 2, 0, 1)
    else:
        name = f"{entry.path}.weight"
        yield name, _kernel(entry, arrays[0], tuple(own[name].shape))
        if len(arrays) == 2:
            yield f"{entry.path}.bias", arrays[1]


def _kernel(entry: Entry, kernel: Array, own: tuple[int, ...]) -> Array:
    if entry.kind == "depthwise":
        return kernel.transpose(2, 3, 0, 1)
    if entry.kind == "dense map" and kernel.size == np.prod(own):  # a map is flattened as (height, width, channel)
        return kernel.reshape(own[2], own[3], own[1], own[0]).transpose(3, 2, 0, 1)
    if entry.kind == "dense cell":
        return kernel.T[:, :, None, None]
    if kernel.ndim == 2:
        return kernel.T
    turned = kernel.transpose(3, 2, 0, 1)
    if entry.kind == "conv bgr":
        return turned[:, ::-1]
    return turned[:, :, 0, 0] if entry.kind == "conv classes" else turned
