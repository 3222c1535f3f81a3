"""What every chart can do: be drawn, be shown by a notebook, be put into a page, be written to a file."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from headstart import outputs, shared
from headstart.errors import UserError
from headstart.paths import expanded
from headstart.report.charts.labels import wrapped
from headstart.report.charts.style import UNITS, root, style
from headstart.report.charts.svg import inline, standing

if TYPE_CHECKING:
    from typing import Self

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 200
"""Of a PNG."""
SLIM = 420.0
"""Charts narrower than this are laid out for a phone."""


TITLE, MARGIN = 20.0, 3.0
"""Room for a line of the title, and around everything."""


class Display:
    """A chart of numbers: `plot` draws it, after which `ax_` and `figure_` are Matplotlib's, to be styled further.

    `title` stands over it; `widths` are those that a page shows it in, the first its own.
    """

    title: str
    widths: ClassVar[tuple[float, ...]] = (380.0,)
    ax_: Axes
    figure_: Figure
    _told: dict[str, list[str]]
    _settled = False

    def plot(self, ax: Axes | None = None, *, width: float | None = None, title: bool = True) -> Self:
        """Draw on `ax`, or on a figure of its own, `width` units of 1/72 inch wide; the display itself comes back."""
        width = width or self.widths[0]
        self._told, self._settled = {}, ax is not None
        with style(self.font(width)):
            words = wrapped(self.heading, width - 50, 1.2 * self.font(width), most=3) if title else []
            self.ax_ = ax or _axes(width, self.height(width) + TITLE * len(words))
            self.figure_ = root(self.ax_)
            if title:
                self.ax_.set_title("\n".join(words))
            self._draw(self.ax_, width < SLIM)
            self._settle()
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.heading!r})"

    @property
    def heading(self) -> str:
        """What stands over the chart where no page says what it is of."""
        return self.title

    @property
    def words(self) -> str:
        """For those who do not see the drawing."""
        raise NotImplementedError

    def height(self, width: float) -> float:
        """Of a figure of this width, in the same units."""
        raise NotImplementedError

    def font(self, width: float) -> float:
        """The size of text in a figure of this width."""
        return 13.0 if width > SLIM else 11.5

    def _draw(self, ax: Axes, slim: bool) -> None:
        raise NotImplementedError

    def _settle(self) -> None:
        """Give a figure of its own margins as wide as what stands in them, once; after it, places are known."""
        if self._settled:
            return
        self._settled = True
        self.ax_.apply_aspect()
        legend = self.ax_.get_legend()
        if legend is not None:  # it begins where the axes begin, so its width is no margin of theirs
            legend.set_in_layout(False)
        inside, outside = self.ax_.get_window_extent(), self.ax_.get_tightbbox()
        if outside is None:
            return
        highest = outside.y1 if legend is None else max(outside.y1, legend.get_window_extent().y1)
        wide, high = self.figure_.bbox.width, self.figure_.bbox.height
        left, bottom = inside.x0 - outside.x0 + MARGIN, inside.y0 - outside.y0 + MARGIN
        right, top = wide - (outside.x1 - inside.x1 + MARGIN), high - (highest - inside.y1 + MARGIN)
        if left < right and bottom < top:
            self.figure_.subplots_adjust(left / wide, bottom / high, right / wide, top / high)
            self.ax_.title.set_x((wide / 2 - left) / (right - left))  # over the figure, as wide as it was wrapped for

    def _tell(self, artist: Artist, words: Sequence[str]) -> None:
        """Give what an artist draws words that an SVG shows under the pointer: one for each marker, or one in all."""
        gid = f"told-{len(self._told)}"
        artist.set_gid(gid)
        self._told[gid] = list(words)

    def svg(self, width: float) -> str:
        """The chart at this width as an `svg` element of a page, whose style sheet has the colours and the font."""
        self.plot(width=width, title=False)
        return inline(self._written("svg", f"{self.words}, {width:g}"), self._told, self.words)

    def save(self, path: str | Path) -> Path:
        """Write the chart as it is drawn to a file, whose ending names the format: `.svg`, `.png`, `.pdf`.

        Raises UserError for a format that Matplotlib does not write, and for what is no path.
        """
        self._drawn()
        path = expanded(path)
        kind = path.suffix.lower().removeprefix(".")
        known = self.figure_.canvas.get_supported_filetypes()
        if kind not in known:
            raise UserError(f"{path} names no format of a picture; end it with one of .{', .'.join(sorted(known))}.")
        content = self._repr_svg_().encode() if kind == "svg" else self._written(kind, self.words)
        outputs.check_own(path)
        outputs.make(path.parent)
        with shared.replacing(path) as part:
            part.write_bytes(content)
        return path

    def _repr_svg_(self) -> str:
        """What a notebook shows."""
        self._drawn()
        return standing(self._written("svg", self.words), self._told, self.words)

    def _drawn(self) -> None:
        if not hasattr(self, "figure_"):
            self.plot()

    def _written(self, kind: str, salt: str) -> bytes:
        """The figure as a file of this kind; the same bytes for the same drawing. `salt` sets its ids apart."""
        import matplotlib
        from matplotlib.backends.backend_svg import FigureCanvasSVG

        file, canvas = BytesIO(), self.figure_.canvas
        with style(self.font(self.widths[0])):
            matplotlib.rcParams["svg.hashsalt"] = salt
            if kind == "svg":  # `savefig` would draw twice
                FigureCanvasSVG(self.figure_).print_svg(file, metadata={"Date": None})  # type: ignore[no-untyped-call]
                self.figure_.set_canvas(canvas)
            else:
                self.figure_.savefig(
                    file, format=kind, dpi=DPI, metadata={"CreationDate": None} if kind == "pdf" else None
                )
        return file.getvalue()


def _axes(width: float, height: float) -> Axes:
    """Those of a new figure, which no global state knows of."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / UNITS, height / UNITS))
    FigureCanvasAgg(figure)
    return figure.add_subplot()
