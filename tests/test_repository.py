"""What the repository says about itself is so."""

from __future__ import annotations

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "headstart"


def test_the_lock_pins_every_package_and_names_no_registry() -> None:
    lines = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if line.strip()]
    assert all(re.match(r"^[a-z0-9._-]+==\S+( ;.*)?$", line) for line in lines)
    assert len(lines) > 50


def test_the_tree_in_the_architecture_has_a_line_for_every_module_and_no_other() -> None:
    tree = (ROOT / "ARCHITECTURE.md").read_text().split("src/headstart/\n")[1].split("```")[0]
    listed = {line.split()[1].rstrip("/") for line in tree.splitlines() if line.startswith(("├", "└"))}
    present = {p.name for p in SOURCE.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    assert listed == present - {"__init__.py"}


def test_no_module_imports_what_imports_it() -> None:
    """Through no other module either, inside a function or for types alone; `lint-imports` asks it of packages too."""
    graph = grimp.build_graph("headstart", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    TopologicalSorter(imports).prepare()  # raises CycleError, which names the circle


UNSAFE_MODULES = {
    "pickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle",
}  # fmt: skip
SAFE_CALLS = {
    "torch.load": {"weights_only": "True"},
    "np.load": {"allow_pickle": "False"},
    "numpy.load": {"allow_pickle": "False"},
}
"""Calls that read files, and what each must be told in so many words."""
UNSAFE_CALLS = {
    "eval", "exec", "compile", "__import__", "builtins.eval", "builtins.exec", "yaml.load", "yaml.unsafe_load",
    "yaml.full_load", "yaml.load_all", "pd.read_pickle", "pandas.read_pickle", "torch.jit.load", "torch.hub.load",
    "os.system", "os.popen",
}  # fmt: skip
"""`re.compile` and its like are attributes of a module and so other names."""


def unsafe(source: str) -> list[str]:
    """What in a module could run code from a file, or a command through a shell."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [a.name for a in node.names] + [getattr(node, "module", None) or ""]
            found += sorted({name.split(".")[0] for name in names} & UNSAFE_MODULES)
            if isinstance(node, ast.ImportFrom):  # `from torch import load` would hide what is called
                full = {f"{node.module}.{a.name}" for a in node.names}
                found += sorted(full & {*SAFE_CALLS, *UNSAFE_CALLS})
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            given = {k.arg: ast.unparse(k.value) for k in node.keywords}
            asked = SAFE_CALLS.get(called, {})
            if called in UNSAFE_CALLS or any(given.get(key) != value for key, value in asked.items()):
                found.append(called)
            if given.get("shell") == "True" or given.get("allow_pickle") == "True":
                found.append(called)
    return found


@pytest.mark.parametrize("folder", ["src", "benchmarks"])
def test_no_module_can_run_code_from_a_file(folder: str) -> None:
    """No pickle in any form, no code from text, no shell; PyTorch and NumPy are told so wherever they read a file."""
    found = {str(path.relative_to(ROOT)): unsafe(path.read_text()) for path in sorted((ROOT / folder).rglob("*.py"))}
    assert len(found) > 5 and {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    "line",
    [
        "import pickle", "from joblib import load", "import cloudpickle as c", "eval('1')", "exec(text)",
        "compile(t, '', 'exec')", "yaml.load(file)",
        "torch.load(path)", "torch.load(path, weights_only=False)", "from torch import load",
        "np.load(path)", "np.load(path, allow_pickle=True)", "torch.hub.load('x', 'y')", "os.system('ls')",
        "subprocess.run('ls', shell=True)", "np.savez(path, allow_pickle=True)",
    ],
)  # fmt: skip
def test_the_check_for_code_from_files_knows_what_it_looks_for(line: str) -> None:
    assert unsafe(line)
    assert not unsafe("re.compile('x'); json.load(f); torch.load(p, weights_only=True); np.load(p, allow_pickle=False)")


def test_timm_is_new_enough_to_read_weights_without_code() -> None:
    """Its own loader has weights_only=True by default from 1.0.26 on."""
    (bound,) = re.findall(r'"timm>=([0-9.]+)"', (ROOT / "pyproject.toml").read_text())
    assert tuple(map(int, bound.split("."))) >= (1, 0, 26)
