"""A journal of what a person said: one line of JSON for each action, on the disk before it is confirmed.

Whatever moment a process is killed at, the lines that were confirmed are there; a last line that is only half there was
not, and is cut off. One process writes a journal at a time.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstart.documents import parse
from headstart.errors import DataError, UserError
from headstart.outputs import refusal
from headstart.visible import visible

ACTIONS: Mapping[str, Mapping[str, type]] = {
    "class": {"name": str},
    "rename": {"old": str, "new": str},
    "label": {"pictures": list, "label": str},
    "clear": {"pictures": list},
    "undo": {"action": int},
    "away": {"pictures": list},
    "table": {"without": list},
}
"""What a line of each kind holds; a label may also say who said so (`by`), and what was in the files (`contents`).

"clear": their rows were removed from the table by hand. "away": they are not there, so the table will not have them.
"table": it has all labels so far, but those of the pictures that it is `without`, which were away then.
"""
MOST = 1 << 30
"""Bytes of a journal that is read: millions of actions."""


class Journal:
    """The journal at a path, read and then held open to append to; `events` are what it held.

    Raises UserError where another process has it open or it cannot be written, DataError where a line is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        fresh = not path.exists()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b", buffering=0)
        except OSError as error:
            raise UserError(f"The journal cannot be written ({refusal(error)}); name another `out`.") from error
        try:
            _hold(self._file.fileno(), path)
            self.events = self._read()
        except BaseException:
            self._file.close()
            raise
        if fresh:
            sync(path.parent)

    def append(self, event: Mapping[str, Any]) -> None:
        """Write an action down. When this returns it is on the disk. Raises OSError where that fails; nothing is kept.

        A line that could be written only in part is taken back, so that the next one stands alone.
        """
        before = os.fstat(self._file.fileno()).st_size
        line = json.dumps(event, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        try:
            if self._file.write(line) != len(line):
                raise OSError("only a part of a line was written")
            os.fsync(self._file.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                self._file.truncate(before)
            raise

    @property
    def closed(self) -> bool:
        """Whether it was given back."""
        return self._file.closed

    def close(self) -> None:
        """Give it back."""
        self._file.close()

    def _read(self) -> list[dict[str, Any]]:
        if os.fstat(self._file.fileno()).st_size > MOST:
            raise DataError(
                f"{self.path} is too large for a journal of labels (over {MOST >> 20:,} MiB); move it away, or name "
                "another `out`."
            )
        self._file.seek(0)
        data = self._file.read()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):  # what was being written when a process was killed
            self._file.truncate(whole)
        events = []
        for number, line in enumerate(data[:whole].splitlines(), start=1):
            try:
                event = parse(line)
                if not isinstance(event, dict):
                    raise ValueError("it is not a table of keys")
            except (ValueError, UnicodeDecodeError) as error:
                raise DataError(f"{self.path} line {number} is damaged ({error}); fix or delete that line.") from None
            events.append(event)
        return events


def check(event: Mapping[str, Any]) -> None:
    """Raise ValueError, with one clause, where a line is none of the actions or lacks what it must hold."""
    kind = event.get("do")
    needed = ACTIONS.get(kind) if isinstance(kind, str) else None
    if needed is None:
        raise ValueError(f"the action '{visible(str(kind))}' is unknown")
    wrong = [key for key, its in needed.items() if not isinstance(event.get(key), its)]
    if not wrong and not isinstance(event.get("by", ""), str):
        wrong = ["by"]
    lists = [key for key in ("pictures", "contents", "without") if key in event] if not wrong else []
    wrong += [key for key in lists if not _texts(event[key])]
    if not wrong and "contents" in event and len(event["contents"]) != len(event["pictures"]):
        wrong = ["contents"]
    if wrong:
        raise ValueError(f"the action '{kind}' has no `{wrong[0]}`, or one of the wrong kind")


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _hold(descriptor: int, path: Path) -> None:
    try:
        import fcntl
    except ImportError:  # Windows has no such locks
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(f"Another `headstart label` is writing {path}; stop it, or name another `out`.") from None
    except OSError:  # a network disk without locks
        return


def sync(path: Path) -> None:
    """Bring a file to the disk, or a folder: a new file is there after a power cut only when its folder is."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
