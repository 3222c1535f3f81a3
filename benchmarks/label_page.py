"""How long the page of `headstart label` takes from a key to the next picture, in a browser, with 5,000 pictures.

    python benchmarks/label_page.py FOLDER... [--pictures 5000] [--keys 200] [--pace 0.3] [--weights FILE]

The pictures of the folders are labelled by keys, in headless Chromium, with a key every `--pace` seconds: while labels
are kept, the head is fitted again, and pictures are fetched. Printed are milliseconds from a key until the next
picture is decoded and painted, and until the server has kept the label. Exit status 1 where 95% of the keys take more
than 100 ms.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

BOUND = 100.0
TIMED = """
() => {
  window.shown = []; window.kept = [];
  const photo = document.querySelector('#photo');
  const told = window.fetch;
  window.fetch = async (address, how) => {
    const begun = performance.now(), answer = await told(address, how);
    if (how?.method === 'POST' && String(address).endsWith('label')) window.kept.push(performance.now() - begun);
    return answer;
  };
  document.addEventListener('keydown', () => {
    const begun = performance.now(), before = photo.src;
    const look = () => {
      if (photo.src === before) return setTimeout(look, 1);
      photo.decode().then(() => requestAnimationFrame(() => requestAnimationFrame(
        () => window.shown.push(performance.now() - begun))));
    };
    setTimeout(look, 0);
  }, true);
}
"""


def gathered(folders: list[Path], most: int, place: Path) -> int:
    """Links to so many pictures, all in one folder; how many there are."""
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()][:most]
    for i, path in enumerate(files):
        (place / f"{i:05d}{path.suffix}").symlink_to(path.resolve())
    return len(files)


def line(what: str, milliseconds: list[float]) -> float:
    """Print a line of quantiles; the 95th percentile."""
    middle, high = np.percentile(milliseconds, [50, 95])
    print(f"{what:28} median {middle:6.1f} ms, 95% {high:6.1f}, most {max(milliseconds):6.1f}")
    return float(high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--pictures", type=int, default=5_000)
    parser.add_argument("--keys", type=int, default=200)
    parser.add_argument("--pace", type=float, default=0.3)
    parser.add_argument("--weights", type=Path, help="of mobilenetv2_100; sprout without")
    asked = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as place:
        photos = Path(place) / "photos"
        photos.mkdir()
        n = gathered(asked.folders, asked.pictures, photos)
        network = ["--backbone", "mobilenetv2_100", "--weights", str(asked.weights.resolve())] if asked.weights else []
        command = [sys.executable, "-m", "headstart", "label", str(photos), "--classes", "one,two,three", "--port", "0"]
        command += ["--out", f"{place}/labels.csv", "--follow-links", *(network or ["--backbone", "sprout"])]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as served:
            assert served.stdout is not None
            address = next(word for row in served.stdout for word in row.split() if word.startswith("http"))
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium)
                page = browser.new_page()
                page.goto(address.rstrip("."))
                page.wait_for_selector("#photo:not([hidden])")
                page.evaluate(TIMED)
                for i in range(asked.keys):
                    page.keyboard.press(str(1 + i % 3))
                    time.sleep(asked.pace)
                page.wait_for_function("n => window.kept.length >= n", arg=asked.keys)
                shown, kept = page.evaluate("() => [window.shown, window.kept]")
                browser.close()
            served.terminate()
    print(f"{n:,} pictures, {len(shown)} keys, one every {asked.pace:g} s")
    high = line("next picture painted", shown)
    line("label kept", kept)
    sys.exit(high > BOUND)


if __name__ == "__main__":
    main()
