"""`headstart pretrain`: a source model of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headstart.cli import arguments
from headstart.cli.progress import progress_bar
from headstart.cli.terminal import print
from headstart.phrases import joined

SPROUT = "sprout"


def pretrain(
    data: Annotated[
        str, typer.Argument(help="Labelled pictures, in any form that `fit` takes; or `sprout`, which draws its own.")
    ],
    architecture: Annotated[
        str, typer.Option(help="The network, by name; it is trained from random weights.")
    ] = SPROUT,
    out: Annotated[
        Path | None, typer.Option(help="Where to save the weights: FILE.safetensors, or with `sprout` a folder.")
    ] = None,
    image_size: arguments.ImageSize = None,
    classes: arguments.Classes = None,
    limit: arguments.Limit = None,
    augment: Annotated[
        str, typer.Option(help="How to augment the pictures: `none`, `light`, `strong`, `digits`, or FILE.toml.")
    ] = "none",
    epochs: Annotated[int | None, typer.Option(min=1, help="By default, it depends on the number of pictures.")] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="By default, it depends on the number of pictures.")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(help="By default 0.001.")] = None,
    train: Annotated[list[str] | None, typer.Option(help="Any other training setting, such as `mixup=0.2`.")] = None,
    follow_links: arguments.FollowLinks = False,
    image_column: arguments.ImageColumn = None,
    label_column: arguments.LabelColumn = None,
    split_column: arguments.SplitColumn = None,
    group_column: arguments.GroupColumn = None,
    seed: Annotated[int, typer.Option(help="Random seed of the weights, the split and the training.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted training.")] = False,
) -> None:
    """Train a source model from scratch, and save weights that you can pass to `--weights`.

    Examples:

    `headstart pretrain fashion_mnist --architecture sprout --out fashion.safetensors`

    `headstart fit mnist --backbone sprout --weights fashion.safetensors --train-per-class 10`

    `headstart pretrain sprout --out runs/sprout` retrains the network that comes with the package (minutes on a GPU, a
    night or more without; needs 60 fonts). Run the same command again to continue an interrupted training.
    """
    from headstart.errors import UserError

    if data == SPROUT:
        given = {
            "--architecture": architecture != SPROUT,
            "--image-size": image_size is not None,
            "--limit": limit is not None,
            "--classes": classes is not None,
            "--augment": augment != "none",
            "--batch-size": batch_size is not None,
            "--learning-rate": learning_rate is not None,
            "--train": bool(train),
            "--follow-links": follow_links,
            "--image-column": image_column is not None,
            "--label-column": label_column is not None,
            "--split-column": split_column is not None,
            "--group-column": group_column is not None,
        }
        if idle := [option for option, asked in given.items() if asked]:
            raise UserError(f"`pretrain sprout` has its own pictures and settings; leave {joined(idle)} out.")
        _sprout(out or Path("runs/sprout"), seed, epochs)
        return
    from headstart.api.checks import names
    from headstart.cli.fit import options, tell
    from headstart.paths import absolute
    from headstart.recipe import Recipe
    from headstart.report import write_report

    if out is None:
        raise UserError("--out is missing: name the FILE.safetensors to write the weights to.")
    from headstart.augment import named
    from headstart.pretraining.source import pretrain as run

    asked = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate}
    sections = {
        "method": "scratch",
        "seed": seed,
        "data": {
            "source": absolute(data),
            "classes": names("classes", classes),
            "limit": limit,
            "allow_empty_classes": True,
            "follow_links": follow_links,
            "image_column": image_column,
            "label_column": label_column,
            "split_column": split_column,
            "group_column": group_column,
        },
        "backbone": {"name": architecture, "image_size": image_size},
        "training": options(train or [], "--train mixup=0.2") | {k: v for k, v in asked.items() if v is not None},
        "augment": named(augment).for_recipe(),
    }
    with progress_bar() as progress:
        made = run(Recipe.from_dict(sections, ""), out, progress, resume=resume)
    write_report(made.run.folder, made.run.thumbnail, made.run.contact_sheet, made.run.explained)
    tell(made.run)
    print(f"Weights: {made.weights}")
    print(f"Use them: headstart fit DATA --backbone {architecture} --weights {made.weights}")


def _sprout(out: Path, seed: int, epochs: int | None) -> None:
    from headstart.engines import choose
    from headstart.pretraining.sprout import SproutRecipe, pretrain_sprout, with_settings

    recipe = with_settings(SproutRecipe.shipped(), seed, epochs, choose("torch").device)
    file = pretrain_sprout(out, recipe, report=print)
    print(f"Weights: {file}")
    print(f"Use them: headstart fit DATA --backbone sprout --weights {file}")
