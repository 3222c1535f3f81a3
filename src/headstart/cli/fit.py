"""`headstart fit`: the main job."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.cli import arguments
from headstart.cli.progress import progress_bar
from headstart.cli.terminal import print

if TYPE_CHECKING:
    from headstart.run import Run


def fit(
    data: arguments.Data,
    backbone: Annotated[
        str | None,
        typer.Option(
            help="The pretrained network, by name (timm, torchvision, Keras spelling, a model page), or FILE.onnx."
        ),
    ] = None,
    weights: Annotated[
        str,
        typer.Option(
            help=(
                "`pretrained`, `none` (random, from the seed), a file (.safetensors, .pth, Keras's .h5 or "
                ".keras), or a folder written by `backbones fetch`."
            )
        ),
    ] = "pretrained",
    layer: arguments.Layer = "auto",
    method: Annotated[
        str,
        typer.Option(
            help=(
                "What to learn from: `features` of the frozen backbone or raw `pixels`; or train the network: "
                "`finetune` some or all blocks, or train from `scratch`."
            )
        ),
    ] = "features",
    unfreeze: Annotated[
        str | None,
        typer.Option(
            help=(
                "With finetune, what to train: the last N blocks, `all`, or everything from a named block on. By "
                "default 3."
            )
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="With finetune and scratch. By default, it depends on the number of pictures."),
    ] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="With finetune and scratch.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="With finetune and scratch: the learning rate of the head.")
    ] = None,
    train: Annotated[
        list[str] | None,
        typer.Option(help="Any other training setting, such as `optimiser=sgd` or `layer_decay=0.5`; repeatable."),
    ] = None,
    find_rate: Annotated[
        bool,
        typer.Option("--find-rate", help="First try out learning rates on a copy of the network, and plot the result."),
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="Train the network with this many processes on a Ray cluster (--cluster, by default `local`)."
        ),
    ] = None,
    cluster: arguments.Cluster = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an interrupted training: the same command with the same --out.")
    ] = False,
    head: Annotated[
        str, typer.Option(help="The head (final classifier): logistic, linear, mlp, ridge, knn or prototype.")
    ] = "logistic",
    head_option: arguments.HeadSettings = None,
    class_weight: Annotated[
        str, typer.Option(help="`none`, or `balanced` to give every class the same weight.")
    ] = "none",
    image_size: arguments.ImageSize = None,
    grey: Annotated[
        str | None,
        typer.Option(
            help=(
                "How grey pictures fill three colour channels: `repeat` (all three), `first` (one of them) or "
                "`colormap`."
            )
        ),
    ] = None,
    augment: Annotated[
        str,
        typer.Option(
            help=(
                "Augment training pictures: `none`, `light` or `strong` (photos), `digits`, FILE.toml, or "
                "`auto`: whatever suits the pictures if the network is trained, none if it is frozen."
            )
        ),
    ] = "auto",
    views: Annotated[
        int | None,
        typer.Option(
            min=0, help="Number of augmented views of each training picture, in addition to the original. By default 2."
        ),
    ] = None,
    tta: Annotated[
        int,
        typer.Option(
            min=1,
            help="Average predictions over this many views of a picture, in the test and when predicting; 1 is off.",
        ),
    ] = 1,
    classes: arguments.Classes = None,
    limit: arguments.Limit = None,
    train_per_class: Annotated[
        int | None, typer.Option(help="Use only this many labelled pictures per class, not counting the test part.")
    ] = None,
    test: arguments.Test = None,
    evaluate: Annotated[
        str,
        typer.Option(
            help=(
                "How to test if the data have no test part: `cv` cross-validates on all pictures, `holdout` "
                "holds out a fifth, `auto` decides by the number of pictures."
            )
        ),
    ] = "auto",
    split: Annotated[Path | None, typer.Option(help="Reuse the split.csv of an earlier run.")] = None,
    seed: Annotated[int, typer.Option(help="Random seed of the split, the subsets and the training.")] = 0,
    engine: arguments.Engine = "auto",
    device: arguments.Device = "auto",
    precision: Annotated[
        str, typer.Option(help="`float32`, `mixed` on a GPU, or `int8` on a CPU (calibrated on training pictures).")
    ] = "float32",
    max_pixels: arguments.MaxPixels = 50_000_000,
    decode: Annotated[
        str,
        typer.Option(
            help="`exact`, or `fast`: decode large JPEGs at reduced size, at least twice the network's input."
        ),
    ] = "exact",
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first picture that cannot be used.")] = False,
    allow_empty_classes: Annotated[
        bool, typer.Option("--allow-empty-classes", help="Accept class folders that contain no pictures.")
    ] = False,
    follow_links: arguments.FollowLinks = False,
    image_column: arguments.ImageColumn = None,
    label_column: arguments.LabelColumn = None,
    split_column: arguments.SplitColumn = None,
    group_column: arguments.GroupColumn = None,
    target: Annotated[
        float | None,
        typer.Option(
            help=(
                "Estimate how many labelled pictures it takes to reach this accuracy, such as 0.95 (with frozen "
                "features)."
            )
        ),
    ] = None,
    store: arguments.Store = True,
    out: Annotated[
        Path | None, typer.Option(help="The run folder, for all results; by default one under `runs`.")
    ] = None,
) -> None:
    """Turn labelled pictures into a classifier, with its scores, a report and a bundle for predicting.

    Examples:

    `headstart fit photos --backbone mobilenetv2_100`

    `headstart fit mnist --classes 7,8 --method pixels`

    `headstart fit photos --backbone ResNet50 --head mlp --set hidden=256 --out runs/first`

    `headstart fit mnist --head mlp --augment digits --views 2 --tta 2`

    `headstart fit photos --backbone mobilenetv2_100 --method finetune --unfreeze 3 --out runs/tuned`
    """
    from headstart import api
    from headstart.errors import UserError

    training = options(train or [], "--train optimiser=sgd")
    flags = {"unfreeze": unfreeze, "epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate}
    named = {name: value for name, value in flags.items() if value is not None}
    if name := next((name for name in named if name in training), None):
        raise UserError(f"{name} is given twice: `{name}` and training.{name}={training[name]}; leave one out.")
    training |= named
    if unfreeze is not None:
        with contextlib.suppress(ValueError):
            training["unfreeze"] = int(unfreeze)
    if find_rate:
        training["find_rate"] = True
    with progress_bar() as progress:
        finished = api.fit(
            data,
            backbone=backbone,
            weights=weights,
            layer=layer,
            method=method,
            training=training,
            head=head,
            head_options=options(head_option or []),
            class_weight=class_weight,
            image_size=image_size,
            grey=grey,
            augment=augment,
            views=views,
            tta=tta,
            classes=classes,
            limit=limit,
            train_per_class=train_per_class,
            test=test,
            evaluate=evaluate,
            split=split,
            seed=seed,
            engine=engine,
            device=device,
            precision=precision,
            max_pixels=max_pixels,
            decode=decode,
            strict=strict,
            allow_empty_classes=allow_empty_classes,
            follow_links=follow_links,
            image_column=image_column,
            label_column=label_column,
            split_column=split_column,
            group_column=group_column,
            out=out,
            store=store,
            resume=resume,
            target=target,
            workers=workers,
            cluster=cluster,
            progress=progress,
        )
    tell(finished)


def tell(finished: Run) -> None:
    """Print what a finished run comes to, its facts, what it replaced and where the report is."""
    from dataclasses import replace

    from headstart.cli import show
    from headstart.machine import peak_memory_mb
    from headstart.report.headline import headline
    from headstart.schema.scores import Memory

    show.run_result(finished.content)
    show.run_facts(replace(finished.content, memory=Memory(peak_memory_mb())))  # with what the report took
    if refused := finished.content.counts.refused:
        print(f"{refused:,} of the files could not be used; {finished.folder / 'refused.csv'} says which, and why.")
    if finished.replaced is not None:
        print(f"The earlier run in {finished.folder} was replaced; its result: {headline(finished.replaced)}")
    print(f"Report: {finished.folder / 'report.html'}")


def options(pairs: list[str], example: str = "--set C=0.1") -> dict[str, Any]:
    """`C=0.1` -> {'C': 0.1}: values are read as TOML, and as text where that fails."""
    import tomllib

    from headstart.errors import UserError

    found: dict[str, Any] = {}
    flag = example.split()[0]
    for pair in pairs:
        key, equals, text = (part.strip() for part in pair.partition("="))
        if not equals:
            raise UserError(f"{flag} {pair}: write NAME=VALUE, for example {example}.")
        if key in found:
            raise UserError(f"{key} is given twice: {flag} {key}={found[key]} and {flag} {pair}; leave one out.")
        try:
            found[key] = tomllib.loads(f"v = {text}")["v"]
        except tomllib.TOMLDecodeError:
            found[key] = text
    return found
