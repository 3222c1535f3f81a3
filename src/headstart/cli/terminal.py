"""The one way to the terminal: names come from files of strangers, so nothing in a text is obeyed, all of it is shown.

Every module of the commands that prints takes `print` from here, and its tables and consoles too (a test sees to it).
"""

from __future__ import annotations

import builtins
from typing import IO, Any

from headstart.visible import visible

KEPT = "\n\t"


def print(*values: object, end: str = "\n", file: IO[str] | None = None) -> None:
    """As Python's own; escape codes, control characters and marks of direction are written as their codes."""
    builtins.print(visible(" ".join(map(str, values)), KEPT), end=end, file=file)


def table() -> Any:
    """A table of Rich's without lines. A cell is text as it stands, or `bold`."""
    from rich.table import Table

    class Escaped(Table):
        def add_row(self, *cells: Any, **settings: Any) -> None:
            super().add_row(*(visible(c) if isinstance(c, str) else c for c in cells), **settings)

    return Escaped(box=None, pad_edge=False, header_style="bold")


def bold(text: str) -> Any:
    """A cell in bold letters."""
    from rich.text import Text

    return Text(visible(text), style="bold")


def width() -> int:
    """The columns of the terminal; 80 on a pipe."""
    from rich.console import Console

    return Console().width


def console(at_least: int = 0) -> Any:
    """Rich's console for standard output, no narrower than a table needs: a terminal wraps, nothing is cut.

    Square brackets and `:names:` in a text mean nothing to it.
    """
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False, width=at_least if at_least > width() else None)
