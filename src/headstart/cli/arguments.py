"""Arguments and options that several commands take."""

from __future__ import annotations

from typing import Annotated

import typer

DATA = (
    "A folder with one subfolder per class, a zip of it, a CSV or Parquet table, an IDX folder, an .npz, or a "
    "built-in name."
)
Data = Annotated[str, typer.Argument(help=DATA)]
Layer = Annotated[
    str,
    typer.Option(
        help="Where to take the features from: `pooled`, `last_conv`, `cls`, `mean`, a layer by name, or `A+B`. "
        "`auto`: the layer that the network's authors use for linear probes."
    ),
]
ImageSize = Annotated[int | None, typer.Option(help="Input size of the network: the side in pixels.")]
EveryImageSize = Annotated[int | None, typer.Option(help="Input size of every network: the side in pixels.")]
Classes = Annotated[
    str | None,
    typer.Option(help="Use only these classes, separated by commas. Put a name that contains a comma in quotes."),
]
Limit = Annotated[int | None, typer.Option(help="Use at most this many pictures in total (stratified).")]
Test = Annotated[str | None, typer.Option(help="Other pictures, in any form that DATA takes, to use as the test part.")]
HeadSettings = Annotated[
    list[str] | None, typer.Option("--set", help="A parameter of the head, such as `C=0.1`; repeatable.")
]
Engine = Annotated[str, typer.Option(help="`auto`, `openvino` or `torch`.")]
Device = Annotated[str, typer.Option(help="`auto`, `cpu`, `cuda` or `mps`.")]
MaxPixels = Annotated[int, typer.Option(help="Refuse files with more pixels than this.")]
Strict = Annotated[bool, typer.Option(help="Exit with code 2 if any picture cannot be used.")]
Store = Annotated[bool, typer.Option(help="Store features on disk and reuse them.")]
FollowLinks = Annotated[
    bool,
    typer.Option("--follow-links", help="Follow links that point outside the folder. By default, they are refused."),
]
PICTURES = "Picture files, folders or zips of pictures, or a table of pictures."
ImageColumn = Annotated[str | None, typer.Option(help="For a table: the column with the pictures, by default `image`.")]
LabelColumn = Annotated[str | None, typer.Option(help="For a table: the column with the labels, by default `label`.")]
SplitColumn = Annotated[
    str | None, typer.Option(help="For a table: the column with train, val or test, by default `split`.")
]
GroupColumn = Annotated[
    str | None,
    typer.Option(help="For a table: the column that says which pictures belong together, by default `group`."),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        help="Run on a Ray cluster: `local` (started on this machine), `auto` (the cluster it belongs to), "
        "`HOST:PORT` or `ray://HOST:PORT`."
    ),
]
