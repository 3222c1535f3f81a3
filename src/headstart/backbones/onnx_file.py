"""What an ONNX file says of itself, as OpenVINO reads it: its one picture input, its outputs, and what is assumed."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from headstart import tensors
from headstart.backbones import bounds, external, memory, openvino
from headstart.backbones.sidecar import Shape, Sidecar
from headstart.errors import WeightsError
from headstart.preprocess import Preprocess

OWN_SIZE = 224
ASSUMED = (
    "{name} has no sidecar: pictures are scaled to 0..1 and normalised with ImageNet's mean and standard deviation, "
    "which is an assumption; write {sidecar} to state what it expects."
)
WHOLE = (
    "{name} takes whole numbers ({type}): it gets the pixels 0..255 as they are; how they are resized is an "
    "assumption, so write {sidecar} to state it."
)


READING = "import sys; from headstart.backbones.onnx_file import try_out; try_out(sys.argv[1])"
SURVIVED = {"read": True}
DEAR, FOLDING = 3, 20
"""An exit code; seconds that computing constants may take."""
RANDOM = 5
"""An exit code."""
CHECKS = 4
"""Which checks a file has survived: raised with each new one, so that files are tried again."""
ENDLESS, STEPS = 4, 10_000
"""An exit code; steps that a loop may take, those of loops in it with it."""
DRAWN = ("RandomUniform", "Multinomial")
"""Operations that draw numbers; `RandomNormal` is made of the first."""
LARGEST = 2 << 30
"""Bytes of one value that a network computes for a picture."""
PATIENCE = 600.0
"""Seconds that the first reading of a file may take."""
MOST_SAID = 2_000
"""Characters of what OpenVINO says of a file that it cannot read."""


def read(path: Path) -> Any:
    """The network, read as ONNX alone: OpenVINO's own choice by content would also open its other formats.

    A damaged file may crash OpenVINO, so the first time a process of its own reads it. Raises WeightsError.
    """
    cannot = f"{path} cannot be read as an ONNX network"
    external.files(path)  # before OpenVINO opens what the file names
    read_elsewhere(path, cannot)
    try:
        return converted(path)
    except Exception as error:  # a dozen kinds, without a common base
        raise WeightsError(f"{cannot}.") from error


def read_elsewhere(path: Path, cannot: str) -> None:
    """Raise WeightsError, which begins with `cannot`, unless a process of its own could read a network, now or before.

    The network is an ONNX file, or one in OpenVINO's own format (`.xml`, with its `.bin`).
    """
    question = _question(path)
    if memory.recall(question) is not None:
        return
    try:
        done = subprocess.run([sys.executable, "-P", "-c", READING, str(path)], capture_output=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise WeightsError(f"{cannot}: that takes more than {PATIENCE / 60:.0f} minutes.") from None
    if done.returncode == 1:  # it is not tried again here, where nothing bounds it
        raise WeightsError(f"{cannot}.") from RuntimeError(done.stderr.decode(errors="replace")[-MOST_SAID:])
    if done.returncode:
        raise WeightsError(f"{cannot}: {_cause(done.returncode)}.")
    memory.remember(question, SURVIVED)


def _cause(code: int) -> str:
    """Why the process that tried a file ended, as a clause."""
    if code == RANDOM:
        return "it draws random numbers, so each answer would be another; export it in evaluation mode"
    if code == ENDLESS:
        return f"it has a loop of over {STEPS:,} steps, or of a number that the file does not state"
    if code == DEAR or (sys.platform != "win32" and code == -signal.SIGXCPU):
        return "its computations on constants take more memory or time than its weights explain"
    if sys.platform != "win32" and code == -signal.SIGKILL:
        return "the system killed the process that read it, perhaps for lack of memory"
    return "OpenVINO crashes on it, so it is damaged"


def trust(path: Path) -> None:
    """Remember that a file may be read in this process: this program wrote it itself."""
    memory.remember(_question(path), SURVIVED)


def _question(path: Path) -> list[Any]:
    if path.suffix == ".xml":
        return ["openvino", version("openvino"), *map(tensors.sha256, _files(path)), CHECKS]
    return ["onnx", version("openvino"), external.content(path) or tensors.sha256(path), CHECKS]


def _files(path: Path) -> list[Path]:
    """The files of a network."""
    return [path, path.with_suffix(".bin")] if path.suffix == ".xml" else sorted(external.files(path))


def converted(path: Path) -> Any:
    """What OpenVINO makes of a file. Raises whatever it raises."""
    found = openvino.load()
    if path.suffix == ".xml":
        return found.Core().read_model(*(file.read_bytes() for file in _files(path)))
    from openvino.frontend import FrontEndManager

    reader = FrontEndManager().load_by_framework("onnx")
    return reader.convert(reader.load(str(path)))


def try_out(path: Path | str) -> None:
    """Convert a file and compute its constants, as compiling does, with little more memory and time than it has bytes.

    Raises whatever OpenVINO raises at reading; exits with `DEAR` where the constants cannot be computed, with `ENDLESS`
    where a loop takes too many steps, with `RANDOM` where numbers are drawn; the system ends the process where
    computing takes too long.
    """
    openvino.load()
    from openvino.passes import ConstantFolding, Manager

    path = Path(path)
    size = sum(file.stat().st_size for file in _files(path))
    bounds.bound(size, FOLDING + size // 10**7)
    model = None
    try:
        model = converted(path)
        bounds.bound(size)
        passes = Manager()
        passes.register_pass(ConstantFolding())
        passes.run_passes(model)
    except Exception as error:  # of what OpenVINO raises at reading, only the text tells what is for lack of memory
        if model is None and not isinstance(error, MemoryError) and "bad_alloc" not in str(error):
            raise
        sys.exit(DEAR)
    if _steps(model) > STEPS:
        sys.exit(ENDLESS)
    if any(op.get_type_name() in DRAWN for op in model.get_ops()):
        sys.exit(RANDOM)


def _steps(graph: Any) -> float:
    """The most steps of a loop in an `openvino.Model`, times those of the loops in it; inf where it depends on data."""
    most = 1.0
    for op in graph.get_ops():
        kind, within, steps = op.get_type_name(), [], 1.0
        if kind in ("Loop", "TensorIterator"):
            within, steps = [op.get_function()], float(op.get_num_iterations())
        elif kind == "If":
            within = [op.get_then_body(), op.get_else_body()]
        deepest = max(map(_steps, within), default=1.0)
        most = max(most, steps * deepest if steps >= 0 else math.inf)
    return most


def check_values(model: Any, path: Path) -> None:
    """Raises WeightsError where an `openvino.Model` computes a value of over `LARGEST` bytes for one picture."""
    ports = [port for op in model.get_ops() if op.get_type_name() != "Constant" for port in op.outputs()]
    fixed = (port for port in ports if port.get_partial_shape().is_static)
    largest = max((math.prod(port.get_shape()) * port.get_element_type().size for port in fixed), default=0)
    if largest > LARGEST:
        raise WeightsError(
            f"{path} computes a value of {largest / 2**30:,.1f} GiB for one picture, over {LARGEST >> 30} GiB; if it "
            "takes pictures of any size, give a smaller `image_size`."
        )


def takes_pixels(model: Any, name: object) -> bool:
    """Whether the input of an `openvino.Model` is of whole numbers, so that it takes 0..255 and no normalised values.

    Raises WeightsError for numbers that cannot be those of pixels.
    """
    element = model.input(0).get_element_type()
    if not element.is_integral():
        return False
    if element.bitwidth < 8 or (element.bitwidth == 8 and element.is_signed()):
        raise WeightsError(
            f"{name} takes {_type(model)}, which cannot hold pixels from 0 to 255; export it for float32."
        )
    return True


def assumed(model: Any, path: Path) -> str:
    """What is assumed of a file without a sidecar, in a sentence."""
    told = WHOLE if takes_pixels(model, path) else ASSUMED
    return told.format(name=path.name, sidecar=path.with_suffix(".json").name, type=_type(model))


def with_ports(path: Path, found: Sidecar | None, model: Any) -> Sidecar:
    """A sidecar with the inputs and outputs of the file itself."""
    try:
        inputs = {port.get_any_name(): _shape(port) for port in model.inputs}
        outputs = {port.get_any_name(): _shape(port) for port in model.outputs}
    except RuntimeError as error:
        raise WeightsError(f"{path} has an input or an output without a name.") from error
    if found is not None:
        return replace(found, inputs=inputs, outputs=outputs)
    size = picture_size(inputs, path) or (OWN_SIZE, OWN_SIZE)
    preprocess = Preprocess(*size)
    if takes_pixels(model, path):
        preprocess = replace(preprocess, mean=(0.0,) * 3, std=(1 / 255,) * 3)  # pixels stay in 0..255
    return Sidecar(f"onnx:{path.stem}", preprocess, tensors.sha256(path), inputs=inputs, outputs=outputs)


def outputs_of(found: Sidecar, path: Path) -> dict[str, tuple[int, ...]]:
    """Shapes without the batch; a network of free size is measured at its preprocessing's size."""
    if all(None not in shape[1:] for shape in found.outputs.values()):
        return {name: tuple(int(s or 0) for s in shape[1:]) for name, shape in found.outputs.items()}
    model = read(path)
    height, width = found.preprocess.height, found.preprocess.width
    try:
        model.reshape([1, 3, height, width])
        return {p.get_any_name(): tuple(int(s or 0) for s in _shape(p)[1:]) for p in model.outputs}
    except RuntimeError as error:
        raise WeightsError(f"{path} cannot take pictures of {height}x{width} pixels.") from error


def picture_size(inputs: Mapping[str, Shape], path: Path) -> tuple[int, int] | None:
    """The static (height, width) of the one input, None when it is free."""
    shapes = list(inputs.values())
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][1] not in (3, None):
        shown = ", ".join(f"{name} {list(shape)}" for name, shape in inputs.items())
        raise WeightsError(f"{path} must have one input (batch, 3, height, width); it has {shown}.")
    height, width = shapes[0][2:]
    return (height, width) if height is not None and width is not None else None


def _shape(port: Any) -> Shape:
    return tuple(None if size.is_dynamic else int(size.get_length()) for size in port.get_partial_shape())


def _type(model: Any) -> str:
    return str(model.input(0).get_element_type().to_string())
