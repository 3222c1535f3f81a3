"""Pictures that are valid and dear: what a decoder would do for one is bounded by what its file says, beforehand.

A progressive JPEG may go over all its pixels in thousands of scans, a TIFF may read the same bytes for every one of a
million strips or put 16 pixels into a tile of gigabytes, a PNG may be twenty million empty chunks. Decoders run in C
and cannot be stopped, so what multiplies is counted first; what Python reads piece by piece has a deadline of
processor time as well.
"""

from __future__ import annotations

import io
import struct
import time
from collections.abc import Iterator
from typing import IO, Any

from PIL import Image

from headstart.errors import Refused

MAX_WORK = 2_000_000_000
"""Pixels times scans of a JPEG; one scan of a million pixels takes a millisecond or more. Encoders write up to 16."""
MAX_ENTRIES = 1_000_000
"""Strips, tiles or other numbers in one tag of a TIFF."""
SLACK = 1 << 30
"""Bytes that the strips of a TIFF may have beyond twice its size: copying these takes less than a second."""
SECONDS = 5.0
"""Of a thread's processor time, for all that is read of one file."""
WEIGHT = {"WEBP": 1.6, "F": 1.3, "I": 1.3}
"""Formats and modes that take more memory for a pixel than a JPEG, which takes 10 bytes with all that follows."""
_COMPRESSION, _COUNTS = 259, (279, 325)  # tags of TIFF: bytes of strips, of tiles
_TILE = (322, 323)  # tags of TIFF: the width and the length of a tile
_NUMBERS = {1: "B", 3: "H", 4: "I", 16: "Q"}  # types of TIFF that a length may have
_OLD_JPEG, _JPEG = 6, 7
_BYTES = (1, 2, 6, 7)  # types of TIFF whose values are bytes
_START_OF_SCAN = b"\xff\xda"  # within the data of a scan 0xff is followed by 0 or by a restart


class Timed:
    """A file that is not read any more, but refused as `too-slow`, once its thread has worked on it for long."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._end = time.thread_time() + SECONDS

    def read(self, size: int = -1) -> bytes:
        """As the file's own `read`. Raises `Refused`."""
        if time.thread_time() > self._end:
            raise Refused("too-slow", f"over {SECONDS:g} s of work")
        return self._file.read(size)

    def __getattr__(self, name: str) -> Any:
        """All else is the file's."""
        return getattr(self._file, name)


def check_tags(file: IO[bytes]) -> None:
    """Refuse a TIFF whose first page has millions of strips, by its tags alone. What is damaged is left to others."""
    for tag, kind, entries, _ in _tags(file):
        if entries > MAX_ENTRIES and kind not in _BYTES:
            raise Refused("too-slow", f"the tag {tag} has {entries:,} entries")


def check_tiles(file: IO[bytes], most: int) -> None:
    """Refuse a TIFF with a tile of over `most` pixels: a decoder takes all its memory, however small the picture is.

    A tag that comes twice counts by its largest value, as readers do not agree on which one is meant.
    """
    sides = dict.fromkeys(_TILE, 0)
    for tag, _, _, value in _tags(file):
        if tag in sides:
            sides[tag] = max(sides[tag], value)
    width, length = sides.values()
    if width * length > most:
        raise Refused("too-many-pixels", f"a tile of {width}x{length} is over {most / 1e6:.3g} million pixels")


def _tags(file: IO[bytes]) -> Iterator[tuple[int, int, int, int]]:
    """(tag, type, number of values, the value where it is one number) of a TIFF's first page, as far as it goes."""
    head = file.read(16)
    order, large = ("<" if head[:2] == b"II" else ">"), 43 in head[2:4]
    first, count, entry, room = ("Q", "Q", "HHQ", 8) if large else ("I", "H", "HHI", 4)
    try:
        (at,) = struct.unpack_from(order + first, head, 8 if large else 4)
        file.seek(at)
        (n,) = struct.unpack(order + count, file.read(struct.calcsize(count)))
        tags = file.read(min(n, 65_536) * (20 if large else 12))
    except (struct.error, ValueError, OverflowError):
        return
    size = struct.calcsize(order + entry)
    for start in range(0, len(tags) - size - room + 1, size + room):
        tag, kind, entries = struct.unpack_from(order + entry, tags, start)
        number = _NUMBERS.get(kind, "I")
        fits = struct.calcsize(number) <= room
        yield tag, kind, entries, struct.unpack_from(order + number, tags, start + size)[0] if fits else 0


def check_work(image: Image.Image, most: int) -> None:
    """Refuse an opened picture that its decoder would go over too many times, or whose tiles have over `most` pixels.

    Reads its file, decodes nothing.
    """
    tags: Any = getattr(image, "tag_v2", None)
    file = getattr(image, "fp", None)  # none where a caller has loaded the picture
    if file is None or not (image.format in ("JPEG", "MPO") or tags):
        return
    place = file.tell()
    file.seek(0)
    raw = file.read()
    file.seek(place)
    pixels = image.width * image.height
    if tags is None:
        return _check_scans(raw.count(_START_OF_SCAN), pixels)
    check_tiles(io.BytesIO(raw), most)
    counts = next((tags[tag] for tag in _COUNTS if tag in tags), ())
    if sum(counts) > 2 * len(raw) + SLACK:
        raise Refused("too-slow", f"its strips have {sum(counts):,} bytes in a file of {len(raw):,}")
    if tags.get(_COMPRESSION) in (_OLD_JPEG, _JPEG):
        _check_scans(raw.count(_START_OF_SCAN), pixels // max(1, len(counts)))


def weight(image: Image.Image) -> float:
    """How many times the memory of a plain picture a pixel of this one takes."""
    return max(WEIGHT.get(image.format or "", 1.0), WEIGHT.get(image.mode, 1.0))


def _check_scans(scans: int, pixels: int) -> None:
    if scans * pixels > MAX_WORK:
        raise Refused("too-slow", f"{scans:,} scans of {pixels / 1e6:.1f} million pixels")
