"""The library's messages name parameters (`image_size=20`); the command line says its flags (`--image-size 20`)."""

from __future__ import annotations

import re

NAME = r"(?<![\w.-])(?<!--train )(?<!--set )"
"""Where the name of a parameter may begin: what follows `--set` is said as it is typed."""


def flagged(message: str) -> str:
    """The message with a flag for each parameter it names: in backticks, or with a value behind `=`.

    >>> flagged("image_size=20 is too small: leave `image_size` out, or add strict=True.")
    '--image-size 20 is too small: leave --image-size out, or add --strict.'
    >>> flagged("Add labels=False.")
    'Add --no-labels.'
    >>> flagged("training.epochs=0 is not possible.")
    '--train epochs=0 is not possible.'
    >>> flagged("Say head_options.epochs=5 for the head.")
    'Say --set epochs=5 for the head.'
    >>> flagged("write NAME=VALUE, for example --set limit=500.")
    'write NAME=VALUE, for example --set limit=500.'
    """
    message = re.sub(rf"{NAME}\btraining\.(\w+)=", r"--train \1=", message)
    message = re.sub(rf"{NAME}\bhead_options\.(\w+)=", r"--set \1=", message)
    message = re.sub(rf"{NAME}([a-z][a-z_]*)=True\b", lambda found: _flag(found, ""), message)
    message = re.sub(
        rf"{NAME}([a-z][a-z_]*)=False\b", lambda found: _flag(found, "").replace("--", "--no-", 1), message
    )
    message = re.sub(rf"{NAME}([a-z][a-z_]*)=(?=\S)", lambda found: _flag(found, " "), message)
    return re.sub(r"`([a-z][a-z_]*)`", lambda found: _flag(found, ""), message)


def _flag(found: re.Match[str], end: str) -> str:
    from headstart.cli.commands import parameters

    name = found[1]
    return f"--{name.replace('_', '-')}{end}" if name in parameters() else found[0]
