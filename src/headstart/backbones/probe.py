"""What a backbone gives for one picture: found out before a head from a file is trusted to fit it, and remembered."""

from __future__ import annotations

import math
from typing import Any

from headstart.backbones import memory
from headstart.backbones.backbone import Backbone, OnnxBackbone
from headstart.backbones.sizes import forward
from headstart.errors import UserError, WeightsError
from headstart.preprocess import CHANNELS, Preprocess

MOST_PIXELS = 1 << 20
"""A picture of more pixels is not tried, for what that takes; the head then finds out when it predicts."""


def width(backbone: Backbone, layer: str, preprocess: Preprocess) -> int | None:
    """The number of features of a layer, from a grey picture; None where such pictures are too large to try.

    Imports torch, or OpenVINO for ONNX files, unless the answer is remembered. Raises WeightsError where the weights do
    not fit the architecture or the features are not finite, UnknownName for a layer, UserError for the picture's size.
    """
    if preprocess.height * preprocess.width > MOST_PIXELS:
        return None
    question = _question(backbone, layer, preprocess)
    found = memory.recall(question)
    if found is not None:
        return int(found["width"])
    size = (preprocess.height, preprocess.width)
    if isinstance(backbone, OnnxBackbone):
        made = math.prod(int(side) for side in backbone.openvino_model(layer, size).output(0).shape)
    else:
        made = _forward(backbone, layer, preprocess)
    remember(backbone, layer, preprocess, made)
    return made


def remember(backbone: Backbone, layer: str, preprocess: Preprocess, found: int) -> None:
    """Keep the number of features of a backbone that has been at work, so that `width` need not find it out."""
    memory.remember(_question(backbone, layer, preprocess), {"width": found})


def _question(backbone: Backbone, layer: str, preprocess: Preprocess) -> list[Any]:
    return ["width", backbone.fingerprint, layer, preprocess.height, preprocess.width, preprocess.color]


def _forward(backbone: Backbone, layer: str, preprocess: Preprocess) -> int:
    import torch

    size = (preprocess.height, preprocess.width)
    try:
        features = forward(backbone.features(layer), torch.zeros(1, CHANNELS[preprocess.color], *size))
    except (RuntimeError, AssertionError, ValueError, IndexError, TypeError) as error:
        backbone.check(layer, size)  # says which size works, where that is the reason
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise UserError(
            f"{backbone.name} cannot be run on pictures of {size[0]}x{size[1]} pixels ({reason})."
        ) from error
    if not bool(torch.isfinite(features).all()):
        raise WeightsError(f"The weights of {backbone.name} give features that are not finite; the file is damaged.")
    return features.numel()
