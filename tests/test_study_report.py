"""The page of a study says what verdicts.json says, leaves out what is missing, and can be read in every shape."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.patches import Polygon

from headstart.errors import UserError
from headstart.phrases import two_digits
from headstart.report.charts.curves import CurvesDisplay
from headstart.report.charts.labels import apart, folded
from headstart.report.study import write_study_report
from headstart.report.study.charts import main_chart, training_charts
from headstart.report.study.looks import looks
from headstart.report.study.words import points
from headstart.schema.verdicts import read as read_study
from reading import Page

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
        c["sentence"] = f"The verdict on {words[c['first']]} against {words[c['second']]} is {c['verdict']['word']}."
    crossed = [c for c in comparisons if c["first"] not in FREE and c["second"] in FREE]
    headline = crossed[0]["sentence"] if crossed else comparisons[0]["sentence"]
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
                {"key": "grey", "measured": 1.0, "sentence": "All pictures are grey; the source had colour."},
                {"key": "enlarged", "measured": 8.25, "sentence": "Each picture is enlarged before the network."},
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
        "slope": None if one else {
            "first": estimate(slope(curves[a]), half), "second": estimate(slope(curves[b]), half),
            "difference": estimate(slope(curves[a]) - slope(curves[b]), half)},
        "x90": {"first": 20.0, "second": None},
        "asymptote": {"first": estimate(min(1.0, gaps[-1] + float(curves[b][-1]) + 0.01), half), "second": None,
                      "difference": None}
        if many and half is not None else {"first": None, "second": None, "difference": None},
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
    epochs = [{"epoch": i, "step": 40 * i, "accuracy": y, "low": y - 0.02, "high": min(1, y + 0.02)}
              for i, y in enumerate(shares)]  # fmt: skip
    return {
        "arm": name, "size": size, "points": epochs, "start": estimate(start, 0.02), "slope": estimate(0.04, 0.01),
        "x90": 12, "asymptote": estimate(end, 0.01), "reached": True,
        "sentence": f"{words} began at {100 * start:.1f}%, and levelled off at {100 * end:.1f}%.",
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
    arm["failed"] = "The fit with 5 pictures per class ran out of memory."
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
    """Every arm with words of 90 characters and a name of 120."""
    told = verdicts()
    text = json.dumps(told)
    for name, words, _, _ in ARMS:
        text = text.replace(f': "{name}"', f': "{name}{"/a_directory_with_a_long_name" * 4}"')
        text = text.replace(words, f"{words} {'described at great length ' * 3}".strip())
    found: Json = json.loads(text)
    for arm, kind in zip(found["arms"], ("features", "pixels", "scratch"), strict=True):
        arm["kind"] = kind
    return found


def one_size() -> Json:
    """The smallest study with a verdict."""
    return verdicts(sizes=[("50", 50.0)])


def hurt() -> Json:
    worse = [("resnet", "features of resnet50", "features", (0.12, 0.6, 0.4)), ARMS[1], ARMS[2]]
    return verdicts(worse)


def near() -> Json:
    close = [("sprout", "features of sprout", "features", (0.049, 0.748, 0.42)), ARMS[1]]
    return verdicts(close)


def ten_arms() -> Json:
    """Each transfer arm against pixels alone: 21 pairs take as many charts, and tell no more."""
    told = verdicts(MANY)
    for part in ("comparisons", "per_class", "reasons"):
        told[part] = [each for each in told[part] if each["second"] not in ("scratch", "random")]
    return told


SHAPES: dict[str, Callable[[], Json]] = {
    "plain": verdicts,
    "one_size": one_size,
    "one_repeat": lambda: verdicts(repeats=1),
    "missing": lambda: failed_size(verdicts()),
    "ten_arms": ten_arms,
    "hundred_classes": lambda: verdicts(classes=tuple(f"class_{i:03d}_of_some_length" for i in range(100))),
    "long_names": long_names,
    "perfect": lambda: verdicts(perfect=True),
    "failed": all_failed_but_one,
    "no_transfer": lambda: verdicts([ARMS[1], ARMS[2]]),
    "hurt": hurt,
    "near": near,
    "two_sizes": lambda: verdicts(sizes=[("5", 5.0), ("10%", 62.4)]),
}


def write(folder: Path, told: Json) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "verdicts.json").write_text(json.dumps(told), encoding="utf-8")
    return folder


@dataclass(frozen=True)
class Written:
    """A study folder, what is in its verdicts.json, and the page."""

    folder: Path
    told: Json
    page: Page


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Written]:
    """The study of a shape with its page, written once."""

    @cache
    def made(name: str) -> Written:
        told = SHAPES[name]()
        folder = write(tmp_path_factory.mktemp(name), told)
        return Written(folder, told, Page(write_study_report(folder)))

    return made


EVERYDAY = ("plain", "missing", "long_names", "failed", "hurt", "near")
"""Shapes in which something is told that others do not have; the rest are checked with the slow tests."""


@pytest.fixture(
    params=[name if name in EVERYDAY else pytest.param(name, marks=pytest.mark.slow) for name in SHAPES],
    scope="module",
)
def shape(request: pytest.FixtureRequest, written: Callable[[str], Written]) -> Written:
    """A study of each shape with its page."""
    return written(request.param)


def percent(share: float) -> str:
    return "100%" if share == 1 else f"{100 * share:.1f}%"


def crossed(told: Json) -> list[Json]:
    transfer = {arm["name"]: arm["transfer"] for arm in told["arms"]}
    return [c for c in told["comparisons"] if transfer[c["first"]] and not transfer[c["second"]]]


def test_every_shape_of_a_study_gives_a_sound_page(shape: Written) -> None:
    """One page that needs nothing else, with a heading for each section, a caption for each table, links that lead
    somewhere, words for each drawing, and no section without content."""
    page = shape.page
    sections = {section["id"]: section["aria-labelledby"] for section in page.all("section")}
    assert {link["href"] for link in page.all("a")} == {f"#{name}" for name in sections}
    assert {heading["id"] for heading in page.all("h2")} == set(sections.values())
    assert len(page.all("h1")) == 1
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(svg.get("aria-label") or svg.get("aria-hidden") for svg in page.all("svg"))
    assert not page.all("script") and not page.all("img") and not page.all("link")
    assert not re.search(r"https?://|url\((?!#)|@import", page.source)
    assert not re.search(r"\b(None|nan|inf|Undefined)\b", page.source)
    bodies = re.findall(r"</h2>(.*?)</section>", page.source, re.S)
    assert len(bodies) == len(sections) and all(re.sub(r"<[^>]*>|\s", "", body) for body in bodies)


def test_the_headline_and_every_verdict_are_on_the_page_in_words(shape: Written) -> None:
    """Each comparison's sentence, its details and its verdict's word stand on the page."""
    page, told = shape.page, shape.told
    assert f"<h1>{told['headline']}</h1>" in page.source
    for c in crossed(told):
        assert c["sentence"] in page.text
        assert all(sentence in page.text for sentence in c["details"])
    words = re.findall(r'<span class="verdict \w+"><b[^>]*>.</b> (.*?)</span>', page.source, re.S)
    legend = 6 if crossed(told) else 0
    shown = sorted(words[: len(crossed(told))] + words[len(crossed(told)) + legend :])
    assert shown == sorted([c["verdict"]["word"] for c in told["comparisons"] + crossed(told)])


def test_a_headline_of_several_sentences_begins_with_the_first_alone(tmp_path: Path) -> None:
    """The heading stays short; what follows stands under it."""
    told = one_size() | {
        "headline": "It cannot tell: 4.0 points vs. 5.1 to 6. With 5 pictures, it helped. More would tell."
    }
    source = write_study_report(write(tmp_path, told)).read_text()
    assert "<h1>It cannot tell: 4.0 points vs. 5.1 to 6.</h1>" in source
    assert ">With 5 pictures, it helped. More would tell.</p>" in source


def test_the_numbers_of_the_tables_are_those_in_the_file(shape: Written) -> None:
    """Every accuracy with its interval in the order of the sizes, and the parameters and features of every arm."""
    page, told = shape.page, shape.told
    names = looks(read_study(shape.folder))
    section = page.source.partition('id="accuracies"')[2].partition("</section>")[0]
    rows = dict(re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', section, re.S))
    assert list(rows) == [names[arm["name"]].words for arm in told["arms"] if arm["curve"]]
    for arm in told["arms"]:
        shares = {point["size"]: percent(point["accuracy"]) for point in arm["curve"]}
        expected = [shares.get(size["name"], "–") for size in told["study"]["sizes"]]
        row = rows.get(names[arm["name"]].words)
        if row:
            cells = re.sub(r"<small>.*?</small>|<[^>]*>|★|&nbsp;", " ", row).split()
            assert cells == [*expected, str(told["study"]["repeats"])]
        for point in arm["curve"]:
            if point["low"] is not None:
                assert f"{percent(point['low']).removesuffix('%')} to {percent(point['high'])}" in page.text
        assert f" {arm['trained_parameters']:,} " in page.text
        assert f" {arm['features']:,} " in page.text


def test_the_differences_of_every_comparison_are_those_in_the_file(shape: Written) -> None:
    """Over all sizes and at each size, in points with the interval."""
    page, told = shape.page, shape.told
    for c in crossed(told):
        for v in [c["verdict"], *c["by_size"]]:
            e = v["difference"]
            ends = "" if e["low"] is None else f" ({points(e['low'])} to {points(e['high'])})"
            assert f" {points(e['value'])}{ends} " in page.text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.251, "+25.1"), (-0.0123, "−1.2"), (0.0, "0.0"), (1e-17, "0.0"), (-0.0004, "−0.04"), (1, "+100.0")],
)  # fmt: skip
def test_a_difference_is_written_in_points_with_its_sign(share: float, text: str) -> None:
    assert points(share) == text


def test_the_best_of_each_size_is_marked_and_ties_of_all_are_not(written: Callable[[str], Written]) -> None:
    """One star in each column that has a best arm; none where all arms are equal."""
    told, page = written("plain").told, written("plain").page
    best = [max(arm["curve"][i]["accuracy"] for arm in told["arms"]) for i in range(len(SIZES))]
    assert re.findall(r"★</span>&nbsp;([\d.]+%)", page.source) == [percent(share) for share in best]
    assert "★</span>&nbsp;" not in written("perfect").page.source


def test_names_from_outside_cannot_become_markup(tmp_path: Path) -> None:
    """Every text of the file may hold tags and quotes; each is shown as text, also inside the drawings."""
    bad = "<script>alert('1')</script>\"'&"
    told = failed_size(verdicts(classes=(bad, "b")))
    text = json.dumps(told)
    for old in ("sprout", "raw pixels", "13 values", "enlarged", "out of memory", "compare", "At the start", "mnist"):
        text = text.replace(old, f"{old}{json.dumps(bad)[1:-1]}")
    told = json.loads(text)
    told["study"]["sizes"][-1]["name"] = told["arms"][0]["curve"][-1]["size"] = bad
    page = Page(write_study_report(write(tmp_path, told)))
    assert not page.all("script")
    assert "<script" not in page.source
    assert page.source.count("&lt;script&gt;") > 20


def chart_of(folder: Path) -> CurvesDisplay:
    """The main chart of a study folder."""
    study = read_study(folder)
    chart = main_chart(study, looks(study))
    assert chart is not None
    return chart


@pytest.mark.parametrize("width", CurvesDisplay.widths)
def test_labels_at_the_lines_ends_do_not_overlap(shape: Written, width: float) -> None:
    """On a page and on a phone: no words over others, none outside the drawing or over the curves."""
    chart = chart_of(shape.folder).plot(width=width, title=False)
    chart.figure_.draw_without_rendering()
    frame, page = chart.ax_.get_window_extent(), chart.figure_.bbox
    ends = [
        text for text in chart.ax_.texts if text.get_ha() == "left" and text.get_position()[0] == 1 and text.get_text()
    ]
    assert len({text.get_position()[1] for text in ends}) == sum(bool(arm["curve"]) for arm in shape.told["arms"])
    boxes = sorted((text.get_window_extent() for text in ends), key=lambda box: box.y0)
    assert all(box.x0 > frame.x1 and box.x1 <= page.x1 + 1 and box.y0 >= page.y0 and box.y1 <= page.y1 for box in boxes)
    assert all(low.y1 <= high.y0 + 0.35 * low.height for low, high in pairwise(boxes)), "but for ascenders"


@pytest.mark.parametrize("width", CurvesDisplay.widths)
def test_an_arrow_beyond_the_last_size_ends_inside_the_drawing(width: float, tmp_path: Path) -> None:
    """Beyond it, Matplotlib would leave it out. One size that is enough makes an equivalence beyond the curve."""
    chart = chart_of(write(tmp_path, verdicts(repeats=1, sizes=SIZES[-2:]))).plot(width=width)
    assert chart.arrow and chart.arrow.needed is None and not any(curve.limit for curve in chart.curves)
    (arrow,) = [text for text in chart.ax_.texts if getattr(text, "arrow_patch", None) and text.xy[0] > 812.5]
    assert arrow.xy[0] <= chart.ax_.get_xlim()[1]


def test_labels_move_no_further_than_they_must() -> None:
    """Labels that are apart stay where they are; equal ones are centred there; the ends of the room hold."""
    assert apart([10, 50, 90], [20, 20, 20], 0, 100) == [10, 50, 90]
    assert apart([50, 50, 50], [20, 20, 20], 0, 100) == pytest.approx([30, 50, 70])
    assert apart([0, 0], [20, 30], 0, 100) == pytest.approx([10, 35])
    assert apart([100, 100], [20, 30], 0, 100) == pytest.approx([60, 85])
    rng = np.random.default_rng(0)
    for _ in range(200):
        heights = rng.uniform(5, 12, size=8)
        middles = np.array(apart(sorted(rng.uniform(0, 100, size=8)), list(heights), 0, 100))
        assert np.all(np.diff(middles) >= (heights[1:] + heights[:-1]) / 2 - 1e-9)
        assert middles[0] >= heights[0] / 2 - 1e-9 and middles[-1] <= 100 - heights[-1] / 2 + 1e-9


def test_the_marks_are_drawn_where_the_numbers_say(tmp_path: Path) -> None:
    """The bracket joins the first points of the headline's two arms; the arrow lies at the first arm's accuracy and
    ends at the number of pictures that the second needs; each slope is a triangle over a doubling; no line goes beyond
    the last size but the asymptote's own."""
    told = verdicts()
    chart = chart_of(write(tmp_path, told)).plot()
    first, second = (next(c for c in chart.curves if c.look.words == w) for w in ("features of sprout", "raw pixels"))
    lines = [tuple(zip(*line.get_data(), strict=True)) for line in chart.ax_.lines]
    assert tuple((1.0, y) for y in sorted([first.samples[0].y or 0, second.samples[0].y or 0])) in lines
    e = told["comparisons"][0]["equivalence"][0]
    arrow = next(
        text for text in chart.ax_.texts if getattr(text, "arrow_patch", None) and text.xy[1] == first.samples[0].y
    )
    assert arrow.get_position()[0] == 1 and arrow.xy[0] == pytest.approx(e["value"]) and 30 < e["value"] < 80
    assert f"1 instead of about {two_digits(e['value'])}" in [text.get_text() for text in chart.ax_.texts]
    patches = [patch.get_xy() for patch in chart.ax_.patches if isinstance(patch, Polygon)]
    rises = {round(float(xy[2][1] - xy[1][1]), 9): xy[1][0] / xy[0][0] for xy in patches}
    told_slopes = [told["comparisons"][0]["slope"][role]["value"] for role in ("first", "second")]
    assert {round(slope, 9) for slope in told_slopes} == set(rises) and set(rises.values()) == {2.0}
    beyond = [line for line in lines if len(line) == 2 and line[0][0] == line[1][0] > 812.5 and line[0][1] != 0]
    low, high = (first.limit or (0, 0, 0))[1:]
    assert [line[0][1] for line in beyond if line[0][1] == low] == [low] and (
        beyond[0][1][1] == high or len(beyond) > 1
    )
    assert all(x <= 812.5 for line in lines if len(line) > 2 for x, _ in line)


def test_a_chart_against_epochs_has_no_slope_and_says_where_a_curve_levelled_off(tmp_path: Path) -> None:
    """A rise per doubling cannot be read on an axis that is not logarithmic; the legend tells the kinds of line."""
    study = read_study(write(tmp_path, verdicts()))
    chart = training_charts(study, looks(study))[0][0].plot()
    assert not [patch for patch in chart.ax_.patches if isinstance(patch, Polygon)]
    assert "levelled\noff" in [text.get_text() for text in chart.ax_.texts]
    assert all(curve.notes[-1].startswith("levelled off at ") and len(curve.notes) == 2 for curve in chart.curves)
    legend = chart.ax_.get_legend()
    assert legend is not None and [text.get_text() for text in legend.get_texts()] == ["transfer", "source-free"]


@pytest.mark.parametrize(("text", "lines"), [
    ("features of mobilenetv2_100 (random weights)", ["features of", "mobilenetv2_100", "(random", "weights)"]),
    ("mobilenetv3_small_100.lamb_in1k", ["mobilenetv3_", "small_100.lamb_", "in1k"]),
    ("abcdefghijklmnopqrst", ["abcdefghijklmno", "pqrst"]),
])  # fmt: skip
def test_the_words_at_the_end_of_a_curve_are_never_cut(text: str, lines: list[str]) -> None:
    """A word that is longer than a line is broken behind a mark."""
    assert folded(text, 92, 11) == lines


def test_all_pictures_stand_on_the_second_line_where_their_number_would_hide_another(tmp_path: Path) -> None:
    """500 and 644 are too near each other for one line."""
    sizes = [("2", 2.0), ("20", 20.0), ("500", 500.0), ("all", 644.0)]
    chart = chart_of(write(tmp_path, verdicts(sizes=sizes))).plot()
    assert [label.get_text() for label in chart.ax_.get_xticklabels()] == ["2", "20", "500", "\nall (644)"]


@pytest.mark.parametrize("width", CurvesDisplay.widths)
@pytest.mark.parametrize("sizes", [SIZES, SIZES[:4], SIZES[:2]])
def test_the_words_of_the_bracket_lie_within_the_axes(sizes: list[Any], width: float, tmp_path: Path) -> None:
    """Left of them are the labels of the other axis."""
    chart = chart_of(write(tmp_path, verdicts(sizes=sizes))).plot(width=width)
    assert chart.bracket is not None
    words = [text for text in chart.ax_.texts if text.get_text() in chart.bracket.words]
    assert len(words) > 1
    assert min(text.get_window_extent().x0 for text in words) >= chart.ax_.get_window_extent().x0


def test_a_size_that_failed_leaves_a_gap_in_the_line(written: Callable[[str], Written]) -> None:
    """Points on both sides of a failed size are not joined, and the label says where the curve ends."""
    chart = chart_of(written("missing").folder).plot()
    pixels = next(curve for curve in chart.curves if curve.look.words == "raw pixels")
    lines = [list(line.get_ydata()) for line in chart.ax_.lines]
    assert [sample.y is None for sample in pixels.samples] == [False, False, True, False, False, False]
    assert any(len(ys) == 6 and np.isnan(ys[2]) and np.isfinite(np.delete(ys, 2)).all() for ys in lines)
    assert "84.2% at 100" in written("missing").page.text


def test_what_the_file_does_not_tell_has_no_section(tmp_path: Path) -> None:
    """One arm with a result, no comparison, no training, no note: four sections, and the failures with their reason."""
    told = all_failed_but_one() | {"notes": [], "command": ""}
    for arm in told["arms"]:
        arm["notes"] = []
    page = Page(write_study_report(write(tmp_path, told)))
    assert [section["id"] for section in page.all("section")] == [
        "curves",
        "accuracies",
        "costs",
        "failed",
        "reproduce",
    ]
    assert "raw pixels : The network could not be downloaded." in page.text
    assert not page.all("pre")


def test_only_the_largest_gains_and_losses_of_many_classes_are_shown(written: Callable[[str], Written]) -> None:
    """30 of 100 classes, the largest gain first, and how many are left out between."""
    told, page = written("hundred_classes").told, written("hundred_classes").page
    figure = page.source.split('<figure class="chart classes">')[1].split("</figure>")[0]
    label = re.search(r'aria-label="([^"]*)"', figure)
    shown = re.findall(r"(class_\d+_of_some_length): ([\d.]+%) → ([\d.]+%)", label[1] if label else "")
    rows = sorted(told["per_class"][0]["classes"], key=lambda row: -row["difference"])
    kept = rows[:15] + rows[-15:]
    assert shown == [(row["class"], percent(row["second"]), percent(row["first"])) for row in kept]
    assert "Left out between them: 70 classes" in figure


def test_intervals_adjusted_for_several_pairs_are_called_so_and_a_verdict_on_one_size_names_it(tmp_path: Path) -> None:
    """Of `2` and `all`, which is one set, the verdict is about the first."""
    told = verdicts(sizes=[("2", 2.0), ("all", 48.0)])
    told["notes"] = []
    for each in told["comparisons"]:
        each["verdict"] |= {"level": 0.975, "difference": each["by_size"][0]["difference"]}
    page = Page(write_study_report(write(tmp_path, told)))
    adjusted = (
        "With 2 labelled pictures per class, in points of accuracy, with 95% intervals, adjusted for several pairs"
    )
    assert adjusted in page.text and "no verdict over all sizes calls the wrong arm better" in page.text
    assert "of all pairs at once" not in page.text, "by Holm's steps, two clear pairs are both held in 93% of studies"
    assert "over all sizes: " not in page.text and ": all sizes" not in page.source


@pytest.mark.slow
def test_equal_files_give_an_equal_page(written: Callable[[str], Written], tmp_path: Path) -> None:
    """Writing the page twice, or in another folder of the same files, changes no byte."""
    first = written("one_size")
    pages = [write_study_report(folder).read_text() for folder in (first.folder, write(tmp_path / "b", one_size()))]
    assert pages == [first.page.source] * 2


def test_the_files_of_the_folder_are_listed_if_they_are_there(tmp_path: Path) -> None:
    (write(tmp_path, one_size()) / "study.csv").write_text("arm\n")
    text = Page(write_study_report(tmp_path)).text
    assert " study.csv " in text and " predictions.parquet " not in text


BROKEN: dict[str, tuple[Callable[[Json], str], str]] = {
    "not_json": (lambda told: "{", "it is not JSON"),
    "a_list": (lambda told: "[]", "not a table of keys"),
    "version": (lambda told: json.dumps(told | {"schema": 2}), "schema"),
    "no_arms": (lambda told: json.dumps(told | {"arms": []}), "arms"),
    "word": (lambda told: json.dumps(told).replace('"word": "helped"', '"word": "won"'), "verdict.word"),
    "arm": (lambda told: json.dumps(told | {"arms": told["arms"][:2]}), "'scratch'"),
    "not_utf8": (lambda told: json.dumps(told).replace("mnist", "\udcff"), "utf-8"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_refused_with_one_sentence(tmp_path: Path, name: str) -> None:
    """The sentence names the file and the place, and no page is written."""
    text, where = BROKEN[name][0](verdicts()), BROKEN[name][1]
    (tmp_path / "verdicts.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UserError, match=r"verdicts\.json") as caught:
        write_study_report(tmp_path)
    assert where in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "report.html").exists()


def test_a_folder_without_verdicts_is_no_finished_study(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is not a finished study: it holds no verdicts\.json"):
        write_study_report(tmp_path)


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_arm_s_colour_can_be_seen_in_light_and_dark(written: Callable[[str], Written]) -> None:
    """A contrast of at least 3 to the page (WCAG 2.2, 1.4.11) for all seven colours in both modes."""
    source = written("plain").page.source
    pages = re.findall(r"--page: (#\w{6})", source)
    colours = re.findall(r"--arm\d: (#\w{6})", source)
    assert len(pages) == 2 and len(colours) == 14
    for page, seven in zip(pages, (colours[:7], colours[7:]), strict=True):
        for colour in seven:
            light, dark = sorted((luminance(page), luminance(colour)), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 3, colour


def test_arms_differ_in_colour_marker_or_dash_and_source_free_ones_are_dashed(tmp_path: Path) -> None:
    """Of ten arms no two look the same even without colour, and a broken line means source-free."""
    study = read_study(write(tmp_path, verdicts(MANY)))
    found = looks(study)
    assert len({(look.colour, look.marker, look.dashes) for look in found.values()}) == len(MANY)
    assert {name for name, look in found.items() if look.dashes != "-"} == set(FREE)
    without_colour = [(look.marker, look.dashes) for look in found.values()]
    assert len(set(without_colour)) >= 9
