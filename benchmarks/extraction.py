"""How close extraction comes to the slower of its two parts, measured in one run.

    python benchmarks/extraction.py DATA --weights FILE [--backbone NAME] [--images 1000] [--rounds 5]

Each round measures, one after the other, on the same pictures: bare decoding (threads, as extraction decodes, nothing
else), a bare OpenVINO loop over pictures already decoded (asynchronous, the same model, two batch sizes), extraction
(reading, hashing, decoding, inference, storing). The figure is the median over rounds of extraction's rate over the
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

from headstart.engines.openvino import convert
from headstart.features.extract import Settings, extract
from headstart.features.source import FeatureSource
from headstart.fitting import feature_source
from headstart.images import ImageSet, decode, load
from headstart.recipe import Recipe

BATCHES = (1, 16)
"""Batch sizes of the bare loop: 1 is the fastest on a CPU and what Headstart uses; 16 is what people write."""


def bare_decoding(images: ImageSet, source: FeatureSource) -> tuple[float, list[np.ndarray]]:
    """Pictures per second of read + decode + resize with one thread per core, and the pictures."""

    def one(i: int) -> np.ndarray:
        return source.preprocess.apply(decode(images.raw(i), images.limits))

    started = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        pictures = list(pool.map(one, range(len(images)), chunksize=8))
    return len(images) / (time.perf_counter() - started), pictures


def bare_openvino(source: FeatureSource, pictures: list[np.ndarray], batch: int) -> float:
    """Pictures per second of a plain OpenVINO loop: batches made beforehand, asynchronous queue, throughput hint."""
    import openvino as ov

    model = convert(source.backbone, source.layer, source.preprocess)
    model.reshape([batch, *pictures[0].shape])
    settings = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}
    queue = ov.AsyncInferQueue(ov.Core().compile_model(model, "CPU", settings))
    batches = [np.stack(pictures[i : i + batch]) for i in range(0, len(pictures) - batch + 1, batch)]
    queue.start_async({0: batches[0]})
    queue.wait_all()
    started = time.perf_counter()
    for pixels in batches:
        queue.start_async({0: pixels})
    queue.wait_all()
    return len(batches) * batch / (time.perf_counter() - started)


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
    extraction(images.take(np.arange(min(64, len(images)))), source)  # warm up
    ratios: dict[int, list[float]] = {size: [] for size in BATCHES}
    print(f"{len(images)} pictures, {args.backbone} {args.layer}, input {source.preprocess.height} px; images/s")
    names = "".join(f" {f'batch {size}':>9}" for size in BATCHES)
    print(f"{'round':>5} {'decoding':>9}{names} {'extraction':>10}   extraction over the slower, by batch")
    for turn in range(args.rounds):
        decoding, pictures = bare_decoding(images, source)
        bare = {size: bare_openvino(source, pictures, size) for size in BATCHES}
        whole = extraction(images, source)
        for size in BATCHES:
            ratios[size].append(whole / min(decoding, bare[size]))
        rates = "".join(f" {bare[size]:>9.0f}" for size in BATCHES)
        shares = "  ".join(f"{ratios[size][-1]:.3f}" for size in BATCHES)
        print(f"{turn + 1:>5} {decoding:>9.0f}{rates} {whole:>10.0f}   {shares}", flush=True)
    for size, found in ratios.items():
        print(f"batch {size}: median ratio {statistics.median(found):.3f} (from {min(found):.3f} to {max(found):.3f})")


if __name__ == "__main__":
    main()
