"""The page of `headstart label`, in a browser: what a person labels by keys is kept, whatever happens in between."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from headstart import fit
from reading import table
from serving import started
from test_serve_page import browser as browser
from test_serve_page import browser_only, findings

PIXELS = (load_digits(n_class=2).images * 15).astype(np.uint8)
NAMES = np.array(["zero", "one"])[load_digits(n_class=2).target]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 zeros and ones; their names say which they are."""
    folder = tmp_path_factory.mktemp("label") / "photos"
    folder.mkdir()
    for i in range(60):
        Image.fromarray(PIXELS[i]).save(folder / f"{NAMES[i]}-{i:02d}.png")
    return folder


@contextmanager
def labelling(photos: Path, out: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = ["label", str(photos), "--out", str(out), "--port", "0", *options]
    with started(*command) as (process, address):
        yield process, address


@pytest.fixture(scope="module")
def served(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    out = tmp_path_factory.mktemp("served") / "labels.csv"
    with labelling(photos, out, "--classes", "zero,one", "--backbone", "sprout") as (_, address):
        yield address


@contextmanager
def opened(browser: Any, address: str, **choices: Any) -> Iterator[Any]:
    """A page without errors of its script, that asks nothing of another server."""
    context = browser.new_context(**choices)
    page, trouble = context.new_page(), []
    page.set_default_timeout(60_000)
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("request", lambda asked: trouble.append(asked.url) if not asked.url.startswith(address) else 0)
    page.goto(address)
    page.wait_for_selector("#photo:not([hidden])")
    yield page
    context.close()
    assert trouble == []


def press(page: Any, times: int, key: Callable[[str], str]) -> None:
    """Answer so many pictures by the key that belongs to each one's name, and wait until they are counted."""
    before = done(page)
    for _ in range(times):
        page.wait_for_selector("#photo:not([hidden])")  # a busy machine may show none for a moment: a key says nothing
        name = page.inner_text("#name")
        page.keyboard.press(key(name))
        page.wait_for_function("name => document.querySelector('#name').textContent !== name", arg=name)
    page.wait_for_function(
        "n => parseInt(document.querySelector('#far').textContent.replace(',', '')) >= n", arg=before + times
    )


def done(page: Any) -> int:
    return int(page.inner_text("#far").split()[0].replace(",", ""))


def labelled_through(browser: Any, photos: Path, out: Path, key: Callable[[str], str], *options: str) -> None:
    """Sixty pictures by keys, with a reload and a kill on the way: every one that was counted is kept."""
    with labelling(photos, out, *options) as (process, address), opened(browser, address) as page:
        press(page, 15, key)
        page.reload()
        page.wait_for_selector("#photo:not([hidden])")
        page.wait_for_function("() => document.querySelector('#far').textContent.startsWith('15 ')")
        press(page, 15, key)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert len(table(out)) == 30
    with labelling(photos, out, *options) as (process, address), opened(browser, address) as page:
        assert done(page) == 30
        press(page, 30, key) if len(list(photos.rglob("*.*"))) > 60 else press(page, 29, key)
        assert findings(page) == []
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


@browser_only
@pytest.mark.slow
def test_sixty_pictures_by_keys_with_a_reload_and_a_kill_make_a_classifier(
    browser: Any, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "labels.csv"
    options = ("--classes", "zero,one", "--backbone", "sprout")
    labelled_through(browser, photos, out, lambda name: "z" if "zero" in name else "o", *options)
    assert [row["label"] for row in table(out)] == [Path(row["image"]).name.split("-")[0] for row in table(out)]
    assert len(table(out)) == 59
    run = fit(out, backbone="sprout", store=False, out=tmp_path / "run")
    assert run.scores["after"]["cv"]["accuracy"] > 0.95


@browser_only
@pytest.mark.exhaustive
@pytest.mark.data
def test_sixty_photos_of_ants_and_bees_by_keys_make_a_classifier(browser: Any, data_dir: Path, tmp_path: Path) -> None:
    photos, out = data_dir / "hymenoptera" / "train", tmp_path / "labels.csv"
    options = ("--classes", "ants,bees", "--backbone", "sprout")
    labelled_through(browser, photos, out, lambda name: "1" if name.startswith("ants") else "2", *options)
    assert len(table(out)) == 60 and {Path(row["image"]).parent.name == row["label"] for row in table(out)} == {True}
    assert fit(out, backbone="sprout", store=False, out=tmp_path / "run").scores["after"]["cv"]["n"] == 60


@pytest.mark.slow
@browser_only
def test_the_page_has_no_faults_that_axe_finds_in_either_theme(browser: Any, served: str) -> None:
    for scheme in ("light", "dark"):
        with opened(browser, served, color_scheme=scheme) as page:
            assert findings(page) == []


@browser_only
def test_the_keyboard_alone_suffices_on_a_phone_too(browser: Any, served: str) -> None:
    with opened(browser, served, viewport={"width": 390, "height": 844}) as page:
        first = page.inner_text("#name")
        page.keyboard.press("1")
        page.wait_for_function("() => document.querySelector('#far').textContent.startsWith('1 ')")
        page.keyboard.press("Backspace")
        page.wait_for_function("() => document.querySelector('#status').textContent === 'Undone.'")
        assert page.inner_text("#name") == first
        page.keyboard.press("0")
        page.get_by_text("1 none of these").wait_for()
        page.keyboard.press("Enter")
        assert page.locator("#large").is_visible()
        page.keyboard.press("Escape")
        page.keyboard.press("+")
        page.keyboard.type("two")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="two").wait_for()
        second = page.inner_text("#name")
        page.keyboard.press("Space")
        page.wait_for_function("name => document.querySelector('#name').textContent !== name", arg=second)
        press(page, 12, lambda name: "1" if "zero" in name else "2")
        page.wait_for_selector("#rest-part:not([hidden])")
        assert findings(page) == []
        page.get_by_label("at least").select_option("0.9")
        page.get_by_role("button", name="Show proposals").focus()
        page.keyboard.press("Enter")
        page.wait_for_selector("#proposals[open] #grid button")
        page.keyboard.press("Space")  # the first is taken out
        assert page.locator('#grid button[aria-pressed="false"]').count() == 1
        assert findings(page) == []
        before = done(page)
        n = page.locator('#grid button[aria-pressed="true"]').count()
        page.get_by_role("button", name=re.compile("^Confirm")).press("Enter")
        page.wait_for_function("n => parseInt(document.querySelector('#far').textContent) >= n", arg=before + n)


@browser_only
def test_a_skip_that_fails_leaves_the_last_label_to_be_undone(browser: Any, photos: Path, tmp_path: Path) -> None:
    asked = ("--classes", "zero,one", "--backbone", "sprout")
    with labelling(photos, tmp_path / "labels.csv", *asked) as (_, address), opened(browser, address) as page:
        page.route("**/skip", lambda route: route.fulfill(status=500, json={"detail": "The disk is gone."}))
        first = page.inner_text("#name")
        page.keyboard.press("1")
        page.wait_for_function("() => document.querySelector('#far').textContent.startsWith('1 ')")
        page.keyboard.press("Space")
        page.get_by_text("The disk is gone.").wait_for()
        page.keyboard.press("Backspace")
        page.get_by_text("Undone.").wait_for()
        assert page.inner_text("#name") == first and done(page) == 0


def test_only_its_own_page_may_ask(served: str) -> None:
    """Pages of the web neither label nor see anything, whatever name they give this computer."""
    label = json.dumps({"pictures": [0], "label": "zero"}).encode()
    with urllib.request.urlopen(f"{served}/state") as told:
        before = json.load(told)["action"]
    asked = [
        ("label", label, {"Content-Type": "text/plain"}),  # as a form of another page may send
        ("label", label, {"Content-Type": "application/json", "Sec-Fetch-Site": "cross-site"}),
        ("picture/0", None, {"Sec-Fetch-Site": "cross-site"}),
        ("state", None, {"Host": "evil.example"}),
    ]
    for place, body, headers in asked:
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(f"{served}/{place}", body, headers))
        with refused.value:  # closed here, or its socket is found open while another test runs
            assert refused.value.code in (400, 403)
    with urllib.request.urlopen(f"{served}/state") as told:
        assert json.load(told)["action"] == before and "default-src 'self'" in told.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("place", "body", "said"),
    [
        ("label", {"pictures": [10_000], "label": "zero"}, "no such picture"),
        ("label", {"pictures": [0], "label": "nine"}, "no class 'nine'"),
        ("class", {"name": "zero"}, "already"),
        ("undo", {"action": 9_999}, "no such action"),
        (
            "confirm",
            {"labels": [{"pictures": [i], "label": name, "seen": 9_999} for i, name in ((0, "one"), (1, "nine"))]},
            "no class 'nine'",
        ),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_kept(served: str, place: str, body: Any, said: str) -> None:
    request = urllib.request.Request(
        f"{served}/{place}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(f"{served}/state") as told:
        before = json.load(told)["action"]
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    with urllib.request.urlopen(f"{served}/state") as told:
        assert json.load(told)["action"] == before
    with refused.value:
        assert refused.value.code in (409, 422) and said.lower() in refused.value.read().decode().lower()


@pytest.mark.parametrize(
    ("place", "body"),
    [
        ("label", b"NaN"),
        ("label", b"1e400"),
        ("label", b'{"pictures":[0],"label":"zero","seen":Infinity}'),
        ("label", b"no JSON"),
        ("label", b"[" * 100_000),
        ("class", rb'{"name":"\ud800"}'),
        ("class", rb'{"name":"a","\ud800":1}'),
        ("undo", b'{"action":"\xff"}'),
        ("skip", b'{"picture":null}'),
    ],
)
def test_what_is_no_json_of_the_right_shape_is_said_in_a_sentence(served: str, place: str, body: bytes) -> None:
    request = urllib.request.Request(f"{served}/{place}", body, {"Content-Type": "application/json"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    with refused.value:
        detail = json.load(refused.value)["detail"]
        assert refused.value.code in (400, 422) and isinstance(detail, str) and "\n" not in detail


def test_what_is_sent_is_bounded(served: str) -> None:
    kind, chunks = {"Content-Type": "application/json"}, iter([b"{}"])
    for body, status in ((b" " * (2**20 + 1), 413), (chunks, 411)):
        line = http.client.HTTPConnection(served.removeprefix("http://"))
        line.request("POST", "/label", body, kind)
        answer = line.getresponse()
        assert answer.status == status and json.load(answer)["detail"].startswith("A request m")
        line.close()
