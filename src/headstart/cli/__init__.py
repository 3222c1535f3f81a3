"""The command line: each command parses, calls one library function and prints.

A user's mistake is one line on standard error and exit code 2; a defect of ours shows its traceback. Nothing heavy is
imported before a command runs, so `headstart --help` answers at once.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import typer

from headstart.cli import (
    audit,
    backbones,
    cache,
    classify,
    compare,
    explain,
    export,
    figures,
    fit,
    label,
    panels,
    pretrain,
    rank,
    recipes,
    run,
    serve,
    stopping,
    use,
)
from headstart.cli.flags import flagged, learn
from headstart.cli.terminal import print
from headstart.errors import HeadstartError, UserError

# Typer carries its own copy of click or uses the package, by version: the classes are found through its public names.
ClickException: type[Any] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")

KEPT = "What was computed is kept: the same command goes on from there (a training with --resume)."

app = typer.Typer(
    name="headstart",
    cls=panels.Arranged,
    help="From a folder of pictures and a pretrained network to a classifier, with evidence that transfer helped.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.command()(fit.fit)
app.command()(run.run)
app.command()(audit.audit)
app.command()(compare.compare)
app.command()(rank.rank)
app.command()(figures.figures)
app.command()(use.evaluate)
app.command()(use.predict)
app.command()(explain.explain)
app.command()(export.export)
app.command()(classify.classify)
app.command()(use.features)
app.command()(serve.serve)
app.command()(label.label)
app.command()(pretrain.pretrain)
app.add_typer(backbones.app, name="backbones")
app.add_typer(cache.app, name="cache")
app.add_typer(recipes.app, name="recipes")
for command in app.registered_commands:
    if command.callback is not None:
        learn(command.callback)


def main() -> None:
    """Entry point of the `headstart` command."""
    stopping.listen()
    sys.exit(_main(sys.argv[1:]))


def _main(arguments: list[str]) -> int:
    try:
        if arguments == ["--version"]:
            from headstart import __version__

            print(f"headstart {__version__}")
            return 0
        args = [_at_home(argument) for argument in arguments]
        code = int(app(args=args, prog_name="headstart", standalone_mode=False) or 0)
        return _stopped() if code == 130 else code  # Typer turns Ctrl-C into this code
    except ClickException as mistake:
        if type(mistake).__name__ == "NoArgsIsHelpError":  # the help is printed already
            return 0
        said = mistake.format_message().rstrip(".")
        return _say(f"{said}{'' if said.endswith('?') else '.'} See: headstart {_command(arguments)}--help", 2)
    except (KeyboardInterrupt, typer.Abort):
        return _stopped()
    except Exception as error:
        if stopping.signals:  # a library that turned the interrupt into an error of its own
            return _stopped()
        if isinstance(error, HeadstartError):
            return _say(str(error), 2 if isinstance(error, UserError) else 1)
        if isinstance(error, OSError) and (error.filename or error.errno):
            return _say(_of_disk(error), 1)
        raise


def _stopped() -> int:
    return _say(f"{stopping.word()} {KEPT}", stopping.code())


def _of_disk(failure: OSError) -> str:
    """What the system says against a file; of a full disk, which one that is and what to do."""
    from headstart import records, shared

    if shared.full(failure) is None:
        return f"{records.refusal(failure)}."
    if not (failure.filename2 or failure.filename):
        failure.filename = str(shared.fullest())
    said = records.refusal(failure)
    return f"{said[0].upper()}{said[1:]}: make room there, or write elsewhere."


def _at_home(argument: str) -> str:
    """An argument with `~/` as the home folder where the shell leaves it: `--out=~/runs`, `--set data=~/photos`."""
    return re.sub(r"(^|[=@])~(?=/)", lambda found: found[1] + str(Path.home()), argument)


def _command(arguments: list[str]) -> str:
    known = {
        command.name or (command.callback.__name__ if command.callback else "") for command in app.registered_commands
    }
    known |= {group.name or "" for group in app.registered_groups}
    return f"{arguments[0]} " if arguments and arguments[0] in known else ""


def _say(message: str, code: int) -> int:
    print("Error: " + flagged(" ".join(message.split("\n"))), file=sys.stderr)
    return code
