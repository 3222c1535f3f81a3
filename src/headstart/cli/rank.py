"""`headstart rank`: which backbone serves these pictures best."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from headstart.cli import arguments, terminal
from headstart.cli.flags import flagged
from headstart.cli.intervals import side_words, with_side
from headstart.cli.progress import progress_bar
from headstart.cli.terminal import print
from headstart.phrases import p_value

if TYPE_CHECKING:
    from headstart.ranking.files import SavedRanking
    from headstart.schema.ranking import RankedBackbone, RankingContent


def rank(
    data: arguments.Data,
    backbones: Annotated[
        str | None,
        typer.Option(
            help=(
                "Networks to rank, separated by commas, each written `NAME[:LAYER][@WEIGHTS]`: `sprout`, "
                "`resnet18`, `sprout@none`, `mobilenetv2_100@FILE.safetensors`, `FILE.onnx`."
            )
        ),
    ] = None,
    all_local: Annotated[
        bool,
        typer.Option(
            "--all-local",
            help=(
                "Rank every network whose weights are on this machine: `sprout`, the files in --weights-folder, "
                "and whatever timm (in Hugging Face's cache) and torchvision (in torch's cache) have downloaded "
                "before."
            ),
        ),
    ] = False,
    weights_folder: Annotated[
        Path | None,
        typer.Option(
            help=(
                "With --all-local: a folder of weights files with sidecars (as written by `backbones fetch`). By "
                "default, the one in HEADSTART_WEIGHTS."
            )
        ),
    ] = None,
    limit: arguments.Limit = None,
    folds: Annotated[int, typer.Option(help="Number of folds of the cross-validation.")] = 5,
    image_size: arguments.EveryImageSize = None,
    seed: Annotated[int, typer.Option(help="Random seed of the folds and of --limit.")] = 0,
    engine: arguments.Engine = "auto",
    device: arguments.Device = "auto",
    follow_links: arguments.FollowLinks = False,
    image_column: arguments.ImageColumn = None,
    label_column: arguments.LabelColumn = None,
    split_column: arguments.SplitColumn = None,
    group_column: arguments.GroupColumn = None,
    store: arguments.Store = True,
    out: Annotated[Path | None, typer.Option(help="The output folder; by default one under `rankings`.")] = None,
    cluster: arguments.Cluster = None,
) -> None:
    """Find the best network for your pictures, by the accuracy of a classifier on its features and by speed.

    Never looks at the test part. Writes ranking.csv, ranking.json and ranking.html.

    Examples:

    `headstart rank photos --backbones sprout,mobilenetv2_100,resnet18 --limit 1000`

    `headstart rank photos --all-local --weights-folder weights --out rankings/photos`
    """
    from headstart import api
    from headstart.errors import UserError

    if all_local == (backbones is not None):
        raise UserError("Give either --backbones, with the networks to rank, or --all-local, for all on this machine.")
    with progress_bar() as progress:
        found = api.rank(
            data,
            backbones,
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
            split_column=split_column,
            group_column=group_column,
            out=out,
            store=store,
            cluster=cluster,
            progress=progress,
        )
    tell(found)


def tell(saved: SavedRanking) -> None:
    """Print the table, the recommendation and the notes; what failed goes to standard error."""
    found = saved.content
    print(found.advice.headline + "\n")
    accuracies(found)
    for failed in found.failed:
        print(f"left out: {failed.backbone}: {flagged(failed.reason)}", file=sys.stderr)
    for sentence in (*found.advice.sentences, *(f"Warning: {warning}" for warning in found.advice.warnings)):
        print(sentence)
    for note in found.notes:
        print(f"Note: {flagged(note)}")
    print(f"Report: {saved.folder / 'ranking.html'}")


def accuracies(found: RankingContent) -> None:
    """Print the table, and what its signs mean."""
    rows, wide = (found.baseline, *found.backbones), terminal.width() >= WIDE
    told = COLUMNS if wide else {name: side for name, side in COLUMNS.items() if name not in WIDE_ALONE}
    table = terminal.table()
    for name, side in told.items():
        table.add_column(name, justify=side, no_wrap=wide or name != "backbone", overflow="fold")
    for row in rows:
        cells = dict(zip(COLUMNS, _cells(row, wide), strict=True))
        table.add_row(*(cells[name] for name in told), style="dim" if row is found.baseline else None)
    terminal.console().print(table)
    if not wide:
        print(f"Accuracy in % {side_words(map(_side, rows))}.")
    if any(row.standing == "tied" for row in rows):
        print("~ cannot be told apart from the best (McNemar's test on the same pictures, p of 0.05 or more).")


COLUMNS: dict[str, Literal["left", "right"]] = {
    "backbone": "left",
    "accuracy": "right",
    "to best": "right",
    "p": "right",
    "images/s": "right",
    "features": "right",
    "LogME": "right",
    "H-score": "right",
    "LEEP": "right",
    "params": "right",
    "licence": "left",
}
WIDE = 130
WIDE_ALONE = {"features", "LogME", "H-score", "LEEP", "licence"}
"""Columns that only a terminal of WIDE columns shows; the report has them all."""


def _side(row: RankedBackbone) -> str:
    return with_side(row.accuracy, row.accuracy_low, row.accuracy_high)


def _cells(row: RankedBackbone, wide: bool) -> list[str]:
    from headstart.backbones.licences import marked
    from headstart.evidence.phrases import signed

    best = row.standing == "best"
    ends = f"{100 * row.accuracy:.1f} ({100 * row.accuracy_low:.1f} to {100 * row.accuracy_high:.1f})"
    accuracy = ends if wide else _side(row)
    return [
        f"{row.backbone}{' ~' if row.standing == 'tied' else ''}",
        terminal.bold(accuracy) if best else accuracy,
        "best" if best else signed(row.points_to_best / 100),
        "" if best else p_value(row.p),
        "" if row.images_per_s is None else f"{row.images_per_s:,.0f}",
        f"{row.features:,}",
        f"{row.logme:.3f}",
        f"{row.h_score:.3f}",
        "" if row.leep is None else f"{row.leep:.3f}",
        "" if row.parameters is None else f"{row.parameters / 1e6:.1f} M",
        marked(row.licence),
    ]
