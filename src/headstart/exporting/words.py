"""What an export says of itself in words, and the examples that come with it."""

from __future__ import annotations

from headstart.preprocess import Preprocess

PYTHON = '''"""Name what pictures show: python example.py PICTURE... Needs {needs}, numpy and pillow."""
import json, sys
from pathlib import Path
import numpy as np, {needs}
from PIL import Image, ImageOps

here = Path(__file__).parent
export = json.loads((here / "export.json").read_text(encoding="utf-8"))
most = (export["novelty"] or {{}}).get("threshold")  # of strangeness; above it, a picture is of none of the classes
wanted = ["probabilities"] if most is None else ["probabilities", "strangeness"]
{opened}
failed = 0
if not sys.argv[1:]:
    sys.exit(__doc__)
for name in sys.argv[1:]:
    try:
        picture = ImageOps.exif_transpose(Image.open(name))
        if picture.mode.startswith("I"):  # 16 bits a pixel
            picture = Image.fromarray((np.asarray(picture) / 257).round().astype(np.uint8))
        picture = picture.convert("RGBA")
    except Exception as error:  # the others are named all the same
        failed = 1
        print(f"{{name}} cannot be read: {{error}}", file=sys.stderr)
        continue
    picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    probabilities, *strangeness = {answered}
    best = probabilities[0].argmax()
    known = most is None or strangeness[0][0] <= most
    named = export["classes"][best], f"{{probabilities[0][best]:.6f}}"
    print(name, *named, *([] if known else ["but like no training picture: none of these classes"]))
sys.exit(failed)
'''
PYTHON_ONNX = PYTHON.format(
    needs="onnxruntime",
    opened='session = onnxruntime.InferenceSession(here / "model.onnx", providers=["CPUExecutionProvider"])',
    answered='session.run(wanted, {"picture": np.asarray(picture)[None]})',
)
PYTHON_OPENVINO = PYTHON.format(
    needs="openvino",
    opened='model = openvino.Core().compile_model(here / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})',
    answered='map(model({"picture": np.asarray(picture)[None]}).__getitem__, wanted)',
)
BROWSER = """<!doctype html>
<meta charset="utf-8"><title>Name what a picture shows</title>
<!-- In this folder: npm install onnxruntime-web, then python -m http.server, and open example.html there. -->
<input type="file" accept="image/*"><output></output>
<script type="module">
import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.min.mjs";
const { classes, novelty } = await (await fetch("export.json")).json();
const session = await ort.InferenceSession.create("model.onnx", { executionProviders: ["wasm"] });
window.name_picture = async (blob) => {
  const picture = await createImageBitmap(blob, { colorSpaceConversion: "none" }), { width, height } = picture;
  const canvas = new OffscreenCanvas(width, height).getContext("2d");
  canvas.fillStyle = "white"; canvas.fillRect(0, 0, width, height); canvas.drawImage(picture, 0, 0);
  const rgb = canvas.getImageData(0, 0, width, height).data.filter((_, i) => i % 4 < 3);
  const tensor = new ort.Tensor("uint8", Uint8Array.from(rgb), [1, height, width, 3]);
  const most = novelty?.threshold ?? Infinity;  // of strangeness; above it, a picture is of none of the classes
  const found = await session.run({ picture: tensor });
  const answer = Array.from(found.probabilities.data);
  answer.known = !(found.strangeness?.data[0] > most);
  return answer;
};
document.querySelector("input").onchange = async (event) => {
  const p = await window.name_picture(event.target.files[0]), best = p.indexOf(Math.max(...p));
  document.querySelector("output").textContent =
    `${classes[best]} ${p[best].toFixed(4)}${p.known ? "" : ", but like no training picture: none of these classes"}`;
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
        found.append("OpenVINO only has single precision: a value that lies between two grey levels may be one off.")
    else:
        found.append("Grey levels are those of Pillow exactly.")
    return found
