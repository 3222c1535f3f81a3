"""`headstart audit`: what is wrong with the pictures, before anything is learnt from them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.cli import arguments, terminal
from headstart.cli.flags import flagged
from headstart.cli.progress import progress_bar
from headstart.cli.terminal import print
from headstart.phrases import plural

if TYPE_CHECKING:
    from headstart.audit.execute import AuditRequest


def audit(
    data: arguments.Data,
    test: arguments.Test = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            help=(
                "The network used to find wrong labels and outliers. By default, the best one whose weights are "
                "on this machine; `sprout` for small pictures."
            )
        ),
    ] = None,
    weights: Annotated[str, typer.Option(help="`pretrained`, `none`, or a file, as in `fit`.")] = "pretrained",
    fail_on: Annotated[
        str | None,
        typer.Option(
            "--fail-on", help="Exit with code 1 if one of these checks finds something, for example `leak,broken`."
        ),
    ] = None,
    clean: Annotated[
        Path | None,
        typer.Option(
            "--write-clean-table",
            help=(
                "Write a cleaned-up table for `fit` to a new FILE.csv. It leaves out broken pictures, pictures "
                "of one colour, duplicates, training pictures that leak, and doubtful labels outside the test."
            ),
        ),
    ] = None,
    limit: arguments.Limit = None,
    seed: Annotated[int, typer.Option(help="Random seed of --limit.")] = 0,
    engine: arguments.Engine = "auto",
    device: arguments.Device = "auto",
    max_pixels: arguments.MaxPixels = 50_000_000,
    follow_links: arguments.FollowLinks = False,
    image_column: arguments.ImageColumn = None,
    label_column: arguments.LabelColumn = None,
    split_column: arguments.SplitColumn = None,
    group_column: arguments.GroupColumn = None,
    store: arguments.Store = True,
    out: Annotated[Path | None, typer.Option(help="The output folder; by default one under `audits`.")] = None,
) -> None:
    """Find broken files, duplicates, leaks between parts, doubtful labels and odd pictures. Changes nothing.

    Writes audit.csv, audit.json, and audit.html, which shows the pictures.

    Examples:

    `headstart audit photos`

    `headstart audit photos --test more_photos --fail-on leak,broken`

    `headstart audit photos --backbone mobilenetv2_100 --write-clean-table clean.csv`
    """
    from headstart.audit.execute import AuditRequest, known
    from headstart.images.options import Reading
    from headstart.paths import absolute, absolute_network

    failing = known(fail_on) if fail_on is not None else ()
    request = AuditRequest(
        absolute(data), None if test is None else absolute(test),
        backbone and absolute_network(backbone), absolute(weights), limit, seed, engine, device, max_pixels,
        Reading(
            follow_links=follow_links, image_column=image_column, label_column=label_column,
            split_column=split_column, group_column=group_column,
        ),
    )  # fmt: skip
    carry_out(request, failing, clean, out, store)


def carry_out(
    request: AuditRequest, failing: tuple[str, ...], clean: Path | None, out: Path | None, store: bool
) -> None:
    """Audit, write the folder with its report and the clean table, print what was found; exit 1 where it fails."""
    import sys

    from headstart import outputs
    from headstart.audit import files
    from headstart.audit.execute import audit as run
    from headstart.audit.execute import beyond_limit, listed
    from headstart.features.extract import Settings
    from headstart.paths import features_dir
    from headstart.report.audit import write_audit_report

    pictures = listed(request)
    if clean is not None:
        files.check_clean(clean, pictures[0])
    folder = files.claim(out, request.data, request.test)
    with outputs.given_back(folder), progress_bar() as progress:
        done = run(request, Settings(features_dir() if store else None), progress, pictures)
    found = files.write(done, folder)
    report = write_audit_report(folder, done.material.images)
    tell(found)
    if clean is not None:
        kept, left = files.write_clean(done, clean)
        beyond = flagged(beyond_limit(pictures[0]))
        print(f"Clean table: {clean}, {plural(kept, 'picture')}; {left:,} left out.{beyond} Nothing was deleted.")
    print(f"Report: {report}")
    if bad := done.failing(failing):
        print(f"Failed: {', '.join(f'{name} ({n:,})' for name, n in bad.items())}.", file=sys.stderr)
        raise typer.Exit(1)


def tell(found: Mapping[str, Any]) -> None:
    """Print a line for each check that found something, and the notes."""
    from headstart.report.audit import headline

    table = terminal.table()
    table.show_header = False
    for justify in ("left", "right", "left", "left"):
        table.add_column(justify=justify, no_wrap=justify != "left")
    for check in found["checks"]:
        if lines := check["findings"]:
            first = lines[0]
            table.add_row(check["check"], f"{len(lines):,}", check["level"], f"{first['name']}: {first['detail']}")
    print(headline(found))
    if table.row_count:
        terminal.console(118).print(table)
    print(f"Network used: {flagged(found['backbone'])}.")
    for note in found["notes"]:
        print(f"Note: {flagged(note)}")
