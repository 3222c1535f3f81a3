"""Every public name has an example in its docstring, and the examples print what they say."""

from __future__ import annotations

import doctest
import sys
from pathlib import Path

import pytest

import headstart


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name == "rank" else ()) for name in headstart.__all__]
)  # `rank` measures speed for seconds
def test_a_public_name_has_an_example_that_prints_what_it_says(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # an example leaves nothing in the clone
    public = getattr(headstart, name)
    runner = doctest.DocTestRunner()
    known = {each: getattr(headstart, each) for each in headstart.__all__} | vars(sys.modules[public.__module__])
    tests = [test for test in doctest.DocTestFinder().find(public, name, globs=known) if test.examples]
    assert tests and tests[0].name == name, f"{name} has no example"
    for test in tests:
        assert not runner.run(test).failed, f"the example of {test.name}; what it printed is above"
    assert not list(tmp_path.iterdir())
