"""The library's messages name parameters (`image_size=20`); the command line says its flags (`--image-size 20`)."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Annotated, Any

import typer

_PARAMETERS: set[str] = set()
Cluster = Annotated[
    str | None,
    typer.Option(
        help="Work on a Ray cluster: `local` (started here), `auto` (the one this machine is part of), `HOST:PORT` or "
        "`ray://HOST:PORT`."
    ),
]


def learn(command: Callable[..., Any]) -> None:
    """Take the parameters of a command for those that messages may name."""
    _PARAMETERS.update(inspect.signature(command).parameters)


def flagged(message: str) -> str:
    """The message with a flag for each parameter it names: in backticks, or with a value behind `=`.

    >>> learn(lambda image_size, strict: None)
    >>> flagged("image_size=20 is too small: leave `image_size` out, or add strict=True.")
    '--image-size 20 is too small: leave --image-size out, or add --strict.'
    """
    message = re.sub(r"\btraining\.(\w+)=", r"--train \1=", message)
    message = re.sub(r"(?<![\w.-])([a-z][a-z_]*)=True\b", lambda found: _flag(found, ""), message)
    message = re.sub(r"(?<![\w.-])([a-z][a-z_]*)=(?=\S)", lambda found: _flag(found, " "), message)
    return re.sub(r"`([a-z][a-z_]*)`", lambda found: _flag(found, ""), message)


def _flag(found: re.Match[str], end: str) -> str:
    name = found[1]
    return f"--{name.replace('_', '-')}{end}" if name in _PARAMETERS else found[0]
