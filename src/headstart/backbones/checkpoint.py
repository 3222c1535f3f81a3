"""Weights files into networks, exactly: every name, every shape, only finite values, no pickle code."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart import tensors
from headstart.backbones import bounds, memory
from headstart.backbones.adopt import grouped
from headstart.backbones.plain_pickle import is_plain
from headstart.errors import WeightsError
from headstart.phrases import plural

if TYPE_CHECKING:
    import torch
    from torch import nn

KERAS = (".h5", ".keras")
"""Read by `keras.load`."""
LARGEST = 1e15
"""Of a weight: far beyond any that was trained, and what it is multiplied with stays finite in float32."""
FORMATS = (".safetensors", ".pth", ".pt", ".ckpt", ".pth.tar", *KERAS)
"""Ends of names."""
DEEPEST = 6
"""Tables within tables that are looked into."""
READING = "import sys; from headstart.backbones.checkpoint import try_out; try_out(sys.argv[1])"
SECONDS = 3
"""That reading what torch saved may take, beside a second for each 10 MB."""
SHOWN = 3
"""How many names a message lists."""


def read(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a weights file under their names in it, those of nested tables joined by dots (`model.fc.bias`).

    Raises WeightsError.
    """
    return _safetensors(path) if path.suffix.lower() == ".safetensors" else _torch_file(path)


def _safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        return tensors.state(path)
    except ValueError as error:
        raise WeightsError(f"{path} cannot be read as safetensors: {str(error).rstrip('.')}.") from error


def _torch_file(path: Path) -> dict[str, torch.Tensor]:
    """What torch saved: a state dict, or the table that a training script puts it in.

    A few bytes may stand for gigabytes of zeros, so a process of its own reads a file the first time, unless its pickle
    is plainly that of a state dict (decision 51).
    """
    _check_zip(path)
    if not is_plain(path):
        _read_elsewhere(path)
    return _state(path)


def _read_elsewhere(path: Path) -> None:
    """Raise WeightsError unless a process of its own could read what torch saved, now or before."""
    question = ["torch", tensors.sha256(path)]
    if memory.recall(question) is not None:
        return
    if subprocess.run([sys.executable, "-P", "-c", READING, str(path)], capture_output=True).returncode:
        raise WeightsError(
            f"{path} cannot be read as plain weights: that takes more memory or time than its size explains, or "
            "PyTorch crashes on it."
        )
    memory.remember(question, {"read": True})


def try_out(path: str) -> None:
    """Read what torch saved with little more memory and time than the file has bytes; exits with 1 for want of them.

    What is refused in a sentence is so as well when it is read again.
    """
    import torch  # noqa: F401  # its own memory does not count

    size = Path(path).stat().st_size
    bounds.bound(size, SECONDS + size // 10**7)
    try:
        _state(Path(path))
    except WeightsError as error:
        if isinstance(error.__cause__, MemoryError) or "can't allocate" in str(error.__cause__):
            sys.exit(1)


def _state(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of what torch saved, read with weights_only."""
    import argparse

    import torch

    try:
        # timm's trainer keeps its arguments in a Namespace: plain data
        with torch.serialization.safe_globals([argparse.Namespace]):
            found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling a foreign file can fail in any way
        raise WeightsError(
            f"{path} cannot be read as plain weights, and code in files is never run: save the state_dict, preferably "
            "as .safetensors."
        ) from error
    state = {}
    for number, (name, value) in enumerate(_flat(found)):
        if number >= tensors.MAX_TENSORS or len(name) > tensors.MAX_NAME:
            raise WeightsError(
                f"{path} holds more than {tensors.MAX_TENSORS:,} entries, or names of over {tensors.MAX_NAME:,} "
                "characters: that is not a weights file."
            )
        if value is not None:
            if value.numel() * value.element_size() > value.untyped_storage().nbytes():
                raise WeightsError(f"{path}: the tensor {name} is larger than its content; the file is damaged.")
            state[name] = value
    if not state:
        raise WeightsError(f"{path} holds no state_dict (a table of tensors).")
    return state


def _check_zip(path: Path) -> None:
    """Raise WeightsError for a zip that torch did not write: its parts would take more memory than the file."""
    if not zipfile.is_zipfile(path):
        return  # torch's older format, whose tensors are as long as they are in the file
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise WeightsError(f"{path} cannot be read as a weights file: its zip archive is damaged.") from error
    if any(part.compress_type for part in parts) or sum(part.file_size for part in parts) > path.stat().st_size:
        raise WeightsError(
            f"{path} is compressed, but torch never saves compressed files: unpack it, or save it again."
        )


def _flat(table: Any, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, torch.Tensor | None]]:
    """(name, tensor) of a table and the tables in it, but for the state of an optimiser; None of what is no tensor."""
    import torch

    if not isinstance(table, Mapping) or depth > DEEPEST:
        return
    for key, value in table.items():
        name = f"{prefix}{key}"
        yield name, value.detach() if isinstance(value, torch.Tensor) else None
        if not str(key).startswith("optim"):
            yield from _flat(value, f"{name}.", depth + 1)


def fill(network: nn.Module, state: Mapping[str, torch.Tensor], path: Path) -> None:
    """Load `state` into `network`, half precision widened to float32.

    Names and shapes must match exactly and every value be finite; only `num_batches_tracked` may lack. Raises
    WeightsError that names the first that differ, and how many there are in which blocks.
    """
    own = network.state_dict()
    missing = [k for k in own if k not in state and not k.endswith("num_batches_tracked")]
    unexpected = [k for k in state if k not in own]
    shapes = [
        f"{k} {dimensions(state[k].shape)} instead of {dimensions(own[k].shape)}"
        for k in own
        if k in state and state[k].shape != own[k].shape
    ]
    kinds = [
        f"{k} {state[k].dtype} instead of {own[k].dtype}"
        for k in own
        if k in state and state[k].is_floating_point() != own[k].is_floating_point()
    ]
    differences = [
        f"{_count(names, kind)}: {', '.join(names[:SHOWN])}{_more(names)}"
        for kind, names in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("with another shape", shapes),
            ("of another kind", kinds),
        )
        if names
    ]
    if differences:
        raise WeightsError(f"{path} does not fit this architecture: {'; '.join(differences)}.")
    network.load_state_dict({name: _sound(value, name, path) for name, value in state.items()}, strict=False)


def _sound(value: torch.Tensor, name: str, path: Path) -> torch.Tensor:
    if not value.is_floating_point():
        return value.contiguous()
    value = value.float()
    if not bool((value.abs() <= LARGEST).all()):  # NaN is not either
        raise WeightsError(
            f"{path}: the tensor {name} holds values that are not finite, or beyond {LARGEST:g}; the file is damaged."
        )
    return value.contiguous()


def classifier_path(network: nn.Module) -> str:
    """The module path of the classifier's last layer: what timm says, else the last Linear, else the last Conv2d."""
    from torch import nn

    named = getattr(network, "pretrained_cfg", {}).get("classifier")
    if named:
        return str(named if isinstance(named, str) else named[0])
    layers = [
        (name, type(module))
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d) and not name.lower().startswith("aux")
    ]
    linear = [name for name, kind in layers if issubclass(kind, nn.Linear)]
    return str(linear[-1] if linear else layers[-1][0])


def classes_in(state: Mapping[str, torch.Tensor], network: nn.Module) -> int:
    """How many classes the classifier of a weights file has, 0 when the file has none."""
    name = f"{classifier_path(network)}.weight"
    weight = state.get(name)
    if weight is None:
        return 0
    if not weight.ndim or not weight.numel():
        raise WeightsError(f"The weights of the classifier, {name}, are empty: {dimensions(weight.shape)}.")
    return int(weight.shape[0])


def _more(names: list[str]) -> str:
    """How many there are in which blocks, where not all are named."""
    return f", … ({grouped(names)})" if len(names) > SHOWN else ""


def _count(names: list[str], kind: str) -> str:
    return f"{plural(len(names), 'tensor')} {kind}"


def dimensions(shape: tuple[int, ...]) -> str:
    """`64x3x7x7`; `scalar` of a single number."""
    return "x".join(map(str, shape)) or "scalar"
