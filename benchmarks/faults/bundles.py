"""Bundles and weights files from strangers: mutations, each of which must be refused in a sentence or work.

    python benchmarks/faults/bundles.py [--scale 0.01] [--seed 0]

Eight bundles (each head on pixels, one that averages views, two networks) are changed in one place or a few: JSON
values swapped by type, deleted, doubled, nested 10,000 deep; bytes flipped, added, cut; tensors renamed, reshaped,
retyped, with NaN and huge numbers; files that lack, are empty, are links. All checksums are corrected afterwards, so
that only the checks behind them are left. A mutation is right if loading raises a HeadstartError, in under 2 s of CPU
and 256 MB, if the golden pictures find it when the engine is opened, or if what was loaded gives finite probabilities
that sum to 1; and an audit hook must see no code run, no process started, no socket opened and nothing written. `scale`
1 is 100,000 mutations of bundles and 20,000 of weights files.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import shutil
import struct
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from headstart import bundle
from headstart.augment import named
from headstart.backbones import resolve
from headstart.classifier import Classifier
from headstart.engines import choose
from headstart.errors import BundleError, HeadstartError
from headstart.features.extract import extract
from headstart.features.source import FeatureSource
from headstart.heads import make_head
from headstart.images import from_arrays
from headstart.paths import cache_dir
from headstart.preprocess import Preprocess
from headstart.views import Views

BUNDLES, WEIGHTS = 100_000, 20_000
SECONDS, MEGABYTES = 2.0, 256
SIDE = 8
DEEP = "@deep@"
EVIL: list[Any] = [
    None, True, False, 0, 1, -1, 2, 7, 2**31, 2**63, 2**64, 10**400, 0.5, -0.5, 1e-320, 1e308, float("nan"),
    float("inf"), "", "x", "none", "../x", "/etc/passwd", "..\\x", "a/../../b", "\x1b[31m[/b]", "\ud800", "\x00",
    "x" * 100_000, [], [[]], [0] * 10_000, {}, {"checkpoint_path": "x.pth"}, {"weights": "DEFAULT"}, DEEP, "F8_E4M3",
    "F64", "I8", "<U1000000000", "backbone.onnx", "timm:vgg16",
    "hf-hub:x/y", [1, 1], [2, 2, 2, 2], [-1], [2**40, 2**40],
]  # fmt: skip
KEYS = ("x", "", "name", "self", "checkpoint_path", "../y", "class_weight", "weight_7")
FORBIDDEN = (
    "exec",
    "compile",
    "pickle.find_class",
    "subprocess.Popen",
    "os.system",
    "socket.connect",
    "os.posix_spawn",
)
OWN_CODE = ("importlib", "torch/fx", "torch/_", "torch/nn", "torch/jit", "dataclasses.py", "collections/__init__.py")
"""Who may compile: the import of a module, and PyTorch, which writes the code of a traced network from its modules."""


class Watch:
    """An audit hook, once and for all; `seen` are the forbidden events since the last look."""

    def __init__(self, allowed: Path) -> None:
        self.seen: list[str] = []
        self.on = False
        self._allowed = [str(allowed), str(cache_dir()), "/dev/null"]
        sys.addaudithook(self._hook)

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event == "open" and isinstance(args[0], str | bytes) and _writes(args[1], args[2]):
            name = os.fsdecode(args[0])
            if not any(name.startswith(folder) for folder in self._allowed):
                self.seen.append(f"{event} {name}")
        elif event in FORBIDDEN and not (event in ("exec", "compile") and _by_libraries()):
            self.seen.append(f"{event} {args!r:.200}")

    def events(self) -> list[str]:
        found, self.seen = self.seen, []
        return found


def _writes(mode: Any, flags: Any) -> bool:
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def _by_libraries() -> bool:
    frame = sys._getframe(2)
    return any(part in frame.f_code.co_filename for part in OWN_CODE)


# ---- what is mutated


def classifiers(folder: Path) -> dict[str, Classifier]:
    """Small classifiers of two classes of noise."""
    rng = np.random.default_rng(0)
    pixels = FeatureSource(Preprocess(4, 4, crop_pct=1.0))
    X, y = rng.random((24, 48)).astype(np.float32), np.arange(24) % 3
    classes = ("ant", "bee", "wasp")
    settings: dict[str, dict[str, Any]] = {
        "logistic": {"C": 1.0}, "ridge": {"alpha": 1.0}, "knn": {"k": 3}, "prototype": {"temperature": 1.0},
        "mlp": {"hidden": [5], "epochs": 1},
    }  # fmt: skip
    found = {name: Classifier(pixels, make_head(name, **s).fit(X, y), classes, 1.5) for name, s in settings.items()}
    found["averaging"] = replace(found["ridge"], averaging=Views(named("light"), 3, 2))
    untrained = resolve("small_cnn", "none", seed=1)
    file = untrained.save(folder / "weights")
    for kind, backbone in (("random", untrained), ("network", resolve("small_cnn", file))):
        source = FeatureSource(Preprocess(SIDE, SIDE, crop_pct=1.0), backbone, "pooled", choose("torch"))
        rows = extract(from_arrays(noise(12)), source).features
        head = make_head("ridge", alpha=1.0).fit(rows, np.arange(12) % 3)
        found[kind] = Classifier(source, head, classes)
    return found


def noise(n: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(1).integers(0, 256, (n, SIDE, SIDE, 3), dtype=np.uint8)


# ---- mutations: of JSON, of safetensors, of files


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all values within a JSON value, except its own."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*at, key)
        yield from places(inner, (*at, key))


def mutated(value: Any, rng: random.Random) -> Any:
    """A copy of a JSON table with one value swapped, deleted, added, renamed or moved."""
    value = json.loads(json.dumps(value))
    everywhere = list(places(value))
    if not everywhere:
        return {"x": rng.choice(EVIL)}
    *outer, key = rng.choice(everywhere)
    holder = value
    for each in outer:
        holder = holder[each]
    act = rng.random()
    if act < 0.6:
        holder[key] = rng.choice(EVIL)
    elif act < 0.7 and isinstance(holder[key], int | float) and not isinstance(holder[key], bool):
        holder[key] = rng.choice([-holder[key], holder[key] + 1, holder[key] * 1e300, holder[key] - 1, holder[key] / 3])
    elif act < 0.8:
        del holder[key]
    elif act < 0.9 and isinstance(holder, dict):
        holder[rng.choice([*KEYS, key + " "])] = rng.choice(EVIL)
    elif isinstance(holder, dict):
        to = rng.choice(list(holder))
        holder[to] = holder.pop(key)
    else:
        holder.insert(rng.randrange(len(holder) + 1), rng.choice([*holder, *EVIL]))
    return value


def as_json(value: Any, rng: random.Random) -> bytes:
    text = json.dumps(value).replace(f'"{DEEP}"', "[" * 10_000 + "]" * 10_000)
    if rng.random() < 0.03:  # the last word of a key that is there twice
        text = text[:-1] + ', "classes": ["a", "b"]}'
    return text.encode("utf-8", "surrogatepass")


def flipped(data: bytes, rng: random.Random) -> bytes:
    """Bits flipped, bytes cut or added."""
    found = bytearray(data)
    act = rng.random()
    if act < 0.1:
        return bytes(found[: rng.randrange(len(found) + 1)])
    if act < 0.2:
        return bytes(found) + rng.randbytes(rng.randrange(1, 20))
    for _ in range(rng.choice((1, 1, 1, 3))):
        found[rng.randrange(len(found))] ^= 1 << rng.randrange(8)
    return bytes(found)


def changed_tensors(data: bytes, rng: random.Random) -> bytes:
    """A safetensors file with a changed header, or with other numbers."""
    length = struct.unpack("<Q", data[:8])[0]
    header, body = json.loads(data[8 : 8 + length]), bytearray(data[8 + length :])
    names = [name for name in header if name != "__metadata__"]
    name, act = rng.choice(names), rng.random()
    if act < 0.35:
        start, end = header[name]["data_offsets"]
        kind, width = ("<d", 8) if header[name]["dtype"] == "F64" else ("<f", 4)
        value = rng.choice((float("nan"), float("inf"), -float("inf"), 3e38, -1e30, 1e-40, 0.0, 1e38 * width**40))
        place = start + width * rng.randrange(max(1, (end - start) // width))
        if value < 1e39 or width == 8:
            body[place : place + width] = struct.pack(kind, value)[: max(0, end - place)]
    elif act < 0.45:
        header[rng.choice(["x", "", "weight_1", "coef ", "a" * 2000])] = header.pop(name)
    elif act < 0.55:
        header[name]["shape"] = rng.choice([header[name]["shape"][::-1], [1, *header[name]["shape"]], [0], [], [-1]])
    elif act < 0.65:
        header[name]["dtype"] = rng.choice(["F64", "F32", "F16", "BF16", "I64", "U8", "BOOL", "F8_E4M3", "C64", "", 7])
    elif act < 0.7:
        header |= {f"t{i}": {"dtype": "U8", "shape": [0], "data_offsets": [len(body)] * 2} for i in range(25_000)}
    else:
        header = mutated(header, rng)
    text = as_json(header, rng)
    told = len(text) if rng.random() < 0.97 else rng.choice((0, 1, 2**20 + 1, 2**40, 2**63, 2**64 - 1))
    return struct.pack("<Q", told) + text + bytes(body)


def mutate_file(folder: Path, rng: random.Random) -> None:
    """One file of a bundle replaced by something that is no file, or beside others."""
    file = rng.choice([f for f in sorted(folder.iterdir()) if f.name != "manifest.json"])
    act = rng.randrange(6)
    data = file.read_bytes()
    if act < 5:
        file.unlink()
    if act == 1:
        file.symlink_to("/etc/passwd")
    elif act == 2:
        file.mkdir()
    elif act == 3:
        os.mkfifo(file)
    elif act == 4:
        (folder.parent / "outside").write_bytes(data)
        file.symlink_to(folder.parent / "outside")
    elif act == 5:
        (folder / rng.choice(["extra.json", "code.py", "backbone.json", "link"])).write_bytes(data)


def mutate(folder: Path, rng: random.Random) -> str:
    """Change a bundle in one place, correct the checksums unless they are what was changed, and say what was done."""
    manifest = json.loads((folder / "manifest.json").read_text())
    names = ["manifest.json", *manifest["files"]]
    name = rng.choices(names, [4, *(2 for _ in manifest["files"])])[0]
    file, act = folder / name, rng.random()
    if act < 0.03:
        mutate_file(folder, rng)
        return "files"
    if name == "manifest.json":
        found = mutated(manifest, rng)
        data = flipped(as_json(manifest, rng), rng) if act < 0.2 else as_json(found, rng)
        file.write_bytes(data)
        return "manifest"
    data = file.read_bytes()
    if act < 0.25:
        file.write_bytes(flipped(data, rng))
    else:
        file.write_bytes(
            as_json(mutated(json.loads(data), rng), rng) if name.endswith(".json") else changed_tensors(data, rng)
        )
    correct(folder, manifest)
    return name


def correct(folder: Path, manifest: dict[str, Any]) -> None:
    """Write every checksum anew."""
    sidecar = folder / "backbone.json"
    if sidecar.is_file():
        try:
            told = json.loads(sidecar.read_text())
            if isinstance(told, dict) and "sha256" in told:
                told["sha256"] = digest(folder / "backbone.safetensors")
                sidecar.write_text(json.dumps(told))
        except (ValueError, RecursionError, OSError):
            pass
    for name in manifest["files"]:
        manifest["files"][name] = {"bytes": (folder / name).stat().st_size, "sha256": digest(folder / name)}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


# ---- what must hold


def used(folder: Path) -> str:
    """Load and predict: `refused` or `works`; anything else is raised."""
    try:
        classifier = bundle.load_classifier(folder)
        bundle.load_seen(folder)
    except HeadstartError as error:
        assert str(error) and "\x1b" not in str(error) and len(str(error)) < 2000, f"message: {error!s:.300}"
        return "refused"
    source = classifier.source
    if source.backbone is not None:
        source = replace(source, engine=choose("torch"))
    if source.preprocess.height * source.preprocess.width <= 1 << 18:
        try:
            found, extraction = replace(classifier, source=source).predict_proba(from_arrays(noise(2)))
        except BundleError as error:  # the golden pictures: what it computes is not what it did when it was saved
            assert "golden picture" in str(error) and "\x1b" not in str(error), f"message: {error!s:.300}"
            return "refused"
        assert len(extraction.kept) == 2, "a picture was refused"
        assert np.isfinite(found).all() and np.allclose(found.sum(axis=1), 1), "probabilities are not finite"
    return "works"


def opened(file: Path) -> str:
    """Build the network of a weights file."""
    try:
        resolve("small_cnn", file).network()
    except HeadstartError as error:
        assert str(error) and "\x1b" not in str(error) and len(str(error)) < 2000, f"message: {error!s:.300}"
        return "refused"
    return "works"


def judged(act: Callable[[], str], watch: Watch) -> tuple[str, str]:
    """(`refused`, `works` or `failed`, why it failed)."""
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    watch.on = True
    try:
        found, why = act(), ""
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        found, why = "failed", f"{type(error).__name__}: {error!s:.150}"
    watch.on = False
    took = time.process_time() - start
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    if events := watch.events():
        return "failed", events[0]
    if found == "refused" and took > SECONDS:
        return "failed", f"took {took:.1f} s"
    return ("failed", f"took {grown:.0f} MB") if found == "refused" and grown > MEGABYTES else (found, why)


def trials(
    n: int, make: Callable[[random.Random], tuple[str, Callable[[], str]]], watch: Watch, seed: int
) -> tuple[int, str]:
    """How many of n mutations failed, and what came of them in words."""
    told: Counter[str] = Counter()
    for number in range(n):
        kind, act = make(random.Random(f"{seed} {number}"))
        found, why = judged(act, watch)
        told[found] += 1
        if found == "failed":
            print(f"  {kind} {number}: {why}", file=sys.stderr)
    return told["failed"], f"{told['refused']:,} refused, {told['works']:,} work"


def of_bundle(original: Path, work: Path) -> Callable[[random.Random], tuple[str, Callable[[], str]]]:
    def make(rng: random.Random) -> tuple[str, Callable[[], str]]:
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(original, work)
        return mutate(work, rng), lambda: used(work)

    return make


def of_weights(original: Path, work: Path) -> Callable[[random.Random], tuple[str, Callable[[], str]]]:
    """Half of the files have a sidecar, whose checksum is right."""
    data, sidecar = original.read_bytes(), json.loads(original.with_suffix(".json").read_text())

    def make(rng: random.Random) -> tuple[str, Callable[[], str]]:
        work.write_bytes(flipped(data, rng) if rng.random() < 0.4 else changed_tensors(data, rng))
        work.with_suffix(".json").unlink(missing_ok=True)
        if rng.random() < 0.5:
            told = mutated(sidecar, rng) if rng.random() < 0.2 else dict(sidecar)
            work.with_suffix(".json").write_bytes(as_json(told | {"sha256": digest(work)}, rng))
        return "weights", lambda: opened(work)

    return make


def rows(scale: float, seed: int = 0) -> Iterator[tuple[str, int, int, str]]:
    """What was tried, how many, how many failed, and what came of them."""
    import timm
    import torchvision

    from headstart.backbones import pages

    assert timm and torchvision and pages  # their import is no part of a refusal's time, nor code of a file
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        made = classifiers(folder)
        watch = Watch(folder)
        for name, classifier in made.items():
            bundle.save(classifier, folder / name, np.zeros((3, 16), np.uint8))
            assert used(folder / name) == "works"
        pixels = sum(classifier.source.backbone is None for classifier in made.values())
        for name, classifier in made.items():
            n = round(scale * BUNDLES * (0.8 / pixels if classifier.source.backbone is None else 0.1))
            failed, note = trials(n, of_bundle(folder / name, folder / "work"), watch, seed)
            yield f"mutations of a bundle ({name})", n, failed, note
        n = round(scale * WEIGHTS)
        failed, note = trials(
            n, of_weights(folder / "weights" / "backbone.safetensors", folder / "w.safetensors"), watch, seed
        )
        yield "mutations of a weights file", n, failed, note


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--scale", type=float, default=0.01)
    asked.add_argument("--seed", type=int, default=0)
    given = asked.parse_args()
    for what, count, failed, note in rows(given.scale, given.seed):
        print(f"{what:40} {count:7,} {failed:6,} failed   {note}", flush=True)
