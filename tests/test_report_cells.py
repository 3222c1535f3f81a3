"""The cells of the confusion matrix open their pictures: the right ones, a bounded number, in a browser by keys."""

from __future__ import annotations

import csv
import html
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from headstart import records
from headstart.report import write_report
from headstart.report.cells import LISTED, MISTAKES, PICTURED, RIGHT, Cell, cells
from headstart.report.files import read_run
from reading import Page
from test_report import picture, write_run
from test_serve_page import browser as browser
from test_serve_page import browser_only, findings

NAMES = ("ant", "bee", "cat")
SMALL = {"train": 9, "test": 300}


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "predictions.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["split"] == "test"]


@pytest.fixture(scope="module")
def insects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cells") / "insects"
    write_run(folder, NAMES, parts=SMALL)
    write_report(folder, picture)
    return folder


def test_a_cell_has_the_pictures_of_its_true_and_its_named_class_the_telling_ones_first(insects: Path) -> None:
    """Mistakes begin with the most confident, right answers with the least; what is left out is counted."""
    found = cells(read_run(insects), picture)
    rows = rows_of(insects)
    assert len(found) > 4 and {i == j for i, j in found} == {True, False}
    for (i, j), cell in found.items():
        its = [row for row in rows if (row["label"], row["predicted"]) == (NAMES[i], NAMES[j])]
        its.sort(key=lambda row: float(row["confidence"]) * (1 if i == j else -1))
        listed = its[: RIGHT if i == j else MISTAKES]
        assert [each.name for each in cell.examples] == [row["name"] for row in listed]
        assert cell.left == len(its) - len(listed) and all(each.uri for each in cell.examples)


def test_every_number_of_the_matrix_is_a_link_to_its_cell_and_back(insects: Path) -> None:
    """The links carry the counts of scores.json and say what they open; each leads to a place on the page."""
    source = (insects / "report.html").read_text(encoding="utf-8")
    counts = Counter((NAMES.index(row["label"]), NAMES.index(row["predicted"])) for row in rows_of(insects))
    links = re.findall(r'<a id="at-(\d+)-(\d+)" href="#cell-(\d+-\d+)" aria-label="([^"]*)">(\d+)</a>', source)
    assert {(int(i), int(j)): int(n) for i, j, _, _, n in links} == counts
    for i, j, key, words, n in links:
        assert key == f"{i}-{j}" and words.startswith(f"{n}: {NAMES[int(i)]}, ")
        assert f'id="cell-{key}"' in source and f'href="#at-{key}"' in source
    left = [n - (RIGHT if i == j else MISTAKES) for (i, j), n in counts.items()]
    more = [int(n) for n in re.findall(r"And (\d+) more in predictions.csv", source)]
    assert sorted(more) == sorted(n for n in left if n > 0)


def test_above_thirty_classes_the_listed_mistakes_open_theirs(tmp_path: Path) -> None:
    names = tuple(f"kind{i:02d}" for i in range(40))
    write_run(tmp_path, names, parts={"train": 40, "test": 800})
    page = Page(write_report(tmp_path, picture))
    table = page.source.split("Most frequent confusions</caption>")[1].split("</table>")[0]
    pairs = re.findall(r'<th scope="row">(\w+)</th><td>(\w+)</td><td class="n"><a id="at-(\d+)-(\d+)"', table)
    assert len(pairs) == 25 == len(re.findall('<div class="cell"', page.source))
    assert all((names[int(i)], names[int(j)]) == (true, named) for true, named, i, j in pairs)


def confused(folder: Path, k: int, each: int, name: str) -> None:
    """A run of k classes in which each is taken for each other one equally often."""
    names = tuple(f"{name}{i:02d}" for i in range(k))
    write_run(folder, names, parts={"test": k})
    rows = [[f"{t}{p}{i}-{name}.jpg", "test", t, p, "0.5"] for t in names for p in names for i in range(each)]
    records.write_csv(folder / "predictions.csv", ["name", "split", "label", "predicted", "confidence"], rows)


def bounded(found: Sequence[Cell]) -> tuple[int, int]:
    return sum(len(cell.examples) for cell in found), sum(bool(e.uri) for cell in found for e in cell.examples)


def test_however_many_pictures_there_are_the_page_holds_so_many_and_one_of_each_cell(tmp_path: Path) -> None:
    """Thirty classes all taken for each other, pictures of pure noise, long names: a page of under 3 MB."""
    noise = np.random.default_rng(0)
    drawn = [Image.fromarray(noise.integers(0, 256, (300, 300, 3), dtype=np.uint8)) for _ in range(4)]
    confused(tmp_path / "few", 8, 8, "x")
    assert bounded(list(cells(read_run(tmp_path / "few"), lambda _: drawn[0]).values())) == (LISTED, PICTURED)
    confused(tmp_path / "many", 30, 2, "a long name of a class " * 2)
    found = cells(read_run(tmp_path / "many"), lambda name: drawn[len(name) % 4])
    assert bounded(list(found.values())) == (900, PICTURED) and all(cell.examples for cell in found.values())
    assert write_report(tmp_path / "many", lambda _: drawn[0]).stat().st_size < 3_000_000


def test_a_run_without_predictions_has_a_matrix_without_links(tmp_path: Path) -> None:
    write_run(tmp_path, NAMES, parts=SMALL)
    (tmp_path / "predictions.csv").unlink()
    page = Page(write_report(tmp_path, picture))
    assert 'href="#cell' not in page.source and "opens its pictures" not in page.text
    assert any("matrix" in table.get("class", "") for table in page.all("table"))


def test_names_of_classes_and_files_in_a_cell_are_shown_as_text(tmp_path: Path) -> None:
    evil = '"><script>alert(1)</script>'
    write_run(tmp_path, (evil, "bee", "#cell-0-0"), parts=SMALL, file="{part}/{i:03d}" + evil)
    page = Page(write_report(tmp_path))
    assert not page.all("script")
    assert {each["id"] for each in page.all("div") if each.get("class") == "cell"} >= {"cell-0-0", "cell-2-2"}
    assert html.escape(evil, quote=False) in page.source.split('id="cell-0-0"')[1].replace("&#34;", '"')


@browser_only
@pytest.mark.slow
def test_in_a_browser_a_cell_opens_and_closes_by_keys_and_axe_finds_nothing(browser: Any, insects: Path) -> None:
    address = (insects / "report.html").as_uri()
    page = browser.new_page(color_scheme="light")
    page.goto(address)
    assert page.locator(".cell:visible").count() == 0
    page.locator("#at-0-1").focus()
    page.keyboard.press("Enter")
    assert page.locator(".cell:visible").evaluate_all("found => found.map(each => each.id)") == ["cell-0-1"]
    assert findings(page) == []
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Close"
    page.keyboard.press("Enter")
    assert page.locator(".cell:visible").count() == 0
    page.keyboard.press("Enter")
    assert page.locator("#cell-0-1").is_visible()
    page.close()


@pytest.mark.slow
@browser_only
def test_an_open_cell_has_no_faults_that_axe_finds_in_the_dark_on_a_phone(browser: Any, insects: Path) -> None:
    page = browser.new_page(color_scheme="dark", viewport={"width": 375, "height": 700})
    page.goto(f"{(insects / 'report.html').as_uri()}#cell-1-1")
    assert page.locator("#cell-1-1").is_visible() and findings(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    page.close()
