"""The page that every report is: one file with everything in it, escaped."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from headstart.errors import HeadstartError, UserError
from headstart.report.numbers import shown


def page(template: str, values: Mapping[str, Any]) -> str:
    """A template of `templates/`, which extends `page.html`, as text; a name that it lacks is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("headstart.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = shown
    return environment.get_template(template).render(values)


@contextmanager
def as_written(path: Path) -> Iterator[None]:
    """Raise UserError where a page meets figures that this program does not write; the error it led to is the cause.

    The page of a folder that somebody sent is asked for like one's own, and no schema has every figure of it.
    """
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, csv.Error) as error:
        if isinstance(error, HeadstartError):
            raise
        told = f"{type(error).__name__}: {shown(str(error))}"
        raise UserError(f"The files beside {path} do not hold what this program writes there ({told}).") from error
