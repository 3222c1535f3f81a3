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

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("name", "alias", "parameters", "pooled", "last_conv", "input", "multiply-adds", "licence"):
        table.add_column(column, justify="left" if column in ("name", "alias", "licence") else "right")
    for row in search(pattern) if pattern else catalog():
        table.add_row(
            row.name, row.alias or "", f"{row.parameters / 1e6:.1f} M", f"{row.pooled:,}",
            "x".join(map(str, row.last_conv)) if row.last_conv else "none",
            "x".join(map(str, row.input_size)), f"{row.multiply_adds / 1e9:.2f} G", row.licence,
        )  # fmt: skip
    show.console().print(table)
    if not pattern:
        print("More: headstart backbones list 'PATTERN*' searches all of timm and torchvision; show NAME lists layers.")


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A network by name, or FILE.onnx.")],
    every: Annotated[bool, typer.Option("--all", help="Every module, not the blocks alone.")] = False,
) -> None:
    """Print the layers of a network with their shapes, as `--layer` takes them.

    Example: `headstart backbones show mobilenetv2_100`
    """
    from rich.table import Table

    from headstart.backbones import resolve
    from headstart.cli import show as printer

    backbone = resolve(name, "none")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("layer")
    table.add_column("shape", justify="right")
    table.add_column("features", justify="right")
    for layer in backbone.paths() if every else backbone.layers():
        size = 1
        for side in layer.shape:
            size *= side
        table.add_row(layer.name, "x".join(map(str, layer.shape)), f"{size:,}")
    printer.console().print(table)
