"""From the name and the weights a user gives to a `Backbone`."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from headstart import tensors
from headstart.backbones import memory, names, sidecar
from headstart.backbones.backbone import Backbone
from headstart.backbones.checkpoint import KERAS
from headstart.backbones.fingerprint import fingerprint_of
from headstart.backbones.from_embedded import embedded, weights_file
from headstart.backbones.from_onnx import OnnxBackbone, resolve_onnx
from headstart.backbones.sources import Architecture, find
from headstart.backbones.weights import Weights, weights_path
from headstart.backbones.weights_files import KINDS, weights_file_at, weights_file_in
from headstart.errors import UserError, WeightsError
from headstart.paths import expanded
from headstart.preprocess import Preprocess


def resolve(name: str, weights: str | Path = "pretrained", *, seed: int = 0) -> Backbone | OnnxBackbone:
    """The backbone `name` with weights `pretrained` (its own), `none` (random, seeded), or from a file or a folder.

    `name` is `sprout` or `small_cnn`, a Keras spelling (`VGG16`), a name of timm or torchvision (with `timm:` or
    `torchvision:` before it where that matters), a model page (`timm/NAME`, `hf-hub:ORG/NAME`, its address), a folder
    like one (`local-dir:FOLDER`), or the path of an `.onnx` file. Those of libraries have weights trained on ImageNet
    (downloaded once), which `imagenet` names too; `small_cnn` has none. A weights file with its sidecar is read by
    neither torch nor timm.
    Raises UnknownName, WeightsError, Offline, UserError: see `headstart.errors`.
    """
    name = names.pasted(name)
    if name.lower().endswith(".onnx"):
        return _onnx(name, weights)
    if name.startswith(names.PAGES) and str(weights) in KINDS:
        return _page(name, str(weights), seed)
    if str(weights) not in KINDS:
        return _file(name, weights_file_in(name, weights) if expanded(weights).is_dir() else weights_file_at(weights))
    own = None if weights == "none" else weights_file(name)
    if own is not None and weights == "imagenet":
        raise UserError(f"weights=imagenet: {name} was not trained on ImageNet; leave `weights` out for its own.")
    if own is not None:
        return _file(name, own)
    return _known(name, "none" if weights == "none" else "imagenet", seed)


def _onnx(name: str, weights: str | Path) -> OnnxBackbone:
    if str(weights) not in ("pretrained", "imagenet"):
        raise UserError(f"weights={weights}: {name} is an ONNX file and holds its own weights; leave `weights` out.")
    return resolve_onnx(expanded(name.removeprefix("onnx:")))


def _file(name: str, path: Path) -> Backbone:
    beside = sidecar.beside(path)
    if beside is None:
        return _bare_file(name, path)
    found = sidecar.read(beside, path)
    if not names.same(name, found.architecture):
        raise WeightsError(
            f"According to its sidecar {beside.name}, {path.name} holds weights of {found.architecture}, not of "
            f"{names.canonical(name)}; use backbone={found.architecture.partition(':')[2]}."
        )
    weights = Weights(
        "file", path, found.sha256, kwargs=found.kwargs, num_classes=found.num_classes, licence=found.licence
    )
    return _backbone(name, found.architecture, weights, found.preprocess, found.fixed_size)


def _page(name: str, weights: str, seed: int) -> Backbone:
    """A model page or a folder like one; what a page said is remembered while its weights are in the hub's cache."""
    from headstart.backbones import pages

    question = ["page", name]
    known = memory.recall(question) if name.startswith(names.HUB) and weights != "none" else None
    path: Path | None
    if known is not None and Path(known["path"]).is_file():
        page, path = pages.of(known["page"]), Path(known["path"])
    else:
        page = pages.read(name)
        path = None if weights == "none" else pages.weights(name)
        if path is not None and name.startswith(names.HUB):
            memory.remember(question, {"page": pages.to_dict(page), "path": str(path)})
    if path is None:
        found = Weights("none", seed=seed, licence="none: random weights")
    else:
        found = Weights("file", path, tensors.sha256(path), licence=page.licence)
    found = replace(found, kwargs=page.kwargs, num_classes=page.num_classes)
    return _backbone(name, page.architecture, found, page.preprocess, page.fixed_size)


def _keras_file(name: str, path: Path) -> Backbone:
    """A weights file of Keras without a sidecar: pictures are prepared as Keras's own architecture has it."""
    from headstart.backbones.keras import load

    family = load.family_of(name)
    weights = Weights("file", path, tensors.sha256(path), num_classes=load.classes(family, path))
    return _backbone(name, family.architecture, weights, family.preprocess, None)


def _bare_file(name: str, path: Path) -> Backbone:
    """Weights without a sidecar: the architecture's defaults say the rest."""
    if path.suffix.lower() in KERAS:
        return _keras_file(name, path)
    found = _facts(name)
    note = (
        f"{path.name} has no sidecar: the preprocessing of {found['architecture']} is assumed; "
        f"write {path.with_suffix('.json').name} to state what it expects."
    )
    weights = Weights("file", path, tensors.sha256(path))
    backbone = _from_facts(name, weights, found)
    backbone = replace(backbone, weights=weights, notes=(*backbone.notes, note))
    return _with_notes(backbone)


def _with_notes(backbone: Backbone) -> Backbone:
    """With sentences on what was done to fit the file to the network, remembered so that it need not be built."""
    question = ["fitted", backbone.architecture, backbone.weights.sha256]
    content, network = memory.recall(question), None
    if content is None:
        from headstart.backbones import build

        built = build.build_network(backbone.architecture, backbone.weights)
        content, network = {"notes": built.notes}, built.network
        memory.remember(question, content)
    file = weights_path(backbone.weights).name
    notes = (*(f"{file}: {note}" for note in content["notes"]), *backbone.notes)
    return replace(backbone, notes=notes, built=network)


def _known(name: str, kind: str, seed: int) -> Backbone:
    found = _facts(name)
    if kind == "none":
        untrained = Weights("none", seed=seed, kwargs=found["kwargs"], licence="none: random weights")
        return _from_facts(name, untrained, found)
    question = ["imagenet", found["architecture"]]
    content, network = memory.recall(question), None
    if content is None:
        from headstart.backbones import build

        network = build.build_network(found["architecture"], Weights("imagenet")).network
        sha256, classes = build.content(network)
        content = {"sha256": sha256, "num_classes": classes}
        memory.remember(question, content)
    weights = Weights(
        "imagenet", sha256=content["sha256"], num_classes=content["num_classes"], licence=found["licence"]
    )
    return replace(_from_facts(name, weights, found), built=network)


def _facts(name: str) -> dict[str, Any]:
    """What the library states of the architecture that `name` means."""
    own = embedded(name) is not None  # quick to ask, and not to be remembered: the answer changes with the package
    found = None if own else memory.recall(["facts", name])
    if found is None:
        architecture = find(name)
        parsed = Architecture.of(architecture)
        facts = parsed.source.facts(parsed.name)
        found = {
            "architecture": architecture,
            "preprocess": facts.preprocess.to_dict(),
            "licence": facts.licence,
            "fixed_size": facts.fixed_size,
            "notes": facts.notes,
            "kwargs": dict(facts.kwargs),
        }
        if not own:
            memory.remember(["facts", name], found)
    return found


def _from_facts(name: str, weights: Weights, found: dict[str, Any]) -> Backbone:
    fixed = found["fixed_size"]
    preprocess = Preprocess.from_dict(found["preprocess"])
    backbone = _backbone(name, found["architecture"], weights, preprocess, tuple(fixed) if fixed else None)
    return replace(backbone, notes=tuple(found["notes"]))


def _backbone(
    name: str, architecture: str, weights: Weights, preprocess: Preprocess, fixed_size: tuple[int, int] | None
) -> Backbone:
    library = Architecture.of(architecture).library
    content = weights.sha256 or f"random, seed {weights.seed}, torch {version('torch')}"
    mark = fingerprint_of(architecture, weights.kwargs, weights.num_classes, content, library)
    return Backbone(name, architecture, weights, preprocess, mark, fixed_size)
