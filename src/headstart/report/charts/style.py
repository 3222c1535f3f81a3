"""One style for all charts. Colours have names, which are variables of a page: there they follow its mode."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LIGHT = {
    "ink": "#1b1f24", "quiet": "#59636e", "line": "#d8dee4", "grid": "#e8ecf0", "page": "#ffffff",
    "blue": "#1f5fa8", "orange": "#b8520a", "bar": "#6f9fd0",
    "arm0": "#0072b2", "arm1": "#d55e00", "arm2": "#00876a", "arm3": "#b8508c", "arm4": "#9a7400", "arm5": "#3d93cc",
    "arm6": "#555f6b",
}  # fmt: skip
"""Those of the arms after Okabe and Ito (2008), with a contrast of at least 3 to the page in both modes."""
DARK = {
    "ink": "#e4e8ec", "quiet": "#9aa5b1", "line": "#38414b", "grid": "#2b323a", "page": "#14181c",
    "blue": "#7db5f0", "orange": "#f5a35c", "bar": "#4a7fb5",
    "arm0": "#5ab4ee", "arm1": "#f58b45", "arm2": "#2fc79d", "arm3": "#e59ac4", "arm4": "#e6b422", "arm5": "#a5d5f5",
    "arm6": "#b3bcc6",
}  # fmt: skip
ARMS = 7
"""Colours of arms."""
MARKERS = "os^DvPh*"
DASHES = ("--", ":", "-.")
UNITS = 72
"""Units of a drawing to an inch: one is a point of Matplotlib, and a pixel of a page at its natural size."""


@dataclass(frozen=True)
class Look:
    """How an arm is drawn in every chart: its words, a colour of `LIGHT`, a marker and a line style of Matplotlib."""

    words: str
    colour: str
    marker: str
    dashes: str = "-"

    @property
    def free(self) -> bool:
        """Whether the arm is without a source: a broken line and hollow markers."""
        return self.dashes != "-"


def colour(name: str) -> str:
    """The light one: pages put the variable of this name in its place."""
    return LIGHT[name]


def root(ax: Axes) -> Figure:
    """The whole figure that axes are in."""
    return cast("Figure", ax.get_figure(root=True))


@contextmanager
def style(font: float) -> Iterator[None]:
    """Matplotlib's settings while something is drawn or written, at this size of text; those of the user come back."""
    import warnings

    import matplotlib

    settings: Any = matplotlib.rcParams
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")  # pages have other fonts to show it in
        for name, value in _checked(font).items():
            settings._set(name, value)  # its makers promise to keep this one
        yield


@cache
def _checked(font: float) -> dict[str, Any]:
    """Matplotlib's defaults with our settings in their place. Matplotlib checks them all, so it does that once."""
    import matplotlib

    settings: Any = matplotlib.rcParams
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        settings.update(_settings(font))
        return {name: settings._get(name) for name in dict.keys(settings) if name != "backend"}


def _settings(font: float) -> dict[str, Any]:
    quiet = {f"{part}.color": LIGHT["quiet"] for part in ("xtick", "ytick")}
    return quiet | {
        "font.size": font, "text.color": LIGHT["ink"], "text.parse_math": False,
        "axes.titlesize": 1.08 * font, "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.titlepad": 9,
        "axes.labelsize": font, "axes.labelcolor": LIGHT["quiet"], "axes.labelpad": 6,
        "axes.edgecolor": LIGHT["quiet"], "axes.linewidth": 1, "axes.facecolor": "none", "axes.axisbelow": True,
        "axes.spines.left": False, "axes.spines.right": False, "axes.spines.top": False,
        "axes.grid": True, "axes.grid.axis": "y", "grid.color": LIGHT["grid"], "grid.linewidth": 1,
        "xtick.labelsize": font, "ytick.labelsize": font, "ytick.major.size": 0, "ytick.major.pad": 6,
        "xtick.major.size": 4, "xtick.minor.size": 0, "ytick.minor.size": 0, "xtick.major.width": 1,
        "legend.frameon": False, "legend.fontsize": font, "legend.borderpad": 0, "legend.borderaxespad": 0,
        "legend.handlelength": 2, "legend.columnspacing": 1.4, "legend.labelcolor": LIGHT["quiet"],
        "figure.facecolor": LIGHT["page"], "savefig.facecolor": LIGHT["page"],
        "svg.fonttype": "none", "svg.hashsalt": "headstart",
    }  # fmt: skip
