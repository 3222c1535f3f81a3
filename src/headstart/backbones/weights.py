"""Which weights a network has, and where they lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from headstart.errors import WeightsError

Kind = Literal["imagenet", "file", "none", "tuned"]


@dataclass(frozen=True)
class Weights:
    """Which weights: `kwargs` and `num_classes` build the architecture they fit (None: the library's own number).

    `sha256` is of the file; for `imagenet` of the file that `Backbone.save` writes. `seed` counts for `none` alone.
    `before` are the weights that these were resampled from, made for pictures of another (height, width), `made_for`:
    see `resizing`.
    """

    kind: Kind
    path: Path | None = None
    sha256: str | None = None
    seed: int = 0
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    num_classes: int | None = None
    licence: str = "unknown"
    before: Weights | None = None
    made_for: tuple[int, int] | None = None


def weights_path(weights: Weights) -> Path:
    """The file of weights of kind `file`, which must still be there. Raises WeightsError."""
    if weights.path is None or not weights.path.is_file():
        raise WeightsError(f"The weights file {weights.path} no longer exists.")
    return weights.path
