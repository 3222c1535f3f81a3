"""The confusion matrix: the true class down, the named class across, a cell shaded by its share of the true class.

Of many classes, those that are taken for each other stand side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headstart.report.charts.display import Display
from headstart.report.charts.labels import cut
from headstart.report.charts.style import colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NUMBERED = 30
"""With more classes than this, cells have no room for a number, nor rows for a name."""
MOST = 2000
"""With more classes than this they stay in their own order, for the distances between all pairs would not be small."""


@dataclass(eq=False, repr=False)
class ConfusionDisplay(Display):
    """Counts (k, k) int64, rows the true classes; the shade is the square root of the share, so rare mistakes show.

    More than `NUMBERED` classes are drawn in the order of `by_likeness`.
    """

    counts: NDArray[np.int64]
    classes: list[str]
    title: str = "Confusion matrix"
    widths = (560.0,)

    @property
    def words(self) -> str:
        """For those who do not see the drawing."""
        right, n = int(np.trace(self.counts)), int(self.counts.sum())
        return f"Confusion matrix of {len(self.classes)} classes: {right:,} of {n:,} pictures named correctly"

    def height(self, width: float) -> float:
        """In units."""
        return 0.92 * width

    def font(self, width: float) -> float:
        """Smaller where there is less room."""
        return 8.0 if 15 < len(self.classes) <= NUMBERED else 11.0

    def _draw(self, ax: Axes, slim: bool) -> None:
        from matplotlib.colors import to_rgb

        k = len(self.classes)
        order = by_likeness(self.counts) if NUMBERED < k <= MOST else np.arange(k)
        counts = self.counts[np.ix_(order, order)]
        shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
        colours = np.zeros((k, k, 4))
        colours[..., :3] = to_rgb(colour("orange"))
        colours[np.arange(k), np.arange(k), :3] = to_rgb(colour("blue"))
        colours[..., 3] = np.where(counts > 0, 0.08 + 0.82 * np.sqrt(shares), 0.0)
        edges = np.arange(k + 1) - 0.5
        ax.pcolormesh(edges, edges, colours, edgecolor=colour("page"), linewidth=1 if k <= NUMBERED else 0,
                      rasterized=k > NUMBERED)  # fmt: skip
        ax.set(xlim=(-0.5, k - 0.5), ylim=(k - 0.5, -0.5), aspect="equal", xlabel="predicted", ylabel="true")
        ax.grid(visible=False)
        ax.spines["bottom"].set_visible(False)
        ax.tick_params(length=0)
        if k > NUMBERED:
            ax.set(xticks=[], yticks=[])
            return
        names = [cut(name, 18) for name in self.classes]
        turn = 90 if max(map(len, names)) * k > 60 else 0
        ax.set_xticks(range(k), names, rotation=turn, color=colour("ink"))
        ax.set_yticks(range(k), names, color=colour("ink"))
        for i, j in zip(*np.nonzero(self.counts), strict=True):
            deep = colours[i, j, 3] > 0.6
            ax.text(j, i, f"{self.counts[i, j]:,}", ha="center", va="center", fontweight="bold" if i == j else "normal",
                    color=colour("page" if deep and i == j else "ink"))  # fmt: skip


def by_likeness(counts: NDArray[np.int64]) -> NDArray[np.intp]:
    """An order (k,) of the classes of a confusion (k, k), in which those that are taken for each other are neighbours.

    Leaves of an average-linkage tree in their best order (Bar-Joseph et al. 2001); the distance of two classes is 1
    less the mean share of one that is named the other.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
    from scipy.spatial.distance import squareform

    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    distance = 1 - (shares + shares.T) / 2
    np.fill_diagonal(distance, 0.0)
    flat = squareform(distance, checks=False)
    tree = linkage(flat, "average")
    few = len(counts) <= 300  # the best order of the leaves takes cubic time
    return np.asarray(leaves_list(optimal_leaf_ordering(tree, flat) if few else tree), dtype=np.intp)
