"""The page of the server, in a browser: what a person drops, reads, and takes along; and what axe finds."""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headstart.records import as_written
from serving import NAMES, PIXELS, digits_bundle, png, served

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = ["--no-sandbox", "--disable-gpu"]
QUIET += [f"--disable-{what}" for what in ("background-networking", "component-update", "sync")]

browser_only = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(digits_bundle(tmp_path_factory.mktemp("page"), method="pixels", head="logistic")) as (_, found):
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=BROWSER, args=QUIET)
        yield found
        found.close()


@pytest.fixture(params=["light", pytest.param("dark", marks=pytest.mark.slow)])
def page(browser: Any, address: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    context = browser.new_context(color_scheme=request.param, accept_downloads=True)
    found = context.new_page()
    found.set_default_timeout(20_000)
    trouble: list[str] = []
    found.on("pageerror", lambda error: trouble.append(str(error)))
    found.on("request", lambda asked: trouble.append(asked.url) if not asked.url.startswith((address, "blob:")) else 0)
    found.goto(address)
    found.wait_for_selector("#facts div")
    yield found
    context.close()
    assert trouble == []  # no error of a script, and nothing asked of another server


def file(i: int) -> dict[str, Any]:
    return {"name": f"{i}.png", "mimeType": "image/png", "buffer": png(PIXELS[i])}


def drop(page: Any, name: str, raw: bytes) -> None:
    """As a person drops a file from another window."""
    page.evaluate(
        """([name, bytes]) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], name));
            window.dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true}));
        }""",
        [name, list(raw)],
    )


def findings(page: Any) -> list[str]:
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found]


@browser_only
def test_a_dropped_picture_is_named_and_axe_finds_nothing(page: Any) -> None:
    drop(page, "seven.png", png(PIXELS[7]))
    page.wait_for_selector(".bars .fill")
    assert page.inner_text(".card h3") == NAMES[7]
    assert page.inner_text(".bars li:first-child .name").startswith(NAMES[7])
    assert page.inner_text("#status").startswith(f"{NAMES[7]}, ")
    assert findings(page) == []


@browser_only
@pytest.mark.parametrize("page", ["light"], indirect=True)
def test_what_is_no_picture_says_why_beside_the_others(page: Any) -> None:
    page.set_input_files("#files", [file(3), {"name": "a.txt", "mimeType": "text/plain", "buffer": b"hello"}])
    page.get_by_text("not in a known picture format").wait_for()
    page.get_by_text("1 picture named; 1 could not be used.").wait_for()
    page.get_by_role("button", name="Clear").click()
    assert page.locator(".card").count() == 0


@browser_only
@pytest.mark.parametrize("page", ["light"], indirect=True)
def test_many_pictures_are_a_table_that_can_be_taken_along(page: Any) -> None:
    page.set_input_files("#files", [file(i) for i in range(20)])
    page.get_by_text("20 pictures named.").wait_for()
    assert page.locator("#rows tr").count() == 20 and not page.locator("#cards").is_visible()
    assert findings(page) == []
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download as CSV").click()
    with waiting.value.path().open(encoding="utf-8-sig", newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [row["file"] for row in rows] == [f"{i}.png" for i in range(20)]
    assert [row["predicted"] for row in rows] == NAMES[:20].tolist()
    assert all(0 < float(row["confidence"]) <= 1 and row["error"] == "" for row in rows)


@browser_only
@pytest.mark.parametrize("page", ["light"], indirect=True)
def test_names_like_formulas_come_back_from_the_table_as_they_were(page: Any) -> None:
    names = ["=1.png", "'=2.png", "\uff1d3.png", "-4.png", "'5.png"]
    page.set_input_files("#files", [{**file(i), "name": name} for i, name in enumerate(names)])
    page.get_by_text("5 pictures named.").wait_for()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download as CSV").click()
    cells = [row[0] for row in csv.reader(waiting.value.path().open(encoding="utf-8-sig", newline=""))][1:]
    assert cells == ["'=1.png", "''=2.png", "'\uff1d3.png", "'-4.png", "'5.png"]
    assert list(map(as_written, cells)) == names


@browser_only
@pytest.mark.parametrize("page", ["light"], indirect=True)
def test_pictures_that_are_cleared_before_their_answer_leave_nothing_behind(page: Any) -> None:
    held: list[Any] = []
    page.route("**/predict*", lambda route: held.append(route))
    page.set_input_files("#files", [file(0), file(1)])
    page.get_by_text("0 of 2 pictures").wait_for()
    page.get_by_role("button", name="Clear").click()
    for each in held:
        each.continue_()
    page.wait_for_selector("#progress", state="hidden")
    assert page.inner_text("#status") == "" and not page.locator("#answers").is_visible()


@browser_only
@pytest.mark.parametrize("page", ["light"], indirect=True)
def test_pictures_are_chosen_by_keyboard(page: Any) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "files"
    choosers: list[Any] = []
    page.on("filechooser", lambda chooser: choosers.append(chooser))
    for _ in range(20):  # a browser lets a key open a dialog for some seconds only, and a busy machine may need longer
        page.keyboard.press("Space")
        page.wait_for_timeout(500)
        if choosers:
            break
    choosers[0].set_files([file(1)])
    page.wait_for_selector(".bars .fill")
    assert page.inner_text(".card h3") == NAMES[1]


@pytest.mark.parametrize("package", ["serve", "labelling"])
def test_a_page_names_no_address_outside_itself(package: str) -> None:
    for path in (Path(__file__).parents[1] / "src/headstart" / package / "page").iterdir():
        outside = re.findall(r"https?://[^\s\"']+", path.read_text())
        assert [one for one in outside if one != "http://www.w3.org/2000/svg"] == [], path.name
