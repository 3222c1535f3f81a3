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
        "Turn labelled pictures into a classifier, with its scores, a report and a bundle for predicting.",
    ),
    "run": ("run", "Run a recipe, which describes a classifier, a study or a ranking."),
    "audit": (
        "audit",
        "Find broken files, duplicates, leaks between parts, doubtful labels and odd pictures. Changes nothing.",
    ),
    "compare": (
        "compare",
        "Find out whether transfer helped: fit several arms on the same few labelled pictures and compare them.",
    ),
    "rank": (
        "rank",
        "Find the best network for your pictures, by the accuracy of a classifier on its features and by speed.",
    ),
    "figures": ("figures", "Save every chart of a run, study or ranking as image files for slides and papers."),
    "evaluate": (
        "use",
        "Score a finished run on labelled pictures: on their test part if they have one, otherwise on all.",
    ),
    "predict": (
        "use",
        "Predict the class of pictures. For a picture that cannot be used, print the reason to standard error.",
    ),
    "explain": (
        "explain",
        "Explain predictions: which parts of a picture support its class, and the most similar training pictures.",
    ),
    "export": (
        "export",
        "Export a run for other programs: one graph from a uint8 picture of any size to class probabilities.",
    ),
    "classify": (
        "classify",
        "Recognise what pictures show, among the 1,000 ImageNet classes, without any training.",
    ),
    "features": (
        "use",
        "Compute the features of pictures and save them, with names, labels and parts. Shape (n, d), float32.",
    ),
    "serve": (
        "serve",
        "Serve a classifier over HTTP: a web page to drop pictures on, and `POST /predict` for programs.",
    ),
    "label": (
        "label",
        "Label pictures in the browser, most useful ones first, and see how good the classifier is so far.",
    ),
    "pretrain": ("pretrain", "Train a source model from scratch, and save weights that you can pass to `--weights`."),
    "backbones": (
        "backbones",
        "List, search, download and time pretrained networks, get recommendations, or show a network's layers.",
    ),
    "cache": ("cache", "Manage the stored features: list, check, delete or limit them."),
    "recipes": (
        "recipes",
        "List or print recipes for classic experiments. Run one with `headstart run NAME`.",
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
    help="Turn a folder of pictures and a pretrained network into a classifier, and find out whether transfer helped.",
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
