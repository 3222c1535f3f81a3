"""A bundle is a classifier on disk: safetensors and JSON, no pickle, no code, and everything it needs to predict.

    bundle/manifest.json         classes, temperature, averaging, head, layer, preprocessing; size and sha256 of files
    bundle/head.safetensors      the head's arrays
    bundle/backbone.safetensors  the backbone's weights, with backbone.json beside them (or backbone.onnx)
    bundle/seen.safetensors      digests of the pictures it has seen in fitting (see `seen`), where they were given

The manifest is written last, and the folder is moved into its place whole. Loading checks every file against it.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from headstart import seen as digests
from headstart import tensors
from headstart.augment import NO_VIEWS, Augment, Views
from headstart.classifier import Classifier
from headstart.engines import choose
from headstart.errors import BundleError, HeadstartError
from headstart.features.extract import FeatureSource
from headstart.heads import HEADS, Head
from headstart.paths import expanded
from headstart.preprocess import Preprocess

VERSION = 1


def save(classifier: Classifier, folder: Path, seen: digests.Digests | None = None) -> Path:
    """Write the bundle to `folder`, replacing what is there, and return the folder.

    `seen` (n, 16) are digests of the pictures that it was fitted on, so that `inference.evaluate` knows them again.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    folder = expanded(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    part.chmod(0o755)
    try:
        arrays = {k: np.ascontiguousarray(v) for k, v in classifier.head.to_arrays().items()}
        try:
            save_file(arrays, part / "head.safetensors")
        except SafetensorError as error:
            raise HeadstartError(f"The bundle cannot be written to {folder.parent}: {error}.") from error
        if seen is not None:
            digests.write(seen, part)
        backbone = _save_backbone(classifier, part)
        manifest = {
            "format": "headstart-bundle",
            "version": VERSION,
            "classes": list(classifier.classes),
            "temperature": classifier.temperature,
            "head": {"name": _name_of(classifier.head), "config": classifier.head.config()},
            "layer": classifier.source.layer,
            "preprocess": classifier.source.preprocess.to_dict(),
            "backbone": backbone,
            "averaging": _averaging(classifier.averaging),
            "files": {p.name: {"bytes": p.stat().st_size, "sha256": tensors.sha256(p)} for p in sorted(part.iterdir())},
        }
        (part / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        _replace(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def _name_of(head: Head) -> str:
    return next(name for name in HEADS if HEADS[name] is type(head))


def _averaging(views: Views) -> dict[str, Any] | None:
    """Every transform is spelt out, so that the bundle predicts the same after the table of names has changed."""
    if not views:
        return None
    augment = {"name": views.augment.name, "transforms": views.augment.to_list()}
    return {"augment": augment, "seed": views.seed, "views": len(views)}


def _views(averaging: dict[str, Any] | None) -> Views:
    if averaging is None:
        return NO_VIEWS
    described = averaging["augment"]
    augment = Augment.of(str(described["name"]), described["transforms"], "the bundle's augmentation")
    seed, count = int(averaging["seed"]), int(averaging["views"])
    if seed < 0 or not 0 < count < 1000:
        raise ValueError(f"it averages {count} views with seed {seed}")
    return Views(augment, seed, count)


def _save_backbone(classifier: Classifier, part: Path) -> dict[str, Any] | None:
    backbone = classifier.source.backbone
    if backbone is None:
        return None
    if backbone.weights.kind == "none":
        return {"name": backbone.name, "weights": "none", "seed": backbone.weights.seed}
    return {"name": backbone.name, "weights": backbone.save(part).name}


def load_classifier(path: Path | str) -> Classifier:
    """The classifier in a bundle folder, or in the run folder that holds one.

    Raises BundleError with one sentence when a file lacks, was changed, or is of another version.
    """
    folder = _folder(path)
    manifest = _manifest(folder)
    try:
        head = HEADS[manifest["head"]["name"]].from_arrays(_arrays(folder), manifest["head"]["config"])
        source = _source(folder, manifest)
        classes = tuple(str(name) for name in manifest["classes"])
        return Classifier(source, head, classes, float(manifest["temperature"]), _views(manifest.get("averaging")))
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"The bundle {folder} cannot be used: {_clause(error)}.") from error


def load_seen(path: Path | str) -> digests.Digests | None:
    """The digests (m, 16) of the pictures that a bundle's classifier has seen in fitting; None where it lists none.

    Raises BundleError where the list was changed.
    """
    folder = _folder(path)
    if digests.FILE not in _manifest(folder, only=digests.FILE)["files"]:
        return None
    try:
        return digests.read(folder)
    except ValueError as error:
        raise BundleError(f"The bundle {folder} cannot be used: {error}.") from error


def _folder(path: Path | str) -> Path:
    """The bundle's folder, of itself or of the run folder that holds it."""
    inside = expanded(path) / "bundle"
    return inside if (inside / "manifest.json").is_file() else expanded(path)


def _manifest(folder: Path, only: str = "") -> dict[str, Any]:
    """The manifest, after each file that it names (or `only` this one of them) was checked against it."""
    path = folder / "manifest.json"
    if not path.is_file():
        raise BundleError(f"{folder} is no bundle: it has no manifest.json. Name a run folder or its `bundle` folder.")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if manifest["format"] != "headstart-bundle" or manifest["version"] != VERSION:
            raise BundleError(f"{path} is version {manifest['version']}; this program reads version {VERSION}.")
        for name, entry in manifest["files"].items():
            if name == (only or name):
                _check_file(folder, name, entry)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{path} is not a bundle's manifest ({_clause(error)}).") from error
    return dict(manifest)


def _check_file(folder: Path, name: str, entry: dict[str, Any]) -> None:
    file = folder / name
    if Path(name).name != name:
        raise BundleError(f"The manifest of {folder} names a file outside the bundle: {name!r}.")
    if not file.is_file():
        raise BundleError(f"The bundle {folder} lacks {name}; copy the folder again, whole.")
    if file.stat().st_size != entry["bytes"] or tensors.sha256(file) != entry["sha256"]:
        raise BundleError(f"{file} was changed since the bundle was made (its sha256 differs); copy the bundle again.")


def _arrays(folder: Path) -> dict[str, np.ndarray[Any, Any]]:
    from safetensors.numpy import load_file

    tensors.header(folder / "head.safetensors")
    arrays = load_file(folder / "head.safetensors")
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"the head's array {name} holds values that are not finite")
    return dict(arrays)


def _source(folder: Path, manifest: dict[str, Any]) -> FeatureSource:
    from headstart.backbones import resolve

    preprocess = Preprocess.from_dict(manifest["preprocess"])
    described = manifest["backbone"]
    if described is None:
        return FeatureSource(preprocess)
    if described["weights"] == "none":
        backbone = resolve(described["name"], "none", seed=int(described["seed"]))
    elif described["weights"].endswith(".onnx"):
        backbone = resolve(str(folder / described["weights"]))
    else:
        backbone = resolve(described["name"], str(folder / described["weights"]))
    return FeatureSource(preprocess, backbone, manifest["layer"], choose())


def _replace(part: Path, folder: Path) -> None:
    """Move the finished folder into place; an older one goes only after the new one is complete."""
    if folder.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent))
        folder.replace(old / "bundle")
        part.replace(folder)
        shutil.rmtree(old)
    else:
        part.replace(folder)


def _clause(error: Exception) -> str:
    return f"it lacks the key {error}" if isinstance(error, KeyError) else str(error)
