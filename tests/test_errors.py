"""What other libraries say against something becomes a part of a sentence, whatever they say."""

from __future__ import annotations

import pytest

from headstart.cluster.connect import _unreachable
from headstart.errors import Refused, first_line
from headstart.images.remote import Remote
from headstart.storage import Storage


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("\n  The file is damaged.\nat byte 3"), "The file is damaged"),
        (ValueError("reason:"), "reason"),
        (OSError(), "OSError"),
        (RuntimeError(" \n"), "RuntimeError"),
        (RuntimeError("x" * 1000), "x" * 300),
    ],
)
def test_the_first_line_of_an_error_fits_into_a_sentence(error: Exception, line: str) -> None:
    assert first_line(error) == line


def test_a_picture_at_an_address_that_fails_without_a_word_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: Storage, name: str) -> None:
        raise OSError

    monkeypatch.setattr(Storage, "open", fails)
    with pytest.raises(Refused, match="unreadable: OSError"):
        Remote("memory://photos", "a.png", 10, 0).read()


def test_a_cluster_that_is_not_there_is_told_with_what_to_do() -> None:
    assert _unreachable("auto", OSError()).endswith("start one with `ray start`, or use cluster=local.")
    assert _unreachable("far:1", TimeoutError()) == ("cluster=far:1: no cluster can be reached there (TimeoutError).")
