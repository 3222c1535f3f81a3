"""Which pictures a network takes: found by a forward of one picture, and remembered.

Kernels and windows larger than the map they run on are what a small picture fails at, deep in the library; here it is
one sentence with the smallest size that works.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from headstart.backbones import memory
from headstart.errors import first_line

if TYPE_CHECKING:
    import torch
    from torch import nn

Size = tuple[int, int]
STRIDE = 32
"""Pixels of the picture to a cell of the last map, in nearly all networks."""


@dataclass(frozen=True)
class Tried:
    """Why pictures of a size do not work, empty where they do; and the side of the smallest larger squares that do."""

    failed: str = ""
    smallest: int | None = None


def remembered(question: list[Any], module: Callable[[], nn.Module], size: Size, own: int) -> Tried:
    """Whether a module takes pictures of (height, width); `own` is the side of those it was made for.

    `question` is what the answer depends on beside the size. The module is asked for unless the answer is remembered.
    """
    asked = ["takes", *question, list(size)]
    known = memory.recall(asked)
    if known is not None:
        return Tried(known["failed"], known["smallest"])
    tried = _try(module(), size, own)
    if tried.smallest or not tried.failed:  # what failed otherwise, such as for want of memory, may work another time
        memory.remember(asked, asdict(tried))
    return tried


def _try(module: nn.Module, size: Size, own: int) -> Tried:
    failed = _failed(module, size)
    return Tried(failed, _smallest(module, min(size), own) if failed and min(size) < own else None)


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

    device = next((value.device for value in module.parameters()), None)
    try:
        forward(module, torch.zeros(1, 3, *size, device=device))
    except (RuntimeError, AssertionError, ValueError, IndexError) as error:
        return first_line(error)
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


def sentence(name: str, layer: str, size: Size, tried: Tried) -> str:
    """What a user is told of a size that does not work."""
    start = f"{name} cannot take pictures of {size[0]}x{size[1]} pixels for the layer {layer}"
    if tried.smallest is None:
        return f"{start} ({tried.failed}); give another `image_size`."
    side = tried.smallest
    return f"{start}: the smallest larger ones that work are {side}x{side}; give image_size={side}."
