"""The state of a training on disk: one safetensors file, replaced in one step. Imports torch.

Tensors are named `model/...`, `optimiser/...`, `average/...` and `best/...`; everything else is JSON in the file's
metadata. A file that was written half cannot be seen: it gets its name only when it is whole.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from headstart.errors import BundleError, UserError
from headstart.outputs import refusal
from headstart.shared import replacing

NAME = "checkpoint.safetensors"
VERSION = 1
MAX_HEADER = 64 << 20
"""It holds the history of the training beside what describes the tensors."""


@dataclass
class Keeper:
    """Keeps the state of one training in a `folder` of its own: at the end of epochs, and every `every_s` seconds.

    Epochs that end within `spare_s` seconds of a save are not worth one. `identity` says what is trained: a state of
    another training is refused.
    """

    folder: Path
    identity: str
    every_s: float = 30.0
    spare_s: float = 1.0
    _last: float = field(default_factory=time.monotonic)

    @property
    def file(self) -> Path:
        """Where the state is."""
        return self.folder / NAME

    def due(self, epoch_ended: bool = False) -> bool:
        """Whether it is time to save; the first epoch's end always is."""
        if epoch_ended and not self.file.is_file():
            return True
        return time.monotonic() - self._last >= (self.spare_s if epoch_ended else self.every_s)

    def save(self, tensors: Mapping[str, torch.Tensor], numbers: Mapping[str, Any]) -> None:
        """Replace the state. Raises UserError when the disk does not take it."""
        from safetensors.torch import save_file

        metadata = {
            "headstart": json.dumps({"version": VERSION, "identity": self.identity, "numbers": numbers}),
        }
        try:
            with replacing(self.file) as part:
                save_file({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, part, metadata)
        except Exception as error:
            why = refusal(error) if isinstance(error, OSError) else str(error)
            raise UserError(f"The checkpoint {self.file} cannot be written: {why}.") from error
        self._last = time.monotonic()

    def load(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
        """The saved state, or None when there is none. Raises UserError when it is of another training or damaged."""
        from headstart import tensors

        if not self.file.is_file():
            return None
        try:
            state = tensors.state(self.file, MAX_HEADER)
            about = dict(json.loads(tensors.metadata(self.file)["headstart"]))
        except (ValueError, KeyError, TypeError, RecursionError, OSError) as error:
            raise BundleError(f"The checkpoint {self.file} is damaged ({error}); delete it to start again.") from error
        if about.get("version") != VERSION or about.get("identity") != self.identity:
            raise UserError(
                f"The checkpoint {self.file} belongs to another training (other pictures, settings or versions): "
                "repeat its command with `resume`, or name another `out`."
            )
        return state, about["numbers"]

    def clear(self) -> None:
        """Delete the state and its folder, once the training has come to its end and its result is kept."""
        shutil.rmtree(self.folder, ignore_errors=True)
