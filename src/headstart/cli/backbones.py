"""`headstart backbones`: which networks there are, what they cost, and the layers of one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headstart.cli import arguments, terminal
from headstart.cli.progress import progress_bar
from headstart.cli.terminal import print

if TYPE_CHECKING:
    from headstart.backbones.catalog import Row

app = typer.Typer(
    help="List, search, download and time pretrained networks, get recommendations, or show a network's layers.",
    invoke_without_command=True,
)


Sort = Annotated[
    str | None,
    typer.Option(
        help=(
            "Sort by `accuracy`: published ImageNet top-1 of the default weights (timm's results table, "
            "torchvision's metadata), networks without one last; `speed`: fewest multiply-adds (to measure it "
            "here, use `backbones bench`); or `size`: fewest parameters."
        )
    ),
]
Fits = Annotated[
    int | None, typer.Option(min=1, help="Only networks whose native input size is at most this many pixels.")
]
MaxParams = Annotated[
    str | None, typer.Option(help="Only networks with at most this many parameters, such as 10M or 500k.")
]


@app.callback()
def default(
    context: typer.Context,
    sort: Sort = None,
    fits: Fits = None,
    max_params: MaxParams = None,
    recommend: Annotated[
        bool, typer.Option("--recommend", help="Recommend a few networks for your pictures, timed on this machine.")
    ] = False,
    images: Annotated[int, typer.Option(min=1, help="With --recommend: how many pictures you have.")] = 1000,
    size: Annotated[int, typer.Option(min=8, max=4096, help="With --recommend: their size, the side in pixels.")] = 400,
    no_gpu: Annotated[bool, typer.Option("--no-gpu", help="With --recommend: assume a machine without a GPU.")] = False,
) -> None:
    """List the well-known networks when no command is given.

    Example: `headstart backbones --recommend --images 2000 --size 400`
    """
    from headstart.errors import UserError

    if context.invoked_subcommand is None:
        _recommend(images, size, gpu=not no_gpu) if recommend else list_(None, sort, fits, max_params)
    elif recommend:
        raise UserError("--recommend takes no command after it: headstart backbones --recommend")
    elif (sort, fits, max_params) != (None, None, None):
        raise UserError("--sort, --fits and --max-params go after the command: headstart backbones list --sort ...")


def _recommend(images: int, size: int, *, gpu: bool) -> None:
    from headstart.backbones.licences import marked
    from headstart.ranking.recommend import recommend

    with progress_bar() as progress:
        picks = recommend(images, size, gpu=gpu, progress=progress)
    table = terminal.table()
    for column in ("network", "top-1", "images/s", f"{images:,} images", "input", "licence", "why"):
        side = "left" if column in ("network", "licence", "why") else "right"
        table.add_column(column, justify=side, no_wrap=column not in ("licence", "why"))
    for pick in picks:
        table.add_row(
            pick.name, "" if pick.top1 is None else f"{pick.top1:.1f}", f"{pick.images_per_s:,.3g}",
            _duration(pick.seconds), f"{pick.size}x{pick.size}", marked(pick.licence), pick.why,
        )  # fmt: skip
    terminal.console(150).print(table)
    print("top-1: published accuracy on ImageNet in per cent; images/s: measured here with random weights.")
    for pick in picks:
        print(f"{pick.name}: {pick.how}; {pick.source}" if pick.how else f"{pick.name}: see {pick.source}")
    print("Only your pictures can tell which one is best for them: headstart rank DATA --backbones NAME,NAME")


@app.command("list")
def list_(
    pattern: Annotated[
        str | None, typer.Argument(help="A name pattern with * and ?, searched for in all of timm and torchvision.")
    ] = None,
    sort: Sort = None,
    fits: Fits = None,
    max_params: MaxParams = None,
) -> None:
    """List networks with parameters, ImageNet accuracy, feature sizes, input size, multiply-adds and licence.

    Examples:

    `headstart backbones list 'efficientnet_b*'`

    `headstart backbones --sort accuracy --fits 224 --max-params 10M`
    """
    from headstart.backbones.catalog import catalog_rows, select
    from headstart.backbones.measure import search
    from headstart.errors import UserError

    rows, total = catalog_rows(), 0
    if pattern:
        found = search(pattern)
        rows, total = found.rows, found.total
        if not rows:
            raise UserError(
                f"No network of timm or torchvision matches '{pattern}'; try a shorter word, such as 'resnet'."
            )
    kept = select(rows, sort, fits, _count(max_params) if max_params else None)
    if not kept:
        raise UserError(f"None of the {len(rows)} networks is that small; raise --fits or --max-params.")
    _table(kept)
    if pattern and total > len(rows):
        print(f"Chosen from the first {len(rows)} of {total} matches; use a longer pattern to get fewer.")
    elif not pattern:
        print(
            "headstart backbones list PATTERN searches all of timm and torchvision; show NAME lists the layers of one."
        )


def _table(rows: Sequence[Row]) -> None:
    from headstart.backbones.licences import marked

    table = terminal.table()
    for column in ("name", "alias", "params", "top-1", "pooled", "last_conv", "input", "MACs", "licence"):
        side = "left" if column in ("name", "alias", "licence") else "right"
        table.add_column(column, justify=side, no_wrap=column != "licence")
    for row in rows:
        table.add_row(
            row.name, row.alias or "", _millions(row.parameters), _top1(row), f"{row.pooled:,}" if row.pooled else "",
            _sides(row.last_conv), _sides(row.input_size), _billions(row.multiply_adds),
            marked(row.licence),
        )  # fmt: skip
    terminal.console(142).print(table)
    print("params: parameters with the classifier; MACs: multiply-adds of one picture; last_conv: channels x h x w.")
    print(
        "top-1: published ImageNet accuracy of the default weights, @ the size measured at where it is not the input."
    )


@app.command()
def fetch(
    names: Annotated[list[str], typer.Argument(help="Networks, named as for --backbone.")],
    out: Annotated[Path, typer.Option(help="The output folder; files already in it are kept.")],
) -> None:
    """Download networks for offline use: weights, sidecars with their licences, and checksums.

    Example: `headstart backbones fetch vit_small_patch14_dinov2.lvd142m mobilenetv2_100 --out weights`
    """
    from headstart.backbones.fetch import Fetched
    from headstart.backbones.fetch import fetch as fetched
    from headstart.backbones.licences import marked

    def tell(found: Fetched) -> None:
        print(f"{found.file}: {found.file.stat().st_size / 1e6:,.1f} MB, licence {marked(found.licence)}")

    found = fetched(names, out, tell)
    print(f"Use them with --weights {out}, for example --backbone {found[0].name} --weights {out}")


@app.command("bench")
def bench_(
    data: Annotated[str, typer.Argument(help="Pictures, labelled or not: a folder, a table or a built-in name.")],
    backbones: Annotated[
        str,
        typer.Option(
            help=(
                "Networks, separated by commas, named as for `rank`. They get random weights unless you name a "
                "file (`NAME@FILE`); the speed is the same."
            )
        ),
    ] = "sprout,squeezenet1_0,mobilenetv2_100,resnet18,resnet50",
    limit: Annotated[int, typer.Option(min=1, help="How many pictures to use, spread over all of them.")] = 64,
    image_size: arguments.EveryImageSize = None,
    engine: arguments.Engine = "auto",
    device: arguments.Device = "auto",
    follow_links: arguments.FollowLinks = False,
    image_column: arguments.ImageColumn = None,
) -> None:
    """Measure speed on this machine in images/s, from file to features, including decoding and resizing.

    Example: `headstart backbones bench photos --backbones mobilenetv2_100,resnet50`
    """
    import sys

    from headstart.backbones.spelling import parse_list
    from headstart.images.options import Reading
    from headstart.paths import absolute
    from headstart.ranking.bench import bench
    from headstart.ranking.request import RankingRequest

    reading = Reading(follow_links=follow_links, image_column=image_column)
    asked = tuple(parse_list(backbones))
    request = RankingRequest(absolute(data), asked, limit, image_size, engine=engine, device=device, reading=reading)
    with progress_bar() as progress:
        found = bench(request, progress)
    table = terminal.table()
    for column in ("backbone", "images/s", "10,000 images", "input", "params", "MACs"):
        table.add_column(column, justify="left" if column == "backbone" else "right", no_wrap=True)
    for row in found.networks:
        rate = row.images_per_s
        table.add_row(
            row.label, f"{rate:,.{0 if rate >= 100 else 1}f}", _duration(10_000 / rate), _sides(row.size),
            _millions(row.parameters), _billions(row.multiply_adds),
        )  # fmt: skip
    terminal.console(90).print(table)
    print(f"{found.pictures:,} pictures, {found.engine}; with decoding and resizing, without opening the network.")
    for failed in found.failures:
        print(f"left out: {failed.backbone}: {failed.reason}", file=sys.stderr)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A network by name, or FILE.onnx.")],
    every: Annotated[bool, typer.Option("--all", help="Show every module, not only the blocks.")] = False,
) -> None:
    """Print the layers of a network and their shapes, under the names that `--layer` accepts.

    Example: `headstart backbones show mobilenetv2_100`
    """
    from math import prod

    from headstart.backbones.licences import marked
    from headstart.backbones.measure import describe

    found = describe(name)
    row = found.row
    facts = [f"input {_sides(row.input_size)}", f"licence {marked(row.licence)}"]
    if row.parameters and row.multiply_adds:
        facts[1:1] = [f"{_millions(row.parameters)} parameters", f"{_billions(row.multiply_adds)} multiply-adds"]
    print(f"{row.name}: {', '.join(facts)}")
    table = terminal.table()
    table.add_column("layer")
    table.add_column("shape", justify="right")
    table.add_column("features", justify="right")
    for layer in found.modules if every else found.layers:
        table.add_row(layer.name, _sides(layer.shape), f"{prod(layer.shape):,}")
    terminal.console().print(table)
    if not every and len(found.modules) > len(found.layers):
        print(f"--all lists all {len(found.modules)} modules; each can be used as --layer too.")


def _count(text: str) -> float:
    """`10M` -> 10,000,000. Raises UserError."""
    from headstart.errors import UserError

    units = {"k": 1e3, "m": 1e6, "g": 1e9, "b": 1e9}
    number, unit = (text[:-1], units[text[-1].lower()]) if text[-1:].lower() in units else (text, 1.0)
    try:
        count = float(number.replace(",", "")) * unit
    except ValueError:
        count = 0.0
    if not 0 < count < 1e15:
        raise UserError(f"--max-params {text} is not a number of parameters; write it as 10M, 500k or 1200000.")
    return count


def _top1(row: Row) -> str:
    """`72.4`, or `81.2 @288` where it was measured at another size than the network's own input."""
    if row.top1 is None:
        return ""
    return f"{row.top1:.1f}" + ("" if row.top1_size == row.input_size[0] else f" @{row.top1_size}")


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    return f"{seconds:.0f} s" if seconds < 100 else f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.1f} h"


def _sides(shape: tuple[int, ...] | None) -> str:
    return "x".join(map(str, shape)) if shape else ""


def _millions(count: int | None) -> str:
    return f"{count / 1e6:.1f} M" if count else ""


def _billions(count: int | None) -> str:
    return f"{count / 1e9:.2f} G" if count else ""
