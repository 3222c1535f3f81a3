"""How far work is: a bar for each stage in a terminal, a line now and then on a pipe."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from headstart.cli.terminal import print
from headstart.visible import visible

if TYPE_CHECKING:
    from headstart.progress import Progress

STAGES = {
    "open": "Network",
    "extract": "Features",
    "fit": "Training",
    "folds": "Judging",
    "download": "Download",
    "verify": "Checking",
    "compare": "No views",
    "frozen features": "Frozen",
    "train": "Training",
    "features": "Trained",
    "look": "Pictures",
    "cells": "Study",
    "explain": "Maps",
}
RATES = {
    "extract": "images/s",
    "view": "images/s",
    "views": "images/s",
    "average": "images/s",
    "frozen features": "images/s",
    "features": "images/s",
    "train": "steps/s",
    "verify": "rows/s",
    "download": "B/s",
    "look": "images/s",
    "cells": "fits/s",
    "explain": "images/s",
    "folds": "fits/s",
}

FORCING = ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "JUPYTER_COLUMNS")
"""Variables by which rich may take a pipe for a terminal; without them it is not even imported for one."""
REDRAWN_S = 0.05
"""Seconds between two states of a bar: rich works out its rate from all of them, at 0.3 ms for each picture."""


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A bar for each stage with count, rate and time left; on a pipe, a line every 30 seconds.

    What follows a `|` in the name of a stage is live text, shown under the bars until the next stage.
    """
    if not sys.stderr.isatty() and not any(os.environ.get(name) for name in FORCING):
        yield Lines()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Bars(Progress):
        said = ""

        def get_renderables(self) -> Iterator[Any]:
            yield self.make_tasks_table(self.tasks)
            if self.said:
                yield Text(visible(self.said), style="dim", overflow="ellipsis", no_wrap=True)

    bar = Bars(
        TextColumn("{task.description:<9}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not Console(stderr=True).is_terminal,
    )
    if bar.disable:
        yield Lines()
        return
    tasks: dict[str, Any] = {}
    due = 0.0
    with bar:

        def advance(stage: str, done: int, total: int) -> None:
            nonlocal due
            stage, _, bar.said = stage.partition("|")
            if done < total and stage in tasks and time.monotonic() < due:
                return
            due = time.monotonic() + REDRAWN_S
            if stage not in tasks:
                tasks[stage] = bar.add_task(_words(stage), total=total, rate="")
            task = bar.tasks[tasks[stage]] if bar.tasks else None
            bar.update(tasks[stage], completed=done, total=total, rate=_rate(stage, task.speed if task else None))

        yield advance


class Lines:
    """A Progress for a pipe: how far work is, in a line on standard error every so many seconds.

    >>> clock = iter(range(0, 1000, 20)).__next__
    >>> lines = Lines(every=30, clock=clock, file=sys.stdout)
    >>> for done in range(5):
    ...     lines("extract", 100 * done, 400)
    Features: 200 of 400, 5.0 images/s, 40 s left
    Features: 400 of 400, 5.0 images/s
    """

    def __init__(
        self, every: float = 30.0, clock: Callable[[], float] = time.monotonic, file: TextIO | None = None
    ) -> None:
        self._every, self._clock, self._file = every, clock, file
        self._stage, self._began, self._first = "", 0.0, 0
        self._said: float | None = None

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Note how far a stage is, and say it where it is time."""
        stage, now = stage.partition("|")[0], self._clock()
        if stage != self._stage:
            self._stage, self._began, self._first = stage, now, done
        if self._said is None:
            self._said = now
        if now - self._said >= self._every:
            self._said = now
            print(self._line(done, total, now), file=self._file or sys.stderr)

    def _line(self, done: int, total: int, now: float) -> str:
        speed = (done - self._first) / (now - self._began) if now > self._began else 0.0
        many = f"{done:,} of {total:,}" if total > 1 else f"{done:,}" if total == 0 else ""
        left = f"{(total - done) / speed:,.0f} s left" if speed and done < total else ""
        facts = ", ".join(filter(None, (many, _rate(self._stage, speed), left)))
        return f"{_words(self._stage)}{': ' if facts else ''}{facts}"


def _words(stage: str) -> str:
    return STAGES.get(stage, stage.capitalize())


def _rate(stage: str, speed: float | None) -> str:
    """`5.0 images/s`; nothing where the stage counts nothing that has a rate."""
    unit = RATES.get(stage) or RATES.get(stage.split(" ")[0])  # views are numbered: "view 1 of 2"
    return f"{speed:,.{0 if speed >= 10 else 1}f} {unit}" if speed and unit else ""
