"""Processes that die or meet, disks that fail, files that are damaged: every row must have no failure.

    python benchmarks/faults/processes.py [--scale 0.05] [--only kill,cold]

`rows(1)` are the numbers that the project promises; a smaller scale tries a share of each, at least 2.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from headstart import Recipe, execute
from headstart.backbones import resolve
from headstart.engines import choose
from headstart.errors import NotConverged
from headstart.features.extract import Settings, extract
from headstart.features.extraction import Extraction
from headstart.features.source import FeatureSource
from headstart.features.store import FeatureStore, space_id
from headstart.images import ImageSet, digest, load
from headstart.images.decode import REASONS

Row = tuple[str, int, int, str]
SIDE = 48
HERE = Path(__file__)


def pictures(folder: Path, n: int = 24) -> Path:
    """Two classes of drawn noise, dark and light."""
    rng = np.random.default_rng(5)
    for k, name in enumerate(("dark", "light")):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(n // 2):
            pixels = np.clip(rng.normal(90 + 80 * k, 50, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


def source(**changes: object) -> FeatureSource:
    """Features of the backbone that comes along."""
    backbone = resolve("sprout")
    preprocess = replace(backbone.preprocess, height=SIDE, width=SIDE, **changes)
    return FeatureSource(preprocess, backbone, "pooled", choose("openvino", "cpu"))


def job(*arguments: str | Path, cache: Path) -> subprocess.Popen[bytes]:
    """This file's own work in a process of its own."""
    environment = {**os.environ, "HEADSTART_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(HERE), "--job", *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def work(kind: str, *rest: str) -> None:
    """What a process does that may be killed: rows put into a store, or a network trained into a run folder."""
    if kind == "store":
        with FeatureStore.open(Path(rest[0]), {"test": 1}) as store:
            print("on", flush=True)
            for i in range(int(rest[1])):
                store.put(i.to_bytes(16, "big"), stored_row(i))
    elif kind == "damaged":
        with FeatureStore.open(Path(rest[0]), {"test": 1}) as store:
            for i in range(60):
                row = store.get(i.to_bytes(16, "big"))
                if row is None:
                    store.put(i.to_bytes(16, "big"), stored_row(i))
                elif row.tobytes() != stored_row(i).tobytes():
                    sys.exit(3)
    elif kind == "train":
        print("on", flush=True)
        resume = (Path(rest[1]) / "training").is_dir()
        execute(training(rest[0]), Path(rest[1]), store=False, resume=resume)
    elif kind == "extract":
        print(digest(extract(load(rest[0]), source(), Settings(None)).features.tobytes()).hex())


def stored_row(i: int) -> np.ndarray:
    return np.random.default_rng(i).normal(size=300).astype(np.float32)


def training(data: str) -> Recipe:
    training = {"epochs": 12, "threads": 1, "batch_size": 4}
    values = {"source": data, "evaluate": "holdout"}
    network = {"name": "small_cnn", "image_size": 16}
    return Recipe.from_dict({"method": "scratch", "data": values, "backbone": network, "training": training})


def killed_in_the_store(n: int, folder: Path) -> Row:
    failed, rng = 0, random.Random(1)
    for turn in range(n):
        root = folder / f"store{turn}"
        child = job("store", root, 20_000, cache=folder)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(rng.uniform(0, 1.5))
        child.send_signal(signal.SIGKILL)
        child.communicate()
        with FeatureStore.open(root, {"test": 1}) as store:
            found = [store.get(i.to_bytes(16, "big")) for i in range(20_000)]
            wrong = any(r is not None and r.tobytes() != stored_row(i).tobytes() for i, r in enumerate(found))
            failed += wrong or store.corrupt > 0 or store.problem is not None
        shutil.rmtree(root)
    return "kill -9 while rows are stored; what is there is right", n, failed, ""


def killed_in_training(n: int, folder: Path) -> Row:
    data, rng, failed, kills = pictures(folder / "data"), random.Random(2), 0, 0
    begun = time.perf_counter()
    job("train", data, folder / "clean", cache=folder / "cache").communicate()
    seconds = time.perf_counter() - begun
    wanted = (folder / "clean" / "predictions.csv").read_bytes(), _heads(folder / "clean")
    for turn in range(n):
        run = folder / f"run{turn}"
        child = job("train", data, run, cache=folder / "cache")
        assert child.stdout is not None
        child.stdout.readline()
        try:
            child.wait(rng.uniform(0.3, 1.0) * seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            kills += 1
        child.communicate()
        finished = job("train", data, run, cache=folder / "cache")
        said = finished.communicate()[1]
        same = finished.returncode == 0 and ((run / "predictions.csv").read_bytes(), _heads(run)) == wanted
        failed += not same
        if not same:
            print(said.decode()[-300:], file=sys.stderr)
        shutil.rmtree(run, ignore_errors=True)
    return "kill -9 in training and saving; resumed to the same bytes", n, failed, f"{kills} before the end"


def _heads(run: Path) -> bytes:
    return b"".join((run / "bundle" / f"{name}.safetensors").read_bytes() for name in ("head", "backbone"))


def four_processes(n: int, folder: Path, cold: bool) -> Row:
    data, failed, answers = pictures(folder / "data"), 0, set()
    for turn in range(n):
        cache = folder / (f"cache{turn}" if cold else "cache")
        crew = [job("extract", data, cache=cache) for _ in range(4)]
        for child in crew:
            out, _ = child.communicate(timeout=300)
            failed += child.returncode != 0
            answers.add(out)
        left = [p for p in cache.rglob("*") if ".part" in p.name]
        failed += bool(left)
        if cold:
            shutil.rmtree(cache)
    return f"4 processes on a {'cold' if cold else 'warm'} cache", 4 * n, failed + len(answers) - 1, f"{n} rounds"


def damaged_stores(n: int, folder: Path) -> Row:
    """Each is damaged in one of four ways, with its time kept or not, then used and used again by two processes."""
    failed, rng, ended = 0, np.random.default_rng(3), []
    fork = multiprocessing.get_context("fork")  # a new interpreter for each would take a second
    work("damaged", str(folder / "whole"))
    whole = folder / "whole" / space_id({"test": 1})
    for turn in range(n):
        root = folder / f"s{turn}"
        shutil.copytree(whole, root / whole.name, copy_function=shutil.copy2)
        data = root / whole.name / "data.mdb"
        _damage(data, turn, rng)
        for _ in range(2):
            child = fork.Process(target=work, args=("damaged", str(root)))
            child.start()
            child.join()
            if child.exitcode:
                failed += 1
                ended.append(f"{turn}: ended with {child.exitcode}")
                break
        else:
            with FeatureStore.open(root, {"test": 1}) as store:
                failed += any(store.get(i.to_bytes(16, "big")) is None for i in range(60))
        shutil.rmtree(root)
    return "damaged stores, used twice; no wrong row, all healed", n, failed, "; ".join(ended[:3])


def _damage(data: Path, turn: int, rng: np.random.Generator) -> None:
    before, content = data.stat(), bytearray(data.read_bytes())
    if turn % 4 == 0:
        for spot in rng.integers(0, len(content), 1 + turn % 40):
            content[spot] ^= int(rng.integers(1, 256))
    elif turn % 4 == 1:
        del content[int(rng.integers(0, len(content))) :]
    elif turn % 4 == 2:
        page = int(rng.integers(0, len(content) // 4096)) * 4096
        content[page : page + 4096] = rng.bytes(4096)
    else:
        content[int(rng.integers(0, 64)) * 4 % 8192 :][:4] = b""
        content[int(rng.integers(0, 8192))] ^= 255
    data.write_bytes(content)
    if turn % 3 == 0:
        os.utime(data, ns=(before.st_atime_ns, before.st_mtime_ns))


def staleness(folder: Path) -> Iterator[Row]:
    """One change at a time: what a feature depends on is computed anew, what it does not is not."""
    data, settings = pictures(folder / "data", 6), Settings(folder / "store")
    images, plain = load(str(data)), source()

    def counted(what: FeatureSource, shown: ImageSet = images) -> Extraction:
        return extract(shown, what, settings)

    counted(plain)
    other = resolve("sprout", "none", seed=3)
    changed = {
        "size": replace(plain, preprocess=replace(plain.preprocess, height=32, width=32)),
        "crop": replace(plain, preprocess=replace(plain.preprocess, crop_pct=0.5)),
        "interpolation": replace(plain, preprocess=replace(plain.preprocess, interpolation="nearest")),
        "mean": replace(plain, preprocess=replace(plain.preprocess, mean=(0.1, 0.1, 0.1))),
        "std": replace(plain, preprocess=replace(plain.preprocess, std=(0.3, 0.3, 0.3))),
        "weights": replace(plain, backbone=other),
        "layer": replace(plain, layer="last_conv"),
        "engine": replace(plain, engine=choose("torch", "cpu")),
    }
    for name, what in changed.items():
        yield f"stale: {name} changed -> computed anew", 6, 6 - counted(what).counts.computed, ""
    precisions = {space_id(replace(plain, engine=replace(plain.engine, precision=p)).space()) for p in ("a", "b")}
    yield "stale: precision changed -> another space", 1, int(len(precisions) != 2), ""
    target = data / "dark" / "0.png"
    before = target.stat()
    content = Image.open(target).convert("RGB")
    content.putpixel((0, 0), (255, 0, 0))
    content.save(target)
    os.truncate(target, max(before.st_size, target.stat().st_size))
    os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))
    yield "stale: content under the same name and time -> computed anew", 1, 1 - counted(plain).counts.computed, ""
    for path in data.rglob("*.png"):
        path.touch()
    yield "touched -> not computed", 6, counted(plain).counts.computed, ""
    shutil.copytree(data, folder / "moved")
    yield "moved -> not computed", 6, counted(plain, load(str(folder / "moved"))).counts.computed, ""


def nan_in_training(folder: Path) -> Row:
    """A NaN in the loss at a step in the middle: the reason, and the last good state is there."""
    from headstart.training import loop
    from headstart.training.checkpoint import NAME

    data, seen = pictures(folder / "data"), 0
    loss_of = loop._Loop._learn  # type: ignore[attr-defined]

    def poisoned(self: object, batch: object) -> object:
        nonlocal seen
        seen += 1
        if seen == 15:
            for parameter in self.model.parameters():  # type: ignore[attr-defined]
                parameter.data.fill_(float("nan"))
        return loss_of(self, batch)

    loop._Loop._learn = poisoned  # type: ignore[attr-defined]
    try:
        execute(training(str(data)), folder / "run", store=False)
        failed = 1
    except NotConverged:
        failed = int(not (folder / "run" / "training" / NAME).is_file())
    finally:
        loop._Loop._learn = loss_of  # type: ignore[attr-defined]
    return "NaN at a training step: stops with the reason, keeps the last good state", 1, failed, ""


def verdicts(folder: Path, threads: int, images: ImageSet) -> dict[str, str]:
    pixels = FeatureSource(replace(source().preprocess, height=8, width=8))
    done = extract(images, pixels, Settings(None, threads=threads))
    found = {images.names[i]: "kept" for i in done.kept}
    return found | {r.name: r.reason for r in (*images.refused, *done.refused)}


def hard_images(share: float, folder: Path) -> Iterator[Row]:
    archive = Path(os.environ.get("HEADSTART_DATA", "nowhere")) / "hard_images.tar.xz"
    if not archive.is_file():
        yield "files of hard_images by 1 and 4 workers, same verdicts", 0, 0, "skipped: not in HEADSTART_DATA"
        return
    with tarfile.open(archive) as tar:
        files = [m for m in tar.getmembers() if m.isreg() and not m.name.endswith(".tsv")]
        tar.extractall(folder, members=files[:: max(1, round(1 / share))], filter="data")
    images = load(str(folder), labelled=False)
    one, four = verdicts(folder, 1, images), verdicts(folder, 4, images)
    odd = sum(v not in REASONS and v != "kept" for v in one.values())
    differ = sum(one[name] != four.get(name) for name in one)
    yield "files of hard_images by 1 and 4 workers, same verdicts", len(one), differ + odd, ""


FORMATS = {
    "jpg": {},
    "png": {},
    "gif": {},
    "bmp": {},
    "webp": {},
    "tiff": {},
    "mpo": {},
    "prog.jpg": {"progressive": True},
}


def mutated(name: str, n: int, folder: Path, change: Callable[[bytearray, np.random.Generator], bytearray]) -> Row:
    """Each file is kept or refused with one of the known reasons; nothing else comes out."""
    rng, pixels = np.random.default_rng(4), np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    for ending, options in FORMATS.items():
        path = folder / f"whole.{ending}"
        extra = {"save_all": True, "append_images": [Image.fromarray(pixels)]} if ending == "mpo" else {}
        Image.fromarray(pixels).save(path, **options, **extra)
        whole = path.read_bytes()
        path.unlink()
        for i in range(n):
            (folder / f"{ending}-{i:04d}.{ending}").write_bytes(change(bytearray(whole), rng))
    images = load(str(folder), labelled=False)
    found = verdicts(folder, 2, images)
    odd = sum(v not in REASONS and v != "kept" for v in found.values())
    missing = len(FORMATS) * n - len(found)
    kept = sum(v == "kept" for v in found.values())
    return f"{name} (8 formats), one verdict each", len(FORMATS) * n, odd + abs(missing), f"{kept} decode"


def cut(content: bytearray, rng: np.random.Generator) -> bytearray:
    return content[: int(rng.integers(0, len(content)))]


def flip(content: bytearray, rng: np.random.Generator) -> bytearray:
    content[int(rng.integers(0, len(content)))] ^= 1 << int(rng.integers(0, 8))
    return content


def rows(scale: float, only: tuple[str, ...] = ()) -> Iterator[Row]:
    """(what was tried, how many, how many failed, note)."""

    def some(full: int) -> int:
        return max(2, round(full * scale))

    one: dict[str, Callable[[Path], Iterator[Row]]] = {
        "kill-store": lambda f: iter([killed_in_the_store(some(50), f)]),
        "kill-training": lambda f: iter([killed_in_training(some(50), f)]),
        "cold": lambda f: iter([four_processes(some(100), f, cold=True)]),
        "warm": lambda f: iter([four_processes(some(100), f, cold=False)]),
        "damaged": lambda f: iter([damaged_stores(some(1000), f)]),
        "stale": staleness,
        "nan": lambda f: iter([nan_in_training(f)]),
        "hard": lambda f: hard_images(scale, f),
        "cut": lambda f: iter([mutated("truncations", some(200), f, cut)]),
        "flip": lambda f: iter([mutated("bit flips", some(400), f, flip)]),
    }
    for name, tried in one.items():
        if not only or name in only:
            with tempfile.TemporaryDirectory() as folder:
                yield from tried(Path(folder))


def main() -> None:
    if sys.argv[1:2] == ["--job"]:
        work(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=0.05)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    bad = 0
    for what, n, failed, note in rows(args.scale, tuple(filter(None, args.only.split(",")))):
        print(f"{what:75} {n:6,} tried {failed:4,} failed  {note}", flush=True)
        bad += failed
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
