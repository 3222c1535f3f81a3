"""How long work tells how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with (stage, done, total) as work goes on; a download's stage is the file's name, its total 0 when unknown."""


def silent(stage: str, done: int, total: int) -> None:
    """A Progress that shows nothing."""
