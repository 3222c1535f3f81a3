"""`headstart label`: the next pictures to label, on a page or as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headstart.cli import arguments
from headstart.cli.progress import progress_bar
from headstart.cli.terminal import print
from headstart.phrases import plural


def label(
    data: Annotated[str, typer.Argument(help="The pictures: any folder, a zip, or a table.")],
    classes: Annotated[
        str | None, typer.Option(help="The classes, separated by commas; you can add more on the page.")
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            help="Labels you already have: a table, completely or partly filled in, or a folder of class folders."
        ),
    ] = None,
    suggest: Annotated[
        int | None, typer.Option(min=1, help="Without the page: write the next N pictures to label to the table --out.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The table of labels, for `fit`. By default `labels.csv` (with --suggest, `next.csv`)."),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            help=(
                "The network that looks at the pictures. By default, the best one whose weights are on this "
                "machine; `sprout` for small pictures."
            )
        ),
    ] = None,
    weights: Annotated[str, typer.Option(help="`pretrained`, `none`, or a file, as in `fit`.")] = "pretrained",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port of the page; 0 picks a free one.")] = 8000,
    engine: arguments.Engine = "auto",
    device: arguments.Device = "auto",
    max_pixels: arguments.MaxPixels = 50_000_000,
    follow_links: arguments.FollowLinks = False,
    image_column: arguments.ImageColumn = None,
    label_column: arguments.LabelColumn = None,
    store: arguments.Store = True,
) -> None:
    """Label pictures in the browser, most useful ones first, and see how good the classifier is so far.

    Examples:

    `headstart label photos --classes ants,bees`, then open the address that it prints

    `headstart label photos --labels labels.csv --suggest 50 --out next.csv`
    """
    from headstart import api
    from headstart.errors import UserError
    from headstart.images.options import Reading
    from headstart.labelling.album import Looks

    reading = Reading(follow_links=follow_links, image_column=image_column, label_column=label_column)
    looks = Looks(backbone, weights, engine, device, max_pixels, reading)
    if suggest is not None:
        if classes:
            raise UserError("--classes is for the page; with --suggest leave it out.")
        target = out or Path("next.csv")
        with progress_bar() as progress:
            found = api.write_suggestions(data, labels, suggest, target, looks, store=store, progress=progress)
        print(f"{plural(len(found), 'picture')} to label next: {target}")
        return
    try:
        with progress_bar() as progress:
            api.label(
                data,
                out=out or Path("labels.csv"),
                classes=classes,
                labels=labels,
                looks=looks,
                port=port,
                store=store,
                started=_started,
                progress=progress,
            )
    except KeyboardInterrupt:  # Ctrl-C or SIGTERM; every label that was confirmed is kept
        print("Stopped.")


def _started(address: str) -> None:
    print(f"Label at {address} (Ctrl-C stops it; what is labelled is kept).")
