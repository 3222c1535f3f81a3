"""Is a stored space safe to map? LMDB has no checksum for its own tree pages, and a damaged one can end the process.

A file that was not closed in order, or has changed since, is first held against the length its header names and then
walked once in a child process, so that damage costs the stored rows and never the run.
"""

from __future__ import annotations

import contextlib
import json
import struct
import subprocess
import sys
from pathlib import Path

_WALK = """
import lmdb, os, sys
# As a registered reader where the folder allows it, so that a writer beside us does not reuse the pages we walk.
env = lmdb.open(sys.argv[1], readonly=True, lock=os.access(sys.argv[1], os.W_OK), map_size=1 << 40, lib_version=0)
with env.begin() as txn:
    n, before, touched = 0, b"", 0
    for key, value in txn.cursor():
        if len(key) != 16 or key <= before:
            sys.exit(1)
        n, before, touched = n + 1, key, touched + value[0] + value[len(value) - 1]
    sys.exit(0 if n == txn.stat()["entries"] else 1)
"""


def is_sound(folder: Path) -> bool:
    """Whether the data file of a space is as it was when last closed in order, or stands a full walk."""
    with contextlib.suppress(OSError, ValueError):
        if json.loads((folder / "sound.json").read_text()) == mark(folder / "data.mdb"):
            return True
    return long_enough(folder / "data.mdb") and walk(folder)


def long_enough(data: Path) -> bool:
    """Whether the file holds all the pages that its newest header names (read by offset: LMDB's meta page)."""
    size = data.stat().st_size
    with data.open("rb") as file:
        head = file.read(8192 * 8)
    if size < 8192:
        return False
    page = struct.unpack_from("<I", head, 16 + 24)[0] or 4096
    last = 0
    for start in (0, page):
        if len(head) >= start + 16 + 136 and struct.unpack_from("<I", head, start + 16)[0] == 0xBEEFC0DE:
            last = max(last, struct.unpack_from("<Q", head, start + 16 + 120)[0])
    return last > 0 and size >= (last + 1) * page


def walk(folder: Path) -> bool:
    """Whether a child process can read every key and value, in order."""
    child = subprocess.run([sys.executable, "-c", _WALK, str(folder)], capture_output=True, check=False)
    return child.returncode == 0


def mark(data: Path) -> dict[str, int]:
    """Size and times of a data file: the mark of an orderly end. No program can set the time of change (ctime) back."""
    info = data.stat()
    return {"size": info.st_size, "mtime_ns": info.st_mtime_ns, "ctime_ns": info.st_ctime_ns}
