"""`headstart recipes`: the experiments that come along, each a TOML file to run, read and change."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from headstart.cli.terminal import print


class Recipes(TyperGroup):
    """The commands, and the names of recipes, which stand for `show`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the arguments begin with, and the arguments behind it."""
        return super().resolve_command(ctx, ["show", *args] if args[0] in names() else args)


app = typer.Typer(
    cls=Recipes,
    help="List or print recipes for classic experiments. Run one with `headstart run NAME`.",
    invoke_without_command=True,
)


@app.callback()
def default(context: typer.Context) -> None:
    """List the recipes when no command is given."""
    if context.invoked_subcommand is None:
        list_()


@app.command("list")
def list_() -> None:
    """List the recipes, one per line.

    Example: `headstart recipes`
    """
    width = max(map(len, names()))
    for name in names():
        print(f"{name:<{width}}  {text(name).splitlines()[0].removeprefix('# ')}")


@app.command("show")
def show_(name: Annotated[str, typer.Argument(help="The name of a recipe.")]) -> None:
    """Print a recipe: its command and expected score first, then its settings.

    Example: `headstart recipes show cats-vs-dogs-mobilenetv2 > mine.toml`
    """
    print(text(name), end="")


def names() -> list[str]:
    """The names of the recipes that come along, in alphabetical order."""
    return sorted(Path(each.name).stem for each in _folder().iterdir() if each.name.endswith(".toml"))


def text(name: str) -> str:
    """The TOML of a recipe that comes along. Raises UnknownName with the nearest."""
    from headstart.errors import UnknownName

    if name not in names():
        raise UnknownName("recipe", name, names(), "(or the path of a TOML file, see: headstart recipes)")
    return (_folder() / f"{name}.toml").read_text(encoding="utf-8")


def _folder() -> Traversable:
    return files("headstart") / "recipes"
