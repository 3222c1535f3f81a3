"""Arguments and options that several commands take."""

from __future__ import annotations

from typing import Annotated

import typer

DATA = (
    "A folder with a folder for each class, a zip of one, a CSV or Parquet table, an IDX folder, an .npz, or a "
    "built-in name."
)
Data = Annotated[str, typer.Argument(help=DATA)]
Layer = Annotated[
    str,
    typer.Option(
        help="`pooled`, `last_conv`, `cls`, `mean`, a layer by name, or `A+B`; `auto`: what its authors probe with."
    ),
]
ImageSize = Annotated[int | None, typer.Option(help="Side of the network's input in pixels.")]
EveryImageSize = Annotated[int | None, typer.Option(help="Side of every network's input in pixels.")]
Classes = Annotated[str | None, typer.Option(help="Only these classes, by name, separated by commas.")]
Limit = Annotated[int | None, typer.Option(help="At most this many pictures in all (stratified).")]
Engine = Annotated[str, typer.Option(help="`auto`, `openvino` or `torch`.")]
Device = Annotated[str, typer.Option(help="`auto`, `cpu`, `cuda` or `mps`.")]
MaxPixels = Annotated[int, typer.Option(help="Refuse a file with more pixels than this.")]
Store = Annotated[bool, typer.Option(help="Keep features on disk and reuse them.")]
FollowLinks = Annotated[
    bool, typer.Option("--follow-links", help="Take pictures that are links out of the folder; else they are refused.")
]
ImageColumn = Annotated[str | None, typer.Option(help="Of a table: the column of pictures, `image` if left out.")]
LabelColumn = Annotated[str | None, typer.Option(help="Of a table: the column of labels, `label` if left out.")]
Cluster = Annotated[
    str | None,
    typer.Option(
        help="Work on a Ray cluster: `local` (started here), `auto` (the one this machine is part of), `HOST:PORT` or "
        "`ray://HOST:PORT`."
    ),
]
