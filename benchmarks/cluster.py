"""What a cluster costs and gains, on one machine: every node is one core of it, and its processes stay on that core.

    python benchmarks/cluster.py DATA --weights FILE [--backbone NAME] [--images 4000] [--rounds 3] [--synthetic 50000]

Rates are without the start of the processes, which is told beside them. Each round measures, one after the other:
extraction by one process on one core with one thread of OpenVINO; the same by a cluster of one node; the same by two
nodes. The figures are medians over rounds of the ratios. Then shards of constant rows of pictures in memory, which cost
workers next to nothing: how many the driver serves, its memory for each picture, and what Ray spilled to disk.
The hours for 10 million pictures follow from the rates by Amdahl's law, and are never less than the driver's.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headstart.cluster.connect import load_ray
from headstart.cluster.features import features
from headstart.cluster.pool import Plan, make, plan_of
from headstart.cluster.rows import threaded
from headstart.feature_source import feature_source
from headstart.features.extract import Extractor, Settings
from headstart.features.shards import FeatureShards, feature_columns
from headstart.images import from_arrays, load
from headstart.recipe import Recipe
from headstart.storage import Storage

STORE = 300_000_000
MANY = 10_000_000


@contextmanager
def nodes(cores: list[int]) -> Iterator[Any]:
    """A cluster with a node on each of these cores; the driver stays where it is."""
    ray = load_ray()
    from ray.cluster_utils import Cluster

    first = {"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=first)
    found = [cluster.head_node]
    found += [cluster.add_node(num_cpus=1, object_store_memory=STORE) for _ in cores[1:]]
    for core, node in zip(cores, found, strict=True):
        raylet = node.all_processes["raylet"][0].process.pid
        started = Path(f"/proc/{raylet}/task/{raylet}/children").read_text().split()
        for process in [raylet, *map(int, started)]:
            for thread in os.listdir(f"/proc/{process}/task"):  # noqa: PTH208
                os.sched_setaffinity(int(thread), {core})
    ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR)
    try:
        yield ray
    finally:
        ray.shutdown()
        cluster.shutdown()


@dataclass
class Clock:
    """A Progress: pictures a second from the first that were done on, and the seconds before those."""

    begun: float
    marks: list[tuple[float, int]]

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage == "extract" and done:
            self.marks.append((time.perf_counter(), done))

    @property
    def rate(self) -> float:
        (start, first), (end, last) = self.marks[0], self.marks[-1]
        return (last - first) / (end - start)

    @property
    def start(self) -> float:
        return self.marks[0][0] - self.begun - self.marks[0][1] / self.rate


def timed(work: Callable[[Clock], Any]) -> Clock:
    clock = Clock(time.perf_counter(), [])
    work(clock)
    return clock


def alone(recipe: Recipe, n: int) -> Clock:
    """One process on core 0."""
    images = load(recipe.data.source)
    images = images.take(np.arange(min(n, len(images))))
    source = threaded(feature_source(recipe, images), 1)
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {0})
    try:
        with Extractor(source, Settings(threads=1)) as extractor:
            return timed(lambda clock: extractor.extract(images, clock))
    finally:
        os.sched_setaffinity(0, before)


def spread(recipe: Recipe, cores: list[int]) -> tuple[Clock, np.ndarray]:
    with tempfile.TemporaryDirectory() as out, nodes(cores):
        clock = timed(lambda clock: features(recipe, out, "auto", clock))
        found = FeatureShards.at(out)
        assert found is not None
        return clock, np.concatenate([rows for rows, _ in found.rows()])


class Constant:
    """Opens what makes rows of zeros without looking at a picture."""

    def __call__(self, threads: int) -> Any:
        def compute(images: Any) -> Any:
            n = len(images)
            rows = np.zeros((n, 1280), np.float32)
            return feature_columns(images, rows, np.zeros((n, 16), np.uint8), 1280), ()

        return compute


def driver(n: int, cores: list[int]) -> None:
    """How many pictures the driver hands out in a second of its own time, and the memory that takes."""
    before = resident()
    pixels = np.zeros((n, 2, 2), np.uint8)
    pixels[:, 0, 0], pixels[:, 0, 1], pixels[:, 1, 0] = np.arange(n), np.arange(n) >> 8, np.arange(n) >> 16
    images = from_arrays(pixels)
    with tempfile.TemporaryDirectory() as out, nodes(cores) as ray:
        manifest, jobs = plan_of("features", images, {"rows": "constant"})
        plan = Plan(images, Storage.of(out), Constant(), manifest)
        begun = time.process_time()
        make(ray, plan, jobs)
        rate = n / (time.process_time() - begun)
        spilled = sum(f.stat().st_size for f in Path(ray._private.worker._global_node.get_session_dir_path()).rglob(
            "ray_spilled_objects/*") if f.is_file())  # fmt: skip
    grown = (resident() - before) / n
    print(f"driver: {rate:,.0f} pictures in a second of its core; {grown:,.0f} bytes of memory a picture; "
          f"{spilled / 1e6:.1f} MB spilled to disk")  # fmt: skip
    RATES["driver"] = rate


def resident() -> int:
    """Bytes of memory of this process now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


RATES: dict[str, float] = {}


def projected(one: float, two: float) -> None:
    """Hours for 10 million pictures, by Amdahl's law from one and two workers."""
    serial = max(0.0, 2 * one / two - 1)  # of the time of one worker
    for workers in (1, 8, 64):
        rate = one / (serial + (1 - serial) / workers)
        rate = min(rate, RATES.get("driver", rate))
        print(f"{MANY:,} pictures by {workers} workers: {rate:,.0f}/s, {MANY / rate / 3600:,.1f} hours")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--backbone", default="mobilenetv2_100")
    parser.add_argument("--weights", default="pretrained")
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--synthetic", type=int, default=50_000)
    args = parser.parse_args()
    named = {"name": args.backbone, "weights": args.weights}
    recipe = Recipe.from_dict({"data": {"source": args.data}, "backbone": named, "engine": {"name": "openvino"}})
    with tempfile.TemporaryDirectory() as folder:
        chosen = subset(args.data, args.images, Path(folder))
        recipe = recipe.model_copy(update={"data": replace_source(recipe, chosen)})
        overhead, gain, ones, twos = [], [], [], []
        for number in range(args.rounds):
            plain = alone(recipe, args.images)
            (one, rows), (two, again) = spread(recipe, [0]), spread(recipe, [0, 1])
            assert np.array_equal(rows, again)
            overhead.append(one.rate / plain.rate)
            gain.append(two.rate / one.rate)
            ones.append(one.rate)
            twos.append(two.rate)
            print(f"round {number + 1}: alone {plain.rate:.1f}/s, one node {one.rate:.1f}/s (start {one.start:.1f} s), "
                  f"two nodes {two.rate:.1f}/s (start {two.start:.1f} s)", flush=True)  # fmt: skip
    print(f"one node against one process: {statistics.median(overhead):.2f}")
    print(f"two nodes against one: {statistics.median(gain):.2f}")
    driver(args.synthetic, [0, 1])
    projected(statistics.median(ones), statistics.median(twos))


def subset(data: str, n: int, folder: Path) -> str:
    """A folder of n of the pictures, evenly spread."""
    images = load(data)
    for i in np.unique(np.linspace(0, len(images) - 1, n).astype(int)):
        link = folder / images.classes[images.labels[i]] / images.names[i].replace("/", "-")
        link.parent.mkdir(exist_ok=True)
        shutil.copyfile(images.items[i], link)
    return str(folder)


def replace_source(recipe: Recipe, source: str) -> Any:
    return recipe.data.model_copy(update={"source": source})


if __name__ == "__main__":
    main()
