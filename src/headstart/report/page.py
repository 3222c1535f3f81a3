"""The page that every report is: one file with everything in it, escaped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.errors import HeadstartError, UserError
from headstart.report.charts.display import Display
from headstart.report.charts.style import DARK, LIGHT
from headstart.report.numbers import shown

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup


def page(template: str, values: Mapping[str, Any]) -> str:
    """A template of `templates/`, which extends `page.html`, as text; a name that it lacks is an error."""
    return _templates().get_template(template).render({"light": LIGHT, "dark": DARK, **values})


@cache
def _templates() -> Environment:
    """The templates, each compiled once."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    found = Environment(
        loader=PackageLoader("headstart.report"),
        autoescape=True,
        auto_reload=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"shown": shown, "drawn": drawn}
    return found


def drawn(chart: Display) -> Markup:
    """A chart for a page, or one for a wide page and one for a phone: the style sheet shows the one that fits."""
    from markupsafe import Markup

    return Markup("".join(f'<div class="drawn{_place(chart, w)}">{chart.svg(w)}</div>' for w in chart.widths))


def _place(chart: Display, width: float) -> str:
    return "" if len(chart.widths) == 1 else " wide" if width == max(chart.widths) else " slim"


@contextmanager
def as_written(path: Path) -> Iterator[None]:
    """Raise UserError where a page meets figures that this program does not write; the error it led to is the cause.

    The page of a folder that somebody sent is asked for like one's own, and no schema has every figure of it.
    """
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        if isinstance(error, HeadstartError):
            raise
        told = f"{type(error).__name__}: {shown(str(error))}"
        raise UserError(f"The files beside {path} do not hold what this program writes there ({told}).") from error
