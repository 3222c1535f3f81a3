"""The page of a study says what verdicts.json says, leaves out what is missing, and can be read in every shape."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.errors import UserError
from headstart.report import write_study_report
from headstart.report.study_charts import main_chart
from headstart.report.study_curves import apart
from headstart.report.study_files import read_study
from headstart.report.study_looks import looks
from headstart.report.study_words import points, width

Json = dict[str, Any]
ARMS: list[tuple[str, str, str, tuple[float, float, float]]] = [  # name, words, kind, (asymptotic error, b, c)
    ("sprout", "features of sprout", "features", (0.02, 0.18, 0.55)),
    ("pixels", "raw pixels", "pixels", (0.05, 0.75, 0.42)),
    ("scratch", "small_cnn from scratch", "scratch", (0.01, 0.95, 0.50)),
]
MANY = [
    *ARMS,
    ("mobilenetv2_100", "features of mobilenetv2_100", "features", (0.06, 0.30, 0.45)),
    ("resnet50.a1_in1k", "features of resnet50.a1_in1k", "features", (0.055, 0.33, 0.45)),
    ("finetune", "mobilenetv2_100, fine-tuned", "finetune", (0.015, 0.40, 0.60)),
    ("efficientnet_b0.ra_in1k@layer:blocks.4", "features of efficientnet_b0.ra_in1k at blocks.4 with flips", "features",
     (0.05, 0.28, 0.48)),
    ("vgg", "features of vgg16", "features", (0.08, 0.35, 0.4)),
    ("random", "features of a random small_cnn", "random", (0.12, 0.7, 0.35)),
    ("densenet", "features of densenet121", "features", (0.052, 0.31, 0.46)),
]  # fmt: skip
SIZES = [("1", 1.0), ("2", 2.0), ("5", 5.0), ("10", 10.0), ("50", 50.0), ("100", 100.0), ("all", 812.5)]
FREE = ("pixels", "scratch", "random")


def estimate(value: float, half: float | None) -> Json:
    """E of the data model."""
    return {
        "value": value,
        "low": None if half is None else value - half,
        "high": None if half is None else value + half,
    }


def verdict(value: float, half: float | None, margin: float, n: float | None) -> Json:
    """V of the data model, by its rule."""
    e, low90, high90 = estimate(value, half), value - 0.84 * (half or 0.0), value + 0.84 * (half or 0.0)
    word = "inconclusive"
    if half is not None and abs(value) > half:
        inside = abs(value) + half < margin
        word = ("helped" if value > 0 else "hurt") + (", below the margin" if inside else "")
    elif half is not None and max(abs(low90), abs(high90)) < margin:
        word = "no measurable difference"
    needed = 31_400 if word == "inconclusive" else None
    return {
        "word": word, "difference": e, "low90": low90, "high90": high90, "discordance": 0.12, "needed": needed,
        "more_repeats": word == "inconclusive", "n": n,
    }  # fmt: skip


def verdicts(
    arms: list[tuple[str, str, str, tuple[float, float, float]]] = ARMS,
    sizes: list[tuple[str, float]] = SIZES,
    repeats: int = 5,
    classes: tuple[str, ...] = tuple("0123456789"),
    perfect: bool = False,
) -> Json:
    """A realistic verdicts.json: errors fall as power laws of the labelled pictures, with noise of 2,000 pictures."""
    rng = np.random.default_rng(7)
    curves = {name: np.array([1 - min(0.9, a + b * n**-c) for _, n in sizes]) for name, _, _, (a, b, c) in arms}
    curves = {name: np.ones(len(sizes)) if perfect else np.round(curve, 4) for name, curve in curves.items()}
    told = [_arm(arm, curves[arm[0]], sizes, repeats, rng) for arm in arms]
    names = [arm[0] for arm in arms]
    pairs = [(a, b) for a in names for b in names if a not in FREE and b in FREE]
    pairs += [(a, b) for i, a in enumerate(names) for b in names[i + 1 :] if (a in FREE) == (b in FREE)]
    half = None if repeats == 1 else 0.0 if perfect else 0.012
    comparisons = [_comparison(a, b, curves, sizes, half) for a, b in pairs]
    words = {name: words for name, words, _, _ in arms}
    for c in comparisons:
        c["sentence"] = f"{words[c['first']]} against {words[c['second']]}: {c['verdict']['word']}."
    crossed = [c for c in comparisons if c["first"] not in FREE and c["second"] in FREE]
    headline = (
        f"Transfer helped: {words[crossed[0]['first']]} beats {words[crossed[0]['second']]}." if crossed else "Nothing."
    )
    return {
        "schema": 1,
        "headline": headline,
        "study": {
            "name": "mnist", "created": "2026-11-22T10:00:00+00:00", "data": "../mnist", "seed": 0, "repeats": repeats,
            "classes": list(classes), "n_test": 2000, "margin": 0.01, "head": "logistic",
            "sizes": [{"name": name, "n": n} for name, n in sizes], "seconds": 81.2,
        },
        "arms": told,
        "comparisons": comparisons,
        "training": [_training(arm, sizes[-1][0]) for arm in arms if arm[2] in ("scratch", "finetune")],
        "per_class": [_per_class(c, classes, sizes[-1][0], half, rng) for c in crossed],
        "reasons": [
            {"first": c["first"], "second": c["second"], "reasons": [
                {"key": "grey", "measured": 1.0, "sentence": "All pictures are grey, and the source was learnt in colour."},
                {"key": "enlarged", "measured": 8.25, "sentence": "Each picture is enlarged before the network sees it."},
            ]}
            for c in crossed[:2]
        ],
        "notes": ["The smallest size has one picture of a class."],
        "command": "headstart compare ../mnist --arm sprout --arm pixels --arm scratch --sizes 1,2,5,10,50,100,all",
    }  # fmt: skip


def _arm(arm: Any, curve: Any, sizes: Any, repeats: int, rng: np.random.Generator) -> Json:
    name, words, kind, _ = arm
    half = None if repeats == 1 else 0.012 + 0.5 * (1 - curve) / 20
    return {
        "name": name, "words": words, "kind": "features" if kind == "random" else kind, "transfer": name not in FREE,
        "backbone": None if kind == "pixels" else name, "layer": "pooled", "image_size": [32, 32], "features": 960,
        "trained_parameters": 9610, "network_parameters": None if kind == "pixels" else 422_000,
        "extraction": None if kind in ("pixels", "scratch")
        else {"images": 7000, "computed": 7000, "reused": 0, "seconds": 12.3, "images_per_s": 571.0},
        "fit_s": [0.02 * 1.7**i for i in range(len(sizes))], "total_s": 21.4,
        "budget": "3 learning rates, chosen by validation" if kind in ("scratch", "finetune")
        else "13 values of C, chosen by validation",
        "curve": [
            {"size": size, "n": n, "accuracy": float(y), "low": None if half is None else max(0.0, float(y - half[i])),
             "high": None if half is None else min(1.0, float(y + half[i])),
             "repeats": [float(y)] * repeats}
            for i, ((size, n), y) in enumerate(zip(sizes, curve, strict=True))
        ],
        "notes": [f"The images are {rng.integers(2, 9)} times enlarged."] if kind == "features" else [], "failed": None,
    }  # fmt: skip


def _comparison(a: str, b: str, curves: Any, sizes: Any, half: float | None) -> Json:
    gaps = [float(gap) for gap in curves[a] - curves[b]]
    doublings = [math.log2(n / sizes[0][1]) for _, n in sizes]

    def slope(values: Any) -> float:
        return float(np.polyfit(doublings, values, 1)[0])

    many, one = len(sizes) >= 4, len(sizes) == 1
    mean = float(np.mean(gaps))
    return {
        "first": a, "second": b, "margin": 0.01, "verdict": verdict(mean, half, 0.01, None),
        "by_size": [
            verdict(gap, half and half * (1 + 2 / n), 0.01, n) for gap, (_, n) in zip(gaps, sizes, strict=True)
        ],
        "slope": None if one else {"first": estimate(slope(curves[a]), half), "second": estimate(slope(curves[b]), half),
                                   "difference": estimate(slope(curves[a]) - slope(curves[b]), half)},
        "x90": {"first": 20.0, "second": None},
        "asymptote": {"first": estimate(min(1.0, float(curves[a][-1]) + 0.01), half), "second": None, "difference": None}
        if many and half is not None else None,
        "area": {"first": estimate(float(curves[a].mean()), half), "second": estimate(float(curves[b].mean()), half),
                 "difference": estimate(mean, half)},
        "ratio": estimate(float(curves[a].mean() / curves[b].mean()), half),
        "equivalence": [_equivalence(n, y, curves[b], sizes) for (_, n), y in zip(sizes, curves[a], strict=True)],
        "p": None, "sentence": "", "details": [
            f"At the start the difference was {100 * gaps[0]:+.1f} points.", "The slope was measured over all sizes.",
        ],
    }  # fmt: skip


def _equivalence(n: float, y: float, other: Any, sizes: Any) -> Json:
    ns = [n for _, n in sizes]
    if y > other[-1]:
        return {"n": n, "value": None, "low": ns[-1], "high": None, "beyond": ns[-1], "multiple": None}
    value = float(np.exp(np.interp(y, other, np.log(ns))))
    return {"n": n, "value": value, "low": 0.8 * value, "high": None, "beyond": None, "multiple": value / n}


def _training(arm: Any, size: str) -> Json:
    name, words, kind, _ = arm
    start, end = (0.1, 0.97) if kind == "scratch" else (0.86, 0.985)
    shares = [end - (end - start) * math.exp(-epoch / 6) for epoch in range(31)]
    points = [{"epoch": i, "step": 40 * i, "accuracy": y, "low": y - 0.02, "high": min(1, y + 0.02)}
              for i, y in enumerate(shares)]  # fmt: skip
    return {
        "arm": name, "size": size, "points": points, "start": estimate(start, 0.02), "slope": estimate(0.04, 0.01),
        "x90": 12, "asymptote": estimate(end, 0.01), "reached": True,
        "sentence": f"{words} starts at {100 * start:.1f}%, reaches 90% of its rise in epoch 12 and ends at {100 * end:.1f}%.",
    }  # fmt: skip


def _per_class(c: Json, classes: tuple[str, ...], size: str, half: float | None, rng: np.random.Generator) -> Json:
    rows = []
    for name in classes:
        first, gap = float(rng.uniform(0.8, 1)), float(rng.normal(0.06, 0.06))
        low, high = (None, None) if half is None else (gap - 0.05, gap + 0.05)
        rows.append({"class": name, "n": 200, "first": first, "second": min(1.0, first - gap), "difference": gap,
                     "low": low, "high": high})  # fmt: skip
    return {"first": c["first"], "second": c["second"], "size": size, "classes": rows}


def failed_size(told: Json) -> Json:
    """One arm without results in the middle and at the end."""
    arm = told["arms"][1]
    arm["curve"] = [point for i, point in enumerate(arm["curve"]) if i not in (2, len(arm["curve"]) - 1)]
    arm["failed"] = "The fit with 5 pictures of a class ran out of memory."
    return told


def all_failed_but_one() -> Json:
    told = verdicts()
    for arm in told["arms"][1:]:
        arm |= {"curve": [], "failed": "The network could not be downloaded.", "extraction": None, "fit_s": None}
    told |= {
        "comparisons": [],
        "training": [],
        "per_class": [],
        "reasons": [],
        "headline": "Only one arm has a result.",
    }
    return told


def long_names() -> Json:
    long = [
        (
            f"{name}/{'very_long_directory_name_' * 4}{name}",
            f"{words} with {'a description that does not end ' * 3}",
            k,
            c,
        )
        for name, words, k, c in ARMS
    ]
    told = verdicts(
        [(name, words, kind, curve) for (_, words, kind, curve), (name, *_) in zip(long, ARMS, strict=True)]
    )
    text = json.dumps(told)
    return json.loads(
        text.replace('"pixels"', json.dumps(long[1][0])).replace(
            '"kind": ' + json.dumps(long[1][0]), '"kind": "pixels"'
        )
    )


def hurt() -> Json:
    worse = [("resnet", "features of resnet50", "features", (0.12, 0.6, 0.4)), ARMS[1], ARMS[2]]
    return verdicts(worse)


def near() -> Json:
    close = [("sprout", "features of sprout", "features", (0.049, 0.748, 0.42)), ARMS[1]]
    return verdicts(close)


SHAPES: dict[str, Callable[[], Json]] = {
    "plain": verdicts,
    "one_size": lambda: verdicts(sizes=[("50", 50.0)]),
    "one_repeat": lambda: verdicts(repeats=1),
    "missing": lambda: failed_size(verdicts()),
    "ten_arms": lambda: verdicts(MANY),
    "hundred_classes": lambda: verdicts(classes=tuple(f"class_{i:03d}_of_some_length" for i in range(100))),
    "long_names": long_names,
    "perfect": lambda: verdicts(perfect=True),
    "failed": all_failed_but_one,
    "no_transfer": lambda: verdicts([ARMS[1], ARMS[2]]),
    "hurt": hurt,
    "near": near,
    "two_sizes": lambda: verdicts(sizes=[("5", 5.0), ("10%", 62.4)]),
}


class Page(HTMLParser):
    """The tags of a page with their attributes, and its text without style sheets."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.inside_style = False
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))
        self.inside_style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self.inside_style = False

    def handle_data(self, data: str) -> None:
        if not self.inside_style:
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def write(folder: Path, told: Json) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "verdicts.json").write_text(json.dumps(told), encoding="utf-8")
    return folder
