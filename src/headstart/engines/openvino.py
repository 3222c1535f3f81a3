"""The default engine on CPUs: OpenVINO, float32, uint8 in, normalisation inside the graph.

One picture is one request. On the CPU that is as fast as larger batches (the throughput hint gives each core a stream
of its own), and a row then cannot depend on what else is in the batch, not even in its last bit.
The compiled model is kept on disk with a checksum, one file for each network, layer, preprocessing and machine.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections import deque
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from headstart.backbones import openvino
from headstart.engines.base import Engine, Picture, Row, Tag
from headstart.errors import UserError, WeightsError
from headstart.paths import models_dir
from headstart.shared import locked, replacing
from headstart.threads import cores

if TYPE_CHECKING:
    from headstart.preprocess import Preprocess

SETTINGS = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}
DIGEST = 16
EXTRA_REQUESTS = 2  # beyond the streams: the next pictures wait in the queue while Python handles the last ones


class Network(Protocol):
    """What the engine asks of a backbone."""

    @property
    def name(self) -> str:  # noqa: D102
        ...

    @property
    def fingerprint(self) -> str:  # noqa: D102
        ...

    def openvino_model(self, layer: str, size: tuple[int, int]) -> Any:
        """See `BaseBackbone.openvino_model`."""
        ...


class CompiledEngine(Engine):
    """A graph that OpenVINO has compiled, with a picture as its input and a row as its first output. See `Engine`."""

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
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


class OpenVINOEngine(CompiledEngine):
    """A backbone compiled by OpenVINO for the CPU. See `Engine`."""

    def __init__(self, backbone: Network, layer: str, preprocess: Preprocess, threads: int = 0) -> None:
        super().__init__(_compiled(openvino.load().Core(), backbone, layer, preprocess, threads))


def _compiled(core: Any, backbone: Network, layer: str, preprocess: Preprocess, threads: int) -> Any:
    """The compiled model: from the cache, else made and kept there by one process while others wait for it."""
    settings: dict[str, Any] = dict(SETTINGS)
    if threads:  # not bound to the first cores, which another process may have been given too
        settings |= {"INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False}
    file = _place(core, backbone, layer, preprocess, threads)
    found = _kept(core, file, settings)
    if found is not None:
        return found
    with locked(file) as held:
        found = _kept(core, file, settings) if held else None  # another process has made it while this one waited
        if found is None:
            model = convert(backbone, layer, preprocess)
            try:
                found = core.compile_model(model, "CPU", settings)
            except RuntimeError as error:
                told = f"OpenVINO cannot run {backbone.name} up to {layer}: it is damaged or not supported."
                raise WeightsError(told) from error
            if held:
                _keep(found, file)
    return found


def _place(core: Any, backbone: Network, layer: str, preprocess: Preprocess, threads: int) -> Path:
    machine = [str(core.get_property("CPU", name)) for name in ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES")]
    depends = [backbone.fingerprint, layer, preprocess.to_dict(), version("openvino"), machine, cores(), 2]
    depends += [threads] if threads else []
    text = json.dumps(depends, sort_keys=True)
    return models_dir() / f"{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}.compiled"


def _kept(core: Any, file: Path, settings: dict[str, Any]) -> Any | None:
    """The compiled model in a file of the cache: 16 bytes of checksum and OpenVINO's own; None where it is not whole.

    It is read, not mapped, so nothing that happens to the file later reaches it.
    """
    try:
        content = memoryview(file.read_bytes())
        if hashlib.blake2b(content[DIGEST:], digest_size=DIGEST).digest() != content[:DIGEST]:
            return None
        return core.import_model(content[DIGEST:].tobytes(), "CPU", settings)
    except (OSError, RuntimeError):
        return None


def _keep(compiled: Any, file: Path) -> None:
    """Keep a compiled model; what cannot be exported or written is compiled again next time."""
    with contextlib.suppress(OSError, RuntimeError):
        content = compiled.export_model().getbuffer()
        with replacing(file) as part, part.open("wb") as written:
            written.write(hashlib.blake2b(content, digest_size=DIGEST).digest())
            written.write(content)


def convert(backbone: Network, layer: str, preprocess: Preprocess) -> Any:
    """The backbone up to `layer` as an OpenVINO model: (1, h, w, 3) uint8 -> (1, d) float32.

    A network that takes whole numbers gets the pixels as they are: it normalises by itself.
    """
    from openvino import Layout, Type
    from openvino.preprocess import PrePostProcessor

    from headstart.backbones.onnx_file import takes_pixels

    try:
        model = backbone.openvino_model(layer, (preprocess.height, preprocess.width))
    except Exception as error:
        if not isinstance(error, RuntimeError) and not type(error).__module__.startswith("openvino"):
            raise
        shown = f"{backbone.name} for pictures of {preprocess.height}x{preprocess.width}"
        raise UserError(f"OpenVINO cannot convert {shown}; use engine=torch, or another size.") from error
    steps = PrePostProcessor(model)
    image = steps.input(0)
    image.tensor().set_element_type(Type.u8).set_layout(Layout("NHWC"))
    image.model().set_layout(Layout("NCHW"))
    if takes_pixels(model, backbone.name):
        return steps.build()
    image.preprocess().convert_element_type(Type.f32)
    image.preprocess().mean([255.0 * m for m in preprocess.mean]).scale([255.0 * s for s in preprocess.std])
    return steps.build()
