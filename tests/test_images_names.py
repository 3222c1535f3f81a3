"""Names: natural order, an escape that loses nothing, and look-alikes."""

from __future__ import annotations

import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.errors import DataError
from headstart.images.names import check_twins, escape, natural_sort


def unescape(name: str) -> str:
    """The name as the file system gave it (bytes that are not UTF-8 as Python's surrogate escapes)."""

    def replace(found: re.Match[str]) -> str:
        if found[1] == "\\":
            return "\\"
        code = int(found[1][1:], 16)
        return chr(code if code < 0x80 or found[1][0] == "u" else 0xDC00 + code)

    return re.sub(r"\\(\\|x[0-9a-f]{2}|u[0-9a-f]{4})", replace, name)


file_names = st.binary(min_size=1, max_size=40).map(os.fsdecode)


@given(file_names)
def test_an_escaped_name_is_one_line_of_utf8_and_comes_back(name: str) -> None:
    """Any bytes that a file system allows survive escape and unescape; the escaped form fits any text file."""
    escaped = escape(name)
    escaped.encode("utf-8")
    assert escaped.isascii() or escaped.encode("utf-8").decode() == escaped
    assert not any(ord(c) < 32 for c in escaped)
    assert os.fsencode(unescape(escaped)) == os.fsencode(name)


@given(st.text(st.characters(categories=["Cs", "L", "Cc"]) | st.just("\\")))
def test_half_a_character_in_a_name_can_be_written_and_comes_back(name: str) -> None:
    """A name that is given in Python, or by another system, may hold what no file system here gives."""
    escaped = escape(name)
    escaped.encode("utf-8")
    assert unescape(escaped) == name


@given(file_names, file_names)
def test_different_names_stay_different(first: str, second: str) -> None:
    """The escape maps no two names to one."""
    assert (escape(first) == escape(second)) == (first == second)


@given(st.lists(st.integers(0, 10**30)))
def test_numbers_sort_as_numbers(numbers: list[int]) -> None:
    """Names that are numbers come in the order of the numbers."""
    assert natural_sort(map(str, numbers)) == tuple(str(n) for n in sorted(set(numbers)))


@given(st.lists(st.text(max_size=8)), st.randoms())
def test_the_order_does_not_depend_on_the_input(names: list[str], random: object) -> None:
    """Any order of the same names gives the same sorted tuple, without repetitions."""
    mixed = names * 2
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert natural_sort(mixed) == natural_sort(names)
    assert len(natural_sort(names)) == len(set(names))


@pytest.mark.parametrize(
    ("first", "second"), [("Cat", "cat"), ("caf\u00e9", "cafe\u0301"), ("cat", "cat "), ("ß1", "SS1")]
)
def test_look_alikes_are_refused(first: str, second: str) -> None:
    """Case, Unicode form and outer spaces make no second class."""
    with pytest.raises(DataError, match="differ only"):
        check_twins([first, "other", second], "here")


def test_single_letters_in_two_cases_are_two_classes() -> None:
    """'a' and 'A' are both letters of a set of letters."""
    check_twins(["a", "A", "b"], "here")
