"""The command line: each command parses, calls one library function and prints.

A user's mistake is one line on standard error and exit code 2; a defect of ours shows its traceback. Nothing heavy is
imported before a command runs, so `headstart --help` answers at once.
"""

from __future__ import annotations

import errno
import gc
import os
import re
import sys
from pathlib import Path
from typing import Any

from headstart.cli import stopping
from headstart.cli.terminal import print
from headstart.errors import HeadstartError, UserError

KEPT = "What was computed is kept: run the same command again to continue"
RESUMED = ("fit", "pretrain", "run")
"""Commands whose training goes on with --resume."""
FEW_COLLECTIONS = 20_000
"""New objects until Python looks for garbage. Its usual 700 has it look through the modules hundreds of times while
they are imported: a fifteenth of the time of a prediction."""


def main() -> None:
    """Entry point of the `headstart` command; it ends the process."""
    gc.set_threshold(FEW_COLLECTIONS)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # to look for some it reads every package's metadata
    stopping.listen()
    stopping.leave(_main(sys.argv[1:]))


def _main(arguments: list[str]) -> int:
    try:
        code = _carried_out(arguments)
        sys.stdout.flush()  # here, where a full disk is still told in a sentence
        return code
    except KeyboardInterrupt:
        return _stopped(arguments)
    except Exception as error:
        told = _told(error, arguments)
        if told is None:
            raise
        return told


def _carried_out(arguments: list[str]) -> int:
    if arguments == ["--version"]:
        from headstart import __version__

        print(f"headstart {__version__}")
        return 0
    from headstart.cli.commands import app

    args = [_at_home(argument) for argument in arguments]
    code = int(app(args=args, prog_name="headstart", standalone_mode=False) or 0)
    return _stopped(arguments) if code == 130 else code  # Typer turns Ctrl-C into this code


def _told(error: Any, arguments: list[str]) -> int | None:
    """Say what is wrong; the exit code, None for a defect of ours."""
    import typer

    # Typer carries its own copy of click or uses the package, by version: the classes are found by their names.
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "NoArgsIsHelpError" in kinds:  # the help is printed already
        return 0
    if "ClickException" in kinds:
        said = error.format_message().rstrip(".")
        return _say(f"{said}{'' if said.endswith('?') else '.'} See: headstart {_command(arguments)}--help", 2)
    if isinstance(error, typer.Abort) or stopping.signals:  # a library that turned the interrupt into its own error
        return _stopped(arguments)
    if isinstance(error, HeadstartError):
        return _say(str(error), 2 if isinstance(error, UserError) else 1)
    if isinstance(error, BrokenPipeError):  # what reads the output has enough of it, as `head` does
        _drop_output()
        return 1
    if isinstance(error, OSError) and (error.filename or error.errno):
        return _say(_of_disk(error), 1)
    return None


def _stopped(arguments: list[str]) -> int:
    how = " (a training with --resume)" if arguments and arguments[0] in RESUMED else ""
    return _say(f"{stopping.word()} {KEPT}{how}.", stopping.code())


def _of_disk(failure: OSError) -> str:
    """What the system says against a file; of a full disk, which one that is and what to do."""
    from headstart import outputs, shared

    number = shared.full(failure)
    if number is None:
        return f"{outputs.refusal(failure)}."
    if not (failure.filename2 or failure.filename):
        if _output_refuses():
            _drop_output()
            return f"The output cannot be written ({os.strerror(number)}): send it elsewhere."
        failure.filename = str(shared.fullest())
    said = outputs.refusal(failure)
    cure = "raise the limit" if number == errno.EFBIG else "free some space there"
    return f"{said[0].upper()}{said[1:]}: {cure}, or write elsewhere."


def _output_refuses() -> bool:
    """Whether what was printed cannot be written, as to a file on a full disk."""
    try:
        sys.stdout.flush()
    except OSError:
        return True
    return False


def _drop_output() -> None:
    """What cannot be written is not tried again at the end."""
    sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 (held until the process ends)


def _at_home(argument: str) -> str:
    """An argument with `~/` as the home folder where the shell leaves it: `--out=~/runs`, `--set data=~/photos`."""
    return re.sub(r"(^|[=@])~(?=/)", lambda found: found[1] + str(Path.home()), argument)


def _command(arguments: list[str]) -> str:
    from headstart.cli.commands import COMMANDS

    return f"{arguments[0]} " if arguments and arguments[0] in COMMANDS else ""


def _say(message: str, code: int) -> int:
    from headstart.cli.flags import flagged

    print("Error: " + flagged(" ".join(message.split("\n"))), file=sys.stderr)
    return code
