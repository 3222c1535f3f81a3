"""`headstart explain`: maps over pictures, and the nearest training pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headstart.cli import terminal
from headstart.cli.arguments import PICTURES, FollowLinks, ImageColumn, Strict
from headstart.cli.classify import short
from headstart.cli.flags import flagged
from headstart.cli.progress import progress_bar
from headstart.cli.terminal import print

if TYPE_CHECKING:
    from headstart.explaining.files import Explanations


def explain(
    run: Annotated[
        Path, typer.Argument(help="A run folder, or a bundle (then you get maps without similar training pictures).")
    ],
    images: Annotated[list[str], typer.Argument(help=PICTURES)],
    out: Annotated[Path, typer.Option(help="The output folder, for index.html, maps/ and explanations.json.")],
    method: Annotated[
        str,
        typer.Option(
            help=(
                "How to compute the map: `cam` (exact, for linear heads), `gradient` (Captum), `occlusion` (any "
                "classifier), or `auto`: the first of these that works."
            )
        ),
    ] = "auto",
    check: Annotated[
        bool, typer.Option(help="Also compute each map's rank correlation with occlusion (slow).")
    ] = False,
    nearest: Annotated[
        int, typer.Option(min=0, max=12, help="How many of the most similar training pictures to show.")
    ] = 3,
    strict: Strict = False,
    follow_links: FollowLinks = False,
    image_column: ImageColumn = None,
) -> None:
    """Explain predictions: which parts of a picture support its class, and the most similar training pictures.

    For a picture that cannot be used, the reason is printed to standard error; the others are still explained.

    Example: `headstart explain runs/first holiday/ cat.jpg --out explained`
    """
    from headstart import api
    from headstart.cli import show

    with progress_bar() as progress:
        found = api.explain(
            run,
            images,
            out,
            method=method,
            check=check,
            nearest=nearest,
            follow_links=follow_links,
            image_column=image_column,
            progress=progress,
        )
    _print(found, check)
    for note in found.notes:
        print(f"Note: {flagged(note)}")
    show.refusals(found.refused, strict)


def _print(found: Explanations, check: bool) -> None:
    """A table: picture, class with confidence, method, rank correlation, nearest training pictures; and the folder."""
    from headstart.phrases import percent

    table = terminal.table()
    table.add_column("picture", overflow="fold")
    table.add_column("class", style="bold")
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("map", no_wrap=True)
    if check:
        table.add_column("occlusion agrees", justify="right", no_wrap=True)
    table.add_column("nearest training pictures", overflow="fold")
    for name, one in zip(short([one.name for one in found.pictures]), found.pictures, strict=True):
        agreement = "-" if one.map.agreement is None else f"{one.map.agreement:.2f}"
        near = ", ".join(f"{n.label} {n.similarity:.2f}" for n in one.nearest)
        named = f"none of these (most like {one.predicted})" if one.known is False else one.predicted
        cells = [name, named, percent(one.confidence, 0, whole=False), one.map.method]
        table.add_row(*cells, *([agreement] if check else []), near or "-")
    terminal.console(118).print(table)
    print(f"{len(found.pictures):,} explained: {found.folder / 'index.html'}")
