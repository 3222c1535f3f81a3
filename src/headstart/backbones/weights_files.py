"""Which file is meant by the weights that a user names: a file, or the one of a network in a folder of them."""

from __future__ import annotations

from pathlib import Path

from headstart.backbones import names, sidecar
from headstart.backbones.checkpoint import FORMATS
from headstart.errors import UnknownName, UserError, WeightsError
from headstart.paths import expanded

KINDS = ("pretrained", "imagenet", "none")


def weights_file_at(weights: str | Path) -> Path:
    """The weights file at a path. Raises WeightsError, UserError or UnknownName for what is none."""
    path = expanded(weights)
    if path.is_file() and path.name.lower().endswith(FORMATS):
        return path.resolve()
    if path.suffix.lower() == ".onnx":
        raise UserError(f"weights={path}: an ONNX file is a whole network; give it as backbone={path}.")
    if path.is_file():
        described = next(filter(Path.is_file, map(path.with_suffix, FORMATS)), None) if path.suffix == ".json" else None
        if described:
            raise WeightsError(f"weights={path} only describes weights; give {described.name}, which is next to it.")
        raise WeightsError(f"weights={path}: the formats of weights files are {', '.join(FORMATS)}.")
    if path.suffix or len(path.parts) > 1:
        raise WeightsError(f"weights={path}: there is no such file.")
    raise UnknownName("weights", str(weights), KINDS, hint=f"Or give a file: {', '.join(FORMATS)}.")


def weights_file_in(name: str, folder: str | Path) -> Path:
    """The weights of the network `name` in a folder of weights files with sidecars. Raises WeightsError."""
    place = expanded(folder).resolve()
    files = sorted(file for file in place.iterdir() if file.name.lower().endswith(FORMATS) and sidecar.beside(file))
    holds = {file: sidecar.architecture(file.with_suffix(".json")) for file in files}
    if name.startswith(names.PAGES):  # whose file has the page's own name
        bare = name.rpartition("/")[2]
        fitting = [file for file in files if file.stem == bare]
    else:
        fitting = [file for file in files if names.same(name, holds[file])]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        several = ", ".join(file.name for file in fitting)
        raise WeightsError(f"weights={folder} holds several files of {name}: {several}; give the file that you want.")
    held = ", ".join(sorted({each.partition(":")[2] for each in holds.values()})) or "no weights file with a sidecar"
    raise WeightsError(f"weights={folder} holds no weights of {name}; it holds {held}.")
