"""The JSON file beside a weights file: what it is, what it expects, whose it is, and its checksum.

    {"architecture": "timm:mobilenetv2_100", "kwargs": {"pad_type": "same"}, "num_classes": 1000,
     "preprocess": {"size": [224, 224], "mean": [...], "std": [...], "interpolation": "bilinear", "crop_pct": 0.875,
                    "color": "RGB", "range": "0..1"},
     "license": "Apache-2.0", "origin": "...", "sha256": "..."}

`kwargs` go to the architecture, those of `arguments` alone; `num_classes` 0 is without a classifier; `fixed_size`
(optional) says that the network takes no other size.

ONNX files have `inputs` and `outputs`: name -> shape, a word for a size that is free.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from headstart import documents, records, tensors
from headstart.backbones import arguments
from headstart.errors import UserError, WeightsError
from headstart.preprocess import Preprocess

MAX_BYTES = 1 << 20
Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Sidecar:
    """A sidecar that was read and whose checksum holds. `None` in a shape is a free size."""

    architecture: str
    preprocess: Preprocess
    sha256: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    num_classes: int | None = None
    licence: str = "unknown"
    fixed_size: tuple[int, int] | None = None
    inputs: Mapping[str, Shape] = field(default_factory=dict)
    outputs: Mapping[str, Shape] = field(default_factory=dict)


def beside(weights: Path) -> Path | None:
    """The sidecar of a weights file: same stem, `.json`; None when there is none."""
    path = weights.with_suffix(".json")
    return path if path.is_file() else None


def read(path: Path, weights: Path) -> Sidecar:
    """Read a sidecar and check the weights file against its sha256. Raises WeightsError with one sentence."""
    try:
        found = _parse(documents.read(path, MAX_BYTES))
    except (ValueError, UserError, OSError) as error:
        raise WeightsError(f"The sidecar {path} cannot be used: {str(error).rstrip('.')}.") from error
    actual = tensors.sha256(weights)
    if actual != found.sha256:
        raise WeightsError(
            f"{weights} is not the file its sidecar describes: its sha256 is {actual[:16]}…, the sidecar {path.name} "
            f"says {documents.shown(found.sha256[:16])}…; fetch the file again, or correct the sidecar."
        )
    return found


def architecture(path: Path) -> str:
    """What a sidecar says that its weights are of, before anything is checked. Raises WeightsError."""
    try:
        found = documents.read(path, MAX_BYTES)
    except (ValueError, OSError) as error:
        raise WeightsError(f"The sidecar {path} cannot be used: {str(error).rstrip('.')}.") from error
    return str(found.get("architecture", "")) if isinstance(found, dict) else ""


_Side = Annotated[int, Field(ge=1, le=4096)]
_Shapes = dict[str, Annotated[list[Annotated[int, Field(ge=1, lt=1 << 31)] | str], Field(max_length=8)]]


class _Schema(documents.Strict):
    """The keys that are used; a sidecar may have more, such as `origin`."""

    model_config = ConfigDict(extra="ignore")

    architecture: Annotated[str, Field(max_length=300, pattern=r"^\P{C}+$")]
    given: Annotated[dict[str, Any] | None, Field(alias="kwargs")] = None
    num_classes: Annotated[int, Field(ge=0, le=arguments.MAX_CLASSES)] | None = None
    preprocess: dict[str, Any]
    sha256: Annotated[str, Field(max_length=300)]
    license: Annotated[str, Field(max_length=10_000)] = "unknown"
    fixed_size: Annotated[list[_Side], Field(min_length=2, max_length=2)] | None = None
    inputs: _Shapes | None = None
    outputs: _Shapes | None = None


def _parse(values: Any) -> Sidecar:
    found = documents.checked(_Schema, values)
    kwargs = dict(found.given or {})
    channels = kwargs.get("in_chans")
    if (type(channels) is int and channels == 1) or found.preprocess.get("color") == "L":
        raise ValueError(
            "one channel is not supported, only three (color RGB, in_chans 3); grey pictures fill all three, see `grey`"
        )
    arguments.check(found.architecture, kwargs)
    return Sidecar(
        architecture=found.architecture,
        preprocess=Preprocess.from_dict(found.preprocess),
        sha256=found.sha256.lower(),
        kwargs=kwargs,
        num_classes=found.num_classes,
        licence=found.license,
        fixed_size=(found.fixed_size[0], found.fixed_size[1]) if found.fixed_size else None,
        inputs=_shapes(found.inputs or {}),
        outputs=_shapes(found.outputs or {}),
    )


def _shapes(values: Mapping[str, list[int | str]]) -> dict[str, Shape]:
    return {name: tuple(size if isinstance(size, int) else None for size in shape) for name, shape in values.items()}


def write(found: Sidecar, file: Path) -> None:
    """Write a sidecar beside its weights file; `read` gives it back."""
    values: dict[str, Any] = {
        "architecture": found.architecture,
        "kwargs": dict(found.kwargs),
        "num_classes": found.num_classes,
        "preprocess": found.preprocess.to_dict(),
        "license": found.licence,
        "sha256": found.sha256,
    }
    if found.fixed_size:
        values["fixed_size"] = list(found.fixed_size)
    for key, shapes in (("inputs", found.inputs), ("outputs", found.outputs)):
        if shapes:
            values[key] = {n: ["any" if side is None else side for side in shape] for n, shape in shapes.items()}
    records.write_json(file.with_suffix(".json"), values)
