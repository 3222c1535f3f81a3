"""`headstart cache`: what is stored, whether it is sound, and how much room it may take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from headstart.cli import terminal
from headstart.cli.progress import progress_bar
from headstart.cli.terminal import print
from headstart.phrases import plural

app = typer.Typer(help="Manage the stored features: list, check, delete or limit them.", no_args_is_help=True)


@app.command()
def info() -> None:
    """List what is stored, with network, layer, picture size, rows, bytes and last use."""
    from datetime import datetime

    from headstart.cli import show
    from headstart.features import room
    from headstart.features.spaces import list_spaces
    from headstart.paths import features_dir

    table = terminal.table()
    for column, side in (("id", "left"), ("backbone", "left"), ("layer", "left"), ("pixels", "left"),
                         ("engine", "left"), ("rows", "right"), ("size", "right"), ("last used", "right")):  # fmt: skip
        table.add_column(column, justify=side, no_wrap=True)
    found = list(list_spaces(features_dir()))
    for s in found:
        size, number = (_within(s.space, *keys) for keys in (("preprocess", "size"), ("view", "number")))
        view = "" if number is None else f", view {number}"
        used = f"{datetime.fromtimestamp(s.used):%Y-%m-%d}"
        table.add_row(
            s.id[:8], str(s.space.get("backbone", "?")), str(s.space.get("layer", "")) + view,
            "x".join(map(str, size)) if isinstance(size, list) else "?", str(s.space.get("engine", "")).split("-")[0],
            f"{s.rows:,}", show.size(s.bytes), used,
        )  # fmt: skip
    if found:
        terminal.console(110).print(table)
    most = room.limit(features_dir())
    of = "" if most is None else f" of at most {show.size(most)}"
    print(f"{len(found)} spaces, {show.size(sum(s.bytes for s in found))}{of} in {features_dir()}")


def _within(space: Mapping[str, Any], section: str, key: str) -> Any:
    """What a space says of itself, which a damaged file may say otherwise."""
    found = space.get(section)
    return found.get(key) if isinstance(found, dict) else None


@app.command()
def verify() -> None:
    """Check every stored row against its checksum. If any is damaged, the exit code is 1; such rows are recomputed."""
    from headstart.features.spaces import list_spaces, verify
    from headstart.paths import features_dir

    total = sum(s.rows for s in list_spaces(features_dir()))
    bad = done = 0
    with progress_bar() as progress:

        def count() -> None:
            nonlocal done
            done += 1
            progress("verify", done, total)

        for space, wrong in verify(features_dir(), count):
            bad += wrong != 0
            if wrong:
                what = "the file is damaged" if wrong < 0 else f"of {plural(space.rows, 'row')} {wrong:,} damaged"
                print(f"{space.id[:8]} ({space.space.get('backbone', '?')}): {what}")
    print(f"{plural(done, 'row')} checked; {plural(bad, 'space')} damaged.")
    if bad:
        raise typer.Exit(1)


@app.command()
def clear(
    ids: Annotated[
        list[str] | None, typer.Argument(help="Ids as shown by `headstart cache info`; by default all.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Delete stored features. They are computed again when needed."""
    from headstart.cli import show
    from headstart.features.spaces import clear, list_spaces
    from headstart.paths import features_dir

    root = features_dir()
    if not ids and not yes and not _sure(f"Delete all {len(list(list_spaces(root)))} spaces in {root}?"):
        print("Nothing was deleted; add --yes to delete without being asked.")
        return
    print(f"{show.size(clear(root, ids or None))} freed.")


@app.command()
def limit(
    size: Annotated[
        str | None, typer.Argument(help="The most disk space to use, such as 20G or 500M; `none` for no limit.")
    ] = None,
) -> None:
    """Limit the disk space of stored features, or show the limit if you give no SIZE.

    Above the limit, the least recently used features are deleted whenever an extraction ends. What was used last stays.

    Example: `headstart cache limit 20G`
    """
    from headstart.cli import show
    from headstart.features import room
    from headstart.paths import features_dir

    root = features_dir()
    if size is not None:
        room.set_limit(root, None if size.strip().lower() == "none" else room.bytes_in(size))
    most = room.limit(root)
    print("No limit." if most is None else f"At most {show.size(most)} in {root}")
    gone = room.keep_to_limit(root)
    if gone:
        print(f"{len(gone)} spaces deleted, {show.size(sum(freed for _, freed in gone))} freed.")


@app.command()
def compact() -> None:
    """Free the disk space that stored features no longer need, and delete what was set aside as damaged."""
    from headstart.cli import show
    from headstart.features import room
    from headstart.paths import features_dir

    print(f"{show.size(room.compact(features_dir()))} freed.")


def _sure(question: str) -> bool:
    """The answer at the keyboard; no when nobody can answer."""
    try:
        return typer.confirm(question)
    except typer.Abort:
        return False
