"""The tutorials run from top to bottom at their small settings, and are kept with their outputs."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

TUTORIALS = sorted((Path(__file__).parent.parent / "docs" / "tutorials").glob("*.ipynb"))
DEAR = ("3-", "4-")  # minutes on a busy machine; the others run the same code of notebooks


LARGEST = 60_000
"""Bytes of an output: what a notebook may hold of a picture."""


def code_of(path: Path) -> list[dict[str, Any]]:
    """The cells of code."""
    cells: list[dict[str, Any]] = json.loads(path.read_text())["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_says_what_is_transferred_and_frozen_and_what_the_curve_says(path: Path) -> None:
    cells = json.loads(path.read_text())["cells"]
    told = "".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    assert all(word in told for word in ("What is transferred", "What is frozen", "curve"))


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_is_kept_with_the_outputs_of_one_run_and_they_are_small(path: Path) -> None:
    cells = code_of(path)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [json.dumps(output) for cell in cells for output in cell["outputs"]]
    assert max(map(len, outputs)) < LARGEST
    assert not any(word in output for output in outputs for word in ("Traceback", "stderr", tempfile.gettempdir()))
    assert all(cell["outputs"] for cell in cells if "print(" in "".join(cell["source"]))


def test_there_is_a_tutorial_for_each_experiment() -> None:
    assert len(TUTORIALS) == 4


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.stem, marks=[pytest.mark.exhaustive] * path.stem.startswith(DEAR))
        for path in TUTORIALS
    ],
)
def test_a_tutorial_runs_from_top_to_bottom(path: Path, tmp_path: Path) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    kept = [_kinds(cell["outputs"]) for cell in code_of(path)]
    assert [_kinds(each for each in cell.outputs if each.get("name") != "stderr") for cell in code] == kept


def _kinds(outputs: Iterable[Any]) -> list[str]:
    """What a cell shows; what it prints may come in one part or several, by how busy the machine is."""
    kinds = [output["output_type"] for output in outputs]
    return [kind for before, kind in zip([None, *kinds], kinds, strict=False) if not kind == before == "stream"]
