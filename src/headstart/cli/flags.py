"""The library's messages name parameters (`image_size=20`); the command line says its flags (`--image-size 20`)."""

from __future__ import annotations

import inspect
import re
from functools import cache


@cache
def _parameters() -> frozenset[str]:
    """The names of all options of all commands."""
    from headstart.cli import app

    callbacks = [command.callback for command in app.registered_commands]
    return frozenset(name for call in callbacks if call for name in inspect.signature(call).parameters)


def flagged(message: str) -> str:
    """The message with a flag for each parameter it names: in backticks, or with a value behind `=`.

    >>> flagged("image_size=20 is too small: leave `image_size` out, or add strict=True.")
    '--image-size 20 is too small: leave --image-size out, or add --strict.'
    """
    message = re.sub(r"\btraining\.(\w+)=", r"--train \1=", message)
    message = re.sub(r"(?<![\w.-])([a-z][a-z_]*)=True\b", lambda found: _flag(found, ""), message)
    message = re.sub(r"(?<![\w.-])([a-z][a-z_]*)=(?=\S)", lambda found: _flag(found, " "), message)
    return re.sub(r"`([a-z][a-z_]*)`", lambda found: _flag(found, ""), message)


def _flag(found: re.Match[str], end: str) -> str:
    name = found[1]
    return f"--{name.replace('_', '-')}{end}" if name in _parameters() else found[0]
