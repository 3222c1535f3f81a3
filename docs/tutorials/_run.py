"""Run the notebooks of this folder and keep their outputs: python docs/tutorials/_run.py [NAME ...]"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import nbclient
import nbformat

HERE = Path(__file__).parent


def run(path: Path) -> None:
    """Run a notebook in an empty folder, and write it with its outputs, without times and what was said on the way."""
    notebook = nbformat.read(path, as_version=4)
    with TemporaryDirectory() as folder:
        nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": folder}}).execute()
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = [smaller(each) for each in cell.outputs if each.get("name") != "stderr"]
    nbformat.write(notebook, path)


def smaller(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """An output with one picture, where IPython gives the same as PNG and as JPEG."""
    pictures = [kind for kind in output.get("data", {}) if kind in ("image/png", "image/jpeg")]
    for larger in sorted(pictures, key=lambda kind: len(output.data[kind]))[1:]:
        del output.data[larger]
    return output


if __name__ == "__main__":
    for name in sys.argv[1:] or sorted(HERE.glob("*.ipynb")):
        run(Path(name))
        print(name)
