"""How much the audit finds of what is known to be there, and how much of what is not.

    HEADSTART_DATA=... HEADSTART_WEIGHTS=... python benchmarks/faults/audit.py --scale 0.2

Known: the pictures that Fashion-MNIST had twice. Planted: copies that were saved again, cropped, mirrored or resized,
and labels that were changed. A row is what was tried, how many things there were to find, and how many were not found;
the false alarms are rows of their own, of pictures that are all right. Rules and thresholds were chosen on other
pictures (decision 29).
"""

from __future__ import annotations

import argparse
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from headstart.audit.checks.copies import duplicate, leak
from headstart.audit.checks.labels import suspicious
from headstart.audit.findings import Material
from headstart.feature_source import feature_source
from headstart.features.copies import find
from headstart.features.extract import Settings, extract
from headstart.features.extraction import Counts, Extraction
from headstart.images import ImageSet, decode, digest, load, select
from headstart.images.sketch import Sketches, make_sketch
from headstart.paths import features_dir
from headstart.progress import silent
from headstart.recipe import Recipe

Row = tuple[str, int, int, str]
COPIES, PICTURES, SEEDS = 200, 2_000, 5
RATES = (0.05, 0.1, 0.2)
LABELLED = {"mnist": ("sprout", 2_000), "cats_vs_dogs": ("mobilenetv2_100", 2_000)}


def saved(image: Image.Image, kind: str = "JPEG", quality: int = 90) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **({"quality": quality} if kind == "JPEG" else {}))
    return out.getvalue()


def cropped(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Without 5% of each side, cut off anywhere."""
    x, y = max(1, round(image.width * 0.05)), max(1, round(image.height * 0.05))
    left, top = int(rng.integers(0, x + 1)), int(rng.integers(0, y + 1))
    return image.crop((left, top, left + image.width - x, top + image.height - y))


def changes(small: bool) -> dict[str, Callable[[Image.Image, np.random.Generator], bytes]]:
    kind = "PNG" if small else "JPEG"
    return {
        "JPEG at quality 50": lambda im, rng: saved(im, "JPEG", 50),
        "a crop of 5%": lambda im, rng: saved(cropped(im, rng), kind),
        "mirrored": lambda im, rng: saved(im.transpose(Image.Transpose.FLIP_LEFT_RIGHT), kind),
        "resized to 60%": lambda im, rng: saved(im.resize((im.width * 3 // 5, im.height * 3 // 5)), kind),
    }


def sketches(raws: list[bytes | NDArray[np.uint8]]) -> tuple[NDArray[np.uint8], Sketches]:
    contents = np.stack([np.frombuffer(digest(raw), np.uint8) for raw in raws])
    return contents, Sketches(np.stack([make_sketch(raw, decode(raw)) for raw in raws]))


def planted_copies(data: str, scale: float) -> Iterator[Row]:
    """200 copies of four kinds among 2,000 pictures, and pairs found that nobody planted."""
    images = load(Path(os.environ["HEADSTART_DATA"]) / data)
    images = select(images, limit=min(len(images), max(200, round(PICTURES * scale))), seed=7)
    n, rng = len(images), np.random.default_rng(7)
    probe = images.probe()
    kinds = changes(small=max(probe.height, probe.width) < 64)
    chosen = rng.choice(n, max(8, round(COPIES * min(1.0, scale * 2))), replace=False)
    kind = [list(kinds)[k % len(kinds)] for k in range(len(chosen))]
    copies = [kinds[k](Image.fromarray(images.read(int(i))), rng) for i, k in zip(chosen, kind, strict=True)]
    found = find(*sketches([*(images.raw(i) for i in range(n)), *copies]))
    known = found.near[n:] == found.near[chosen]
    for name in kinds:
        own = np.array([k == name for k in kind])
        yield f"{data}: copies, {name}", int(own.sum()), int((~known[own]).sum()), f"among {n:,} pictures"
    strange = sum(1 for a, b in found.pairs.tolist() if b < n)
    yield f"{data}: near duplicates among pictures as they are", n, strange, "not planted; some may be real"


def known_duplicates(scale: float) -> Iterator[Row]:
    """Those that Fashion-MNIST had when it came out: 43 in train, 1 in test, 10 shared.

    They were taken out of its files three weeks later (its repository, issue 44 and change 45), so none must be found
    in the files as they are, and as many as there were after they are put in again.
    """
    images = load(Path(os.environ["HEADSTART_DATA"]) / "fashion_mnist")
    train, test = np.flatnonzero(images.parts == "train"), np.flatnonzero(images.parts == "test")
    rng = np.random.default_rng(44)
    again = np.array(images.items)
    pairs = [rng.choice(train, (43, 2), replace=False), rng.choice(test, (1, 2), replace=False)]
    used = np.concatenate(pairs).ravel()
    left = [np.setdiff1d(part, used) for part in (train, test)]
    pairs.append(np.stack([rng.choice(part, 10, replace=False) for part in left], axis=1))
    for first, later in np.concatenate(pairs):
        again[later] = again[first]
    for what, items, expected in (("as it is", images.items, (0, 0, 0)), ("as it was", again, (43, 1, 10))):
        found = counted(replace(images, items=items))
        for where, right, seen in zip(("in train", "in test", "shared"), expected, found, strict=True):
            yield f"fashion_mnist {what}: duplicates {where}", right, abs(right - seen), f"{seen} found"


def counted(images: ImageSet) -> tuple[int, int, int]:
    """Duplicates in train, in test, and contents that both have, whatever their classes."""
    n = len(images)
    contents = np.stack([np.frombuffer(digest(images.raw(i)), np.uint8) for i in range(n)])
    nothing = np.zeros((n, 1), np.float32)
    done = Extraction(
        nothing, np.arange(n), (), Counts(), 0, 0, 0, 0, contents=contents, copies=find(contents, None)
    )  # fmt: skip
    material = Material(replace(images, labels=np.zeros(n, np.int64)), done, (), silent)
    parts = [material.parts[f.at or 0] for f in duplicate(material)]
    return parts.count("train"), parts.count("test"), len({contents[f.at or 0].tobytes() for f in leak(material)})


def material_of(images: ImageSet, network: str) -> Material:
    """The pictures with the features of a network whose weights are here."""
    folder = Path(os.environ.get("HEADSTART_WEIGHTS") or Path(os.environ["HEADSTART_DATA"]).parent / "weights")
    weights = "pretrained" if network == "sprout" else str(folder / f"{network}.safetensors")
    recipe = Recipe.from_dict({"data": {"source": "x"}, "backbone": {"name": network, "weights": weights}})
    done = extract(images, feature_source(recipe, images), Settings(features_dir()), sketches=len(images))
    return Material(images.take(done.kept), done, (), silent)


def flipped(material: Material, rate: float, seed: int) -> tuple[Material, NDArray[np.bool_]]:
    """The same with a share of the labels changed to another class, and which."""
    labels, k, rng = material.images.labels.copy(), len(material.images.classes), np.random.default_rng(seed)
    chosen = rng.choice(len(labels), round(rate * len(labels)), replace=False)
    labels[chosen] = (labels[chosen] + rng.integers(1, k, len(chosen))) % k
    images = replace(material.images, labels=labels)
    return Material(images, material.extraction, (), silent), np.isin(np.arange(len(labels)), chosen)


def labels(data: str, scale: float) -> Iterator[Row]:
    """Changed labels that were not doubted, and labels doubted that were not changed; precision and recall."""
    network, most = LABELLED[data]
    images = load(Path(os.environ["HEADSTART_DATA"]) / data)
    images = select(images.take(images.parts != "test"), limit=max(200, round(most * scale)), seed=3)
    material = material_of(images, network)
    seeds = max(1, round(SEEDS * min(1.0, scale * 2)))
    clean = len(list(suspicious(material)))
    yield f"{data}: labels as they are, {network}", len(images), clean, "doubted; some may be wrong"
    for rate in RATES:
        total, hit, said = 0, 0, 0
        for seed in range(seeds):
            changed, wrong = flipped(material, rate, seed)
            doubted = np.array([f.at for f in suspicious(changed)], np.int64)
            total, hit, said = total + int(wrong.sum()), hit + int(wrong[doubted].sum()), said + len(doubted)
        note = (
            f"precision {hit / max(1, said):.3f}, recall {hit / total:.3f}, {seeds} seeds of {len(images):,} pictures"
        )
        yield f"{data}: {rate:.0%} of the labels changed", total, total - hit, note


def rows(scale: float) -> Iterator[Row]:
    """(What was tried, how many, how many failed, a note)."""
    yield from known_duplicates(scale)
    for data in ("cats_vs_dogs", "mnist"):
        yield from planted_copies(data, scale)
    for data in LABELLED:
        yield from labels(data, scale)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", type=float, default=1.0)
    for what, n, failed, note in rows(parser.parse_args().scale):
        print(f"{what:<62} {n:>6,} {failed:>5,}  {note}", flush=True)
