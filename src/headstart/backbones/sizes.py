"""Which pictures a network takes: found by a forward of one picture, and remembered.

Kernels and windows larger than the map they run on are what a small picture fails at, deep in the library; here it is
one sentence with the smallest size that works.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headstart.backbones import memory
from headstart.backbones.sources import Architecture
from headstart.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from headstart.backbones.backbone import Backbone

Size = tuple[int, int]
STRIDE = 32
"""Pixels of the picture to a cell of the last map, in nearly all networks."""


def check(backbone: Backbone, layer: str, size: Size) -> None:
    """Raise UserError when `layer` cannot be computed of pictures of (height, width), with the smallest that works.

    Imports torch unless the answer is remembered. Raises UnknownName for a layer that does not exist.
    """
    library, kwargs = Architecture.of(backbone.architecture).library, dict(backbone.weights.kwargs)
    question = ["takes", backbone.architecture, library, kwargs, layer, list(size)]
    found = memory.recall(question)
    if found is None:
        failed, smallest = _find(backbone, layer, size)
        found = {"failed": failed, "smallest": smallest}
        if smallest or not failed:  # what failed otherwise, such as for want of memory, may work another time
            memory.remember(question, found)
    if found["failed"]:
        raise UserError(_sentence(backbone.name, layer, size, found["smallest"], found["failed"]))


def _find(backbone: Backbone, layer: str, size: Size) -> tuple[str, int | None]:
    """Why it does not work, or empty; and the side of square pictures that do."""
    module = backbone.features(layer)
    failed = _failed(module, size)
    own = max(backbone.preprocess.height, backbone.preprocess.width)
    return failed, _smallest(module, min(size), own) if failed and min(size) < own else None


def _smallest(module: nn.Module, below: int, own: int) -> int | None:
    """The least side above `below` at which square pictures work; None if those of the network's own size fail too.

    Networks that need whole strides work at multiples of STRIDE alone, so those are tried first; the others work from
    some side on, which is then found by halving.
    """
    tried = [side for side in range(STRIDE, own, STRIDE) if side > below] + [own]
    above = next((side for side in tried if not _failed(module, (side, side))), None)
    if above is None or _failed(module, (above - 1, above - 1)):
        return above
    below = max([below, *(side for side in tried if side < above)])
    while above - below > 1:
        middle = (below + above) // 2
        if _failed(module, (middle, middle)):
            below = middle
        else:
            above = middle
    return above


def _failed(module: nn.Module, size: Size) -> str:
    """Why a forward of one picture fails, empty when it works."""
    import torch

    try:
        forward(module, torch.zeros(1, 3, *size))
    except (RuntimeError, AssertionError, ValueError, IndexError) as error:
        return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
    return ""


def forward(module: nn.Module, picture: torch.Tensor) -> torch.Tensor:
    """What a module gives for one picture. Raises whatever PyTorch raises, and prints nothing."""
    import torch
    from torch import fx

    # Called as it is, the code that torch.fx makes prints its own traceback when it fails.
    run = fx.Interpreter(module).run if isinstance(module, fx.GraphModule) else module
    with torch.no_grad():
        found: torch.Tensor = run(picture)
    return found


def _sentence(name: str, layer: str, size: Size, smallest: int | None, reason: str) -> str:
    start = f"{name} cannot take pictures of {size[0]}x{size[1]} pixels for the layer {layer}"
    if smallest is None:
        return f"{start} ({reason}); give another `image_size`."
    return f"{start}: the smallest larger ones that work are {smallest}x{smallest}; give image_size={smallest}."
