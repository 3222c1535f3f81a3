"""Ways to read JPEG: pictures per second of a core, how far pixels and features move, and what that does to accuracy.

    python benchmarks/decoding.py DATA --weights mobilenetv2_100.safetensors [--quick] [--rounds 3]

On the pictures of DATA, and on mosaics of them as large as a camera's photo, 3,840 x 2,880. `pillow` is what Headstart
does, `draft` is `--decode fast`. Pixels and features are compared with Pillow's, and with what a picture
becomes when it is saved once more at quality 95: JPEG's own noise. The accuracy is that of logistic regression
(C = 0.01) on pictures decoded whole and fast at 48 pixels, a size at which those of cats_vs_dogs are large.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from harness import Result, Row, by_turns, environment, same, told
from headstart.backbones import resolve
from headstart.engines import choose
from headstart.features.extract import extract
from headstart.features.source import FeatureSource
from headstart.heads import make_head
from headstart.images import ImageSet, Limits, decode, load
from headstart.preprocess import Decoding

WAYS = ("pillow", "draft", "simplejpeg", "simplejpeg-scaled", "torchvision", "opencv")
AGAIN = "saved again at quality 95"


def mosaic(images: ImageSet, rng: np.random.Generator, across: int = 8) -> bytes:
    """A JPEG of 3,840 x 2,880 pixels from 64 pictures."""
    whole = Image.new("RGB", (480 * across, 360 * across))
    for place in range(across * across):
        part = decode(images.raw(int(rng.integers(len(images)))), images.limits).convert("RGB").resize((480, 360))
        whole.paste(part, (place % across * 480, place // across * 360))
    return saved(whole, 92)


def saved(image: Image.Image, quality: int) -> bytes:
    """As JPEG."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def measured(files: list[bytes], title: str, weights: Path, rounds: int) -> tuple[list[Row], str]:
    """Images per second of a core for each way, what each does to pixels and features; and what noise does."""
    backbone = resolve("mobilenetv2_100", str(weights))
    engine = FeatureSource(backbone.preprocess, backbone, "pooled", choose("openvino")).open()
    python = environment(
        "decoding", ["simplejpeg", "opencv-python-headless", *same("pillow", "torch", "torchvision", "openvino")]
    )
    print(title, flush=True)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "files"
        folder.mkdir()
        for i, raw in enumerate(files):
            (folder / f"{i:04d}.jpg").write_bytes(raw)

        def of(way: str) -> Callable[[], float]:
            given = {"files": folder, "way": way, "out": Path(place) / f"{way}.npy", "threads": 1}
            return lambda: float(told(python, "decode.py", given, 1)["rate_per_core"])

        found = by_turns({way: of(way) for way in WAYS}, rounds)
        pixels = {way: np.load(Path(place) / f"{way}.npy", allow_pickle=False) for way in WAYS}
        for i, raw in enumerate(files):
            (folder / f"{i:04d}.jpg").write_bytes(saved(decode(raw, Limits()).convert("RGB"), 95))
        of("pillow")()
        pixels[AGAIN] = np.load(Path(place) / "pillow.npy", allow_pickle=False)
    features = {way: engine.run(each) for way, each in pixels.items()}
    own, rows = found["pillow"], []
    for way, each in pixels.items():
        apart = np.abs(each.astype(int) - pixels["pillow"]).mean()
        moved = (features[way] - features["pillow"]) / features["pillow"].std()
        usual, most = np.sqrt((moved**2).mean()), np.abs(moved).max()
        note = f"pixels {apart:.2f} levels apart, features {usual:.3f} (largest {most:.2f})"
        ratios = [b / a for a, b in zip(own, found[way], strict=True)] if way in found and way != "pillow" else []
        rows.append(Row(way, found.get(way, [float("nan")]), "images/s", ratios, "" if way == "pillow" else note))
    return rows[:-1], rows[-1].note


def accuracies(images: ImageSet, weights: Path) -> dict[str, float]:
    """Test accuracy at 48 pixels with both ways of decoding."""
    backbone, found = resolve("mobilenetv2_100", str(weights)), {}
    ways: tuple[Decoding, ...] = ("exact", "fast")
    for decoding in ways:
        preprocess = replace(backbone.preprocess.resized(48), decode=decoding)
        done = extract(images, FeatureSource(preprocess, backbone.at((48, 48)), "pooled", choose("openvino")))
        labels, parts = images.labels[done.kept], images.parts[done.kept]
        head = make_head("logistic", C=0.01).fit(done.features[parts == "train"], labels[parts == "train"])
        found[decoding] = float((head.predict(done.features[parts == "test"]) == labels[parts == "test"]).mean())
    return found


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--quick", action="store_true", help="200 small and 8 large pictures, accuracy on 1,000")
    parser.add_argument("--images", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    images, rng = load(asked.data), np.random.default_rng(0)
    n = asked.images or (200 if asked.quick else 1000)
    some = images.take(np.linspace(0, len(images) - 1, n).astype(int))
    small = [raw for raw in (some.raw(i) for i in range(len(some))) if isinstance(raw, bytes)]
    large = [mosaic(some, rng) for _ in range(max(2, n // 25))]
    tables: dict[str, list[Row]] = {}
    notes = []
    for title, files in (
        (f"{len(small)} pictures as they are", small),
        (f"{len(large)} mosaics of 3,840 x 2,880", large),
    ):
        tables[title], noise = measured(files, title, asked.weights.resolve(), asked.rounds)
        notes.append(f"{title}: {AGAIN}, {noise}.")
    limited = images.take(np.sort(rng.permutation(len(images))[: 1000 if asked.quick else len(images)]))
    right = accuracies(limited, asked.weights.resolve())
    notes.append(
        f"Accuracy at 48 pixels, {len(limited):,} pictures: {100 * right['exact']:.2f}% decoded whole, "
        f"{100 * right['fast']:.2f}% decoded fast."
    )
    notes.append(
        "Differences between features are the root mean square and the largest, in standard deviations of the features."
    )
    Result("decoding", "Reading JPEG", tables, "its rate as a multiple of Pillow's", notes=notes).keep()


if __name__ == "__main__":
    main()
