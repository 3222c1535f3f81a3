"""Names come from strangers: what they hold is shown in terminals and spreadsheets, and never obeyed."""

from __future__ import annotations

import ast
import csv
from pathlib import Path
from typing import Any

import pytest

from headstart import records
from headstart.cli import cache, show, terminal
from headstart.features.store import FeatureStore
from headstart.images import load
from headstart.paths import features_dir

ODD = "x[/b]\x1b[31m\x07:smile:\u202e[bold]\udcffy"
SHOWN = r"x[/b]\x1b[31m\x07:smile:\u202e[bold]\xffy"


def test_a_printed_name_shows_its_escape_codes_and_markup(capsys: pytest.CaptureFixture[str]) -> None:
    """In plain text, and in every cell of a table; lines and tabs of our own stay."""
    terminal.print(f"a\t{ODD}\nb")
    table = terminal.table()
    table.add_column("name", no_wrap=True)
    table.add_row(ODD)
    table.add_row(terminal.bold(ODD))
    terminal.console(100).print(table)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == [f"a\t{SHOWN}", "b", "name", SHOWN, SHOWN]


def test_cache_info_lists_a_space_whose_backbone_is_called_like_markup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command died of `[/b]`."""
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    space = {"backbone": ODD, "layer": ODD, "engine": "openvino-1", "preprocess": {"size": [8, 8]}}
    FeatureStore.open(features_dir(), space).close()
    cache.info()
    out = capsys.readouterr().out
    assert r"x[/b]\x1b[31m" in out and "\x1b" not in out


def test_refused_pictures_and_errors_show_escape_codes(capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error too."""
    from headstart.cli import _say
    from headstart.images import Refusal

    show.refusals([Refusal("a\x1b[2J", "unreadable", "b\x1b[2J")])
    assert _say("no file \x1b]0;x\x07", 2) == 2
    said = capsys.readouterr().err
    assert "\x1b" not in said and "\x07" not in said and said.count(r"\x1b") == 3


def test_every_module_of_the_commands_prints_by_the_terminal_alone() -> None:
    """A `print` of Python's own, or a table or console of Rich's own, would let escape codes through."""
    for path in Path(terminal.__file__).parent.glob("*.py"):
        if path.name == "terminal.py":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imported = {
            (node.module, name.name)
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for name in node.names
        }
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        assert "print" not in names or ("headstart.cli.terminal", "print") in imported, path.name
        assert ("rich.table", "Table") not in imported, path.name
        assert ("rich.console", "Console") not in imported or path.name == "progress.py", path.name


FORMULAS = ["=1+1", "@SUM(A1)", "+1+1", "-1+1", "\tx", "\rx", "'=1", "''@x", "＝1"]
PLAIN = ["-1.5", "+3", "1e-3", "a=b", "'quoted'", "o'clock", "", "é"]


def test_a_cell_that_looks_like_a_formula_is_written_as_text_and_read_as_it_was(tmp_path: Path) -> None:
    """With an apostrophe before it; numbers stay numbers, other texts stay as they are."""
    path = tmp_path / "t.csv"
    records.write_csv(path, ["=name", "number"], [[cell, -1.5] for cell in FORMULAS + PLAIN])
    with path.open(encoding="utf-8-sig", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["'=name", "number"]
    assert [row[0] for row in rows] == ["'" + cell for cell in FORMULAS] + PLAIN
    assert {row[1] for row in rows} == {"-1.5"}
    assert [row[0] for row in records.read_csv(path)] == ["=name", *FORMULAS, *PLAIN]


def test_a_table_of_other_letters_has_a_byte_order_mark_and_a_plain_one_has_neither(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A spreadsheet takes UTF-8 for its own code page without the mark; HEADSTART_CSV=plain switches both off."""
    path = tmp_path / "t.csv"

    def written(*cells: Any) -> bytes:
        records.write_csv(path, ["name"], [[cell] for cell in cells])
        return path.read_bytes()

    assert written("=é") == "\ufeffname\n'=é\n".encode()
    assert written("e") == b"name\ne\n"
    monkeypatch.setenv("HEADSTART_CSV", "plain")
    assert written("=é") == "name\n=é\n".encode()


def test_a_split_and_a_table_of_pictures_called_like_formulas_are_read_again(tmp_path: Path) -> None:
    """What we write with an apostrophe, our readers take without it."""
    from PIL import Image

    from headstart.images.split import apply_split, write_split

    for name in ("=a.png", "-b.png"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    rows = [["=a.png", "@x", "train"], ["-b.png", "+y", "train"]]
    records.write_csv(tmp_path / "t.csv", ["image", "label", "split"], rows)
    images = load(tmp_path / "t.csv")
    assert images.names == ("=a.png", "-b.png") and set(images.classes) == {"@x", "+y"}
    write_split(images, tmp_path / "split.csv")
    assert apply_split(images, tmp_path / "split.csv").parts.tolist() == ["train", "train"]
