"""What a backbone gives for one picture: found out before a head from a file is trusted to fit it, and remembered."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from headstart.backbones import memory, sizes
from headstart.backbones.backbone import Backbone
from headstart.backbones.base import BaseBackbone
from headstart.backbones.sizes import forward
from headstart.errors import UnknownName, UserError, WeightsError, first_line
from headstart.preprocess import CHANNELS, Preprocess

if TYPE_CHECKING:
    import torch

LARGEST = 1e20
"""Of a feature; one more, and another picture's may not be finite."""
MOST_PIXELS = 1 << 20
"""A picture of more pixels is not tried, for what that takes; the head then finds out when it predicts."""


def width(backbone: BaseBackbone, layer: str, preprocess: Preprocess) -> int | None:
    """The number of features of a layer, from one picture; None where such pictures are too large to try.

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
    if isinstance(backbone, Backbone):
        made = _without_memory(backbone, layer, preprocess) or _forward(backbone, layer, preprocess)
    else:
        made = math.prod(int(side) for side in backbone.openvino_model(layer, size).output(0).shape)
    remember(backbone, layer, preprocess, made)
    return made


def remember(backbone: BaseBackbone, layer: str, preprocess: Preprocess, found: int) -> None:
    """Keep the number of features of a backbone that has been at work, so that `width` need not find it out."""
    memory.remember(_question(backbone, layer, preprocess), {"width": found})


def _question(backbone: BaseBackbone, layer: str, preprocess: Preprocess) -> list[Any]:
    return ["width", backbone.fingerprint, layer, preprocess.height, preprocess.width, preprocess.color]


def _without_memory(backbone: Backbone, layer: str, preprocess: Preprocess) -> int | None:
    """The same for random weights, which are finite, on PyTorch's `meta` device: whatever network it is costs nothing.

    None for other weights, and for networks that this device cannot run. Raises UserError for the picture's size.
    """
    import torch

    from headstart.backbones.build import without_memory

    if backbone.weights.kind != "none" or (network := without_memory(backbone.architecture, backbone.weights)) is None:
        return None
    empty, size = replace(backbone, built=network.eval()), (preprocess.height, preprocess.width)
    try:
        with torch.device("meta"):
            found = forward(empty.features(layer), _noise(preprocess).to("meta"))
    except UnknownName:
        raise
    except Exception:  # anything: few libraries are tried on this device, and `_forward` has the words for the rest
        tried = empty.tried(layer, size)
        if tried.smallest:
            raise UserError(sizes.sentence(backbone.name, layer, size, tried)) from None
        return None
    return found.numel()


def _forward(backbone: Backbone, layer: str, preprocess: Preprocess) -> int:
    size = (preprocess.height, preprocess.width)
    try:
        features = forward(backbone.features(layer), _noise(preprocess))
    except (RuntimeError, AssertionError, ValueError, IndexError, TypeError) as error:
        backbone.check(layer, size)  # says which size works, where that is the reason
        raise UserError(
            f"{backbone.name} cannot be run on pictures of {size[0]}x{size[1]} pixels ({first_line(error)})."
        ) from error
    if not bool((features.abs() <= LARGEST).all()):
        raise WeightsError(f"The weights of {backbone.name} give features that are not finite; the file is damaged.")
    return features.numel()


def _noise(preprocess: Preprocess) -> torch.Tensor:
    """A picture of noise, (1, c, h, w) float32 normalised, always the same; a grey one would hide weights by zeros."""
    import torch

    drawn = torch.Generator("cpu").manual_seed(0)
    shape = (1, CHANNELS[preprocess.color], preprocess.height, preprocess.width)
    pixels = torch.randint(0, 256, shape, generator=drawn, dtype=torch.float32, device="cpu") / 255
    mean, std = (torch.tensor(each, device="cpu").view(1, -1, 1, 1) for each in (preprocess.mean, preprocess.std))
    return (pixels - mean) / std
