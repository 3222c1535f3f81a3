"""Ends and ticks of axes: shares in percent, logarithms, whole numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from headstart.report.charts.style import UNITS, root

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def padded(lo: float, hi: float) -> tuple[float, float]:
    """Room above and below; from zero when zero is near, never beyond 0..1 for shares."""
    room = 0.06 * (hi - lo) or max(abs(hi) * 0.1, 1e-6)
    bottom = 0.0 if 0 <= lo < 0.35 * hi else lo - room
    return bottom, 1.0 if lo >= 0 and hi <= 1 < hi + room else hi + room


def shifted(transform: Any, ax: Axes, right: float, up: float = 0.0) -> Any:
    """A transform of these axes, and then across and up by units of the drawing."""
    from matplotlib.transforms import ScaledTranslation

    return transform + ScaledTranslation(right / UNITS, up / UNITS, root(ax).dpi_scale_trans)


def percents(axis: Axis) -> None:
    """Ticks at round shares of 0..1, in percent."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.6g}%"))


def numbers(axis: Axis, ticks: int = 5, whole: bool = False) -> None:
    """Ticks at round numbers, or at whole ones alone."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 2.5, 5, 10], integer=whole))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def logarithmic(ax: Axes, lo: float, hi: float) -> None:
    """A horizontal axis of logarithms with ticks at powers of ten, or at 1, 2 and 5 times them over a short range."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    ax.set_xscale("log")
    ax.set_xlim(lo, hi)
    first, last = math.floor(math.log10(lo)), math.ceil(math.log10(hi))
    every = max(1, math.ceil((last - first) / 7))
    powers = [10.0**p for p in range(first, last + 1, every) if lo <= 10.0**p <= hi]
    few = [m * 10.0**p for p in range(first, last + 1) for m in (1, 2, 5) if lo <= m * 10.0**p <= hi]
    values = powers if len(powers) > 2 else few
    short = len(powers) <= 2 or (values[0] > 0.005 and values[-1] < 5000)
    ax.xaxis.set_major_locator(FixedLocator(values))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:g}" if short else power_of_ten(round(math.log10(value))))
    )


def power_of_ten(exponent: int) -> str:
    """`10⁻³`."""
    return "10" + str(exponent).translate(_SUPERSCRIPT)
