"""Take the screenshots of README and the guides anew: the label page, the server's page, and a run's report.

    python docs/_screenshots.py WEIGHTS [--only label,serve,report]

WEIGHTS is a file of mobilenetv2_100. The pictures are those of `hymenoptera` and `cats_vs_dogs` in `HEADSTART_DATA`.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).parent / "images"
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
HEADSTART = [sys.executable, "-m", "headstart"]
LABELLED = 90
"""Pictures that are labelled before the label page is taken."""


@contextmanager
def serving(*arguments: str) -> Iterator[str]:
    """A command that serves; the address that it prints."""
    command, env = [*HEADSTART, *arguments, "--port", "0"], {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            found = next(filter(None, (re.search(r"http://\S+", line) for line in process.stdout)))
            yield found[0]
        finally:
            process.terminate()


def keep(raw: bytes, name: str, height: int | None = None) -> None:
    """A screenshot as JPEG or PNG, its top `height` pixels."""
    image = Image.open(io.BytesIO(raw)).convert("RGB")
    image = image.crop((0, 0, image.width, min(height or image.height, image.height)))
    image.save(IMAGES / name, **({"quality": 85, "optimize": True} if name.endswith(".jpg") else {"optimize": True}))
    print(f"{name}: {image.width} x {image.height}, {(IMAGES / name).stat().st_size / 1000:.0f} kB")


def label(page: Any, photos: Path, network: list[str], folder: Path) -> None:
    """Pictures labelled by the names of their folders."""
    out = str(folder / "labels.csv")
    with serving("label", str(photos / "train"), "--out", out, "--classes", "ants,bees", *network) as address:
        page.set_viewport_size({"width": 1180, "height": 860})
        page.goto(address)
        for _ in range(LABELLED):
            page.wait_for_selector("#photo:not([hidden])")
            name = page.inner_text("#name")
            page.keyboard.press("1" if name.startswith("ants") else "2")
            page.wait_for_function("name => document.querySelector('#name').textContent !== name", arg=name)
        page.wait_for_timeout(15_000)  # until the classifier has seen the last of them
        page.wait_for_selector("#photo:not([hidden])")
        keep(page.screenshot(), "label.jpg")


def serve(page: Any, photos: Path, data: Path, run: Path) -> None:
    """A bee and a cat, each with what its answer rests on."""
    bee = sorted((photos / "test" / "bees").iterdir())[7]
    cat = sorted((data / "cats_vs_dogs" / "test").rglob("cat*.jpg"))[3]
    with serving("serve", str(run)) as address:
        page.set_viewport_size({"width": 1060, "height": 880})
        page.goto(address)
        page.wait_for_selector("#facts div")
        page.set_input_files("#files", [str(bee), str(cat)])
        for i in range(2):
            page.locator(".card").nth(i).get_by_role("button", name="Why?").click()
        page.wait_for_timeout(15_000)
        bottom = page.locator(".card").last.bounding_box()
        keep(page.screenshot(full_page=True), "serve.jpg", int(bottom["y"] + bottom["height"]) + 22)


def main() -> None:
    """Take them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--only", default="label,serve,report")
    asked = parser.parse_args()
    data = Path(os.environ["HEADSTART_DATA"])
    photos, network = data / "hymenoptera", ["--backbone", "mobilenetv2_100", "--weights", str(asked.weights.resolve())]
    with tempfile.TemporaryDirectory() as place, sync_playwright() as started:
        folder, wanted = Path(place), asked.only.split(",")
        page = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"]).new_page()
        page.set_default_timeout(120_000)
        if "label" in wanted:
            label(page, photos, network, folder)
        if "serve" in wanted:
            fit = [*HEADSTART, "fit", str(photos), *network, "--out", str(folder / "ants")]
            subprocess.run(fit, check=True, capture_output=True)
            serve(page, photos, data, folder / "ants")
        if "report" in wanted:
            fit = [*HEADSTART, "fit", "digits", "--backbone", "sprout", "--out", str(folder / "digits")]
            for _ in range(2):  # the second takes the features from the store
                subprocess.run(fit, check=True, capture_output=True)
            page.set_viewport_size({"width": 940, "height": 1400})
            page.goto((folder / "digits" / "report.html").as_uri())
            keep(page.screenshot(), "report.png")


if __name__ == "__main__":
    main()
