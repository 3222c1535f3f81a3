"""A network of fixed size for pictures of another: built anew, its positions resampled as its library does it.

Learned positions and biases of windows are resampled by the library's own filter of checkpoints; rotary ones are
computed anew. Whether a size fits is found out on PyTorch's `meta` device, where it costs no memory, and remembered.
Imports torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import nn

from headstart.backbones import encoders, memory
from headstart.backbones.build import at_size, content, create
from headstart.backbones.fingerprint import fingerprint_of
from headstart.backbones.sources import Architecture
from headstart.backbones.weights import Weights
from headstart.errors import UserError

if TYPE_CHECKING:
    from headstart.backbones.backbone import Backbone

Size = tuple[int, int]
STEPS = (16, 32, 28, 64, 8)
"""Pixels of which a side may have to be a multiple, beside the side of a patch."""
LEAST = 8


def resized(backbone: Backbone, size: Size) -> Backbone:
    """The backbone for pictures of (height, width), with weights resampled from its own.

    Raises UserError with the nearest sizes that the network takes.
    """
    assert backbone.fixed_size is not None
    question = ["resized", backbone.fingerprint, list(size)]
    known, network = memory.recall(question), None
    weights = _for_size(backbone, size)
    if known is None:
        if not takes(backbone, size):
            raise UserError(refusal(backbone, size))
        with torch.random.fork_rng(devices=[]):
            network = at_size(backbone.architecture, weights, backbone.network()).float().eval()
        sha256, classes = content(network)
        known = {"sha256": sha256, "num_classes": classes}
        memory.remember(question, known)
    weights = replace(weights, sha256=known["sha256"], num_classes=known["num_classes"])
    library = Architecture.of(backbone.architecture).library
    mark = fingerprint_of(backbone.architecture, weights.kwargs, weights.num_classes, known["sha256"], library)
    preprocess = backbone.preprocess.resized(size)
    return replace(backbone, weights=weights, preprocess=preprocess, fingerprint=mark, fixed_size=size, built=network)


def takes(backbone: Backbone, size: Size) -> bool:
    """Whether the network can be built for pictures of (height, width), its weights fitted, and run. Remembered."""
    if size == backbone.fixed_size:
        return True
    library = Architecture.of(backbone.architecture).library
    kwargs, classes = dict(backbone.weights.kwargs), backbone.weights.num_classes
    question = ["resizes", backbone.architecture, library, kwargs, classes, backbone.fixed_size, list(size)]
    known = memory.recall(question)
    if known is None:
        known = {"takes": _tried(backbone, size)}
        memory.remember(question, known)
    return bool(known["takes"])


def refusal(backbone: Backbone, size: Size) -> str:
    """What a user is told of a size that the network does not take."""
    assert backbone.fixed_size is not None
    start = f"{backbone.name} cannot take pictures of {size[0]}x{size[1]} pixels"
    found = nearest(lambda side: takes(backbone, (side, side)), min(size), encoders.patch(backbone.architecture))
    if not found:
        height, width = backbone.fixed_size
        return f"{start}, but those of {height}x{width} pixels only; leave `image_size` out."
    which = "size that it takes is" if len(found) == 1 else "sizes that it takes are"
    sides = " and ".join(f"{side}x{side}" for side in found)
    return f"{start}; the nearest {which} {sides}: give {' or '.join(f'image_size={side}' for side in found)}."


def nearest(fits: Callable[[int], bool], side: int, patch: int | None) -> list[int]:
    """The nearest sides below and above `side` that fit, where they are multiples of a patch or of one of STEPS."""
    below: list[int] = []
    above: list[int] = []
    for step in dict.fromkeys((patch or STEPS[0], *STEPS)):
        lower, higher = (side - 1) // step * step, (side // step + 1) * step
        below += [lower] if lower >= LEAST and fits(lower) else []
        above += [higher] if fits(higher) else []
        if below and above:
            break
    return [*([max(below)] if below else []), *([min(above)] if above else [])]


def _for_size(backbone: Backbone, size: Size) -> Weights:
    own = backbone.weights
    kwargs = {**own.kwargs, **Architecture.of(backbone.architecture).source.sized(size)}
    return replace(own, path=None, sha256=None, kwargs=kwargs, before=own, made_for=backbone.fixed_size)


def _tried(backbone: Backbone, size: Size) -> bool:
    weights = _for_size(backbone, size)
    if weights.kwargs == backbone.weights.kwargs:
        return False
    for device in ("meta", "cpu"):
        try:
            with torch.random.fork_rng(devices=[]), torch.device(device), torch.no_grad():
                own = create(backbone.architecture, backbone.weights)
                network = at_size(backbone.architecture, weights, own)
                if not _whole(network, size):
                    return False
                network.eval()(torch.zeros(1, 3, *size))
        except NotImplementedError:
            continue  # this device lacks an operation
        except Exception:  # whatever a library raises where a size does not fit
            return False
        return True
    return False


def _whole(network: nn.Module, size: Size) -> bool:
    """Whether pictures of (height, width) are a whole number of patches; some networks would drop the rest."""
    patch = getattr(getattr(network, "patch_embed", None), "patch_size", 1)
    height, width = (patch, patch) if isinstance(patch, int) else patch
    return size[0] % height == 0 and size[1] % width == 0
