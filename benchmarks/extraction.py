"""How close extraction comes to the slower of its two parts, measured in one run.

    python benchmarks/extraction.py DATA --weights FILE [--backbone NAME] [--images 1000] [--rounds 5]

Each round measures, one after the other, on the same pictures: bare decoding (threads, as extraction decodes, nothing
else), a bare OpenVINO loop over pictures already decoded (asynchronous, the same compiled model), and extraction
(reading, hashing, decoding, inference and storing). The figure is the median over rounds of extraction's rate over the
slower bare rate.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from headstart.engines import Engine
from headstart.features.extract import FeatureSource, Settings, extract
from headstart.images import ImageSet, decode, load
from headstart.recipe import Recipe
from headstart.run import feature_source


def bare_decoding(images: ImageSet, source: FeatureSource) -> tuple[float, list[np.ndarray]]:
    """Pictures per second of read + decode + resize with one thread per core, and the pictures."""

    def one(i: int) -> np.ndarray:
        return source.preprocess.apply(decode(images.raw(i), images.limits))

    started = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        pictures = list(pool.map(one, range(len(images)), chunksize=8))
    return len(images) / (time.perf_counter() - started), pictures


def bare_inference(engine: Engine, pictures: list[np.ndarray]) -> float:
    """Pictures per second of the engine alone."""
    started = time.perf_counter()
    for _ in engine.stream(enumerate(pictures)):
        pass
    return len(pictures) / (time.perf_counter() - started)


def extraction(images: ImageSet, source: FeatureSource) -> float:
    """Pictures per second of the whole extraction into a new store, without opening the engine."""
    with tempfile.TemporaryDirectory() as folder:
        done = extract(images, source, Settings(Path(folder)))
    return len(images) / (done.wall_s - done.open_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--backbone", default="mobilenetv2_100")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--layer", default="pooled")
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    recipe = Recipe.from_dict(
        {
            "data": {"source": args.data},
            "backbone": {
                "name": args.backbone,
                "weights": args.weights,
                "layer": args.layer,
                "image_size": args.image_size,
            },
        }
    )
    images = load(args.data)
    images = images.take(np.linspace(0, len(images) - 1, min(args.images, len(images))).astype(int))
    source = feature_source(recipe, images)
    engine = source.open()
    extraction(images.take(np.arange(min(64, len(images)))), source)  # warm up
    ratios = []
    print(f"{len(images)} pictures, {args.backbone} {args.layer}, input {source.preprocess.height} px")
    print(f"{'round':>5} {'decoding':>9} {'inference':>9} {'extraction':>10} {'ratio':>6}   (images/s)")
    for turn in range(args.rounds):
        decoding, pictures = bare_decoding(images, source)
        inference = bare_inference(engine, pictures)
        whole = extraction(images, source)
        ratios.append(whole / min(decoding, inference))
        print(f"{turn + 1:>5} {decoding:>9.0f} {inference:>9.0f} {whole:>10.0f} {ratios[-1]:>6.3f}", flush=True)
    print(f"median ratio {statistics.median(ratios):.3f} (from {min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main()
