"""The command line: each command parses, calls one library function and prints.

A user's mistake is one line on standard error and exit code 2; a defect of ours shows its traceback. Nothing heavy is
imported before a command runs, so `headstart --help` answers at once.
"""

from __future__ import annotations

import sys

import click
import typer

from headstart.cli import backbones, cache, fit, use
from headstart.errors import HeadstartError, UserError

app = typer.Typer(
    name="headstart",
    help="From a folder of pictures and a pretrained network to a classifier, with evidence that transfer helped.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.command()(fit.fit)
app.command()(fit.run)
app.command()(use.evaluate)
app.command()(use.predict)
app.command()(use.features)
app.add_typer(backbones.app, name="backbones")
app.add_typer(cache.app, name="cache")


def main() -> None:
    """Entry point of the `headstart` command."""
    sys.exit(_main(sys.argv[1:]))


def _main(arguments: list[str]) -> int:
    try:
        code = app(args=arguments, prog_name="headstart", standalone_mode=False)
        return int(code or 0)
    except click.exceptions.NoArgsIsHelpError as help_text:
        print(help_text.format_message())
        return 0
    except click.ClickException as mistake:
        return _say(mistake.format_message(), 2)
    except UserError as mistake:
        return _say(str(mistake), 2)
    except HeadstartError as failure:
        return _say(str(failure), 1)
    except (KeyboardInterrupt, click.Abort):
        return _say("Interrupted. What was computed is kept; the same command goes on from there.", 130)


def _say(message: str, code: int) -> int:
    print("Error: " + " ".join(message.split("\n")), file=sys.stderr)
    return code
