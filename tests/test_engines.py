"""What every engine of the table keeps to, and those for pixels: a new line in `ENGINES` is tested by being there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from headstart.backbones import Backbone, OnnxBackbone, Weights, resolve
from headstart.engines import DEVICES, ENGINES, PRECISIONS, Engine, Picture, choose
from headstart.engines.pixels import ROWS, PixelEngine
from headstart.errors import UnknownName, UserError
from headstart.preprocess import Preprocess

SIDE = 32
LAYERS = ("pooled", "last_conv")
EVERY = pytest.mark.parametrize("name", ENGINES)


def network() -> tuple[Backbone, Preprocess]:
    backbone = resolve("test_resnet", "none")  # timm's smallest
    assert isinstance(backbone, Backbone)
    return backbone, replace(backbone.preprocess, height=SIDE, width=SIDE)


def opened(name: str, layer: str = "pooled") -> Engine:
    """An engine of the table on the CPU, or one for pixels."""
    return PixelEngine(name) if name in ROWS else choose(name, "cpu").open(network()[0], layer, network()[1])


def noise(count: int) -> Picture:
    return np.random.default_rng(0).integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)


@EVERY
@pytest.mark.parametrize("layer", LAYERS)
def test_its_rows_are_what_the_network_gives_for_the_normalised_picture(name: str, layer: str) -> None:
    (backbone, preprocess), pictures = network(), noise(3)
    mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in (preprocess.mean, preprocess.std))
    with torch.no_grad():
        x = torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255
        wanted = backbone.features(layer)((x - mean) / std).numpy()
    rows = opened(name, layer).run(pictures)
    assert (rows.dtype, rows.shape) == (np.float32, wanted.shape)
    assert np.abs(rows - wanted).max() <= 1e-4 * np.abs(wanted).max()


@pytest.mark.parametrize("name", [*ENGINES, *ROWS])
def test_a_row_depends_on_its_picture_alone_to_the_last_bit(name: str) -> None:
    """Not on the other pictures, their number or order, nor on what ran before."""
    pictures, engine = noise(11), opened(name)
    order = np.random.default_rng(1).permutation(11)
    together = engine.run(pictures)
    assert engine.run(pictures[order]).tobytes() == together[order].tobytes()
    assert engine.run(pictures[4:5]).tobytes() == together[4:5].tobytes()
    streamed = dict(engine.stream(zip("abcdefghijk", pictures, strict=True)))
    assert np.stack([streamed[tag] for tag in "abcdefghijk"]).tobytes() == together.tobytes()


@pytest.mark.parametrize("name", [*ENGINES, *ROWS])
def test_it_takes_no_more_pictures_than_it_has_room_for(name: str) -> None:
    """When the first row is there, few of a thousand pictures were asked for, so memory does not grow with them."""
    asked: list[int] = []

    def pictures() -> Iterator[tuple[int, Picture]]:
        for i in range(1000):
            asked.append(i)
            yield i, noise(1)[0]

    rows = iter(opened(name).stream(pictures()))
    next(rows)
    assert len(asked) < 300


def test_of_large_pictures_pytorch_takes_fewer_at_once() -> None:
    """So that a batch takes no more memory than one of smaller pictures."""
    asked: list[int] = []

    def pictures(side: int) -> Iterator[tuple[int, Picture]]:
        for i in range(16):
            asked.append(side)
            yield i, np.zeros((side, side, 3), np.uint8)

    for side in (64, 1600):
        backbone, preprocess = network()
        engine = choose("torch", "cpu").open(backbone, "pooled", replace(preprocess, height=side, width=side))
        next(iter(engine.stream(pictures(side))))
    assert [asked.count(64), asked.count(1600)] == [8, 1]


@pytest.mark.parametrize("name", [*ENGINES, *ROWS])
def test_an_empty_batch_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="at least one picture"):
        opened(name).run(noise(0))


@EVERY
def test_a_layer_that_does_not_exist_is_refused_with_those_that_do(name: str) -> None:
    with pytest.raises(UnknownName, match="did you mean pooled"):
        opened(name, "pool")


@EVERY
def test_a_device_or_a_precision_that_it_has_not_is_refused_in_one_sentence(name: str) -> None:
    backbone, preprocess = network()
    for device, precision in product(DEVICES, PRECISIONS):
        try:
            choose(name, device, precision).open(backbone, "pooled", preprocess)
        except UserError as error:
            assert (device, precision) != ("cpu", "float32")
            assert str(error).endswith(".") and "\n" not in str(error)


def test_pytorch_refuses_an_onnx_file() -> None:
    frozen = OnnxBackbone("net", "onnx:net", Weights("file"), Preprocess(8, 8), "0" * 32)
    with pytest.raises(UserError, match=r"is frozen and runs with engine=openvino only\.$"):
        choose("torch", "cpu").open(frozen, "pooled", frozen.preprocess)


def test_openvino_is_loaded_without_its_converter_which_comes_when_it_is_called() -> None:
    """A process of its own: this one has loaded it."""
    code = (
        "import sys\nfrom headstart.backbones import openvino\nloaded = openvino.load()\n"
        "assert loaded is openvino.load() and 'openvino.tools.ovc' not in sys.modules\n"
        "try:\n    loaded.convert_model('no such file.onnx')\nexcept Exception as error:\n    print(error)\n"
        "assert 'openvino.tools.ovc' in sys.modules and 'openvino_telemetry.main' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "no such file.onnx" in done.stdout
