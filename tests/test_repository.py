"""What the repository says about itself is so."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "headstart"


def test_the_lock_pins_every_package_and_names_no_registry() -> None:
    lines = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if line.strip()]
    assert all(re.match(r"^[a-z0-9._-]+==\S+( ;.*)?$", line) for line in lines)
    assert len(lines) > 50


def test_the_readme_s_tree_has_a_line_for_every_module_and_no_other() -> None:
    tree = (ROOT / "README.md").read_text().split("src/headstart/\n")[1].split("```")[0]
    listed = {line.split()[1].rstrip("/") for line in tree.splitlines() if line.startswith(("├", "└"))}
    present = {p.name for p in SOURCE.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    assert listed == present - {"__init__.py"}


def test_every_link_and_picture_of_the_documents_is_there() -> None:
    for document in (ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CHANGELOG.md"):
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", document.read_text()):
            assert (ROOT / target).is_file(), f"{document.name}: {target}"


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda p: str(p.relative_to(SOURCE)))
def test_no_module_can_run_code_from_a_file(path: Path) -> None:
    """No pickle in any form: not imported, not by torch.load, not by numpy."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [a.name for a in node.names] + [getattr(node, "module", None) or ""]
            assert not {name.split(".")[0] for name in names} & {"pickle", "dill", "joblib", "cloudpickle", "shelve"}
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            given = {k.arg: ast.unparse(k.value) for k in node.keywords}
            assert called not in ("eval", "exec")
            assert called != "torch.load" or given.get("weights_only") == "True"
            assert called != "np.load" or given.get("allow_pickle") == "False"
