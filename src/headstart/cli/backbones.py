"""`headstart backbones`: which networks there are, what they cost, and the layers of one."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(
    help="The networks: list the well-known ones, search all of timm and torchvision, show the layers of one.",
    invoke_without_command=True,
)


@app.callback()
def default(context: typer.Context) -> None:
    """List the well-known networks when no command is given."""
    if context.invoked_subcommand is None:
        list_()


@app.command("list")
def list_(
    pattern: Annotated[
        str | None, typer.Argument(help="A name with * and ?, looked up in all of timm and torchvision.")
    ] = None,
) -> None:
    """List networks: name, parameters, feature sizes, input size, multiply-adds, licence.

    Example: `headstart backbones list 'efficientnet_b*'`
    """
    from rich.table import Table

    from headstart.backbones.catalog import catalog, search
    from headstart.cli import show
    from headstart.errors import UserError

    rows, total = catalog(), 0
    if pattern:
        found = search(pattern)
        rows, total = found.rows, found.total
        if not rows:
            raise UserError(f"No network of timm or torchvision matches '{pattern}'; try a shorter word, as 'resnet'.")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("name", "alias", "params", "pooled", "last_conv", "input", "MACs", "licence"):
        side = "left" if column in ("name", "alias", "licence") else "right"
        table.add_column(column, justify=side, no_wrap=column != "licence")  # type: ignore[arg-type]
    for row in rows:
        table.add_row(
            row.name, row.alias or "", _millions(row.parameters), f"{row.pooled:,}" if row.pooled else "",
            _sides(row.last_conv), _sides(row.input_size), _billions(row.multiply_adds), row.licence,
        )  # fmt: skip
    show.console(130).print(table)
    print("params: parameters with the classifier; MACs: multiply-adds of one picture; last_conv: channels x h x w.")
    if pattern and total > len(rows):
        print(f"The first {len(rows)} of {total}; a longer pattern finds fewer.")
    elif not pattern:
        print(
            "headstart backbones list PATTERN searches all of timm and torchvision; show NAME lists the layers of one."
        )


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A network by name, or FILE.onnx.")],
    every: Annotated[bool, typer.Option("--all", help="Every module, not the blocks alone.")] = False,
) -> None:
    """Print the layers of a network with their shapes, as `--layer` takes them.

    Example: `headstart backbones show mobilenetv2_100`
    """
    from math import prod

    from rich.table import Table

    from headstart.backbones.catalog import describe
    from headstart.cli import show as printer

    found = describe(name)
    row = found.row
    facts = [f"input {_sides(row.input_size)}", f"licence {row.licence}"]
    if row.parameters and row.multiply_adds:
        facts[1:1] = [f"{_millions(row.parameters)} parameters", f"{_billions(row.multiply_adds)} multiply-adds"]
    print(f"{row.name}: {', '.join(facts)}")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("layer")
    table.add_column("shape", justify="right")
    table.add_column("features", justify="right")
    for layer in found.modules if every else found.layers:
        table.add_row(layer.name, _sides(layer.shape), f"{prod(layer.shape):,}")
    printer.console().print(table)
    if not every and len(found.modules) > len(found.layers):
        print(f"--all lists all {len(found.modules)} modules; each is a --layer too.")


def _sides(shape: tuple[int, ...] | None) -> str:
    return "x".join(map(str, shape)) if shape else ""


def _millions(count: int | None) -> str:
    return f"{count / 1e6:.1f} M" if count else ""


def _billions(count: int | None) -> str:
    return f"{count / 1e9:.2f} G" if count else ""
