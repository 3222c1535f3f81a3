"""The legend over a chart, in as many columns as there is room for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from headstart.report.charts.style import UNITS, root

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

LEFT = 60
"""Room for the words of the vertical axis, in units."""


def legend(ax: Axes, handles: Sequence[Artist] | None = None) -> None:
    """Between the title and the drawing, at the left; of `handles`, or of everything that has a label."""
    handles = handles or [h for h in ax.get_legend_handles_labels()[0] if h.get_label()]
    if not handles:
        return
    from matplotlib import rcParams

    font, unit = float(rcParams["legend.fontsize"]), root(ax).dpi / UNITS
    widths = [0.6 * font * len(str(handle.get_label())) + 4.2 * font for handle in handles]
    alone = len(root(ax).axes) == 1
    room = root(ax).bbox.width / unit - LEFT if alone else ax.bbox.width / unit
    columns = next((n for n in range(len(handles), 1, -1) if _wide(widths, n) <= room), 1)
    found = ax.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1.02), ncols=columns)
    if title := ax.get_title(loc="left"):
        ax.set_title(title, pad=found.get_window_extent().height / unit + 14)


def _wide(widths: Sequence[float], columns: int) -> float:
    """The width of a legend in this many columns, filled one after another."""
    return sum(float(column.max()) for column in np.array_split(np.array(widths), columns))
