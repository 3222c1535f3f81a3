"""`headstart classify`: what pictures show, among the 1,000 ImageNet classes."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headstart.cli import terminal
from headstart.cli.arguments import PICTURES, Device, Engine, FollowLinks, ImageColumn, Strict
from headstart.cli.flags import flagged
from headstart.cli.progress import progress_bar
from headstart.cli.terminal import print
from headstart.phrases import plural

if TYPE_CHECKING:
    from headstart.naming import Named


def classify(
    images: Annotated[list[str], typer.Argument(help=PICTURES)],
    backbone: Annotated[
        str,
        typer.Option(
            help="A network with its classifier, by name (timm, torchvision or Keras spelling), or FILE.onnx."
        ),
    ] = "mobilenetv2_100",
    weights: Annotated[str, typer.Option(help="`pretrained` or a weights file.")] = "pretrained",
    topk: Annotated[int, typer.Option(min=1, max=1000, help="How many classes to name per picture.")] = 5,
    engine: Engine = "auto",
    device: Device = "auto",
    strict: Strict = False,
    follow_links: FollowLinks = False,
    image_column: ImageColumn = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help=(
                "Write to a .json or .csv file, or to an image (.png, .jpg or .webp) that shows the pictures "
                "with the names below them."
            )
        ),
    ] = None,
) -> None:
    """Recognise what pictures show, among the 1,000 ImageNet classes, without any training.

    If every file name states its class by a WordNet id (`n01440764_tench.jpeg`), you also get top-1 and top-5 accuracy,
    with Wilson's 95% intervals. For a picture that cannot be used, the reason is printed to standard error.

    Examples:

    `headstart classify holiday/ cat.jpg --backbone resnet50`

    `headstart classify photos --backbone mobilenetv2_100 --out sheet.png`
    """
    from headstart import api, naming
    from headstart.cli import show

    if out is not None:
        naming.check_out(out, images)
    with progress_bar() as progress:
        found = api.classify(
            images,
            backbone=backbone,
            weights=weights,
            engine=engine,
            device=device,
            follow_links=follow_links,
            image_column=image_column,
            progress=progress,
        )
    if out is not None:
        naming.write(found, out, topk)
        print(f"{plural(len(found.images), 'picture')} named by {found.network}: {out}")
    else:
        _print(found, topk)
    tell(found)
    show.refusals(found.refused, strict)


def _print(found: Named, topk: int) -> None:
    """A table: picture, its class with confidence, the next ones; where it is known, the place of the stated class."""
    from headstart.naming.classes import categories
    from headstart.naming.naming import ranked
    from headstart.phrases import percent

    known, stated = categories(), found.stated
    table = terminal.table()
    table.add_column("picture", overflow="fold")
    table.add_column("class", style="bold")
    table.add_column("", justify="right", no_wrap=True)
    if stated is not None:
        table.add_column("place", justify="right", no_wrap=True)
    if topk > 1:
        table.add_column("then")
    for i, (name, ranks) in enumerate(zip(short(found.images.names), ranked(found, topk), strict=True)):
        places = [k for k, _ in ranks]
        cells = [name, known[places[0]].name, percent(ranks[0][1], 0, whole=False)]
        if stated is not None:
            cells.append(str(places.index(stated[i]) + 1) if stated[i] in places else "-")
        if topk > 1:
            cells.append(", ".join(f"{known[k].name} {percent(p, 0, whole=False)}" for k, p in ranks[1:]))
        table.add_row(*cells)
    terminal.console(118).print(table)
    if stated is not None:
        print("place: the rank of the file name's class among the classes named; - means that it is not among them.")


def short(names: Sequence[str]) -> list[str]:
    """The names without the folder that all of them are in."""
    try:
        shared = posixpath.commonpath([posixpath.dirname(name) for name in names])
    except ValueError:  # some begin at the root, and others do not
        return list(names)
    return [name.removeprefix(f"{shared}/") for name in names] if shared else list(names)


def tell(found: Named) -> None:
    """Accuracy where the file names state the classes, and the notes."""
    for score in found.scores():
        low, high = score.interval
        print(
            f"Top-{score.k} accuracy {score.accuracy:.4f} (95% interval {low:.4f} to {high:.4f}): "
            f"{score.right:,} of {plural(score.total, 'picture')}."
        )
    for note in found.notes:
        print(f"Note: {flagged(note)}")
