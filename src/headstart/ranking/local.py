"""Backbones whose weights are here: in the package, in a folder of weights files, in the libraries' caches."""

from __future__ import annotations

import os
from pathlib import Path

from headstart.backbones import sidecar
from headstart.backbones.checkpoint import FORMATS
from headstart.backbones.from_embedded import FOLDER, NAMES
from headstart.backbones.spelling import Spelled
from headstart.errors import UserError, WeightsError
from headstart.paths import expanded, weights_folder


def local_backbones(folder: Path | None) -> list[Spelled]:
    """All of them. Nothing is downloaded. Raises UserError.

    `folder` holds weights files with sidecars; without one, the folder that HEADSTART_WEIGHTS names does.
    """
    folder = weights_folder() if folder is None else folder
    own = [name for name in NAMES if (FOLDER / f"{name}.safetensors").is_file()]
    return [*map(_own, own), *(in_folder(folder) if folder else []), *in_caches()]


def in_folder(folder: Path) -> list[Spelled]:
    """The weights files (those of `FORMATS`, and .onnx) directly in a folder that have a sidecar beside them."""
    if not folder.is_dir():
        raise UserError(f"weights_folder={folder}: there is no such folder.")
    files = sorted(path for path in folder.resolve().iterdir() if path.name.lower().endswith((*FORMATS, ".onnx")))
    return [_file(path) for path in files if sidecar.beside(path)]


def _file(path: Path) -> Spelled:
    if path.suffix.lower() == ".onnx":
        return _own(str(path))
    try:
        name = sidecar.read(path.with_suffix(".json"), path).architecture
    except WeightsError:
        name = path.stem  # resolving it says what is wrong
    return {"name": name, "weights": str(path), "layer": "auto"}


def in_caches() -> list[Spelled]:
    """Networks of timm in Hugging Face's cache, and those of torchvision whose file is in torch's."""
    return [*map(_own, _of_timm()), *map(_own, _of_torchvision())]


def _of_timm() -> list[str]:
    from huggingface_hub import constants

    found = Path(constants.HF_HUB_CACHE).glob("models--timm--*")
    whole = [folder for folder in found if any(any(folder.glob(f"snapshots/*/{name}")) for name in _WEIGHTS)]
    return sorted(f"timm:{folder.name.removeprefix('models--timm--')}" for folder in whole)


_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def _of_torchvision() -> list[str]:
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "torch"
    folder = expanded(home) / "hub" / "checkpoints"
    stored = {path.name for path in folder.glob("*.pth")}
    if not stored:
        return []
    from torchvision import models

    names = models.list_models(module=models)
    urls = {name: models.get_model_weights(name).DEFAULT.url for name in names}
    return [f"torchvision:{name}" for name, url in urls.items() if url.rpartition("/")[2] in stored]


def _own(name: str) -> Spelled:
    return {"name": name, "weights": "pretrained", "layer": "auto"}
