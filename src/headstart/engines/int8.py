"""OpenVINO in eight bits: the network quantised on some of the pictures whose features are wanted.

A row then depends on those pictures as well, so their contents are part of its key in the store.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headstart.backbones.eight_bits import CALIBRATED_ON, quantised
from headstart.backbones.onnx_file import takes_pixels
from headstart.engines.openvino import OpenVINOEngine
from headstart.errors import Refused, UserError
from headstart.images import ImageSet, Raw, decode, digest

if TYPE_CHECKING:
    from headstart.backbones import BaseBackbone
    from headstart.engines.base import Engine
    from headstart.preprocess import Preprocess


@dataclass(frozen=True)
class Calibration:
    """Pictures that ranges of activations are measured on: a digest of all their contents, and the pictures."""

    contents: str
    images: ImageSet = field(compare=False, repr=False)

    @classmethod
    def of(cls, images: ImageSet) -> Calibration:
        """Up to `CALIBRATED_ON` of these pictures, evenly from all. Raises UserError where NNCF is not installed."""
        if importlib.util.find_spec("nncf") is None:
            raise UserError("precision=int8 needs the package nncf: pip install 'headstart[export]'.")
        rows = np.unique(np.linspace(0, len(images) - 1, min(CALIBRATED_ON, len(images))).astype(np.int64))
        some = images.take(rows)
        state = hashlib.blake2b(digest_size=16)
        for raw in _readable(some):
            state.update(digest(raw))
        return cls(state.hexdigest(), some)

    def open(self, backbone: BaseBackbone, layer: str, preprocess: Preprocess) -> Engine:
        """The backbone up to `layer`, quantised and compiled; a minute the first time, which is then cached."""
        return OpenVINOEngine(InEightBits(backbone, self, preprocess), layer, preprocess)

    def inputs(self, model: Any, name: str, preprocess: Preprocess) -> list[NDArray[np.generic]]:
        """What a network is given for each picture: (1, c, h, w), normalised unless it takes the pixels as they are."""
        found: list[NDArray[np.generic]] = []
        for raw in _readable(self.images):
            with contextlib.suppress(Refused):
                image = decode(raw, self.images.limits, preview=preprocess.least_side)
                levels = preprocess.apply(image).transpose(2, 0, 1)[None]
                found.append(levels if takes_pixels(model, name) else preprocess.normalised(levels))
        if not found:
            raise UserError("precision=int8 is calibrated on the pictures, but none of those tried can be used.")
        return found


@dataclass(frozen=True)
class InEightBits:
    """A backbone as the engine asks for it, with its network in int8."""

    backbone: BaseBackbone
    calibration: Calibration
    preprocess: Preprocess

    @property
    def name(self) -> str:
        """The backbone's."""
        return self.backbone.name

    @property
    def fingerprint(self) -> str:
        """Of weights and calibration."""
        return f"{self.backbone.fingerprint}-int8-{self.calibration.contents}"

    def openvino_model(self, layer: str, size: tuple[int, int]) -> Any:
        """See `BaseBackbone.openvino_model`."""
        model = self.backbone.openvino_model(layer, size)
        return quantised(model, self.calibration.inputs(model, self.name, self.preprocess))


def _readable(images: ImageSet) -> Iterator[Raw]:
    for i in range(len(images)):
        with contextlib.suppress(Refused):
            yield images.raw(i)
