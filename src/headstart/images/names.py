"""Names of pictures and classes: the order that people expect, an escape for text files, and look-alikes."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from headstart.errors import DataError

_DIGITS = re.compile(r"([0-9]+)")
_NEEDS_ESCAPE = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")
_HALF = re.compile(r"[\ud800-\udfff]")  # of a character; alone it stands for nothing
_BYTE = re.compile(r"[\x00-\x7f\udc80-\udcff]")  # the latter as Python reads bytes of names that are not UTF-8


def natural_key(name: str) -> tuple[tuple[str, int, str], ...]:
    """Sort key under which '2' comes before '10' and 'img2' before 'img10'; ties by the text itself."""
    pieces = _DIGITS.split(name)
    key = [(text, 0, "") for text in pieces]
    for i in range(1, len(pieces), 2):
        value = pieces[i].lstrip("0")
        key[i] = ("0", len(value), value)
    return (*key, (name, 0, ""))


def natural_sort(names: Iterable[str]) -> tuple[str, ...]:
    """The distinct names in natural order."""
    return tuple(sorted(set(names), key=natural_key))


def escape(name: str) -> str:
    r"""A name that fits on one line of any text file: control characters and bytes not UTF-8 become `\xNN`.

    A backslash becomes two, half a character `\uNNNN`; no two names become one.
    """

    def replace(found: re.Match[str]) -> str:
        code = ord(found[0])
        if not _BYTE.match(found[0]):
            return f"\\u{code:04x}"
        return "\\\\" if code == 0x5C else f"\\x{code & 0xFF:02x}"

    return _NEEDS_ESCAPE.sub(replace, name)


def nfc(name: str) -> str:
    """The name in Unicode's composed form (NFC): the same for 'é' as one sign, and as 'e' with an accent."""
    return unicodedata.normalize("NFC", name)


def in_one_form(names: Sequence[str]) -> tuple[str, ...]:
    """The names in NFC, but as they are where two of them would become equal."""
    composed = [nfc(name) for name in names]
    often = Counter(composed)
    return tuple(name if often[other] > 1 else other for name, other in zip(names, composed, strict=True))


def check_whole(names: Iterable[str], where: str) -> None:
    """Refuse a class name with half a character, which no file can hold. Raises `DataError` naming it."""
    if broken := next((name for name in names if _HALF.search(name)), None):
        raise DataError(
            f"{where}: the class name {broken[:100]!a} has half a character (a lone surrogate), which no file can "
            "hold; give the class another name."
        )


def twin_key(name: str) -> str:
    """The same for class names that people cannot tell apart: equal but for Unicode form, outer spaces or case.

    Single letters that differ in case ('a' and 'A') are different classes, as in sets of letters.
    """
    plain = nfc(name).strip()
    return plain if len(plain) == 1 else nfc(plain.casefold())


def check_twins(names: Iterable[str], where: str) -> None:
    """Refuse two class names of one `twin_key`. Raises `DataError` naming both."""
    seen: dict[str, str] = {}
    for name in sorted(set(names)):
        twin = seen.setdefault(twin_key(name), name)
        if twin != name:
            raise DataError(
                f"{where}: the class names {twin!a} and {name!a} differ only in case, "
                "spaces or Unicode form; give both the same name, or clearly different ones."
            )
