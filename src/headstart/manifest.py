"""The manifest of a bundle: one schema, and every file of the folder, checked before anything in it is used.

What a stranger may have written is refused by ValueError with one clause, or by BundleError with its sentence.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, PlainValidator, model_validator

from headstart import documents, tensors
from headstart.augment import Augment
from headstart.backbones.arguments import MAX_CLASSES
from headstart.documents import Strict, shown
from headstart.errors import BundleError, UserError
from headstart.heads import make_head
from headstart.novelty import FILE as NOVELTY
from headstart.phrases import twice
from headstart.preprocess import CHANNELS, Preprocess

NAME = "manifest.json"
FORMAT = "headstart-bundle"
VERSION = 1
HEAD = "head.safetensors"
MOST = 1e6
"""A temperature is from 1 / MOST to MOST; those that are fitted are within 0.01 to 100."""
MOST_TEXT, MOST_NAME = 10_000, 300
HARMLESS = {".md", ".txt", ".csv", ".html", ".log"}
"""Endings of files that people put beside a bundle's own and that nothing reads."""
LEFT_BEHIND = {"Thumbs.db", "desktop.ini", "__MACOSX"}


def _text(value: Any) -> str:
    """Text, which may hold the name of a folder that is not UTF-8; pydantic's own would refuse that."""
    if not isinstance(value, str) or not 0 < len(value) <= MOST_TEXT:
        raise ValueError(f"it is {shown(value)} and not text of 1 to {MOST_TEXT:,} characters")
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise ValueError(f"{shown(value)} has characters that are not valid in text") from None
    return value


Text = Annotated[str, PlainValidator(_text)]


def _inside(name: str) -> str:
    """A path below the folder: no `..`, nothing absolute, nothing that another system reads otherwise."""
    path = PurePosixPath(name)
    plain = name.isprintable() and not set(name) & set('\\:*?"<>|') and str(path) == name
    if not plain or path.is_absolute() or ".." in path.parts or name in (".", NAME):
        raise ValueError(f"it names {shown(name)}, which is not a file inside the bundle")
    return name


def checked_preprocess(values: dict[str, Any]) -> dict[str, Any]:
    """A table that `Preprocess.from_dict` takes."""
    try:
        Preprocess.from_dict(values)
    except UserError as error:
        raise ValueError(str(error).rstrip(".")) from None
    return values


class File(Strict):
    """A file of the bundle."""

    bytes: Annotated[int, Field(ge=0, lt=1 << 48)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class HeadConfig(Strict):
    """`Head.config()` of a head whose classes are indices into the manifest's."""

    params: dict[str, Any]
    classes: Annotated[list[Annotated[int, Field(ge=0, lt=MAX_CLASSES)]], Field(min_length=2, max_length=MAX_CLASSES)]
    classes_dtype: Literal["<i8", "<i4", ">i8", ">i4"] = "<i8"
    n_features: Annotated[int, Field(ge=1, lt=1 << 31)]
    history: Annotated[list[dict[str, float | None]], Field(default_factory=list)]
    notes: Annotated[list[Text], Field(default_factory=list)]
    report: Annotated[dict[str, Any], Field(default_factory=dict)]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if any(a >= b for a, b in zip(self.classes, self.classes[1:], strict=False)):
            raise ValueError("the classes of the head are not each there once, in order")
        return self


class HeadBlock(Strict):
    """A head's name in `HEADS`, and everything but its arrays."""

    name: str
    config: HeadConfig

    @model_validator(mode="after")
    def _known(self) -> Self:
        try:
            make_head(self.name, **self.config.params)
        except (UserError, TypeError) as error:  # a parameter called `name`
            raise ValueError(str(error).rstrip(".")) from None
        return self


class BackboneBlock(Strict):
    """A network with random weights by name and seed, or a file of the bundle."""

    name: Text
    weights: Literal["none", "backbone.safetensors", "backbone.onnx"]
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.weights == "none") != (self.seed is not None):
            raise ValueError("a seed goes with random weights, and only with them")
        if self.weights == "none" and self.name.lower().endswith(".onnx"):
            raise ValueError("a network with random weights has the name of a file")
        if len(self.name) > MOST_NAME or (self.weights != "backbone.onnx" and not self.name.isprintable()):
            raise ValueError(f"{shown(self.name)} is not the name of a network")
        return self


class AugmentBlock(Strict):
    """A name and the transforms, spelt out."""

    name: Text
    transforms: Annotated[list[dict[str, Any]], Field(max_length=100)]

    @model_validator(mode="after")
    def _possible(self) -> Self:
        try:
            Augment.of(self.name, self.transforms, "the augmentation")
        except UserError as error:
            raise ValueError(str(error).rstrip(".")) from None
        return self


class Averaging(Strict):
    """The views that are averaged with the plain picture."""

    augment: AugmentBlock
    seed: Annotated[int, Field(ge=0, lt=1 << 63)]
    views: Annotated[int, Field(ge=1, lt=1000)]


class NoveltyBlock(Strict):
    """From which cosine distance on, 0 to 2, a picture is of none of the classes; null where pictures were too few."""

    threshold: Annotated[float, Field(ge=-0.01, le=2.01)] | None


class Manifest(Strict):
    """See `bundle`. `untrained` are the classes without training pictures, which the head does not know."""

    format: Literal["headstart-bundle"]
    version: Literal[1]
    classes: Annotated[list[Text], Field(min_length=2, max_length=MAX_CLASSES)]
    untrained: Annotated[list[Text], Field(default_factory=list)]
    temperature: Annotated[float, Field(ge=1 / MOST, le=MOST)]
    head: HeadBlock
    layer: Annotated[str, Field(min_length=1, max_length=1000)]
    preprocess: Annotated[dict[str, Any], AfterValidator(checked_preprocess)]
    backbone: BackboneBlock | None
    averaging: Averaging | None = None
    novelty: NoveltyBlock | None = None
    files: dict[Annotated[str, Field(max_length=1000), AfterValidator(_inside)], File]

    @model_validator(mode="after")
    def _classes_agree(self) -> Self:
        if (again := twice(self.classes)) is not None:
            raise ValueError(f"the class {shown(again)} is listed twice")
        known = self.head.config.classes
        if known[-1] >= len(self.classes):
            raise ValueError(f"the head knows class {known[-1]} of {len(self.classes)} class names, counted from 0")
        unknown = set(self.classes) - {self.classes[k] for k in known}
        if unknown != set(self.untrained) or len(unknown) < len(self.untrained):
            odd = next(iter(sorted(unknown.symmetric_difference(self.untrained))), "")
            raise ValueError(f"the class {shown(odd)} is neither known to the head nor listed as untrained")
        return self

    @model_validator(mode="after")
    def _features_agree(self) -> Self:
        if self.backbone is None:
            found = Preprocess.from_dict(self.preprocess)
            pixels = found.height * found.width * CHANNELS[found.color]
            if self.layer != "pixels" or pixels != self.head.config.n_features:
                raise ValueError(
                    f"the head takes {self.head.config.n_features:,} features of the layer {shown(self.layer)}, and "
                    f"without a backbone there are {pixels:,} pixels"
                )
        return self

    @model_validator(mode="after")
    def _files_listed(self) -> Self:
        needed = [HEAD]
        if self.backbone is not None and self.backbone.weights != "none":
            needed += [self.backbone.weights, str(Path(self.backbone.weights).with_suffix(".json"))]
        if self.novelty is not None:
            needed.append(NOVELTY)
        for name in needed:
            if name not in self.files:
                raise ValueError(f"its files do not list {name}")
        return self


def read(folder: Path) -> Manifest:
    """The manifest in a folder, by itself. Raises BundleError."""
    path = folder / NAME
    if not folder.exists():
        raise BundleError(f"There is no folder {folder}: name a run folder, its bundle or an export.")
    if (folder / "scores.json").is_file():
        raise BundleError(
            f"The run {folder} has lost its bundle, the folder with the classifier: copy it again, whole."
        )
    if not path.is_file():
        raise BundleError(f"{folder} is not a bundle: it has no {NAME}. Name a run folder, its bundle or an export.")
    check_inside(folder, path)
    try:
        values = documents.table(path)
        if values.get("format") == FORMAT and type(values.get("version")) is int and values["version"] != VERSION:
            raise BundleError(f"{path} is version {shown(values['version'])}; this program reads version {VERSION}.")
        return documents.checked(Manifest, values)
    except (ValueError, ArithmeticError, OSError) as error:
        raise BundleError(f"{path} is not a bundle's manifest ({error}).") from error


def check_files(folder: Path, manifest: Manifest, only: str = "") -> None:
    """Raise BundleError unless the folder has the files of the manifest, unchanged, and no others that could be read.

    With `only` the content of this one alone is checked.
    """
    try:
        _check_unlisted(folder, manifest)
        for name, entry in manifest.files.items():
            _check_place(folder, name, entry)
        for name, entry in manifest.files.items():
            if name == (only or name):
                _check_content(folder / name, entry)
    except OSError as error:
        raise BundleError(f"The bundle {folder} cannot be read: {error.strerror}.") from error


def _check_unlisted(folder: Path, manifest: Manifest) -> None:
    for name in _present(folder):
        if name not in manifest.files and not _harmless(name):
            raise BundleError(
                f"The bundle {folder} holds {shown(name)}, which its manifest does not list; move that file elsewhere."
            )


def _present(folder: Path) -> list[str]:
    """Every file below the folder, and every link, as the manifest names them."""
    found = []
    for place, folders, files in os.walk(folder):
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        found += [(Path(place) / name).relative_to(folder).as_posix() for name in (*files, *links)]
    return [name for name in found if name != NAME]


def _harmless(name: str) -> bool:
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") or part in LEFT_BEHIND for part in path.parts)
    return hidden or path.suffix.lower() in HARMLESS


def _check_place(folder: Path, name: str, entry: File) -> None:
    file = folder / name
    if not file.is_file():
        raise BundleError(f"The bundle {folder} lacks {name}; copy the folder again, whole.")
    check_inside(folder, file)
    if file.stat().st_size != entry.bytes:
        raise _changed(file)
    if file.suffix == ".safetensors":
        try:
            tensors.header(file)
        except ValueError as error:
            raise BundleError(f"{file} cannot be used: {error}.") from error


def _check_content(file: Path, entry: File) -> None:
    if tensors.sha256(file) != entry.sha256:
        raise _changed(file)


def check_inside(folder: Path, file: Path) -> None:
    """Raise BundleError where a file of a bundle or an export is a link out of its folder."""
    if not file.resolve().is_relative_to(folder.resolve()):
        raise BundleError(f"{file} is a link out of its folder; copy the folder again with its links followed.")


def _changed(file: Path) -> BundleError:
    return BundleError(f"{file} was changed since the bundle was made (its sha256 differs); copy the bundle again.")
