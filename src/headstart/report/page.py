"""The page that every report is: one file with everything in it, escaped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
