"""How large the pages of a Parquet file become, from their own headers: the footer of a file may say anything.

A column of a row group is a chunk of pages, each behind a header in Thrift's compact protocol whose second and third
fields are its sizes, unpacked and packed (parquet-format, `PageHeader`). Arrow unpacks pages by the same headers.
"""

from __future__ import annotations

from collections.abc import Iterator
from mmap import mmap
from typing import Any

Bytes = bytes | mmap
UNPACKED, PACKED = 2, 3
MAX_DEPTH = 16
MAX_PAGES = 100_000
"""Of a column in a row group; a page of pictures usually has a megabyte."""
_STOP, _TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _STRUCT = 0, 1, 2, 3, 7, 8, 12
_WHOLE = (4, 5, 6)  # int16, int32, int64, all written alike


class Damaged(Exception):
    """The pages of a file are no pages: why, as a clause."""


def unpacked_sizes(content: Bytes, chunk: Any) -> Iterator[int]:
    """Bytes of each page of a `pyarrow.parquet.ColumnChunkMetaData`, unpacked. Raises `Damaged`."""
    place = chunk.data_page_offset
    if chunk.has_dictionary_page and 0 < (chunk.dictionary_page_offset or 0) < place:
        place = chunk.dictionary_page_offset
    end = place + chunk.total_compressed_size
    if not 0 <= place <= end <= len(content):
        raise Damaged("a column lies outside the file")
    for _ in range(MAX_PAGES):
        if place >= end:
            return
        sizes, place = _header(content, place)
        unpacked, packed = sizes.get(UNPACKED, -1), sizes.get(PACKED, -1)
        if min(unpacked, packed) < 0:
            raise Damaged("a page has no size")
        yield unpacked
        place += packed
    raise Damaged(f"a column has over {MAX_PAGES:,} pages")


def _header(content: Bytes, place: int, depth: int = 0) -> tuple[dict[int, int], int]:
    """The whole numbers of a Thrift struct by field, and where it ends."""
    found: dict[int, int] = {}
    field = 0
    while True:
        byte, place = _byte(content, place)
        step, kind = byte >> 4, byte & 15
        if kind == _STOP:
            return found, place
        if step:
            field += step
        else:
            field, place = _whole(content, place)
        if kind in _WHOLE:
            found[field], place = _whole(content, place)
        elif kind not in (_TRUE, _FALSE):  # whose value is their kind
            place = _skipped(content, place, kind, depth + 1)


def _skipped(content: Bytes, place: int, kind: int, depth: int) -> int:
    """Where a value ends."""
    if depth > MAX_DEPTH:
        raise Damaged("a page's header is nested too deeply")
    if kind == _BYTE:
        return place + 1
    if kind == _DOUBLE:
        return place + 8
    if kind == _BINARY:
        length, place = _varint(content, place)
        return place + length
    if kind == _STRUCT:
        return _header(content, place, depth)[1]
    raise Damaged("a page's header has a field of no known kind")


def _byte(content: Bytes, place: int) -> tuple[int, int]:
    if not 0 <= place < len(content):
        raise Damaged("a page's header is cut off")
    return content[place], place + 1


def _whole(content: Bytes, place: int) -> tuple[int, int]:
    """A signed number, which Thrift writes in zigzag: 0, -1, 1, -2, ..."""
    value, place = _varint(content, place)
    return (value >> 1) ^ -(value & 1), place


def _varint(content: Bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte, place = _byte(content, place)
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
    raise Damaged("a page's header has a number without end")
