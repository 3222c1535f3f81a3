"""`headstart figures`: the charts of a run, a study or a ranking as files, for slides and papers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headstart.cli.terminal import print

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("svg", "png", "pdf")


def figures(
    folder: Annotated[Path, typer.Argument(help="The folder of a run, a study or a ranking.")],
    format: Annotated[str, typer.Option(help="`svg`, `png`, `pdf`, or several, separated by commas.")] = "svg",
    out: Annotated[
        Path | None, typer.Option(help="The output folder; by default `figures` inside the folder itself.")
    ] = None,
) -> None:
    """Save every chart of a run, study or ranking as image files for slides and papers.

    Examples:

    `headstart figures studies/demo`

    `headstart figures runs/demo --format svg,png --out slides`
    """
    from headstart.errors import UnknownName, UserError
    from headstart.report.figures import figures as figures_of

    if out is not None and out.suffix.lower().removeprefix(".") in FORMATS:
        raise UserError(
            f"--out {out} is a folder for all charts; leave the ending out, and say --format {out.suffix[1:]}."
        )
    formats = [name.strip().lower() for name in format.split(",")]
    for name in formats:
        if name not in FORMATS:
            raise UnknownName("format", name, FORMATS)
    for name, chart in figures_of(folder, _thumbnail(folder)).items():
        for kind in formats:
            print(chart.save((out or folder / "figures") / f"{name}.{kind}"))


def _thumbnail(folder: Path) -> Callable[[str], Image | None] | None:
    """What gives the pictures of a run; None of another folder, or where the run cannot be opened."""
    from headstart.errors import UserError
    from headstart.run import load

    try:
        return load(folder).thumbnail
    except UserError:
        return None
