"""The commands of `headstart`: each module is imported when its command is called, its options are read only then."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from headstart.cli.panels import arrange

COMMANDS = {
    "fit": (
        "fit",
        "Turn labelled pictures into a classifier, and write a run folder with scores, bundle and report.",
    ),
    "run": ("run", "Run a recipe: a classifier, a study or a ranking, as it says."),
    "audit": (
        "audit",
        "Find broken files, duplicates, leaks between parts, suspicious labels and odd pictures. Nothing is changed.",
    ),
    "compare": (
        "compare",
        "Fit several arms on the same few labelled pictures, and say with evidence whether transfer helped.",
    ),
    "rank": (
        "rank",
        "Rank networks by how well a classifier on their features does, and by how fast they are here.",
    ),
    "figures": ("figures", "Write every chart of a run, study or ranking as files for slides and papers."),
    "evaluate": ("use", "Score a finished run on labelled pictures: their test part if they have one, else all."),
    "predict": (
        "use",
        "Name the class of pictures. A picture that cannot be used is one line of reason on standard error.",
    ),
    "explain": (
        "explain",
        "Show which parts of a picture speak for its class, and the training pictures nearest to it.",
    ),
    "export": (
        "export",
        "Write one graph from a uint8 picture of any size to probabilities, with resizing and class names inside.",
    ),
    "classify": (
        "classify",
        "Name what pictures show, among the 1,000 classes of ImageNet; nothing is trained.",
    ),
    "features": ("use", "Write the features of pictures, (n, d) float32, with their names, labels and parts."),
    "serve": ("serve", "Answer over HTTP: a page to drop pictures on, and `POST /predict` for programs."),
    "label": (
        "label",
        "Label pictures with help: the most useful ones first, and how good a classifier they make so far.",
    ),
    "pretrain": ("pretrain", "Train a source model from nothing, and write weights that `--weights` takes."),
    "backbones": (
        "backbones",
        "The networks: list the well-known ones, search all of timm and torchvision, show the layers of one, measure.",
    ),
    "cache": ("cache", "The stored features: list, check, delete, limit."),
    "recipes": (
        "recipes",
        "The classic experiments as recipes: list them, print one; `headstart run NAME` runs it.",
    ),
}
"""Command -> its module here, and how its own help begins, for the list of all (a test compares them).

A module has a function of the command's name, or `app`, a group of commands.
"""

SETTINGS: dict[str, Any] = {"add_completion": False, "pretty_exceptions_enable": False, "rich_markup_mode": "markdown"}


class Commands(TyperGroup):
    """The commands of the table, of which each is loaded when it is called."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, (_, words) in COMMANDS.items():
            self.add_command(TyperCommand(name, help=words))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the arguments begin with, and the arguments behind it."""
        if args[0] in COMMANDS:
            self.add_command(load(args[0]))
        return super().resolve_command(ctx, args)


app = typer.Typer(
    name="headstart",
    cls=Commands,
    help="From a folder of pictures and a pretrained network to a classifier, with evidence that transfer helped.",
    no_args_is_help=True,
    callback=lambda: None,  # so that it is a group without any command of its own
    **SETTINGS,
)


@cache
def load(name: str) -> Any:
    """A command of the table with its options in their panels."""
    module, alone = import_module(f"headstart.cli.{COMMANDS[name][0]}"), typer.Typer(**SETTINGS)
    if hasattr(module, name):
        alone.command(name)(getattr(module, name))
    else:
        alone.add_typer(module.app, name=name)
    command: Any = typer.main.get_group(alone).commands[name]
    arrange(command)
    return command


def parameters() -> set[str]:
    """The names of all parameters that some command of the table has, those of groups left out."""
    commands = [command for command in map(load, COMMANDS) if not isinstance(command, TyperGroup)]
    return {str(parameter.name) for command in commands for parameter in command.params}
