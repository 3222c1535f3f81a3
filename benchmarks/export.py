"""Does an export give elsewhere what its run gives here? Figures of every format, in programs that know nothing of us.

    python benchmarks/export.py RUN [--browser] [--int8] [--pictures 200] [--in-browser 20]

ONNX by onnxruntime and OpenVINO's files by OpenVINO, each in a fresh process where headstart and PyTorch cannot be
imported, on the run's own test pictures as PNG files. --browser: the ONNX graph by onnxruntime-web in Chromium, with
the example.html that comes along; needs npm, playwright and Chromium. --int8: accuracy and speed of the quantised
network, which takes minutes. Exit status 1 where a probability differs by more than 1e-4 (OpenVINO, which resizes in
single precision: 2e-2), an answer differs where it was clear, or int8 loses over 0.5 points or is under 1.8 times as
fast.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import headstart
from headstart.bundle import load_classifier
from headstart.exporting.parity import EXACT, LOOSE, Parity
from headstart.exporting.pictures import OwnPictures, decoded, spread

ALONE = """
import json, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("headstart", "torch", "torchvision", "timm"): raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
import numpy as np
from PIL import Image
folder, kind, pictures = sys.argv[1], sys.argv[2], sys.argv[3:]
if kind == "onnx":
    import onnxruntime
    session = onnxruntime.InferenceSession(folder + "/model.onnx", providers=["CPUExecutionProvider"])
    answer = lambda x: session.run(["probabilities"], {"picture": x})[0][0]
else:
    import openvino
    model = openvino.Core().compile_model(folder + "/model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    answer = lambda x: model({"picture": x})["probabilities"][0]
print(json.dumps([answer(np.asarray(Image.open(p).convert("RGB"))[None]).tolist() for p in pictures]))
"""
BLOB = """async (name) => await window.name_picture(await (await fetch(name)).blob())"""
MOST_DROP, LEAST_GAIN = 0.5, 1.8


def alone(folder: Path, kind: str, pictures: list[Path]) -> NDArray[Any]:
    """Probabilities (n, k) by a fresh process with the runtime alone."""
    command = [sys.executable, "-I", "-c", ALONE, str(folder), kind, *map(str, pictures)]
    return np.array(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


def browser(folder: Path, pictures: list[Path]) -> NDArray[Any]:
    """Probabilities (n, k) by example.html in Chromium; `folder` is a copy that npm installs into."""
    from playwright.sync_api import sync_playwright

    subprocess.run(["npm", "install", "--silent", "onnxruntime-web"], cwd=folder, check=True, capture_output=True)
    for path in pictures:
        (folder / path.name).write_bytes(path.read_bytes())
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, sync_playwright() as play:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        chromium = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = chromium.new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/example.html")
        page.wait_for_function("window.name_picture !== undefined", timeout=120_000)
        found = [page.evaluate(BLOB, path.name) for path in pictures]
        chromium.close()
        server.shutdown()
    return np.array(found)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Nothing."""


def main() -> int:
    """Print every figure; 1 where one is not good enough."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--browser", action="store_true")
    parser.add_argument("--int8", action="store_true")
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--in-browser", type=int, default=20)
    asked = parser.parse_args()
    classifier = load_classifier(asked.run)
    own = OwnPictures.of(asked.run, classifier)
    good = True
    with tempfile.TemporaryDirectory() as place:
        files = []
        for i, picture in decoded(spread(own.judged, asked.pictures)):
            files.append(Path(place) / f"{i:05d}.png")
            picture.convert("RGB").save(files[-1])
        ours = headstart.predict(asked.run, files).probabilities
        few = np.linspace(0, len(files) - 1, min(asked.in_browser, len(files))).astype(int)
        for kind, tolerance in (("onnx", EXACT), ("openvino", LOOSE)):
            folder = headstart.export(asked.run, Path(place) / kind, format=kind).folder
            theirs = alone(folder, kind, files)
            good &= told(kind, Parity.of(ours, theirs, own.on, tolerance))
            if kind == "onnx" and asked.browser:
                theirs = browser(folder, [files[i] for i in few])
                good &= told("onnxruntime-web in Chromium", Parity.of(ours[few], theirs, own.on, tolerance))
        if asked.int8:
            out = Path(place) / "int8"
            found = headstart.export(asked.run, out, format="openvino", precision="int8", max_drop=100).quantisation
            assert found is not None
            gain = found.images_per_s_int8 / found.images_per_s_float32
            print(f"int8: {found.told()}: {found.drop:.2f} points lost, {gain:.2f} times as fast")
            good &= found.drop <= MOST_DROP and gain >= LEAST_GAIN
    return 0 if good else 1


def told(what: str, parity: Parity) -> bool:
    """Print a line."""
    good = parity.largest_difference <= parity.tolerance and not parity.changed
    print(f"{what}: {parity.told()}{'' if good else ': MISSED'}", flush=True)
    return good


if __name__ == "__main__":
    sys.exit(main())
