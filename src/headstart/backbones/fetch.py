"""Networks to take along: weights and sidecars in one folder, for a machine without a network (docs/offline.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from headstart import outputs, records, tensors
from headstart.backbones.backbone import as_pytorch
from headstart.backbones.names import PAGES, pasted
from headstart.backbones.resolution import resolve
from headstart.paths import expanded

SUMS = "SHA256SUMS"


@dataclass(frozen=True)
class Fetched:
    """A network in the folder: the name that `backbone` takes, its weights file, and their licence."""

    name: str
    file: Path
    sha256: str
    licence: str


def fetch(
    names: Sequence[str], folder: Path | str, tell: Callable[[Fetched], None] = lambda _: None
) -> tuple[Fetched, ...]:
    """Download networks and write each as `NAME.safetensors` with `NAME.json`, and the checksums of all in SHA256SUMS.

    `resolve(NAME, folder)` finds them there. `tell` is called for each when it is written. Raises as `resolve` does.
    """
    place = expanded(folder)
    outputs.check_own(place)
    outputs.make(place)
    found = []
    for name in dict.fromkeys(map(pasted, names)):
        backbone = as_pytorch(resolve(name))
        file = backbone.save(place, stem(name, backbone.architecture))
        known = name if name.startswith(PAGES) else backbone.architecture.partition(":")[2]
        found.append(Fetched(known, file, tensors.sha256(file), backbone.weights.licence))
        tell(found[-1])
    sums = {each.file: each.sha256 for each in found}
    files = sorted(place.glob("*.safetensors"))  # with those of earlier calls
    lines = (f"{sums.get(file) or tensors.sha256(file)}  {file.name}\n" for file in files)
    records.write_text(place / SUMS, "".join(lines))
    return tuple(found)


def stem(name: str, architecture: str) -> str:
    """What the files of a network are called: by its architecture, or by its model page."""
    return (name if name.startswith(PAGES) else architecture.partition(":")[2]).replace("\\", "/").rpartition("/")[2]
