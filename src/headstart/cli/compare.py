"""`headstart compare`: did transfer help?"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headstart.cli import arguments, terminal
from headstart.cli.fit import options
from headstart.cli.progress import progress_bar
from headstart.cli.study import tell
from headstart.cli.terminal import print

if TYPE_CHECKING:
    from headstart.progress import Progress
    from headstart.schema.verdicts import Plan
    from headstart.study.recipe import StudyRecipe


def compare(
    data: arguments.Data,
    arms: Annotated[
        str,
        typer.Option(
            help=(
                "The arms (ways to build a classifier) to compare, separated by commas: `pixels`, `scratch`, "
                "`NAME+scratch`, `NAME[:LAYER][@WEIGHTS]` (frozen features), `NAME[@WEIGHTS]+finetune[=BLOCKS]`. "
                "WEIGHTS is a file, or `none` for random weights."
            )
        ),
    ] = "pixels,scratch,sprout",
    sizes: Annotated[
        str, typer.Option(help="Numbers of labelled pictures per class to try, separated by commas; `all` is allowed.")
    ] = "5,10,20,50,100",
    repeats: Annotated[
        int, typer.Option(min=1, help="How many subsets to draw at each size; --plan recommends a number.")
    ] = 10,
    trained_repeats: Annotated[
        int | None, typer.Option(min=1, help="Use fewer repeats for arms that train a network, which take longer.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed of the test part, the subsets and the training.")] = 0,
    test: arguments.Test = None,
    limit_test: Annotated[int | None, typer.Option(help="Use at most this many test pictures (stratified).")] = None,
    margin: Annotated[
        float, typer.Option(help="The largest difference that does not matter to you, in percentage points.")
    ] = 1.0,
    classes: arguments.Classes = None,
    limit: arguments.Limit = None,
    image_size: arguments.EveryImageSize = None,
    head: Annotated[
        str, typer.Option(help="The head (final classifier) of every arm: logistic, mlp, ridge, knn or prototype.")
    ] = "logistic",
    head_option: arguments.HeadSettings = None,
    train: Annotated[
        list[str] | None, typer.Option(help="A setting for arms that train a network, such as `epochs=5`; repeatable.")
    ] = None,
    augment: Annotated[
        str,
        typer.Option(
            help=(
                "Augment the pictures of arms that train a network: `none`, `light`, `strong`, `digits`, "
                "FILE.toml, or `auto`, which goes by what the pictures look like."
            )
        ),
    ] = "auto",
    device: arguments.Device = "auto",
    follow_links: arguments.FollowLinks = False,
    image_column: arguments.ImageColumn = None,
    label_column: arguments.LabelColumn = None,
    split_column: arguments.SplitColumn = None,
    group_column: arguments.GroupColumn = None,
    store: arguments.Store = True,
    plan: Annotated[
        bool,
        typer.Option(
            "--plan", help="Only run a pilot of a few fits, and say how many repeats it takes to find --margin."
        ),
    ] = False,
    why: Annotated[
        bool,
        typer.Option("--why", help="Test possible reasons: refit the transfer arm, changing one choice at a time."),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="The study folder, by default one under `studies`; results already in it are reused."),
    ] = None,
    cluster: arguments.Cluster = None,
) -> None:
    """Find out whether transfer helped: fit several arms on the same few labelled pictures and compare them.

    To continue an interrupted study, run the same command again. You can add arms, sizes and repeats to a finished
    study. The exit code is 1 if there are several arms but none could be compared.

    Examples:

    `headstart compare digits`

    `headstart compare photos --arms pixels,scratch,mobilenetv2_100,mobilenetv2_100+finetune --sizes 5,20,all`

    `headstart compare mnist --classes 7,8 --arms pixels,vgg16:last_conv --limit-test 2000 --out studies/seven-or-eight`
    """
    from headstart import api
    from headstart.errors import UserError

    if not 0 < margin < 100:
        raise UserError(f"--margin {margin:g}: give percentage points above 0 and below 100.")
    with progress_bar() as progress:
        asked = api.study_recipe(
            data,
            arms=arms,
            sizes=sizes,
            repeats=repeats,
            trained_repeats=trained_repeats,
            seed=seed,
            test=test,
            limit_test=limit_test,
            margin=margin / 100,
            classes=classes,
            limit=limit,
            image_size=image_size,
            head=head,
            head_options=options(head_option or []),
            training=options(train or [], "--train epochs=5"),
            augment=augment,
            device=device,
            follow_links=follow_links,
            image_column=image_column,
            label_column=label_column,
            split_column=split_column,
            group_column=group_column,
        )
        if plan and why:
            raise UserError("--plan runs no study, so --why would have nothing to test; leave one of them out.")
        if not plan:
            study = api.carry_out_study(asked, out, progress, store=store, command=typed(), cluster=cluster, why=why)
        else:
            found = planned(asked, out, progress, store=store)
    if plan:
        tell_plan(*found)
    else:
        tell(study)
        if len(asked.arms) > 1 and not study.findings.comparisons:
            raise typer.Exit(1)


def planned(recipe: StudyRecipe, out: Path | None, progress: Progress, *, store: bool) -> tuple[Plan, str]:
    """What would find the margin, and the pair of arms of the pilot."""
    from headstart.study.planning import plan

    return plan(recipe, out, progress, store=store)


def tell_plan(found: Plan, words: str) -> None:
    """Print what finds the margin, and the least difference that each number of repeats finds."""
    from headstart.evidence import power
    from headstart.study.planning import PILOT

    print(power.in_words(found))
    print(f"\nThe smallest true difference that 4 studies in 5 find, on {found.pictures:,} test pictures:\n")
    table = terminal.table()
    for name in ("repeats", "points"):
        table.add_column(name, justify="right")
    for repeats, least in found.finds:
        table.add_row(f"{repeats:,}", f"{100 * least:.1f}")
    terminal.console().print(table)
    print(f"\nFrom a pilot of {PILOT} repeats, {words}; a study in the same folder reuses it.")


def typed() -> str:
    """The command as it was typed."""
    return shlex.join(["headstart", *sys.argv[1:]])
