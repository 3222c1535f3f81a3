"""A classifier from the folder that `headstart export` wrote: OpenVINO runs its graph, and PyTorch is not imported.

    export/export.json               what the graph takes and gives, class names, checks; size and sha256 of files
    export/model.onnx                the graph, or model.xml with model.bin: uint8 picture -> probabilities
    export/golden.safetensors        drawn pictures with the probabilities that are expected of the graph (see `golden`)

The folder may come from a stranger: `export.json` is checked against its schema, these files against that, and nothing
else in the folder is read.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import AfterValidator, Field

from headstart import documents, golden
from headstart.backbones import external, openvino
from headstart.backbones.arguments import MAX_CLASSES
from headstart.classifier import Classifier
from headstart.documents import Strict
from headstart.engines import Engine, Picture, Row
from headstart.errors import BundleError, UserError
from headstart.features.source import FeatureSource
from headstart.golden import Golden
from headstart.heads.base import Features, Head
from headstart.manifest import File, NoveltyBlock, Text, check_inside, checked_preprocess
from headstart.novelty import Novelty
from headstart.preprocess import Preprocess

NAME = "export.json"
FORMAT, VERSION = "headstart-export", 1
GRAPHS = {"onnx": ("model.onnx",), "openvino": ("model.xml", "model.bin")}
"""The files of the graph, by format."""
TOLERANCE_INT8 = 5e-2
"""Of a golden picture's probabilities: eight bits are added up differently with and without VNNI."""
PICTURE, PROBABILITIES, STRANGENESS = "picture", "probabilities", "strangeness"
"""The graph's input, its first output, and the second where strangers can be told."""
Told = Annotated[dict[str, Any], Field(default_factory=dict)]


class Export(Strict):
    """The content of export.json. What is told beside is for people: nothing here reads it."""

    format: Literal["headstart-export"]
    version: Literal[1]
    kind: Literal["onnx", "openvino"]
    precision: Literal["float32", "int8"]
    classes: Annotated[list[Text], Field(min_length=2, max_length=MAX_CLASSES)]
    preprocess: Annotated[dict[str, Any], AfterValidator(checked_preprocess)]
    files: dict[str, File]
    input: Told
    outputs: Told
    preprocessing: Annotated[list[Text], Field(default_factory=list)]
    novelty: NoveltyBlock | None = None
    untrained: Annotated[list[Text], Field(default_factory=list)]
    parity: Told
    quantisation: Told
    licence: str = "unknown"
    versions: Told


@dataclass(frozen=True)
class ExportSource(FeatureSource):
    """Pictures in, probabilities out: the rows of this source are the answers of the graph in `folder`."""

    folder: Path = field(default_factory=Path)
    described: Export | None = None

    @property
    def licence(self) -> str | None:
        """See `FeatureSource.licence`."""
        return self.described.licence if self.described else None

    def space(self) -> dict[str, Any]:
        """See `FeatureSource.space`."""
        assert self.described is not None
        sums = {name: entry.sha256 for name, entry in self.described.files.items()}
        return {"format": 1, "export": sums, "white": list(self.preprocess.white)}

    def picture(self, image: Image.Image, content: bytes) -> Picture:
        """A decoded picture -> (h, w, 3) uint8 as it is: the graph resizes it."""
        return np.asarray(image.convert("RGB"))

    def open(self) -> Engine:
        """See `FeatureSource.open`. Raises BundleError where a file was changed or cannot be run."""
        from headstart.engines.openvino import SETTINGS, CompiledEngine

        class AllOutputs(CompiledEngine):
            """Rows of probabilities and, behind them, the strangeness where the graph gives it."""

            def _finish(self, request: Any) -> Row:
                row = super()._finish(request)
                return np.append(row, request.get_output_tensor(1).data.ravel()) if strange else row

        assert self.described is not None
        strange = self.described.novelty is not None
        model = graph(self.folder, self.described)
        try:
            return AllOutputs(openvino.load().Core().compile_model(model, "CPU", SETTINGS))
        except RuntimeError as error:
            raise BundleError(
                f"The graph of the export {self.folder} cannot be used: OpenVINO cannot run it."
            ) from error


class AnsweredHead(Head):
    """The head of an export: its rows begin with probabilities, and its logits are their logarithms."""

    def take(self, classes: int, others: int) -> AnsweredHead:
        """Become a fitted head of so many classes, for rows with so many other numbers behind them."""
        self.classes_, self.n_features_in_ = np.arange(classes), classes + others
        self.history_, self.notes_, self.report_ = [], [], {}
        return self

    def _logits(self, X: Features) -> NDArray[np.float64]:
        logits: NDArray[np.float64] = np.log(
            np.maximum(X[:, : len(self.classes_)].astype(np.float64), np.finfo(np.float64).tiny)
        )
        return logits


class AnsweredNovelty(Novelty):
    """Of an export: the last number of a row is the strangeness itself."""

    def score(self, features: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """See `Novelty.score`."""
        return features[:, -1].astype(np.float32)


def is_export(folder: Path) -> bool:
    """Whether the folder says that it is an export."""
    return (folder / NAME).is_file()


def load(folder: Path) -> Classifier:
    """The classifier in an export folder, whatever its format. Raises BundleError.

    Its features are the probabilities that the graph gives, so whatever takes a classifier takes this one.
    """
    described = read(folder)
    source = ExportSource(
        Preprocess.from_dict(described.preprocess), layer="pixels", folder=folder, described=described
    )
    graph(folder, described)
    head = AnsweredHead().take(len(described.classes), 0 if described.novelty is None else 1)
    told = described.novelty
    strange = None if told is None else AnsweredNovelty(np.zeros((0, 0), np.float16), told.threshold)
    return Classifier(source, head, tuple(described.classes), novelty=strange, golden=_golden(folder, described))


def _golden(folder: Path, described: Export) -> Golden | None:
    """The golden pictures, checked; None for an export of before. Raises BundleError."""
    if golden.FILE not in described.files:
        return None
    _content(folder, golden.FILE, described)
    try:
        found = golden.read(folder, len(described.classes))
    except ValueError as error:
        raise BundleError(f"The export {folder} cannot be used: {error}.") from error
    return replace(found, tolerance=TOLERANCE_INT8) if described.precision == "int8" else found


def read(folder: Path) -> Export:
    """The content of export.json, by itself. Raises BundleError."""
    path = folder / NAME
    check_inside(folder, path)
    try:
        values = documents.table(path)
        if values.get("format") == FORMAT and type(values.get("version")) is int and values["version"] != VERSION:
            told = documents.shown(values["version"])
            raise BundleError(f"{path} is version {told}; this program reads version {VERSION}.")
        found = documents.checked(Export, values)
        if missing := [name for name in GRAPHS[found.kind] if name not in found.files]:
            raise ValueError(f"its files do not list {missing[0]}")
    except (ValueError, ArithmeticError, OSError) as error:
        if isinstance(error, UserError):
            raise
        raise BundleError(f"{path} does not describe an export ({str(error).rstrip('.')}).") from error
    return found


def graph(folder: Path, described: Export) -> Any:
    """The graph as an `openvino.Model`, from the bytes that were checked. Raises BundleError."""
    from headstart.backbones import onnx_file

    core = openvino.load().Core()
    contents = _graph_files(folder, described)
    try:
        if described.kind == "openvino":
            onnx_file.read_elsewhere(folder / GRAPHS["openvino"][0], "it cannot be read")
            model = core.read_model(model=contents[0], weights=contents[1])
        elif external.content(folder / "model.onnx") is not None:
            raise ValueError("it keeps weights in other files, which no export does")
        else:
            model = onnx_file.read(folder / "model.onnx")
        shape = model.output(PROBABILITIES).get_partial_shape()
        if not model.output(0).get_names() & {PROBABILITIES} or str(shape) != f"[1,{len(described.classes)}]":
            raise ValueError(f"it does not give {len(described.classes)} {PROBABILITIES}")
        if described.novelty is not None and str(model.output(1).get_partial_shape()) != "[1]":
            raise ValueError(f"it gives no {STRANGENESS}")
        onnx_file.check_values(model, folder)
        return model
    except (RuntimeError, ValueError, UserError) as error:
        told = str(error).rstrip(".") if isinstance(error, ValueError | UserError) else "OpenVINO cannot read it"
        raise BundleError(f"The graph of the export {folder} cannot be used: {told}.") from error


def _graph_files(folder: Path, described: Export) -> list[bytes]:
    """The content of the graph's files, whose sizes and sums are those of export.json."""
    return [_content(folder, name, described) for name in GRAPHS[described.kind]]


def _content(folder: Path, name: str, described: Export) -> bytes:
    """A listed file's content, with the size and sum of export.json."""
    import hashlib

    path, entry = folder / name, described.files[name]
    if not path.is_file():  # a pipe or a device would be read without end
        raise BundleError(f"The export {folder} lacks {name}; copy the folder again, whole.")
    check_inside(folder, path)
    try:
        changed = path.stat().st_size != entry.bytes
        found = b"" if changed else path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}.") from error
    if changed or hashlib.sha256(found).hexdigest() != entry.sha256:
        raise BundleError(f"{path} was changed since the export (its sha256 differs); copy the folder again.")
    return found
