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
        str, typer.Option(help="The address to listen at: this computer alone; `0.0.0.0` for every network.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0: any that is free.")] = 8000,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A name under which a browser may ask for it, where a proxy has one.")
    ] = None,
    nearest: Annotated[
        bool | None,
        typer.Option(help="Show the nearest training pictures to who asks why; by default on this computer alone."),
    ] = None,
    max_pixels: Annotated[int, typer.Option(min=1, help="Pictures with more pixels are refused.")] = 50_000_000,
    max_body: Annotated[int, typer.Option(min=1, help="Bodies of more bytes are refused.")] = 10 * 2**20,
    queue: Annotated[int, typer.Option(min=1, help="Requests at a time; others are told to come again.")] = 64,
) -> None:
    """Answer over HTTP: a page to drop pictures on, and `POST /predict` for programs.

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
