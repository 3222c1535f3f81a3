"""Text from outside with nothing hidden in it: for terminals and pages alike."""

from __future__ import annotations

import unicodedata

_INVISIBLE = {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"}
_BIDIRECTIONAL = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def visible(text: str, kept: str = "") -> str:
    r"""Control, bidirectional and undecodable characters as their codes, `\x1b`; those in `kept` stay."""
    return text if text.isprintable() else "".join(c if c in kept else _code(c) for c in text)


def _code(char: str) -> str:
    if "\udc80" <= char <= "\udcff":  # a byte that was not UTF-8 (PEP 383)
        return f"\\x{ord(char) - 0xDC00:02x}"
    if char in _BIDIRECTIONAL or unicodedata.category(char) in _INVISIBLE:
        return char.encode("unicode_escape", "backslashreplace").decode("ascii")
    return char
