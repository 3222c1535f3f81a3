"""A bundle is a classifier on disk: safetensors and JSON, no pickle, no code, and everything it needs to predict.

    bundle/manifest.json         classes, temperature, averaging, head, layer, preprocessing; size and sha256 of files
    bundle/head.safetensors      the head's arrays
    bundle/backbone.safetensors  the backbone's weights, with backbone.json beside them (or backbone.onnx)
    bundle/novelty.safetensors   what tells pictures of none of the classes (see `novelty`)
    bundle/conformal.safetensors what makes sets of classes (see `conformal`), where there were out-of-fold answers
    bundle/golden.safetensors    drawn pictures with the probabilities that are expected of it (see `golden`)
    bundle/seen.safetensors      digests of the pictures it has seen in fitting (see `seen`), where they were given

The manifest is written last, and the folder is moved into its place whole. Loading checks the manifest against its
schema (`manifest`), every file against the manifest, and that backbone and head fit each other, in this order.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart import conformal, documents, exported, golden, novelty, tensors
from headstart import manifest as manifests
from headstart import seen as digests
from headstart.augment import Augment
from headstart.classifier import Classifier
from headstart.engines import choose
from headstart.errors import BundleError, UserError
from headstart.features.extract import Extractor
from headstart.features.source import FeatureSource
from headstart.heads import HEADS, Head
from headstart.manifest import Manifest
from headstart.paths import expanded
from headstart.preprocess import Preprocess
from headstart.shared import replacing_folder
from headstart.views import NO_VIEWS, Views

if TYPE_CHECKING:
    from headstart.backbones import BaseBackbone


def save(
    classifier: Classifier,
    folder: Path,
    seen: digests.Digests | None = None,
    extractor: Extractor | None = None,
) -> Path:
    """Write the bundle to `folder`, replacing what is there, and return the folder.

    `seen` (n, 16) are digests of the pictures that it was fitted on, so that `inference.evaluate` knows them again.
    `extractor` is of the classifier's source, where one is open: the golden pictures go through it.
    """
    folder = expanded(folder)
    with replacing_folder(folder) as part:
        tensors.write(classifier.head.to_arrays(), part / manifests.HEAD)
        if seen is not None:
            digests.write(seen, part)
        if classifier.novelty is not None:
            novelty.write(classifier.novelty, part)
        if classifier.conformal is not None:
            conformal.write(classifier.conformal, part)
        golden.write(classifier.made_golden(extractor), part)
        backbone = _save_backbone(classifier, part)
        known = set(classifier.head.classes_.tolist())
        manifest = {
            "format": manifests.FORMAT,
            "version": manifests.VERSION,
            "classes": list(classifier.classes),
            "untrained": [name for k, name in enumerate(classifier.classes) if k not in known],
            "temperature": classifier.temperature,
            "head": {"name": _name_of(classifier.head), "config": documents.holdable(classifier.head.config())},
            "layer": classifier.source.layer,
            "preprocess": classifier.source.preprocess.to_dict(),
            "backbone": backbone,
            "averaging": _averaging(classifier.averaging),
            "novelty": classifier.novelty and {"threshold": classifier.novelty.threshold},
            "files": {
                p.relative_to(part).as_posix(): {"bytes": p.stat().st_size, "sha256": tensors.sha256(p)}
                for p in sorted(part.rglob("*"))
                if p.is_file()
            },
        }
        (part / manifests.NAME).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return folder


def _name_of(head: Head) -> str:
    return next(name for name in HEADS if HEADS[name] is type(head))


def _averaging(views: Views) -> dict[str, Any] | None:
    """Every transform is spelt out, so that the bundle predicts the same after the table of names has changed."""
    if not views:
        return None
    augment = {"name": views.augment.name, "transforms": views.augment.to_list()}
    return {"augment": augment, "seed": views.seed, "views": len(views)}


def _views(averaging: manifests.Averaging | None) -> Views:
    if averaging is None:
        return NO_VIEWS
    augment = Augment.of(averaging.augment.name, averaging.augment.transforms, "the bundle's augmentation")
    return Views(augment, averaging.seed, averaging.views)


def _save_backbone(classifier: Classifier, part: Path) -> dict[str, Any] | None:
    from headstart.backbones import probe

    backbone = classifier.source.backbone
    if backbone is None:
        return None
    if backbone.weights.kind == "none":
        return {"name": backbone.name, "weights": "none", "seed": backbone.weights.seed}
    probe.remember(backbone, classifier.source.layer, classifier.source.preprocess, classifier.head.n_features_in_)
    return {"name": backbone.name, "weights": backbone.save(part).name}


def load_classifier(path: Path | str) -> Classifier:
    """The classifier in a bundle folder, in the run folder that holds one, or in an export folder.

    Raises BundleError with one sentence when a file lacks, was changed, does not fit the others, or is of another
    version; what it returns has been asked for probabilities and gave finite ones.

    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.datasets import load_digits
    >>> from headstart import TransferClassifier
    >>> digits = load_digits(n_class=2)
    >>> pictures, names = (digits.images * 15).astype("uint8"), np.array(["zero", "one"])[digits.target]
    >>> model = TransferClassifier(method="pixels", head="prototype", cache=False).fit(pictures[:20], names[:20])
    >>> with TemporaryDirectory() as folder:
    ...     bundle = save(model.classifier_, Path(folder) / "bundle")
    ...     load_classifier(bundle).predict(pictures[20:24])
    ['one', 'one', 'one', 'zero']
    """
    folder = folder_of(path)
    if exported.is_export(folder):
        return exported.load(folder)
    manifest = manifests.read(folder)
    manifests.check_files(folder, manifest)
    try:
        head = _head(folder, manifest)
        source = _source(folder, manifest)
        found = Classifier(
            source, head, tuple(manifest.classes), manifest.temperature, _views(manifest.averaging),
            None if manifest.novelty is None else novelty.read(folder, manifest.novelty.threshold, head.n_features_in_),
            conformal.read(folder) if conformal.FILE in manifest.files else None,
            golden.read(folder, len(manifest.classes)) if golden.FILE in manifest.files else None,
        )  # fmt: skip
        _try(found)
    except (UserError, ValueError, TypeError, LookupError, ArithmeticError, OSError) as error:
        raise BundleError(f"The bundle {folder} cannot be used: {str(error).rstrip('.')}.") from error
    return found


def load_seen(path: Path | str) -> digests.Digests | None:
    """The digests (m, 16) of the pictures that a bundle's classifier has seen in fitting; None where it lists none.

    Raises BundleError where the list was changed.
    """
    folder = folder_of(path)
    if exported.is_export(folder):
        return None
    manifest = manifests.read(folder)
    manifests.check_files(folder, manifest, only=digests.FILE)
    if digests.FILE not in manifest.files:
        return None
    try:
        return digests.read(folder)
    except ValueError as error:
        raise BundleError(f"The bundle {folder} cannot be used: {error}.") from error


def folder_of(path: Path | str) -> Path:
    """The bundle's folder, of itself or of the run folder that holds it."""
    inside = expanded(path) / "bundle"
    return inside if (inside / manifests.NAME).is_file() else expanded(path)


def identity(path: Path | str) -> str:
    """What a bundle or an export is, 32 hexadecimal digits, by the file that lists the digests of all others.

    Raises BundleError where there is no such file.
    """
    folder = folder_of(path)
    file = folder / (exported.NAME if exported.is_export(folder) else manifests.NAME)
    try:
        return hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest()
    except OSError as error:
        raise BundleError(f"{file} cannot be read: {error.strerror or error}.") from error


def _head(folder: Path, manifest: Manifest) -> Head:
    block = manifest.head
    return HEADS[block.name].from_arrays(tensors.arrays(folder / manifests.HEAD), block.config.model_dump())


def _source(folder: Path, manifest: Manifest) -> FeatureSource:
    from headstart.backbones import probe, resolve

    preprocess = Preprocess.from_dict(manifest.preprocess)
    described = manifest.backbone
    if described is None:
        return FeatureSource(preprocess)
    backbone: BaseBackbone
    if described.weights == "none":
        backbone = resolve(described.name, "none", seed=described.seed or 0)
    elif described.weights.endswith(".onnx"):
        backbone = resolve(str(folder / described.weights))
    else:
        backbone = resolve(described.name, str(folder / described.weights))
    backbone = backbone.at((preprocess.height, preprocess.width))
    width = probe.width(backbone, manifest.layer, preprocess)
    if width not in (None, manifest.head.config.n_features):
        raise ValueError(
            f"the head takes {manifest.head.config.n_features:,} features, and {manifest.layer} of {backbone.name} "
            f"gives {width:,}"
        )
    return FeatureSource(preprocess, backbone, manifest.layer, choose())


def _try(classifier: Classifier) -> None:
    """Raise ValueError unless the head gives finite probabilities for two plain rows."""
    rows = np.repeat(np.array([[0.0], [1.0]], dtype=np.float32), classifier.head.n_features_in_, axis=1)
    with np.errstate(all="ignore"):
        found = classifier.probabilities(rows)
    if found.shape != (2, len(classifier.classes)) or not np.isfinite(found).all():
        raise ValueError("its head gives probabilities that are not finite")
