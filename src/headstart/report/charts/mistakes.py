"""The most confident mistakes as pictures side by side, each with its true class and what it was named."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from headstart.report.charts.display import Display
from headstart.report.charts.labels import wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from PIL.Image import Image

CELL, LINES = 120.0, 48.0
"""Of a picture and of the words below it, in units of 1/72 inch."""


@dataclass(frozen=True)
class WrongAnswer:
    """A picture by its name, its true class, and what it was named with which confidence, as text."""

    name: str
    label: str
    predicted: str
    confidence: str

    @property
    def words(self) -> str:
        """`cat, predicted dog (97%)`."""
        return f"{self.label}, predicted {self.predicted} ({self.confidence})"


@dataclass(eq=False, repr=False)
class MistakesDisplay(Display):
    """`picture` gives the picture of a name, or None where it cannot be had any more."""

    mistakes: Sequence[WrongAnswer]
    picture: Callable[[str], Image | None]
    title: str = "Most confident mistakes"
    widths: ClassVar[tuple[float, ...]] = (760.0, 380.0)

    @property
    def words(self) -> str:
        """For those who do not see the drawing."""
        return f"{self.title}: " + "; ".join(f"{each.name} is {each.words}" for each in self.mistakes)

    def height(self, width: float) -> float:
        """In units."""
        return math.ceil(len(self.mistakes) / _across(width)) * (CELL + LINES)

    def _draw(self, ax: Axes, slim: bool) -> None:
        ax.set_axis_off()
        across = _across(380.0 if slim else self.widths[0])
        down = math.ceil(len(self.mistakes) / across)
        share = CELL / (CELL + LINES) / down
        for i, mistake in enumerate(self.mistakes):
            row, column = divmod(i, across)
            own = ax.inset_axes(((column + 0.03) / across, 1 - row / down - share, 0.94 / across, share))
            own.set(xticks=[], yticks=[])
            own.grid(visible=False)
            own.spines[:].set_visible(False)
            picture = self.picture(mistake.name)
            if picture is None:
                own.text(0.5, 0.5, "not at hand\nany more", ha="center", va="center", transform=own.transAxes)
            else:
                drawn = own.imshow(
                    picture.convert("RGB"), interpolation="nearest" if max(picture.size) < CELL else None
                )
                self._tell(drawn, [mistake.name])
            own.set_xlabel("\n".join(wrapped(mistake.words, CELL, 11, most=3)), fontsize=10, labelpad=4)


def _across(width: float) -> int:
    return max(1, int(width // CELL))
