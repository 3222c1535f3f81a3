"""A table of text as programs write it: the encoding, the separator and the header found out, cells as text."""

from __future__ import annotations

import codecs
import csv
import io
import re
from pathlib import Path

from headstart.errors import DataError, Refused
from headstart.images.decode import Limits
from headstart.images.files import open_file, read_file
from headstart.images.formats import SUFFIXES
from headstart.images.sources.cells import Columns, check_columns
from headstart.phrases import plural
from headstart.records import as_written

MOST = Limits(max_bytes=2**30)
SEPARATORS = ",;\t|"
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BYTES = ("utf-8-sig", "cp1252")
"""Encodings in which a character of ASCII is a byte."""
HEAD = 2**16
"""Bytes by which it is told that a file is no text."""
_SPOKEN = {"utf-8-sig": "UTF-8", "cp1252": "Windows-1252"}
_NO_TEXT = re.compile(r"[\x00-\x08\x0e-\x1a]")


def read(table: Path) -> Columns:
    """The columns by name, blank lines left out. Raises `DataError` for what is no text, and rows that do not fit."""
    text, notes = _decoded(table)
    first, *rest = re.split(r"\r\n|\r|\n", text, maxsplit=1)
    separator = _separator(first)
    if stated := re.fullmatch(r"sep=(.)", first.strip('"'), re.IGNORECASE):  # as Excel takes it
        separator, text = stated[1], "\n" + "".join(rest)
    try:
        rows = list(enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=separator), start=1))
    except csv.Error as error:
        raise DataError(f"The table {table} cannot be read as text in columns: {error}.") from None
    rows = [(number, row) for number, row in rows if any(cell.strip() for cell in row)]
    if not rows:
        raise DataError(f"The table {table} is empty.")
    header = [name.strip() for name in rows[0][1]]
    _check(header, table)
    for number, row in rows[1:]:
        if len(row) != len(header):
            raise DataError(f"{table} row {number} has {plural(len(row), 'cell')}, the header has {len(header)}.")
    values = {name: [as_written(row[i]) for _, row in rows[1:]] for i, name in enumerate(header)}
    return Columns(values, tuple(number for number, _ in rows[1:]), notes)


def _check(header: list[str], table: Path) -> None:
    """Refuse a table whose first line is a row, or that has two columns of one name."""
    if any(Path(name).suffix.lower() in SUFFIXES for name in header):
        raise DataError(
            f"{table} has no header: put the names of its columns on the first line, for example image,label."
        )
    check_columns(filter(None, header), table)


def _decoded(table: Path) -> tuple[str, tuple[str, ...]]:
    """The text, and a note where its encoding had to be guessed."""
    try:
        with open_file(table, MOST) as file:
            head = file.read(HEAD)
        begun = _encoding(head)
        if begun in _BYTES and _NO_TEXT.search(head.decode("latin-1")):  # before a gigabyte of it is read
            raise DataError(f"The table {table} cannot be read as {_SPOKEN.get(begun, begun.upper())} text.")
        raw = read_file(table, MOST)
    except Refused as refused:
        empty = refused.reason == "empty-file"
        raise DataError(f"The table {table} {'is empty' if empty else f'cannot be read: {refused.detail}'}.") from None
    encoding = _encoding(raw)
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        text = "\0"
    if _NO_TEXT.search(text) or (encoding.startswith(("utf-16", "utf-32")) and not re.search(r"[\r\n]", text)):
        raise DataError(f"The table {table} cannot be read as {_SPOKEN.get(encoding, encoding.upper())} text.")
    guessed = f"{table.name} is not UTF-8 and was read as Windows-1252 (Latin-1): check the names of its classes."
    return text, (guessed,) if encoding == "cp1252" else ()


def _encoding(raw: bytes) -> str:
    """By the mark at the start, zero bytes (UTF-16 of Latin letters), UTF-8 where it is that, else Windows-1252."""
    for mark, name in _BOMS:
        if raw.startswith(mark):
            return name
    if raw[:2].count(0) == 1:
        return "utf-16-be" if raw[0] == 0 else "utf-16-le"
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def _separator(header: str) -> str:
    """The separator that gives the header the most cells, a comma where there is one cell."""
    return max(SEPARATORS, key=lambda separator: _cells(header, separator))


def _cells(header: str, separator: str) -> int:
    """How many cells it has; 0 where one is longer than a cell may be."""
    try:
        return len(next(csv.reader([header], delimiter=separator), []))
    except csv.Error:
        return 0
