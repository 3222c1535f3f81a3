"""The tutorials run from top to bottom at their small settings, and are kept without outputs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

TUTORIALS = sorted((Path(__file__).parent.parent / "docs" / "tutorials").glob("*.ipynb"))


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_says_what_is_transferred_and_frozen_and_what_the_curve_says_and_holds_no_output(path: Path) -> None:
    cells = json.loads(path.read_text())["cells"]
    told = "".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    assert all(word in told for word in ("What is transferred", "What is frozen", "curve"))
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)


def test_there_is_a_tutorial_for_each_experiment() -> None:
    assert len(TUTORIALS) == 4


@pytest.mark.slow
@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_runs_from_top_to_bottom(path: Path, tmp_path: Path) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert code[-1].outputs
