"""The graph from a picture of any size to what a network takes: `Preprocess.apply` in operators of ONNX.

Pillow's resize is two products with matrices of weights, each rounded to whole grey levels. The weights are computed in
the graph from the size of the picture, in double precision where the runtime has it, and rounded to multiples of 2^-22
as Pillow does. The products are those of whole numbers below 2^24, which single precision holds exactly; each makes a
part of the result from the pixels near it, because of all others the weights are zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.exporting.graph import Piece
from headstart.preprocess import CHANNELS, SUPPORT, WORTH_CROPPING, Preprocess, false_colours

FLOAT, INT32, INT64, DOUBLE = 1, 6, 7, 11
"""Types by their numbers in ONNX."""
LUMA = np.array([19595, 38470, 7471], dtype=np.float32) / 65536
"""Red, green and blue in grey, as Pillow converts to mode `L`."""
HALF_BITS = 2048
"""Weights are whole numbers of 22 bits, multiplied in two halves of 11."""
PART = 32
"""Pixels of the result that are made by one product."""


@dataclass(frozen=True)
class Axis:
    """Width or height by names: `side` of the picture (int64), `start` and `end` of the part that is taken (double).

    `size` is that of the result, in pixels.
    """

    side: str
    start: str
    end: str
    size: int


def network_input(g: Piece, picture: str, preprocess: Preprocess) -> str:
    """uint8 (1, h, w, 3) -> float32 (1, c, height, width) of whole grey levels, not yet normalised."""
    planes = _planes(g, picture, preprocess)
    across, down = _axes(g, picture, preprocess)
    if preprocess.interpolation == "nearest":
        found = g("Gather", g("Gather", planes, _nearest(g, across), axis=2), _nearest(g, down), axis=1)
    else:
        planes, down = _needed_rows(g, planes, down)
        narrow = _resized(g, planes, 2, across, preprocess.interpolation)
        found = _resized(g, narrow, 1, down, preprocess.interpolation)
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
    return g("Floor", g("Add", g("ReduceSum", levels, np.array([3]), keepdims=0), _single(0.5)))


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
    start, end = (
        g("Div", g("Cast", g("Mul", each, side), to=DOUBLE), g("Cast", whole, to=DOUBLE))
        for each in (corner, g("Add", corner, size))
    )
    return Axis(side, start, end, size)


def _half(g: Piece, whole: str) -> str:
    """Half of a whole number, rounded to an even one, as Python's `round`."""
    half = g("Div", whole, 2)
    odd, odd_half = (g("Sub", each, g("Mul", g("Div", each, 2), 2)) for each in (whole, half))
    return g("Add", half, g("Mul", odd, odd_half))


def _needed_rows(g: Piece, planes: str, down: Axis) -> tuple[str, Axis]:
    """The planes (c, h, w) with the rows that the result needs, where `Preprocess` leaves out the others."""
    stretch = g("Div", g("Sub", down.end, down.start), _double(down.size))
    first, last = _needed(g, down, stretch, _double(0), _double(down.size))
    kept, enough = (g("Cast", each, to=DOUBLE) for each in (g("Sub", last, first), down.side))
    pays = g("Less", kept, g("Mul", enough, _double(WORTH_CROPPING)))
    first, last = g("Where", pays, first, 0), g("Where", pays, last, down.side)
    ends = [g("Unsqueeze", each, np.array([0])) for each in (first, last)]
    moved = g("Cast", first, to=DOUBLE)
    start, end = (g("Sub", each, moved) for each in (down.start, down.end))
    return g("Slice", planes, *ends, np.array([1])), Axis(g("Sub", last, first), start, end, down.size)


def _resized(g: Piece, planes: str, side: int, axis: Axis, interpolation: str) -> str:
    """Planes (c, h, w) with side 1 or 2 resized to whole grey levels, part by part of the result."""
    start, end = (g("Cast", each, to=FLOAT) for each in (axis.start, axis.end))  # Pillow keeps a box in them
    stretch = g("Div", g("Cast", g("Sub", end, start), to=DOUBLE), _double(axis.size))
    start, reach = g("Cast", start, to=DOUBLE), g("Max", stretch, _double(1))
    middles = np.array_split(np.arange(axis.size, dtype=np.float64) + 0.5, math.ceil(axis.size / PART))
    ends = _needed(g, axis, stretch, np.array([each[0] for each in middles]), np.array([each[-1] for each in middles]))
    parts: list[str] = []
    for i, each in enumerate(middles):
        first, last = (g("Gather", end, np.array([i])) for end in ends)
        pixels = g(
            "Add", g("Cast", g("Range", *(g("Squeeze", end) for end in (first, last)), 1), to=DOUBLE), _double(0.5)
        )
        in_picture = g("Add", g("Mul", stretch, each[:, None]), start)
        weights = FILTERS[interpolation](g, g("Div", g("Abs", g("Sub", pixels, in_picture)), reach))
        parts.append(_product(g, _shares(g, weights), g("Slice", planes, first, last, np.array([side])), side))
    return g("Concat", *parts, axis=side) if len(parts) > 1 else parts[0]


def _needed(
    g: Piece, axis: Axis, stretch: str, lowest: NDArray[np.float64], highest: NDArray[np.float64]
) -> tuple[str, str]:
    """int64: the first pixels that the results from `lowest` to `highest` need, and those behind the last."""
    margin = g("Add", g("Mul", g("Max", stretch, _double(1)), _double(SUPPORT)), _double(1))
    low, high = (g("Add", g("Mul", stretch, each), axis.start) for each in (lowest, highest))
    first = g("Max", g("Cast", g("Floor", g("Sub", low, margin)), to=INT64), 0)
    return first, g("Min", g("Cast", g("Ceil", g("Add", high, margin)), to=INT64), axis.side)


def _shares(g: Piece, weights: str) -> str:
    """Weights (size, n) of n pixels in each of the result -> whole numbers, in 2^-22; rows sum to 2^22."""
    shares = g("Div", weights, g("ReduceSum", weights, np.array([1]), keepdims=1))
    return g("Floor", g("Add", g("Mul", shares, _double(HALF_BITS**2)), _double(0.5)))


def _product(g: Piece, shares: str, planes: str, side: int) -> str:
    """Shares (size, n) by planes (c, h, w) with n pixels on side 1 or 2 -> whole grey levels, `size` on that side."""
    upper = g("Floor", g("Div", shares, _double(HALF_BITS)))
    lower = g("Sub", shares, g("Mul", upper, _double(HALF_BITS)))
    high, low = (_summed(g, g("Cast", each, to=FLOAT), planes, side) for each in (upper, lower))
    levels = g("Floor", g("Div", high, _single(HALF_BITS)))
    rest = g("Add", g("Mul", g("Sub", high, g("Mul", levels, _single(HALF_BITS))), _single(HALF_BITS)), low)
    carried = g("Floor", g("Add", g("Div", rest, _single(HALF_BITS**2)), _single(0.5)))
    return g("Clip", g("Add", levels, carried), _single(0), _single(255))


def _summed(g: Piece, shares: str, planes: str, side: int) -> str:
    if side == 1:
        return g("MatMul", shares, planes)
    return g("MatMul", planes, g("Transpose", shares, perm=[1, 0]))


def _nearest(g: Piece, axis: Axis) -> str:
    """int64 (size,): the pixel under the middle of each of the result."""
    stretch = g("Div", g("Sub", axis.end, axis.start), _double(axis.size))
    places = g("Add", g("Mul", stretch, np.arange(axis.size, dtype=np.float64) + 0.5), axis.start)
    return g("Min", g("Cast", g("Floor", places), to=INT64), g("Sub", axis.side, 1))


def _single(value: float) -> NDArray[np.float32]:
    return np.array(value, dtype=np.float32)


def _double(value: float) -> NDArray[np.float64]:
    return np.array(value, dtype=np.float64)


def _bilinear(g: Piece, a: str) -> str:
    """1 - a, and 0 from 1 on."""
    return g("Relu", g("Sub", _double(1), a))


def _bicubic(g: Piece, a: str) -> str:
    """1.5 a^3 - 2.5 a^2 + 1 below 1, -0.5 a^3 + 2.5 a^2 - 4 a + 2 from 1 to 2."""
    squared = g("Mul", a, a)
    inner = g("Add", g("Mul", g("Sub", g("Mul", _double(1.5), a), _double(2.5)), squared), _double(1))
    b = g("Sub", _double(2), a)
    outer = g("Mul", g("Mul", g("Mul", _double(-0.5), b), b), g("Sub", a, _double(1)))
    beyond = g("Where", g("Less", a, _double(2)), outer, _double(0))
    return g("Where", g("Less", a, _double(1)), inner, beyond)


def _lanczos(g: Piece, a: str) -> str:
    """sinc(a) sinc(a / 3) below 3."""
    turn = g("Max", g("Mul", a, _double(math.pi)), _double(1e-4))
    third = g("Div", turn, _double(3))
    product = g("Div", g("Mul", g("Sin", turn), g("Sin", third)), g("Mul", turn, third))
    return g("Where", g("Less", a, _double(3)), product, _double(0))


FILTERS = {"bilinear": _bilinear, "bicubic": _bicubic, "lanczos": _lanczos}
"""Pillow's filters, of a distance in pixels of the result or, enlarging, of the picture."""


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
