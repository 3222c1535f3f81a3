"""The graph from a picture of any size to what a network takes: `Preprocess.apply` in operators of ONNX."""

from __future__ import annotations

import math

import numpy as np

from headstart.exporting.graph import DOUBLE, FLOAT, INT32, INT64, Piece, single
from headstart.exporting.resize import Axis, nearest, needed_rows, resized
from headstart.preprocess import CHANNELS, Preprocess, false_colours

LUMA = np.array([19595, 38470, 7471], dtype=np.float32) / 65536
"""Red, green and blue in grey, as Pillow converts to mode `L`."""


def network_input(g: Piece, picture: str, preprocess: Preprocess) -> str:
    """uint8 (1, h, w, 3) -> float32 (1, c, height, width) of whole grey levels, not yet normalised."""
    planes = _planes(g, picture, preprocess)
    across, down = _axes(g, picture, preprocess)
    if preprocess.interpolation == "nearest":
        found = g("Gather", g("Gather", planes, nearest(g, across), axis=2), nearest(g, down), axis=1)
    else:
        planes, down = needed_rows(g, planes, down)
        narrow = resized(g, planes, 2, across, preprocess.interpolation)
        found = resized(g, narrow, 1, down, preprocess.interpolation)
    if preprocess.color == "RGB" and preprocess.grey != "repeat":
        found = g("Where", _is_grey(g, picture), _recoloured(g, found, preprocess), found)
    shape = np.array([1, CHANNELS[preprocess.color], preprocess.height, preprocess.width])
    return g("Reshape", found, shape)


def normalised(g: Piece, pixels: str, preprocess: Preprocess) -> str:
    """Grey levels (1, c, h, w) -> what the network takes: minus 255 mean, by 255 std."""
    mean, std = (
        (255 * np.array(each)).astype(np.float32).reshape(1, -1, 1, 1) for each in (preprocess.mean, preprocess.std)
    )
    return g("Div", g("Sub", pixels, mean), std)


def _planes(g: Piece, picture: str, preprocess: Preprocess) -> str:
    """float32 (c, h, w)."""
    if preprocess.color == "RGB":
        planes = g("Squeeze", g("Transpose", picture, perm=[0, 3, 1, 2]), np.array([0]))
        return g("Cast", planes, to=FLOAT)
    levels = g("Mul", g("Cast", picture, to=FLOAT), LUMA)  # the sum of whole numbers is below 2^24, so exact
    return g("Floor", g("Add", g("ReduceSum", levels, np.array([3]), keepdims=0), single(0.5)))


def _axes(g: Piece, picture: str, preprocess: Preprocess) -> tuple[Axis, Axis]:
    """Width and height, by `preprocess.crop_box`."""
    shape = g("Shape", picture)
    height, width = g("Gather", shape, 1), g("Gather", shape, 2)
    size = preprocess.width, preprocess.height
    wide, tall = (math.floor(side / preprocess.crop_pct + 1e-6) for side in size)
    covered = g("Less", g("Mul", width, tall), g("Add", g("Mul", height, wide), 1))  # by the width
    whole = (
        g("Where", covered, wide, g("Max", g("Div", g("Mul", width, tall), height), size[0])),
        g("Where", covered, g("Max", g("Div", g("Mul", height, wide), width), size[1]), tall),
    )
    across, down = (_axis(g, *each) for each in zip((width, height), whole, size, strict=True))
    return across, down


def _axis(g: Piece, side: str, whole: str, size: int) -> Axis:
    corner = _half(g, g("Sub", whole, size))
    long, scaled = (g("Cast", each, to=DOUBLE) for each in (side, whole))
    start, end = (
        g("Div", g("Mul", g("Cast", each, to=DOUBLE), long), scaled)  # in OpenVINO integers have 32 bits
        for each in (corner, g("Add", corner, size))
    )
    return Axis(side, start, end, size)


def _half(g: Piece, whole: str) -> str:
    """Half of a whole number, rounded to an even one, as Python's `round`."""
    half = g("Div", whole, 2)
    odd, odd_half = (g("Sub", each, g("Mul", g("Div", each, 2), 2)) for each in (whole, half))
    return g("Add", half, g("Mul", odd, odd_half))


def _is_grey(g: Piece, picture: str) -> str:
    """Whether all three channels of a picture are the same."""
    levels = g("Cast", picture, to=INT32)
    first = g("Gather", levels, np.array([0]), axis=3)
    return g("Equal", g("ReduceSum", g("Abs", g("Sub", levels, first)), keepdims=0), np.array(0, dtype=np.int32))


def _recoloured(g: Piece, planes: str, preprocess: Preprocess) -> str:
    """(3, h, w) of a grey picture, by the policy for grey."""
    if preprocess.grey == "colormap":
        level = g("Cast", g("Gather", planes, 0, axis=0), to=INT64)
        return g("Transpose", g("Gather", false_colours().astype(np.float32), level, axis=0), perm=[2, 0, 1])
    others = np.rint(255 * np.array(preprocess.mean)).clip(0, 255).astype(np.float32).reshape(3, 1, 1)
    shown = np.array([1, 0, 0], dtype=np.float32).reshape(3, 1, 1)
    return g("Add", g("Mul", planes, shown), others * (1 - shown))
