"""Which networks to try first: published accuracy, what they cost on this machine, their licence, and a reason each."""

from __future__ import annotations

import platform
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

import numpy as np

from headstart.backbones import catalog_rows, memory
from headstart.backbones.sources import Architecture, find
from headstart.engines import choose
from headstart.errors import HeadstartError
from headstart.feature_source import feature_source
from headstart.features.extract import Extractor
from headstart.features.source import FeatureSource
from headstart.images import ImageSet, from_arrays
from headstart.preprocess import SMALL
from headstart.progress import Progress, silent
from headstart.recipe import Recipe
from headstart.threads import cores

PICTURES = 8
"""That are measured: as many as a processor's streams, so that the rate is near that of many."""
ENOUGH_S = 2.0
LONGEST = 3600.0
"""Seconds that the pictures may take once; what takes longer is left out where something quicker is there."""
MOST = 4
SPROUT = "made for small pictures (characters, digits, drawings); comes with the package, no download"


@dataclass(frozen=True)
class Pick:
    """A network: published top-1 on ImageNet in per cent with its source, pictures a second here, and why.

    `seconds` is what all pictures take once; `size` the side of the input in pixels.
    """

    name: str
    top1: float | None
    how: str
    source: str
    images_per_s: float
    seconds: float
    size: int
    licence: str
    why: str


def recommend(images: int, size: int, *, gpu: bool = True, progress: Progress = silent) -> tuple[Pick, ...]:
    """At most a handful for so many pictures of such a side, the most accurate first. Nothing is downloaded.

    Each is measured on this machine with random weights, which run as fast as trained ones; that is remembered.
    """
    engine = choose(device="auto" if gpu else "cpu")
    pictures = from_arrays(np.random.default_rng(0).integers(0, 256, (PICTURES, size, size, 3), np.uint8))
    table = _table(gpu=engine.device != "cpu", small=size < SMALL[0])
    found = []
    for number, row in enumerate(table):
        progress(f"speed|{row['name']}", number, len(table))
        try:
            found.append(_measured(row, pictures, engine.device, images))
        except HeadstartError:  # another version of timm may lack it, or a machine the memory for it
            continue
    progress("speed", len(table), len(table))
    return short_list(found)


def short_list(found: Sequence[Pick]) -> tuple[Pick, ...]:
    """Those that nothing else beats in accuracy and speed, and in time, the most accurate first; and why.

    What has no published figure is kept whatever its speed.
    """
    unknown = [pick for pick in found if pick.top1 is None]
    quick = [pick for pick in found if pick.top1 is not None and pick.seconds <= LONGEST]
    quick = quick or sorted(found, key=lambda pick: pick.seconds)[:1]
    front = [p for p in quick if not any(_beats(other, p) for other in quick)]
    front.sort(key=lambda pick: -(pick.top1 or 0))
    kept = front if len(front) <= MOST else [*front[: MOST - 1], front[-1]]
    told = [replace(pick, why=f"{_place(pick, kept)}: {pick.why}") for pick in kept if pick not in unknown]
    return (*told, *unknown)


def _beats(one: Pick, other: Pick) -> bool:
    better = (one.top1 or 0, one.images_per_s)
    worse = (other.top1 or 0, other.images_per_s)
    return all(a >= b for a, b in zip(better, worse, strict=True)) and better != worse


def _place(pick: Pick, kept: Sequence[Pick]) -> str:
    if pick is kept[0]:
        return "the most accurate that takes no more than an hour" if len(kept) > 1 else "the best deal"
    times = pick.images_per_s / kept[0].images_per_s
    less = (kept[0].top1 or 0) - (pick.top1 or 0)
    quickest = "the quickest, " if pick is kept[-1] else ""
    return f"{quickest}{times:.3g} times as fast for {less:.1f} points less"


def _table(*, gpu: bool, small: bool) -> list[dict[str, Any]]:
    text = files("headstart.backbones").joinpath("recommended.toml").read_text(encoding="utf-8")
    known = {row.name: row.top1 for row in catalog_rows()}
    rows = [{"top1": known.get(f"timm:{row['name']}"), **row} for row in tomllib.loads(text)["network"]]
    rows = [row for row in rows if row["top1"] is not None and (gpu or not row.get("gpu"))]
    own = {"name": "sprout", "top1": None, "how": "", "source": "docs/sprout/evaluation.md", "why": SPROUT}
    return [*rows, *([own] if small else [])]


def _measured(row: dict[str, Any], pictures: ImageSet, device: str, images: int) -> Pick:
    asked = {
        "data": {"source": "pictures"},
        "backbone": {"name": row["name"], "weights": "none" if row["name"] != "sprout" else "pretrained"},
        "engine": {"device": device},
    }
    source = feature_source(Recipe.from_dict(asked, ""), pictures)
    assert source.backbone is not None
    rate = _rate(source, pictures)
    parsed = Architecture.of(find(row["name"]))
    told = {key: row[key] for key in ("name", "top1", "how", "source", "why")}
    licence = parsed.source.facts(parsed.name).licence
    return Pick(**told, images_per_s=rate, seconds=images / rate, size=source.preprocess.height, licence=licence)


def _rate(source: FeatureSource, pictures: ImageSet) -> float:
    """Pictures a second, decoded already; the faster of two rounds if the first is short; remembered."""
    machine = [platform.node(), platform.machine(), cores()]
    question = ["rate", machine, len(pictures), source.space()]
    known = memory.recall(question)
    if known is None:
        rates: list[float] = []
        with Extractor(source) as extractor:
            while not rates or (len(rates) == 1 and len(pictures) / rates[0] < ENOUGH_S):
                rates.append(extractor.extract(pictures).images_per_s)
        known = {"rate": max(rates)}
        memory.remember(question, known)
    return float(known["rate"])
