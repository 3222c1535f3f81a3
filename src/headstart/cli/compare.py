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
            help="Ways to compare: `pixels`, `scratch`, `NAME+scratch`, `NAME[:LAYER][@WEIGHTS]` (frozen features), "
            "`NAME[@WEIGHTS]+finetune[=BLOCKS]`; WEIGHTS is a file, or `none` for random ones."
        ),
    ] = "pixels,scratch,sprout",
    sizes: Annotated[str, typer.Option(help="Labelled pictures of each class, and `all`.")] = "5,10,20,50,100",
    repeats: Annotated[int, typer.Option(min=1, help="Subsets drawn at each size; --plan says how many.")] = 10,
    trained_repeats: Annotated[
        int | None, typer.Option(min=1, help="Fewer of them for arms that train a network, which take longer.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of test part, subsets and training.")] = 0,
    test: Annotated[str | None, typer.Option(help="Other pictures, as DATA, for the test.")] = None,
    limit_test: Annotated[int | None, typer.Option(help="At most this many test pictures (stratified).")] = None,
    margin: Annotated[float, typer.Option(help="A difference that does not matter, in percentage points.")] = 1.0,
    classes: arguments.Classes = None,
    limit: arguments.Limit = None,
    image_size: arguments.EveryImageSize = None,
    head: Annotated[str, typer.Option(help="The head of every arm: logistic, mlp, ridge, knn or prototype.")] = (
        "logistic"
    ),
    head_option: Annotated[
        list[str] | None, typer.Option("--set", help="Parameter of the head, as `C=0.1`; repeatable.")
    ] = None,
    train: Annotated[
        list[str] | None, typer.Option(help="Setting of arms that train a network, as `epochs=5`; repeatable.")
    ] = None,
    augment: Annotated[
        str,
        typer.Option(
            help="Vary the pictures of arms that train a network: `none`, `light`, `strong`, `digits`, FILE.toml, or "
            "`auto`, by the looks of the pictures."
        ),
    ] = "auto",
    device: arguments.Device = "auto",
    follow_links: arguments.FollowLinks = False,
    image_column: arguments.ImageColumn = None,
    label_column: arguments.LabelColumn = None,
    store: arguments.Store = True,
    plan: Annotated[
        bool, typer.Option("--plan", help="Only say how many repeats would find --margin, from a pilot of a few fits.")
    ] = False,
    why: Annotated[
        bool, typer.Option("--why", help="Test reasons: the transfer arm once more with one choice changed at a time.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="The study folder, by default one under `studies`; what is in it is used again.")
    ] = None,
    cluster: arguments.Cluster = None,
) -> None:
    """Fit several arms on the same few labelled pictures, and say with evidence whether transfer helped.

    The same command goes on with a study that was stopped; arms, sizes and repeats can be added to a finished one.
    Exit code 1 where of several arms none could be compared.

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
        )
        if plan and why:
            raise UserError("--plan makes no study whose reasons --why could test; leave one of them out.")
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

    print(power.told(found))
    print(f"\nThe least true difference that 4 studies of 5 find, on {found.pictures:,} test pictures:\n")
    table = terminal.table()
    for name in ("repeats", "points"):
        table.add_column(name, justify="right")
    for repeats, least in found.finds:
        table.add_row(f"{repeats:,}", f"{100 * least:.1f}")
    terminal.console().print(table)
    print(f"\nFrom a pilot of {PILOT} repeats, {words}; a study in the same folder uses it again.")


def typed() -> str:
    """The command as it was typed."""
    return shlex.join(["headstart", *sys.argv[1:]])
