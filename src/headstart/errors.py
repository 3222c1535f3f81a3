"""Every error that Headstart raises on purpose.

HeadstartError                  anything below; the message is one sentence for the person at the keyboard
├── UserError                   the request cannot be met as written (exit code 2)
│   ├── UnknownName             a name that no table holds; the message shows the nearest ones
│   ├── DataError               the pictures, labels or splits do not allow what was asked
│   ├── WeightsError            a weights file does not fit the architecture, or was changed
│   ├── BundleError             a bundle is incomplete, altered or of another version
│   ├── Offline                 a download was needed and the network did not give it
│   └── NotConverged            an optimiser that diverged (NaN or infinite loss) with the settings it was given
└── Refused                     one picture that cannot be used; never ends a run unless `--strict`
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any


class HeadstartError(Exception):
    """Root of all errors raised on purpose."""


class UserError(HeadstartError):
    """The request cannot be met as written: says what is wrong, where, and what to do."""


class UnknownName(UserError):
    """A name that is in no table; shows the nearest names, or all of them when they are few."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        names, name = list(known), str(name)
        name = name if len(name) <= 200 and name.isprintable() else ascii(name[:200])[1:-1]
        near = nearest(name, names)
        if near:
            tail = f"did you mean {' or '.join(near)}?"
        elif len(names) <= 30:
            tail = f"there are: {', '.join(names)}."
        else:
            tail = f"{len(names)} are known, none is close."
        super().__init__(f"Unknown {kind} '{name}': {tail}{' ' + hint if hint else ''}")


class DataError(UserError, ValueError):
    """The pictures, labels or splits do not allow what was asked; `refused` are pictures that could not be used.

    A `ValueError` too, as scikit-learn's tools expect.
    """

    def __init__(self, message: str, refused: Sequence[Any] = ()) -> None:
        self.refused = tuple(refused)
        super().__init__(message)


class WeightsError(UserError):
    """A weights file does not fit the architecture, or its content changed."""


class BundleError(UserError):
    """A bundle is incomplete, altered, or of a version this program does not read."""


class Offline(UserError):
    """A download was needed and the network did not give it: `why`, and, behind a semicolon, the way out."""

    def __init__(self, why: str, way_out: str = "") -> None:
        self.why = why
        super().__init__(f"{why}; {way_out}." if way_out else why)


class Refused(HeadstartError):
    """One picture that cannot be used, with its verdict from the closed list `images.decode.REASONS`."""

    def __init__(self, reason: str, detail: str = "") -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason}: {detail}" if detail else reason)


class NotConverged(UserError):
    """An optimiser met a NaN or infinite loss with the settings it was given."""


def first_line(error: BaseException) -> str:
    """What an error says, in one line without its end, for a sentence; its kind where it says nothing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0][:300].rstrip(".: ") if lines else "") or type(error).__name__


def nearest(name: str, known: Iterable[str], n: int = 3, *, alike: float = 0.6) -> list[str]:
    """Up to `n` names from `known` at least so much like `name`, best first, compared without case, `-` and `_`."""

    def plain(text: str) -> str:
        return text.lower().replace("-", "").replace("_", "")

    by_plain: dict[str, str] = {}
    for candidate in known:
        by_plain.setdefault(plain(candidate), candidate)
    return [by_plain[p] for p in difflib.get_close_matches(plain(name), by_plain, n=n, cutoff=alike)]
