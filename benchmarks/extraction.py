"""How close extraction comes to what the machine can do, and how much of it others reach.

    python benchmarks/extraction.py DATA [--networks mobilenetv2_100,resnet50,vgg16,alexnet] [--quick] [--rounds 3]
    python benchmarks/extraction.py DATA --memory-only

By turns, on the same pictures at 224: bare decoding and resizing (Pillow as extraction does it, and simplejpeg and
torchvision, with as many threads), a bare OpenVINO loop over decoded pictures (asynchronous, the same graph, batches of
1 and 16), extraction whole (reading, hashing, decoding, inference, storing), and over decoded pictures plain PyTorch at
its best setting, ONNX Runtime and Keras's `predict`. The limit is the slower of the best bare decoding and the best
bare loop. Weights are random: they change no time. Then the memory of a process that extracts 2,000, 20,000 and 70,000
small pictures, beside the result itself.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from harness import Result, Row, by_turns, environment, rows_of, same, surroundings, told
from headstart.backbones import as_pytorch
from headstart.engines.openvino import convert
from headstart.feature_source import feature_source
from headstart.features.extract import Settings, extract
from headstart.features.source import FeatureSource
from headstart.images import ImageSet, decode, from_arrays, load
from headstart.machine import peak_memory_mb
from headstart.recipe import Recipe

BATCHES = (1, 16)
"""Batch sizes of the bare loop: 1 is the fastest on a CPU and what Headstart uses; 16 is what people write."""
COUNTS = {"mobilenetv2_100": 256, "resnet50": 96, "vgg16": 32, "alexnet": 256}
"""Pictures of a quick run: two to six seconds of each way."""
KERAS = {"mobilenetv2_100": "MobileNetV2", "resnet50": "ResNet50", "vgg16": "VGG16"}
OURS, DECODING = "Headstart, whole", "bare decoding, Pillow"
MEMORY = (2_000, 20_000, 70_000)
DECODERS = ("simplejpeg", "opencv-python-headless")


def prepared(images: ImageSet, source: FeatureSource) -> tuple[float, list[np.ndarray]]:
    """Pictures per second of read + decode + resize with one thread per core, and the pictures."""

    def one(i: int) -> np.ndarray:
        return source.preprocess.apply(decode(images.raw(i), images.limits))

    started = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        pictures = list(pool.map(one, range(len(images)), chunksize=8))
    return len(images) / (time.perf_counter() - started), pictures


def bare_openvino(source: FeatureSource, pictures: np.ndarray, batch: int) -> Callable[[], float]:
    """A plain OpenVINO loop: batches made beforehand, asynchronous queue, throughput hint."""
    import openvino as ov

    model = convert(source.backbone, source.layer, source.preprocess)
    model.reshape([batch, *pictures[0].shape])
    settings = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}
    queue = ov.AsyncInferQueue(ov.Core().compile_model(model, "CPU", settings))
    batches = [np.ascontiguousarray(pictures[i : i + batch]) for i in range(0, len(pictures) - batch + 1, batch)]

    def run() -> float:
        queue.start_async({0: batches[0]})
        queue.wait_all()
        started = time.perf_counter()
        for pixels in batches:
            queue.start_async({0: pixels})
        queue.wait_all()
        return len(batches) * batch / (time.perf_counter() - started)

    return run


def whole(images: ImageSet, source: FeatureSource) -> float:
    """Pictures per second of the whole extraction into a new store, without opening the engine."""
    with tempfile.TemporaryDirectory() as folder:
        done = extract(images, source, Settings(Path(folder)))
    return len(images) / (done.wall_s - done.open_s)


def plain_torch(source: FeatureSource, pictures: np.ndarray) -> tuple[Callable[[], float], str]:
    """PyTorch in inference mode at the fastest of batch sizes, threads and layouts, tried on a few pictures."""
    import torch

    module = as_pytorch(source.backbone).features(source.layer).eval()
    cores = os.cpu_count() or 1

    def rate(some: np.ndarray, batch: int, threads: int, layout: torch.memory_format) -> float:
        torch.set_num_threads(threads)
        shaped = module.to(memory_format=layout)
        started = time.perf_counter()
        with torch.inference_mode():
            for i in range(0, len(some), batch):
                x = torch.from_numpy(some[i : i + batch]).permute(0, 3, 1, 2).float().div_(255)
                shaped(x.contiguous(memory_format=layout))
        return len(some) / (time.perf_counter() - started)

    few = pictures[: max(8, len(pictures) // 4)]
    layouts = (torch.contiguous_format, torch.channels_last)
    tried = {(b, t, m): rate(few, b, t, m) for b in (1, 8, 32) for t in sorted({1, cores}) for m in layouts}
    batch, threads, layout = max(tried, key=lambda key: tried[key])
    told = f"batches of {batch}, {threads} threads, {'NHWC' if layout == layouts[1] else 'NCHW'}"
    return lambda: rate(pictures, batch, threads, layout), told


def onnx_runtime(source: FeatureSource, pictures: np.ndarray) -> Callable[[], float]:
    """ONNX Runtime, one picture after the other, all cores, its default optimisations."""
    import onnxruntime

    size = (source.preprocess.height, source.preprocess.width)
    model = source.backbone.onnx_model(source.layer, size)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run() -> float:
        started = time.perf_counter()
        for picture in pictures:
            session.run(None, {name: source.preprocess.normalised(picture.transpose(2, 0, 1)[None])})
        return len(pictures) / (time.perf_counter() - started)

    return run


def of_network(name: str, images: ImageSet, rounds: int, threads: int) -> tuple[list[Row], list[float]]:
    """The lines of one network, and the shares of the limit that extraction reached in each round."""
    recipe = Recipe.from_dict(
        {"data": {"source": "digits"}, "backbone": {"name": name, "weights": "none", "image_size": 224}}
    )
    source = feature_source(recipe, images)
    pictures = np.stack(prepared(images, source)[1])
    whole(images.take(np.arange(min(64, len(images)))), source)  # compiles, and warms up
    torch_way, setting = plain_torch(source, pictures)
    ways: dict[str, Callable[[], float]] = {
        DECODING: lambda: prepared(images, source)[0],
        **{f"bare OpenVINO, batches of {size}": bare_openvino(source, pictures, size) for size in BATCHES},
        OURS: lambda: whole(images, source),
        "PyTorch at its best": torch_way,
        "ONNX Runtime": onnx_runtime(source, pictures),
    }
    with tempfile.TemporaryDirectory() as place:
        decoders = environment("decoding", [*DECODERS, *same("pillow", "torch", "torchvision", "openvino")])
        raw = Path(place) / "files"
        raw.mkdir()
        for i in range(len(images)):
            content = images.raw(i)
            assert isinstance(content, bytes), "pictures in files are needed"
            (raw / f"{i:05d}.jpg").write_bytes(content)
        np.save(Path(place) / "pictures.npy", pictures)
        for other in ("simplejpeg", "torchvision"):
            given = {"files": raw, "way": other, "threads": threads}
            ways[f"bare decoding, {other}"] = lambda g=given: told(decoders, "decode.py", g, threads)["rate"]
        if name in KERAS:
            keras = environment("keras", ["tensorflow-cpu", "keras>=3.5", "pillow"])
            given = {"network": KERAS[name], "pictures": Path(place) / "pictures.npy", "rounds": 1}
            ways["Keras, predict"] = lambda: told(keras, "keras_predict.py", given, threads)["rates"][0]
        found = by_turns(ways, rounds)
    decoding = [max(found[w][i] for w in found if w.startswith("bare decoding")) for i in range(rounds)]
    loop = [max(found[w][i] for w in found if w.startswith("bare OpenVINO")) for i in range(rounds)]
    shares = [own / min(a, b) for own, a, b in zip(found[OURS], decoding, loop, strict=True)]
    return rows_of(found, "images/s", OURS, {"PyTorch at its best": setting}, rates=True), shares


def own_mb() -> float:
    """Memory of this process in MB that no file backs: what is mapped of the store the system takes back as it likes.

    Where the system does not tell it, all memory.
    """
    try:
        kilobytes = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
        return sum(int(kilobytes[kind].split()[0]) for kind in ("RssAnon", "RssShmem")) * 1024 / 1e6
    except (OSError, KeyError):
        return peak_memory_mb()


def peak(n: int) -> None:
    """Extract n small pictures and print the peak of this process's own memory beside pictures and result, in MB."""
    rng = np.random.default_rng(0)
    images = from_arrays(rng.integers(0, 256, (n, 28, 28), dtype=np.uint8))
    recipe = Recipe.from_dict({"data": {"source": "digits"}, "backbone": {"name": "sprout"}})
    seen, ended = [own_mb()], threading.Event()

    def look() -> None:
        while not ended.wait(0.02):
            seen.append(own_mb())

    watch = threading.Thread(target=look)
    watch.start()
    with tempfile.TemporaryDirectory() as folder:
        done = extract(images, feature_source(recipe, images), Settings(Path(folder)))
    ended.set()
    watch.join()
    given, result = images.items.nbytes / 1e6, done.features.nbytes / 1e6
    print(json.dumps({"beside_mb": max(seen) - given - result, "given_mb": given, "result_mb": result}))


def memory(threads: int, largest: int) -> list[Row]:
    """A line for each number of pictures; the network is converted beforehand, which takes more than all of them."""
    rows = []
    for n in (64, *(count for count in MEMORY if count <= largest)):
        command = [sys.executable, __file__, "digits", "--peak", str(n)]
        out = subprocess.run(
            command, check=True, capture_output=True, text=True, env=surroundings(threads, ours=True)
        ).stdout
        if n == 64:
            continue
        found: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
        beside = f"in addition to {found['given_mb']:,.0f} MB of pictures and {found['result_mb']:,.0f} MB of results"
        rows.append(Row(f"{n:,} pictures", [found["beside_mb"]], "MB", note=beside))
        print(f"  {rows[-1].what}: {rows[-1].middle:.0f} MB", flush=True)
    return rows


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--networks", default="mobilenetv2_100,resnet50,vgg16,alexnet")
    parser.add_argument("--quick", action="store_true", help="fewer pictures; MobileNetV2 and ResNet50 alone")
    parser.add_argument("--images", type=int, help="pictures of each network")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--memory-only", action="store_true")
    parser.add_argument("--largest", type=int, default=MEMORY[-1], help="pictures of the largest measurement of memory")
    parser.add_argument("--peak", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.peak:
        peak(asked.peak)
        return
    tables: dict[str, list[Row]] = {}
    floors: list[tuple[str, bool]] = []
    if not asked.memory_only:
        images, names = load(asked.data), asked.networks.split(",")
        for name in names[:2] if asked.quick else names:
            n = asked.images or COUNTS.get(name, 96) * (1 if asked.quick else 3)
            some = images.take(np.linspace(0, len(images) - 1, min(n, len(images))).astype(int))
            print(f"{name}, {len(some)} pictures", flush=True)
            rows, shares = of_network(name, some, asked.rounds, asked.threads)
            tables[f"{name} at 224, {len(some)} pictures, random weights"] = rows
            share = statistics.median(shares)
            spread = f"{min(shares):.2f} to {max(shares):.2f}"
            floors.append((f"{name}: 0.95 of the limit: {share:.2f} ({spread})", share >= 0.95))
    held = memory(asked.threads, asked.largest)
    tables["Peak memory, without mapped files, of a process that extracts pictures of 28 x 28 with sprout"] = held
    flat = max(row.middle for row in held) / min(row.middle for row in held)
    floors.append((f"memory flat within 10%: the most is {flat:.2f} times the least", flat <= 1.1))
    Result(
        "extraction", "Extraction", tables, "Headstart's rate as a multiple of this one", floors,
        [
            "The limit is the slower one of the fastest bare decoding and the fastest bare OpenVINO loop in a round.",
            "PyTorch, ONNX Runtime and Keras get pictures that are already decoded; Headstart also reads, decodes "
            "and stores them.",
        ],
    ).keep()  # fmt: skip


if __name__ == "__main__":
    main()
