"""What CONTRIBUTING.md tells to do works."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score

from headstart import TransferClassifier
from headstart.heads import HEADS, make_head

ROOT = Path(__file__).parent.parent
TOLD = (ROOT / "CONTRIBUTING.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", TOLD, re.S | re.M)


@pytest.fixture
def median(monkeypatch: pytest.MonkeyPatch) -> None:
    """The head of the document, as if its file and its line were there."""
    file, line = BLOCKS
    module = ModuleType("headstart.heads.median")
    exec(file, module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for name, place in yaml.safe_load("{" + line + "}").items():
        monkeypatch.setitem(HEADS._places, name, place)  # type: ignore[attr-defined]


def test_the_head_of_the_document_is_one_file_and_one_line(median: Any) -> None:
    X, y = load_digits(return_X_y=True)
    head = make_head("median").fit(X[:1000], y[:1000])
    assert head.score(X[1000:], y[1000:]) > 0.8
    scaled = (X[:1000] - head.mean_) / head.scale_
    assert np.allclose(head.prototypes_, [np.median(scaled[y[:1000] == digit], axis=0) for digit in range(10)])
    again = type(head).from_arrays(head.to_arrays(), head.config())
    assert np.array_equal(again.predict_proba(X), head.predict_proba(X))


def test_pictures_are_classified_by_the_head_of_the_document(median: Any) -> None:
    digits = load_digits()
    pictures = (digits.images * 15).astype(np.uint8)[:300]
    model = TransferClassifier(method="pixels", head="median", cache=False)
    assert cross_val_score(model, pictures, digits.target[:300], cv=3).mean() > 0.8


def test_the_example_is_ten_lines() -> None:
    assert len([line for block in BLOCKS for line in block.splitlines() if line.strip()]) <= 10


def test_the_hooks_before_a_commit_run_what_make_lint_runs() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    recipe = (ROOT / "Makefile").read_text().split("\nlint:")[1].split("\n\n")[0].splitlines()[1:]
    assert [hook["entry"] for hook in hooks] == [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe]
