"""Whether what torch saved stands for no more than it holds, by the operations of its pickle; none is carried out.

A state dict needs few of them: it names tensors, storages and ordered tables. Numbers of bytes to be made, and tuples
that hold each other twice and twice again, are none of these, and are left to a process of its own (decision 51).
"""

from __future__ import annotations

import pickletools
import re
import zipfile
from pathlib import Path

NAMED = re.compile(
    r"collections OrderedDict|torch \w+Storage|torch Size|torch\._utils _rebuild_(tensor(_v2)?|parameter)"
)
"""What a state dict names."""
KEPT = {"MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT"}
RECALLED = {"GET", "BINGET", "LONG_BINGET"}
USED = {
    "PROTO", "STOP", "MARK", "GLOBAL", "EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2",
    "TUPLE3", "BINUNICODE", "SHORT_BINUNICODE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "NEWTRUE",
    "NEWFALSE", "NONE", "BINPERSID", "REDUCE", "BUILD", "SETITEM", "SETITEMS", "APPEND", "APPENDS",
    *KEPT, *RECALLED,
}  # fmt: skip
TABLES = {"SETITEM", "SETITEMS", "APPEND", "APPENDS", "BUILD"}
"""They give back a table, which cannot be in a name."""
MOST = 1_000
"""Values that one may stand for, those in it counted as often as they occur; a tensor has some twenty."""


def is_plain(path: Path) -> bool:
    """Whether the file is a zip as torch writes it, whose pickle holds nothing but tables, names, numbers, tensors."""
    try:
        with zipfile.ZipFile(path) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
            content = archive.read(name)
        return _is_plain(content)
    except (ValueError, LookupError, OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError):
        return False


def _is_plain(content: bytes) -> bool:
    """The same of a pickle. Every place of the stack has the number of values that stand there; None is a mark."""
    stack: list[int | None] = []
    kept: dict[int, int | None] = {}
    for operation, argument, _ in pickletools.genops(content):
        name = operation.name
        if name not in USED or (name == "GLOBAL" and not NAMED.fullmatch(str(argument))):
            return False
        if name in KEPT:
            kept[len(kept) if argument is None else int(argument)] = stack[-1]
        elif name in RECALLED:
            stack.append(kept[int(argument or 0)])
        elif name == "MARK":
            stack.append(None)
        else:
            count = len(operation.stack_before)
            if pickletools.markobject in operation.stack_before:
                at = len(stack) - 1 - stack[::-1].index(None)
                taken = stack[at + 1 :]
                del stack[at:]
                count -= 2  # the mark, and what lies above it
            else:
                taken = []
            taken += [stack.pop() for _ in range(count)]
            whole = 1 + sum(each or 0 for each in taken)
            if name.startswith("TUPLE") and whole > MOST:
                return False
            stack += [1 if name in TABLES else whole] * len(operation.stack_after)
    return True
