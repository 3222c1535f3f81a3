"""`headstart export`: a finished run as one graph for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headstart.cli.progress import progress_bar
from headstart.cli.terminal import print


def export(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    out: Annotated[Path, typer.Option(help="The output folder.")],
    format: Annotated[str, typer.Option(help="`onnx` or `openvino`.")] = "onnx",
    precision: Annotated[
        str, typer.Option(help="`float32`, or `int8`: quantise the network, using training pictures.")
    ] = "float32",
    max_drop: Annotated[float, typer.Option(min=0, help="How many points of accuracy int8 may cost.")] = 1.0,
) -> None:
    """Export a run for other programs: one graph from a uint8 picture of any size to class probabilities.

    The graph includes resizing, and the folder has the class names. It is checked on the run's own pictures before the
    folder is written. You can also pass the folder to `headstart predict`.

    Example: `headstart export runs/first --format onnx --out first-onnx`
    """
    from headstart import api

    with progress_bar() as progress:
        found = api.export(run, out, format=format, precision=precision, max_drop=max_drop, progress=progress)
    print(f"On {found.parity.told()}.")
    if found.quantisation is not None:
        print(f"On {found.quantisation.told()}.")
    size = sum(path.stat().st_size for path in found.folder.iterdir() if path.is_file())
    print(f"Export: {found.folder} ({size / 1e6:,.1f} MB; example.py shows its use)")
