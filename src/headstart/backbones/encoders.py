"""What pays with the encoders of timm, known by name: the size of their pictures, and the layer their authors probe.

Imports no library, so that a run whose features are stored needs none.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from typing import NamedTuple

Size = tuple[int, int]
USUAL = 224
"""The side of the pictures that most of these networks are compared at."""
FAR = 448
"""A network of a larger side is run at USUAL: twice as large already costs four times as much, and more."""
SMALL = 128
"""The side for small pictures (`preprocess.SMALL`), and FEWEST patches at least."""
FEWEST = 8


class Family(NamedTuple):
    """Names that match `pattern` are probed at `layer`."""

    pattern: str
    layer: str


FAMILIES = (
    Family("vit_base_*.dino", "cls+mean"),  # Caron et al. 2021, Emerging properties in self-supervised ViTs, appendix F
    Family("vit_*.dino", "cls"),  # the same: what its k-nearest neighbours are found by
    Family("vit_*dinov2*", "cls+mean"),  # Oquab et al. 2024, DINOv2: class token and mean of the patches, side by side
    Family("vit_*dinov3*", "cls"),  # Simeoni et al. 2025, DINOv3: linear probes on the class token
    Family("vit_*clip*", "pooled"),  # Radford et al. 2021, CLIP: what enters the projection, appendix A.3
    Family("vit_*siglip*", "pooled"),  # Zhai et al. 2023, SigLIP: attention pooling, as it was trained
    Family("eva02_*", "pooled"),  # Fang et al. 2023, EVA-02: the mean of the patches, normalised
)
"""The first that matches a name counts; all others are probed at `pooled`, where their own classifiers are."""


def patch(architecture: str) -> int | None:
    """The side of a patch in pixels, of a timm network whose pictures are cut into patches.

    >>> patch("timm:vit_small_patch14_dinov2.lvd142m"), patch("timm:swin_tiny_patch4_window7_224"), patch("timm:vgg16")
    (14, 4, None)
    """
    source, _, name = architecture.partition(":")
    found = re.search(r"_patch(\d+)(?:_|\.|$)", name)
    return int(found[1]) if found and source == "timm" else None


def usual_layer(architecture: str) -> str:
    """The layer that the authors of a network probe with.

    >>> usual_layer("timm:vit_small_patch14_dinov2.lvd142m"), usual_layer("timm:resnet18")
    ('cls+mean', 'pooled')
    """
    source, _, name = architecture.partition(":")
    found = (family.layer for family in FAMILIES if source == "timm" and fnmatch.fnmatchcase(name, family.pattern))
    return next(found, "pooled")


def usual_size(architecture: str, own: Size, small: bool, fits: Callable[[Size], bool]) -> Size:
    """The (height, width) that pays for a network of a fixed size, `own`: for pictures that are `small`, or not.

    That is `own`, except for networks of patches without windows: 224 where `own` is far beyond, and 128 for small
    pictures, or the nearest multiple of a patch. `fits` says whether the network takes a size.
    """
    side = patch(architecture)
    if side is None or "window" in architecture or own[0] != own[1]:
        return own
    wanted = max(SMALL, FEWEST * side) if small else USUAL if own[0] > FAR else own[0]
    chosen = min(own[0], round(wanted / side) * side)
    return (chosen, chosen) if chosen == own[0] or fits((chosen, chosen)) else own


def resolution_note(architecture: str, own: Size, size: Size) -> str:
    """That a network is run at another size than its own, and what that saves."""
    side = patch(architecture) or 1
    few, many = (height * width // side**2 for height, width in (size, own))
    return (
        f"The network sees pictures at {size[0]}x{size[1]} pixels, {few:,} patches instead of {many:,}; "
        f"image_size={own[0]} is its native size."
    )
