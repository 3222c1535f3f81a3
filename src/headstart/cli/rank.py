"""`headstart rank`: which backbone serves these pictures best."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headstart.cli import terminal
from headstart.cli.fit import DATA, FollowLinks, ImageColumn, LabelColumn
from headstart.cli.flags import Cluster, flagged
from headstart.cli.terminal import print
from headstart.phrases import p_value

if TYPE_CHECKING:
    from headstart.ranking.files import SavedRanking
    from headstart.schema.ranking import RankedBackbone


def rank(
    data: Annotated[str, typer.Argument(help=DATA)],
    backbones: Annotated[
        str | None,
        typer.Option(
            help="Networks to rank, with commas between them, each `NAME[:LAYER][@WEIGHTS]`: `sprout`, `resnet18`, "
            "`sprout@none`, `mobilenetv2_100@FILE.safetensors`, `FILE.onnx`."
        ),
    ] = None,
    all_local: Annotated[
        bool,
        typer.Option(
            "--all-local",
            help="Rank every network whose weights are here: `sprout`, the files of --weights-folder, and what timm "
            "(in Hugging Face's cache) and torchvision (in torch's cache) have downloaded before.",
        ),
    ] = False,
    weights_folder: Annotated[
        Path | None,
        typer.Option(envvar="HEADSTART_WEIGHTS", help="With --all-local: a folder of weights files with sidecars."),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="At most this many pictures in all (stratified).")] = None,
    folds: Annotated[int, typer.Option(help="Parts of the cross-validation.")] = 5,
    image_size: Annotated[int | None, typer.Option(help="Side of every network's input in pixels.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the folds and of --limit.")] = 0,
    engine: Annotated[str, typer.Option(help="`auto`, `openvino` or `torch`.")] = "auto",
    device: Annotated[str, typer.Option(help="`auto`, `cpu`, `cuda` or `mps`.")] = "auto",
    follow_links: FollowLinks = False,
    image_column: ImageColumn = None,
    label_column: LabelColumn = None,
    store: Annotated[bool, typer.Option(help="Keep features on disk and reuse them.")] = True,
    out: Annotated[Path | None, typer.Option(help="The folder to write; by default one under `rankings`.")] = None,
    cluster: Cluster = None,
) -> None:
    """Rank networks by how well a classifier on their features does, and by how fast they are here.

    The test part is never looked at. Writes ranking.csv, ranking.json and ranking.html.

    Examples:

    `headstart rank photos --backbones sprout,mobilenetv2_100,resnet18 --limit 1000`

    `headstart rank photos --all-local --weights-folder weights --out rankings/photos`
    """
    from headstart import api
    from headstart.cli import show
    from headstart.cli.fit import listed
    from headstart.errors import UserError

    if all_local == (backbones is not None):
        raise UserError("Name the networks with --backbones, or take all that are here with --all-local: one of them.")
    with show.progress_bar() as progress:
        found = api.rank(
            data,
            None if backbones is None else listed(backbones),
            weights_folder=weights_folder,
            limit=limit,
            folds=folds,
            image_size=image_size,
            seed=seed,
            engine=engine,
            device=device,
            follow_links=follow_links,
            image_column=image_column,
            label_column=label_column,
            out=out,
            store=store,
            cluster=cluster,
            progress=progress,
        )
    tell(found)


def tell(saved: SavedRanking) -> None:
    """Print the table, the recommendation and the notes; what failed goes to standard error."""
    found = saved.content
    table = terminal.table()
    for name in (
        "backbone",
        "accuracy",
        "95% interval",
        "to best",
        "p",
        "images/s",
        "features",
        *HINTS,
        "params",
        "licence",
    ):
        side = "left" if name in ("backbone", "licence") else "right"
        table.add_column(name, justify=side, no_wrap=name != "licence")
    for row in (found.baseline, *found.backbones):
        table.add_row(*_cells(row), style="dim" if row is found.baseline else None)
    terminal.console(138).print(table)
    print("~ cannot be told apart from the best (McNemar's test on the same pictures, p of 0.05 or more).")
    for failed in found.failed:
        print(f"left out: {failed.backbone}: {flagged(failed.reason)}", file=sys.stderr)
    advice = found.advice
    print("\n".join([advice.headline, *advice.sentences, *(f"Warning: {w}" for w in advice.warnings)]))
    for note in found.notes:
        print(f"Note: {flagged(note)}")
    print(f"Report: {saved.folder / 'ranking.html'}")


HINTS = ("LogME", "H-score", "LEEP")


def _cells(row: RankedBackbone) -> list[str]:
    from headstart.backbones.licences import marked

    best = row.standing == "best"
    accuracy = f"{row.accuracy:.4f}"
    return [
        f"{row.backbone}{' ~' if row.standing == 'tied' else ''}",
        terminal.bold(accuracy) if best else accuracy,
        f"{row.accuracy_low:.4f} to {row.accuracy_high:.4f}",
        "best" if best else f"{row.points_to_best:+.1f}",
        "" if best else p_value(row.p),
        "" if row.images_per_s is None else f"{row.images_per_s:,.0f}",
        f"{row.features:,}",
        f"{row.logme:.3f}",
        f"{row.h_score:.3f}",
        "" if row.leep is None else f"{row.leep:.3f}",
        "" if row.parameters is None else f"{row.parameters / 1e6:.1f} M",
        marked(row.licence),
    ]
