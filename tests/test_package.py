"""The wheel holds all that the program needs, and runs in an environment where nothing else of the clone is."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src"
BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that `make dist` makes, built from a copy of the clone without a download."""
    clone, out = tmp_path_factory.mktemp("clone"), tmp_path_factory.mktemp("dist")
    shutil.copytree(SOURCE, clone / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copytree(ROOT / "tests", clone / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, clone)
    subprocess.run([sys.executable, "-c", BUILD, str(out)], cwd=clone, check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def empty(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment of the wheel alone; what it depends on is borrowed from the environment of the tests."""
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    target = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    (Path(target) / "borrowed.pth").write_text("\n".join(site.getsitepackages()))
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-index"]
    subprocess.run([*install, "--no-deps", "--ignore-installed", str(wheel)], check=True)
    return folder


def run(empty: Path, command: str, *arguments: str, cwd: Path) -> str:
    """What a command of the empty environment prints, in a folder of its own; nothing leads to the clone."""
    around = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "HEADSTART_DATA")}
    done = subprocess.run(
        [empty / "bin" / command, *arguments], cwd=cwd, env=around, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_every_file_of_the_package_and_no_other(wheel: Path) -> None:
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    there = {str(path.relative_to(SOURCE)) for path in (SOURCE / "headstart").rglob("*") if path.is_file()}
    assert packed == {name for name in there if "__pycache__" not in name}
    assert {"headstart/py.typed", "headstart/backbones/data/sprout.safetensors"} <= packed
    assert any(name.startswith("headstart/report/templates/") for name in packed)


def test_the_version_stands_in_one_place_and_has_its_changes_listed(wheel: Path) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert wheel.name.split("-")[1] == version
    assert f"\n## [{version}]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_wheel_asks_whether_transfer_helps_in_an_empty_environment(empty: Path, tmp_path: Path) -> None:
    where = run(empty, "python", "-c", "import headstart; print(headstart.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(empty)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert run(empty, "headstart", "--version", cwd=tmp_path) == f"headstart {version}\n"
    told = run(empty, "headstart", "compare", "digits", "--arms", "pixels,sprout", "--sizes", "2,5", cwd=tmp_path)
    assert "Transfer helped" in told
    (report,) = tmp_path.glob("studies/*/report.html")
    assert "<svg" in report.read_text()
