"""The default engine on CPUs: OpenVINO, float32, uint8 in, normalisation inside the graph.

One picture is one request. On the CPU that is as fast as larger batches (the throughput hint gives each core a stream
of its own), and a row then cannot depend on what else is in the batch, not even in its last bit.
The converted model is kept on disk with a checksum, and OpenVINO keeps the compiled one beside it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.backbones import openvino
from headstart.engines import Picture, Row, Tag, collect
from headstart.errors import WeightsError
from headstart.paths import models_dir

if TYPE_CHECKING:
    from headstart.backbones import Backbone
    from headstart.preprocess import Preprocess

EXTRA_REQUESTS = 2  # beyond the streams: the next pictures wait in the queue while Python handles the last ones


class OpenVINOEngine:
    """A backbone compiled by OpenVINO for the CPU. See `Engine`."""

    def __init__(self, backbone: Backbone, layer: str, preprocess: Preprocess) -> None:
        ov = openvino.load()

        core = ov.Core()
        settings: dict[str, Any] = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}
        model, compiled_dir = _model(backbone, layer, preprocess)
        if compiled_dir is not None:
            settings["CACHE_DIR"] = str(compiled_dir)
        try:
            self._compiled = core.compile_model(model, "CPU", settings)
        except RuntimeError as error:
            raise WeightsError(
                f"OpenVINO cannot run {backbone.name} up to {layer}: it is damaged or not supported."
            ) from error
        streams = int(self._compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self._requests = streams + EXTRA_REQUESTS
        self.busy_s = 0.0

    def stream(self, pictures: Iterable[tuple[Tag, Picture]]) -> Iterator[tuple[Tag, Row]]:
        """See `Engine.stream`; rows come in the order of the pictures.

        A ring of requests, the oldest waited for when all are busy. (OpenVINO's queue with callbacks can deadlock: its
        destructor waits, holding Python's lock, for a callback that needs the lock.)
        """
        idle = [self._compiled.create_infer_request() for _ in range(self._requests)]
        busy: deque[tuple[Any, Tag]] = deque()
        try:
            for tag, picture in pictures:
                if not idle:
                    request, done = busy.popleft()
                    row = self._finish(request)
                    idle.append(request)
                    yield done, row
                request = idle.pop()
                request.start_async({0: picture[None]})
                busy.append((request, tag))
            while busy:
                request, done = busy.popleft()
                yield done, self._finish(request)
        finally:
            for request, _ in busy:
                request.wait()

    def _finish(self, request: Any) -> Row:
        request.wait()
        self.busy_s += request.latency / 1000
        return np.array(request.get_output_tensor(0).data[0], dtype=np.float32)

    def run(self, batch: Picture) -> Row:
        """See `Engine.run`."""
        return collect(self, batch)


def _model(backbone: Backbone, layer: str, preprocess: Preprocess) -> tuple[Any, Path | None]:
    """The converted model: its path in the cache, and the folder for compiled ones; in memory if the disk refuses."""
    folder = _folder(backbone, layer, preprocess)
    if _is_whole(folder):
        return folder / "model.xml", folder / "compiled"
    model = _convert(backbone, layer, preprocess)
    try:
        _save(model, folder)
    except (OSError, RuntimeError):
        return model, None
    return folder / "model.xml", folder / "compiled"


def _folder(backbone: Backbone, layer: str, preprocess: Preprocess) -> Path:
    text = json.dumps([backbone.fingerprint, layer, preprocess.to_dict(), version("openvino"), 1], sort_keys=True)
    return models_dir() / hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def model_path(backbone: Backbone, layer: str, preprocess: Preprocess) -> Path:
    """The converted model, (1, h, w, 3) uint8 -> (1, d) float32, as an OpenVINO file; made if it is not there."""
    folder = _folder(backbone, layer, preprocess)
    if not _is_whole(folder):
        _save(_convert(backbone, layer, preprocess), folder)
    return folder / "model.xml"


def _convert(backbone: Backbone, layer: str, preprocess: Preprocess) -> Any:
    """The backbone up to `layer` as an OpenVINO model: (1, h, w, 3) uint8 -> (1, d) float32.

    A network that takes whole numbers gets the pixels as they are: it normalises by itself.
    """
    from openvino import Layout, Type
    from openvino.preprocess import PrePostProcessor

    from headstart.backbones.from_onnx import takes_pixels

    model = backbone.openvino_model(layer, (preprocess.height, preprocess.width))
    steps = PrePostProcessor(model)
    image = steps.input(0)
    image.tensor().set_element_type(Type.u8).set_layout(Layout("NHWC"))
    image.model().set_layout(Layout("NCHW"))
    if takes_pixels(model, backbone.name):
        return steps.build()
    image.preprocess().convert_element_type(Type.f32)
    image.preprocess().mean([255.0 * m for m in preprocess.mean]).scale([255.0 * s for s in preprocess.std])
    return steps.build()


def _save(model: Any, folder: Path) -> None:
    """Write the model beside its place and move it there whole; the checksum is the mark that it is complete."""
    ov = openvino.load()

    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        ov.save_model(model, str(part / "model.xml"), compress_to_fp16=False)
        (part / "compiled").mkdir()
        (part / "whole.json").write_text(json.dumps(_checksums(part)))
        if folder.exists():
            shutil.rmtree(folder)
        part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _is_whole(folder: Path) -> bool:
    try:
        return bool(json.loads((folder / "whole.json").read_text()) == _checksums(folder))
    except (OSError, ValueError):
        return False


def _checksums(folder: Path) -> dict[str, str]:
    found = {}
    for name in ("model.xml", "model.bin"):
        with (folder / name).open("rb") as file:
            found[name] = hashlib.file_digest(file, "blake2b").hexdigest()
    return found
