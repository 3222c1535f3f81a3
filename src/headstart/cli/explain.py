"""`headstart explain`: maps over pictures, and the nearest training pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headstart.cli import terminal
from headstart.cli.arguments import FollowLinks
from headstart.cli.classify import short
from headstart.cli.flags import flagged
from headstart.cli.progress import progress_bar
from headstart.cli.terminal import print

if TYPE_CHECKING:
    from headstart.explaining.files import Explanations


def explain(
    run: Annotated[Path, typer.Argument(help="A run folder; of a bundle alone there are maps without neighbours.")],
    images: Annotated[list[str], typer.Argument(help="Picture files; folders and zips stand for all in them.")],
    out: Annotated[Path, typer.Option(help="The folder to write: index.html, maps/ and explanations.json.")],
    method: Annotated[
        str,
        typer.Option(
            help="`cam` (exact, for linear heads), `gradient` (Captum), `occlusion` (any classifier); `auto`: the "
            "first that there is."
        ),
    ] = "auto",
    check: Annotated[bool, typer.Option(help="Add each map's rank correlation with occlusion; slow.")] = False,
    nearest: Annotated[int, typer.Option(min=0, max=12, help="How many nearest training pictures to show.")] = 3,
    strict: Annotated[bool, typer.Option(help="Exit with code 2 if any picture cannot be used.")] = False,
    follow_links: FollowLinks = False,
) -> None:
    """Show which parts of a picture speak for its class, and the training pictures nearest to it.

    A picture that cannot be used is one line of reason on standard error; the others are done.

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
