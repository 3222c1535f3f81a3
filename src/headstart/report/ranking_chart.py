"""Accuracy against speed of the ranked backbones: the geometry that `templates/ranking.html` draws as SVG.

Laid out twice, for a wide page and for a phone; the style sheet shows the one that fits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from headstart.report.charts import Axis, Tick, padded
from headstart.report.numbers import percent, shown

Box = tuple[float, float, float, float]  # left, top, right, bottom
RADIUS = 5.0
REACH = [(aside, dy) for aside in (14, 44, 84) for dy in (16, -16, 32, -32, 48, -48, 64, -64)]
"""How far beside and below its point a label may be put when there is no room next to it, in the order of liking."""


@dataclass(frozen=True)
class Frame:
    """Measures of a drawing in its own units: size, plotting area, text size, and the longest label in characters."""

    kind: str
    width: float
    height: float
    box: Box
    font: float
    longest: int


WIDE = Frame("wide", 760, 404, (52, 12, 750, 356), 13, 40)
SLIM = Frame("slim", 340, 344, (40, 10, 334, 296), 11, 26)


@dataclass(frozen=True)
class Label:
    """Text at (x, y), `side` its CSS class for the anchor; `leader` leads to its point where it lies apart."""

    text: str
    x: float
    y: float
    side: str
    leader: str


@dataclass(frozen=True)
class Point:
    """A backbone at (x, y), its interval low..high; `kind` is `best`, `tied` or `worse`; no `label` where none fits."""

    x: float
    y: float
    low: float
    high: float
    kind: str
    words: str
    label: Label | None


@dataclass(frozen=True)
class Scatter:
    """All backbones in one frame; `front` is an SVG path, `baseline` the height of the raw pixels' line with words."""

    frame: Frame
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    points: list[Point]
    front: str
    baseline: tuple[float, Label]
    unlabelled: int


def scatters(found: Mapping[str, Any]) -> list[Scatter]:
    """Of the content of ranking.json: wide and slim."""
    return [_scatter(found, frame) for frame in (WIDE, SLIM)]


def _scatter(found: Mapping[str, Any], frame: Frame) -> Scatter:
    rows, baseline = found["backbones"], found["baseline"]
    across, up = _axes(rows, baseline, frame)
    places = [(across.at(row["images_per_s"]), up.at(row["accuracy"])) for row in rows]
    spans = [(up.at(row["accuracy_high"]), up.at(row["accuracy_low"])) for row in rows]
    corners = _corners([place for place, row in zip(places, rows, strict=True) if row["on_front"]], frame)
    line = up.at(baseline["accuracy"])
    taken = [_bar(x, span) for (x, _), span in zip(places, spans, strict=True)]
    pixels = _pixels(f"raw pixels {percent(baseline['accuracy'])}", line, [*taken, *_strokes(corners)], frame)
    taken.append(_around(pixels, frame))
    order = sorted(range(len(rows)), key=lambda i: (not rows[i]["on_front"], i))
    labels: dict[int, Label | None] = {}
    for i in order:
        labels[i] = _label(rows[i], (*places[i], *spans[i]), taken, [*_strokes(corners), _stroke(line, frame)], frame)
        if (label := labels[i]) is not None:
            taken.append(_around(label, frame))
    points = [
        Point(*places[i], spans[i][1], spans[i][0], kind(row), _words(row), labels[i]) for i, row in enumerate(rows)
    ]
    return Scatter(
        frame,
        across.ticks("{:g}".format),
        up.ticks(lambda share: f"{100 * share:.6g}%"),
        points,
        "M" + "L".join(f"{x:g} {y:g}" for x, y in corners),
        (line, pixels),
        sum(label is None for label in labels.values()),
    )


def kind(row: Mapping[str, Any]) -> str:
    """`best`, `tied` (cannot be told apart from it) or `worse`."""
    return "best" if row["told_apart"] is None else "worse" if row["told_apart"] else "tied"


def _axes(rows: Sequence[Mapping[str, Any]], baseline: Mapping[str, Any], frame: Frame) -> tuple[Axis, Axis]:
    """Speed on a log axis with room for labels at both ends; accuracy with the intervals and the raw pixels inside."""
    left, top, right, bottom = frame.box
    speeds = [row["images_per_s"] for row in rows]
    lo, hi = min(speeds), max(speeds)
    room = max(1.35, (6 * lo / hi) ** 0.5)  # never less than a factor of 6 in all: one speed is no axis
    lows, highs = [row["accuracy_low"] for row in rows], [row["accuracy_high"] for row in rows]
    ends = padded(min(*lows, baseline["accuracy"]), max(*highs, baseline["accuracy"]))
    return Axis(lo / room, hi * room, left, right, log=True), Axis(*ends, bottom, top)


def _corners(front: Sequence[tuple[float, float]], frame: Frame) -> list[tuple[float, float]]:
    """The staircase of what accuracy can be had at what speed: from the left edge to each point, then down."""
    found = [(frame.box[0], min(y for _, y in front))]
    for x, y in sorted(front):
        found += [(found[-1][0], y), (x, y)]
    return [*found[1:], (found[-1][0], frame.box[3])]


def _pixels(text: str, line: float, taken: Sequence[Box], frame: Frame) -> Label:
    """The name of the raw pixels' line: above or below it, as far right as it meets nothing."""
    left, _, right, _ = frame.box
    places = range(round(right) - 4, round(left) + 100, -8)
    tried = [Label(text, x, line + dy, "end", "") for dy in (-6, 4 + 0.9 * frame.font) for x in places]
    fitting = (each for each in tried if not any(_meet(_around(each, frame), other) for other in taken))
    return next(fitting, tried[0])


def _label(
    row: Mapping[str, Any], place: tuple[float, float, float, float], taken: list[Box], lines: list[Box], frame: Frame
) -> Label | None:
    """The first place near its point where a name meets nothing; crossing a line is better than no name."""
    tried = list(_places(shown(row["backbone"], frame.longest), place, frame))
    for obstacles in ([*taken, *lines], taken):
        for label in tried:
            box = _around(label, frame)
            if _inside(box, frame) and not any(_meet(box, other) for other in obstacles):
                return label
    return None


def _places(text: str, place: tuple[float, float, float, float], frame: Frame) -> Iterator[Label]:
    """Beside the point, above and below its interval, then further away with a line that leads there."""
    x, y, high, low = place
    middle = y + 0.35 * frame.font
    sides = (("start", 1), ("end", -1))
    yield from (Label(text, x + sign * (RADIUS + 4), middle, side, "") for side, sign in sides)
    yield Label(text, x, high - 6, "mid", "")
    yield Label(text, x, low + frame.font + 3, "mid", "")
    for aside, dy in REACH:
        for side, sign in sides:
            leader = f"M{x + sign * 4:g} {y + (3 if dy > 0 else -3):g}L{x + sign * (aside + 2):g} {y + dy:g}"
            yield Label(text, x + sign * (aside + RADIUS), middle + dy, side, leader)


def _around(label: Label, frame: Frame) -> Box:
    """The rectangle that a text is thought to take."""
    width = 0.63 * frame.font * len(label.text)  # as wide as bold text
    left = label.x - {"start": 0.0, "mid": width / 2, "end": width}[label.side]
    return left - 2, label.y - 0.85 * frame.font, left + width + 2, label.y + 0.3 * frame.font


def _bar(x: float, span: tuple[float, float]) -> Box:
    return x - RADIUS - 1, span[0] - 1, x + RADIUS + 1, span[1] + 1


def _stroke(y: float, frame: Frame) -> Box:
    return frame.box[0], y - 1, frame.box[2], y + 1


def _strokes(corners: Sequence[tuple[float, float]]) -> list[Box]:
    return [(min(a, c) - 1, min(b, d) - 1, max(a, c) + 1, max(b, d) + 1) for (a, b), (c, d) in pairwise(corners)]


def _inside(box: Box, frame: Frame) -> bool:
    left, top, right, bottom = frame.box
    return box[0] >= left and box[1] >= top - 8 and box[2] <= right + 4 and box[3] <= bottom


def _meet(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _words(row: Mapping[str, Any]) -> str:
    low, high = percent(row["accuracy_low"]), percent(row["accuracy_high"])
    name = shown(row["backbone"])
    return f"{name}: {percent(row['accuracy'])} ({low} to {high}), {row['images_per_s']:,.0f} pictures a second"
