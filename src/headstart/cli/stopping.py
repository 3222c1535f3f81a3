"""Ctrl-C and the signals that ask a program to end: one line, and an exit code that says which one it was."""

from __future__ import annotations

import os
import signal
from types import FrameType

ASKED = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
signals: list[int] = []
"""Those that came, in order."""


def listen() -> None:
    """From now on each of them raises KeyboardInterrupt, which work in progress answers by tidying up; a second one
    ends the program at once. One that the caller's shell has told to be ignored stays ignored (`nohup`)."""
    for number in ASKED:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _answer)


def _answer(number: int, _: FrameType | None) -> None:
    signals.append(number)
    if len(signals) > 1:
        os._exit(code())
    raise KeyboardInterrupt


def code() -> int:
    """128 and the number of the signal, as shells have it: 130 for Ctrl-C, 143 for SIGTERM."""
    return 128 + (signals[0] if signals else signal.SIGINT)


def word() -> str:
    """`Interrupted.`, or which signal ended the command."""
    if not signals or signals[0] == signal.SIGINT:
        return "Interrupted."
    return f"Ended by {signal.Signals(signals[0]).name}."
