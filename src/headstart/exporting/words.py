"""What an export says of itself in words, and the examples that come with it."""

from __future__ import annotations

from headstart.preprocess import Preprocess

PYTHON_ONNX = '''"""Name what pictures show: python example.py PICTURE... Needs onnxruntime, numpy and pillow."""
import json, sys
from pathlib import Path
import numpy as np, onnxruntime
from PIL import Image, ImageOps

here = Path(__file__).parent
classes = json.loads((here / "export.json").read_text(encoding="utf-8"))["classes"]
session = onnxruntime.InferenceSession(here / "model.onnx", providers=["CPUExecutionProvider"])
for name in sys.argv[1:]:
    picture = ImageOps.exif_transpose(Image.open(name)).convert("RGBA")
    picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    probabilities = session.run(["probabilities"], {"picture": np.asarray(picture)[None]})[0][0]
    print(name, classes[probabilities.argmax()], f"{probabilities.max():.6f}")
'''
PYTHON_OPENVINO = '''"""Name what pictures show: python example.py PICTURE... Needs openvino, numpy and pillow."""
import json, sys
from pathlib import Path
import numpy as np, openvino
from PIL import Image, ImageOps

here = Path(__file__).parent
classes = json.loads((here / "export.json").read_text(encoding="utf-8"))["classes"]
model = openvino.Core().compile_model(here / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
for name in sys.argv[1:]:
    picture = ImageOps.exif_transpose(Image.open(name)).convert("RGBA")
    picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    probabilities = model({"picture": np.asarray(picture)[None]})["probabilities"][0]
    print(name, classes[probabilities.argmax()], f"{probabilities.max():.6f}")
'''
BROWSER = """<!doctype html>
<meta charset="utf-8"><title>Name what a picture shows</title>
<!-- In this folder: npm install onnxruntime-web, then python -m http.server, and open example.html there. -->
<input type="file" accept="image/*"><output></output>
<script type="module">
import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.min.mjs";
const { classes } = await (await fetch("export.json")).json();
const session = await ort.InferenceSession.create("model.onnx", { executionProviders: ["wasm"] });
window.name_picture = async (blob) => {
  const picture = await createImageBitmap(blob, { colorSpaceConversion: "none" }), { width, height } = picture;
  const canvas = new OffscreenCanvas(width, height).getContext("2d");
  canvas.fillStyle = "white"; canvas.fillRect(0, 0, width, height); canvas.drawImage(picture, 0, 0);
  const rgb = canvas.getImageData(0, 0, width, height).data.filter((_, i) => i % 4 < 3);
  const tensor = new ort.Tensor("uint8", Uint8Array.from(rgb), [1, height, width, 3]);
  return Array.from((await session.run({ picture: tensor }, ["probabilities"])).probabilities.data);
};
document.querySelector("input").onchange = async (event) => {
  const p = await window.name_picture(event.target.files[0]), best = p.indexOf(Math.max(...p));
  document.querySelector("output").textContent = `${classes[best]} ${p[best].toFixed(4)}`;
};
</script>
"""
EXAMPLES = {
    "onnx": {"example.py": PYTHON_ONNX, "example.html": BROWSER},
    "openvino": {"example.py": PYTHON_OPENVINO},
}
"""The examples of each format, by the name of their file."""


def preprocessing(p: Preprocess, kind: str) -> list[str]:
    """What to do with a picture before the graph, and what the graph does, in sentences."""
    found = [
        "Give the picture upright (turned as its EXIF data say), as RGB with values 0..255, transparency over white, "
        "in its own size; one picture at a time.",
        f"The graph resizes it as Pillow does ({p.interpolation}) so that it covers the input of {p.height}x{p.width} "
        f"divided by {p.crop_pct:g}, and takes the centre.",
    ]
    if p.color == "RGB" and p.grey != "repeat":
        found.append(f"A picture whose three channels are the same counts as grey and is shown as '{p.grey}' says.")
    if p.interpolation == "nearest":
        found.append("A pixel at the edge between two may be taken from the other one.")
    elif kind == "openvino":
        found.append("OpenVINO has single precision alone: a value that lies between two grey levels may be one off.")
    else:
        found.append("Grey levels are those of Pillow exactly.")
    return found
