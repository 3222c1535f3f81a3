"""A network of fixed size for pictures of another: built anew, its positions resampled as its library does it.

Learned positions and biases of windows are resampled by the library's own filter of checkpoints; rotary ones are
computed anew. Whether a size fits is found out on PyTorch's `meta` device, where it costs no memory, and remembered.
What is remembered needs no torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from headstart.backbones import encoders, memory
from headstart.backbones.fingerprint import fingerprint_of
from headstart.backbones.sources import Architecture
from headstart.backbones.weights import Weights
from headstart.errors import UserError

if TYPE_CHECKING:
    from torch import nn

Size = tuple[int, int]
STEPS = (16, 32, 28, 64, 8)
"""Pixels of which a side may have to be a multiple, beside the side of a patch."""
LEAST = 8


@dataclass(frozen=True)
class Made:
    """A network as it was made, for pictures of (height, width) `size` alone; `mark` is its fingerprint."""

    name: str
    architecture: str
    weights: Weights
    size: Size
    mark: str


@dataclass(frozen=True)
class Resized:
    """Weights for another size and their fingerprint; `network` where it had to be built to know them."""

    weights: Weights
    fingerprint: str
    network: nn.Module | None


def resized(made: Made, size: Size, network: Callable[[], nn.Module]) -> Resized:
    """What `made` is for pictures of (height, width), its weights resampled; `network` gives it as it was made.

    Raises UserError with the nearest sizes that the network takes.
    """
    question = ["resized", made.mark, list(size)]
    known, built = memory.recall(question), None
    weights = _for_size(made, size)
    if known is None:
        if not takes(made, size):
            raise UserError(_refusal(made, size))
        built, known = _built(made, weights, network())
        memory.remember(question, known)
    weights = replace(weights, sha256=known["sha256"], num_classes=known["num_classes"])
    library = Architecture.of(made.architecture).library
    mark = fingerprint_of(made.architecture, weights.kwargs, weights.num_classes, known["sha256"], library)
    return Resized(weights, mark, built)


def _built(made: Made, weights: Weights, own: nn.Module) -> tuple[nn.Module, dict[str, Any]]:
    """The network with the weights of `own` resampled, and what of it is remembered."""
    import torch

    from headstart.backbones.build import at_size, content

    with torch.random.fork_rng(devices=[]):
        network = at_size(made.architecture, weights, own).float().eval()
    sha256, classes = content(network)
    return network, {"sha256": sha256, "num_classes": classes}


def takes(made: Made, size: Size) -> bool:
    """Whether the network can be built for pictures of (height, width), its weights fitted, and run. Remembered."""
    if size == made.size:
        return True
    library = Architecture.of(made.architecture).library
    kwargs, classes = dict(made.weights.kwargs), made.weights.num_classes
    question = ["resizes", made.architecture, library, kwargs, classes, list(made.size), list(size)]
    known = memory.recall(question)
    if known is None:
        known = {"takes": _tried(made, size)}
        memory.remember(question, known)
    return bool(known["takes"])


def _refusal(made: Made, size: Size) -> str:
    """What a user is told of a size that the network does not take."""
    start = f"{made.name} cannot take pictures of {size[0]}x{size[1]} pixels"
    found = nearest(lambda side: takes(made, (side, side)), min(size), encoders.patch(made.architecture))
    if not found:
        return f"{start}, only of {made.size[0]}x{made.size[1]} pixels; leave `image_size` out."
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


def _for_size(made: Made, size: Size) -> Weights:
    own = made.weights
    kwargs = {**own.kwargs, **Architecture.of(made.architecture).source.sized(size)}
    return replace(own, path=None, sha256=None, kwargs=kwargs, before=own, made_for=made.size)


def _tried(made: Made, size: Size) -> bool:
    import torch

    from headstart.backbones.build import at_size, create

    weights = _for_size(made, size)
    if weights.kwargs == made.weights.kwargs:
        return False
    for device in ("meta", "cpu"):
        try:
            with torch.random.fork_rng(devices=[]), torch.device(device), torch.no_grad():
                own = create(made.architecture, made.weights)
                network = at_size(made.architecture, weights, own)
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
