"""`headstart serve`: a finished run behind HTTP, with a page to try it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headstart.cli.progress import progress_bar
from headstart.cli.terminal import print


def serve(
    run: Annotated[Path, typer.Argument(help="A run folder or its bundle.")],
    host: Annotated[
        str,
        typer.Option(
            help=(
                "The address to listen on. By default, only this computer can connect; `0.0.0.0` opens it to "
                "every network."
            )
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 picks a free one.")] = 8000,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="Another host name that browsers may use for this server, such as that of a proxy."),
    ] = None,
    nearest: Annotated[
        bool | None,
        typer.Option(
            help=(
                "Show the most similar training pictures when someone asks why. By default, only if the server "
                "is open to this computer alone."
            )
        ),
    ] = None,
    max_pixels: Annotated[int, typer.Option(min=1, help="Refuse pictures with more pixels than this.")] = 50_000_000,
    max_body: Annotated[int, typer.Option(min=1, help="Refuse request bodies of more bytes than this.")] = 10 * 2**20,
    queue: Annotated[
        int,
        typer.Option(min=1, help="How many requests may wait at a time; further ones are asked to try again later."),
    ] = 64,
) -> None:
    """Serve a classifier over HTTP: a web page to drop pictures on, and `POST /predict` for programs.

    Example: `headstart serve runs/first`, then open the address that it prints, or
    `curl --data-binary @cat.jpg http://127.0.0.1:8000/predict`
    """
    from headstart import api
    from headstart.serve import Limits

    limits = Limits(body=max_body, pixels=max_pixels, queue=queue)
    try:
        with progress_bar() as progress:
            api.serve(
                run,
                host=host,
                port=port,
                hosts=allow_host or (),
                nearest=nearest,
                limits=limits,
                started=_started,
                progress=progress,
            )
    except KeyboardInterrupt:  # Ctrl-C or SIGTERM, and all that was in flight is answered
        print("Stopped.")


def _started(address: str) -> None:
    print(f"Serving at {address} (Ctrl-C stops it).")
    print(f"  the page        {address}/\n  for programs    {address}/docs\n  for Prometheus  {address}/metrics")
