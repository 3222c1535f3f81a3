"""Pillow's resize in operators of ONNX: two products with matrices of weights, each rounded to whole grey levels.

The weights are computed in the graph from the size of the picture, in double precision where the runtime has it, and
rounded to multiples of 2^-22 as Pillow does. The products are those of whole numbers below 2^24, which single precision
holds exactly; each makes a part of the result from the pixels near it, because of all others the weights are zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.exporting.graph import DOUBLE, FLOAT, INT64, Piece, double, single
from headstart.preprocess import SUPPORT, WORTH_CROPPING

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


def needed_rows(g: Piece, planes: str, down: Axis) -> tuple[str, Axis]:
    """The planes (c, h, w) with the rows that the result needs, where `Preprocess` leaves out the others."""
    stretch = g("Div", g("Sub", down.end, down.start), double(down.size))
    first, last = _needed(g, down, stretch, double(0), double(down.size))
    kept, enough = (g("Cast", each, to=DOUBLE) for each in (g("Sub", last, first), down.side))
    pays = g("Less", kept, g("Mul", enough, double(WORTH_CROPPING)))
    first, last = g("Where", pays, first, 0), g("Where", pays, last, down.side)
    ends = [g("Unsqueeze", each, np.array([0])) for each in (first, last)]
    moved = g("Cast", first, to=DOUBLE)
    start, end = (g("Sub", each, moved) for each in (down.start, down.end))
    return g("Slice", planes, *ends, np.array([1])), Axis(g("Sub", last, first), start, end, down.size)


def resized(g: Piece, planes: str, side: int, axis: Axis, interpolation: str) -> str:
    """Planes (c, h, w) with side 1 or 2 resized to whole grey levels, part by part of the result."""
    start, end = (g("Cast", each, to=FLOAT) for each in (axis.start, axis.end))  # Pillow keeps a box in them
    stretch = g("Div", g("Cast", g("Sub", end, start), to=DOUBLE), double(axis.size))
    start, reach = g("Cast", start, to=DOUBLE), g("Max", stretch, double(1))
    middles = np.array_split(np.arange(axis.size, dtype=np.float64) + 0.5, math.ceil(axis.size / PART))
    ends = _needed(g, axis, stretch, np.array([each[0] for each in middles]), np.array([each[-1] for each in middles]))
    parts: list[str] = []
    for i, each in enumerate(middles):
        first, last = (g("Gather", end, np.array([i])) for end in ends)
        pixels = g(
            "Add", g("Cast", g("Range", *(g("Squeeze", end) for end in (first, last)), 1), to=DOUBLE), double(0.5)
        )
        in_picture = g("Add", g("Mul", stretch, each[:, None]), start)
        weights = FILTERS[interpolation](g, g("Div", g("Abs", g("Sub", pixels, in_picture)), reach))
        parts.append(_product(g, _shares(g, weights), g("Slice", planes, first, last, np.array([side])), side))
    return g("Concat", *parts, axis=side) if len(parts) > 1 else parts[0]


def nearest(g: Piece, axis: Axis) -> str:
    """int64 (size,): the pixel under the middle of each of the result."""
    stretch = g("Div", g("Sub", axis.end, axis.start), double(axis.size))
    places = g("Add", g("Mul", stretch, np.arange(axis.size, dtype=np.float64) + 0.5), axis.start)
    return g("Min", g("Cast", g("Floor", places), to=INT64), g("Sub", axis.side, 1))


def _needed(
    g: Piece, axis: Axis, stretch: str, lowest: NDArray[np.float64], highest: NDArray[np.float64]
) -> tuple[str, str]:
    """int64: the first pixels that the results from `lowest` to `highest` need, and those behind the last."""
    margin = g("Add", g("Mul", g("Max", stretch, double(1)), double(SUPPORT)), double(1))
    low, high = (g("Add", g("Mul", stretch, each), axis.start) for each in (lowest, highest))
    first = g("Max", g("Cast", g("Floor", g("Sub", low, margin)), to=INT64), 0)
    return first, g("Min", g("Cast", g("Ceil", g("Add", high, margin)), to=INT64), axis.side)


def _shares(g: Piece, weights: str) -> str:
    """Weights (size, n) of n pixels in each of the result -> whole numbers, in 2^-22; rows sum to 2^22."""
    shares = g("Div", weights, g("ReduceSum", weights, np.array([1]), keepdims=1))
    return g("Floor", g("Add", g("Mul", shares, double(HALF_BITS**2)), double(0.5)))


def _product(g: Piece, shares: str, planes: str, side: int) -> str:
    """Shares (size, n) by planes (c, h, w) with n pixels on side 1 or 2 -> whole grey levels, `size` on that side."""
    upper = g("Floor", g("Div", shares, double(HALF_BITS)))
    lower = g("Sub", shares, g("Mul", upper, double(HALF_BITS)))
    high, low = (_summed(g, g("Cast", each, to=FLOAT), planes, side) for each in (upper, lower))
    levels = g("Floor", g("Div", high, single(HALF_BITS)))
    rest = g("Add", g("Mul", g("Sub", high, g("Mul", levels, single(HALF_BITS))), single(HALF_BITS)), low)
    carried = g("Floor", g("Add", g("Div", rest, single(HALF_BITS**2)), single(0.5)))
    return g("Clip", g("Add", levels, carried), single(0), single(255))


def _summed(g: Piece, shares: str, planes: str, side: int) -> str:
    if side == 1:
        return g("MatMul", shares, planes)
    return g("MatMul", planes, g("Transpose", shares, perm=[1, 0]))


def _bilinear(g: Piece, a: str) -> str:
    """1 - a, and 0 from 1 on."""
    return g("Relu", g("Sub", double(1), a))


def _bicubic(g: Piece, a: str) -> str:
    """1.5 a^3 - 2.5 a^2 + 1 below 1, -0.5 a^3 + 2.5 a^2 - 4 a + 2 from 1 to 2."""
    squared = g("Mul", a, a)
    inner = g("Add", g("Mul", g("Sub", g("Mul", double(1.5), a), double(2.5)), squared), double(1))
    b = g("Sub", double(2), a)
    outer = g("Mul", g("Mul", g("Mul", double(-0.5), b), b), g("Sub", a, double(1)))
    beyond = g("Where", g("Less", a, double(2)), outer, double(0))
    return g("Where", g("Less", a, double(1)), inner, beyond)


def _lanczos(g: Piece, a: str) -> str:
    """sinc(a) sinc(a / 3) below 3."""
    turn = g("Max", g("Mul", a, double(math.pi)), double(1e-4))
    third = g("Div", turn, double(3))
    product = g("Div", g("Mul", g("Sin", turn), g("Sin", third)), g("Mul", turn, third))
    return g("Where", g("Less", a, double(3)), product, double(0))


FILTERS = {"bilinear": _bilinear, "bicubic": _bicubic, "lanczos": _lanczos}
"""Pillow's filters, of a distance in pixels of the result or, enlarging, of the picture."""
