"""All that a feature depends on beside the picture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from PIL import Image

from headstart.backbones import BaseBackbone
from headstart.engines import ON_CPU, Engine, EngineChoice, Picture
from headstart.images.decode import Limits, Raw, decode
from headstart.preprocess import Preprocess
from headstart.views import View

if TYPE_CHECKING:
    from headstart.engines.int8 import Calibration


@dataclass(frozen=True)
class FeatureSource:
    """What turns a picture into a row: a backbone up to a layer, or, without a backbone, the pixels themselves.

    `layer` is then a kind of `headstart.engines.pixels`. With a `view`, of the picture as that draws it. With a
    `calibration`, which int8 needs, by a network in eight bits.
    """

    preprocess: Preprocess
    backbone: BaseBackbone | None = None
    layer: str = "pixels"
    engine: EngineChoice = ON_CPU
    view: View | None = None
    calibration: Calibration | None = None

    @property
    def licence(self) -> str | None:
        """That of the network's weights; None of pixels."""
        return self.backbone.weights.licence if self.backbone else None

    def space(self) -> dict[str, Any]:
        """Everything that a feature depends on beside the picture: the key of the store's space."""
        view = {"view": self.view.to_dict()} if self.view is not None else {}
        if self.backbone is None:
            kept = {"backbone": self.layer, "preprocess": self.preprocess.to_dict()}
            return {"format": 1, **kept, **({} if self.layer == "pixels" else {"dtype": "|u1"}), **view}
        return {
            "format": 1,
            "backbone": self.backbone.plain_name,
            "weights": self.backbone.fingerprint,
            "layer": self.layer,
            "preprocess": self.preprocess.to_dict(),
            "engine": f"{self.engine.name}-{self.engine.device}-{self.engine.precision}",
            **({} if self.calibration is None else {"calibrated_on": self.calibration.contents}),
            **view,
        }

    def decode(self, raw: Raw, limits: Limits) -> Image.Image:
        """A picture in mode 'L' or 'RGB', of a smaller size where the preprocessing allows that; whole for a view.

        Raises `Refused`.
        """
        return decode(raw, limits, preview=None if self.view else self.preprocess.least_side)

    def picture(self, image: Image.Image, content: bytes) -> Picture:
        """A decoded picture and its digest -> (h, w, c) uint8, the engine's input."""
        return self.view.picture(image, content, self.preprocess) if self.view else self.preprocess.apply(image)

    def exactly(self) -> FeatureSource:
        """The same in float32."""
        return replace(self, engine=replace(self.engine, precision="float32"), calibration=None)

    def open(self) -> Engine:
        """A new engine, compiled; may take seconds."""
        if self.backbone is None:
            from headstart.engines.pixels import PixelEngine

            return PixelEngine(self.layer)
        if self.calibration is not None:
            return self.calibration.open(self.backbone, self.layer, self.preprocess)
        return self.engine.open(self.backbone, self.layer, self.preprocess)
