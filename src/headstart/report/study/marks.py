"""What is drawn on the main chart for the headline's comparison: start, slope, asymptote and data equivalence.

The start is a bracket before the first size, the slope words beside the lines, the asymptote the dashed tail of a curve
(`curves`), the equivalence an arrow to the right. Words are put where they cover least of the curves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from headstart.report.charts import Axis
from headstart.report.study.curves import Box, Curve, Frame
from headstart.report.study.files import Comparison, Equivalence
from headstart.report.study.words import about, pictures, points, width

NEAR = 1.5
"""An equivalence of less than this factor makes no arrow that could be seen."""

WAIT = 0.05
"""What each place further down the list costs, in samples of a curve that would be covered."""


@dataclass(frozen=True)
class Words:
    """Text around a point; `marker` is a curve whose marker stands before it."""

    x: float
    y: float
    text: str
    marker: Curve | None = None


@dataclass(frozen=True)
class Marks:
    """The bracket with its lines of text, the words of the slopes, the arrow as a path and its head, its words."""

    bracket: str
    start: list[Words]
    slopes: list[Words]
    arrow: str
    head: str
    same: Words | None


def marks(compared: Comparison, drawn: dict[str, Curve], across: Axis, frame: Frame) -> Marks:
    """All marks of one comparison; what was not measured is not drawn."""
    taken: list[Box] = []
    bracket, start = _start(compared, drawn, frame)
    taken += [(w.x - width(w.text, frame.font), w.y - frame.line, w.x, w.y + 4) for w in start]
    arrow, head, same = _equivalence(compared, drawn, across, frame, taken)
    slopes = list(_slopes(compared, drawn, frame, taken)) if frame.wide else []
    return Marks(bracket, start, slopes, arrow, head, same)


def _start(compared: Comparison, drawn: dict[str, Curve], frame: Frame) -> tuple[str, list[Words]]:
    """The bracket from one curve to the other at the smallest size, and the points between them."""
    first, second = drawn[compared.first].dots[0], drawn[compared.second].dots[0]
    if first[0] != second[0] or not compared.by_size:
        return "", []
    x, arm = first[0] - 11, 5
    bracket = f"M{x + arm:g} {first[1]:g}H{x:g}V{second[1]:g}H{x + arm:g}"
    low, high = frame.box[1] + frame.line, frame.box[3] - 1.2 * frame.line
    middle = min(max((first[1] + second[1]) / 2, low), high)
    said = [points(compared.by_size[0].difference.value), "points"]
    said += ["at the start"] * frame.wide
    top = middle - frame.line * (len(said) / 2 - 0.78)
    return bracket, [Words(x - 5, round(top + i * frame.line, 1), text) for i, text in enumerate(said)]


def equivalence(compared: Comparison) -> Equivalence | None:
    """The one that is drawn: the largest factor on the curve, or else beyond it; None where none is sure and large."""
    sure = [told for told in compared.equivalence if _is_sure(told) and _factor(told) >= NEAR]
    return max((told for told in sure if told.value), key=_factor, default=max(sure, key=_factor, default=None))


def _factor(told: Equivalence) -> float:
    """How many times as many pictures, or as few."""
    factor = (told.value or told.beyond or told.n) / told.n
    return max(factor, 1 / factor)


def _is_sure(told: Equivalence) -> bool:
    """Whether the interval says the same as the value: more than n, or fewer."""
    fewer = told.value is not None and told.value < told.n
    return told.high is not None and told.high < told.n if fewer else told.low is not None and told.low > told.n


def equivalence_words(found: Equivalence) -> str:
    """`10 do what 100 do`, `1 does what more than 812 do`."""
    verb = "does" if found.n == 1 else "do"
    return f"{pictures(found.n)} {verb} what {needed(found)} do"


def needed(found: Equivalence) -> str:
    """`170`, `more than 812`, or `at least 300` where the interval begins on the curve and the value is beyond it."""
    if found.value:
        return about(found.value)
    low, beyond = found.low or 0.0, found.beyond or 0.0
    return f"more than {pictures(beyond)}" if low >= beyond else f"at least {about(low)}"


def _equivalence(
    compared: Comparison, drawn: dict[str, Curve], across: Axis, frame: Frame, taken: list[Box]
) -> tuple[str, str, Words | None]:
    """The arrow from the first curve to as many pictures as the second needs, its head, and its words."""
    found = equivalence(compared)
    start = next((d for d in drawn[compared.first].dots if found and d[0] == across.at(found.n)), None)
    if found is None or start is None:
        return "", "", None
    x, y = start[0], start[1]
    end = across.at(found.value) if found.value else across.end + frame.after * 0.6
    way = 1 if end > x else -1
    text = equivalence_words(found)
    boxes = _along(min(x, end), max(x, end), y, text, frame)
    taken.append((min(x, end) - 20, y - 6, max(x, end) + 20, y + 6))
    words = _placed(text, boxes, list(drawn.values()), taken)
    return f"M{x + 7 * way:g} {y:g}H{end - 4 * way:g}", f"M{end:g} {y:g}l{-8 * way} -4.5v9z", words


def _along(left: float, right: float, y: float, text: str, frame: Frame) -> Iterator[Box]:
    """Places for the words of the arrow: under and over it, from its middle outwards, inside the plotting area."""
    wide, high = width(text, 1.08 * frame.font), frame.line  # bold
    middle = (left + right) / 2
    for shift in (0.0, -0.15, 0.15, -0.3, 0.3, -0.45, 0.45):
        x = middle + shift * max(right - left, wide)
        x = min(max(x - wide / 2, frame.box[0] + frame.before - 8), frame.box[2] - wide)
        for top in (y + 7, y - 6 - high):
            if top > frame.box[1] - 8 and top + high < frame.box[3]:
                yield x, top, x + wide, top + high


def _slopes(compared: Comparison, drawn: dict[str, Curve], frame: Frame, taken: list[Box]) -> Iterator[Words]:
    """Points per doubling beside the lines of both arms."""
    heights = {name: sum(dot[1] for dot in drawn[name].dots) for name in (compared.first, compared.second)}
    for name, told in ((compared.first, "first"), (compared.second, "second")):
        found = getattr(compared.slope, told, None)
        if found is None or len(drawn[name].dots) < 2:
            continue
        text = f"{points(found.value)} points per doubling"
        boxes = _beside(drawn[name], text, frame, under=heights[name] == max(heights.values()))
        words = _placed(text, boxes, list(drawn.values()), taken, marker=drawn[name])
        if words:
            yield words


def _beside(drawn: Curve, text: str, frame: Frame, under: bool) -> Iterator[Box]:
    """Places for words near a line, the middle first: over it to the left and under it to the right, because accuracy
    rises, or the other way round; under it first where asked."""
    wide, high = width(text, frame.font) + 16, frame.line
    way = [point for one, two in pairwise(drawn.dots) for point in _between(one[:2], two[:2], 24)]
    for x, y in sorted(way, key=lambda point: abs(point[0] - (way[0][0] + way[-1][0]) / 2)):
        over = [(x - wide + 12, y - high - room) for room in (9, 20, 34)]
        below = [(x - 12, y + room) for room in (9, 20, 34)]
        for left, top in below + over if under else over + below:
            left = min(max(left, frame.box[0] + frame.before), frame.box[2] - wide)
            if top > frame.box[1] - 6 and top + high < frame.box[3]:
                yield left, top, left + wide, top + high


def _placed(
    text: str, boxes: Iterator[Box], drawn: Sequence[Curve], taken: list[Box], marker: Curve | None = None
) -> Words | None:
    """Words in the box that covers least of the curves, or the nearly least that was named earlier, and nothing that
    was placed before."""
    ink = [point for each in drawn for one, two in pairwise(each.dots) for point in _between(one[:2], two[:2], 4)]
    ink += [dot[:2] for each in drawn for dot in each.dots for _ in range(4)]
    ink += [point for each in drawn if each.tail for point in _between(each.dots[-1][:2], each.end, 4)]
    free = [box for box in boxes if not any(_overlap(box, other) for other in taken)]
    if not free:
        return None
    cost = [sum(_inside(point, box) for point in ink) + WAIT * i for i, box in enumerate(free)]
    best = free[cost.index(min(cost))]
    taken.append(best)
    shift = 16 if marker else 0
    return Words(round(best[0] + shift, 1), round(best[1] + 0.78 * (best[3] - best[1]), 1), text, marker)


def _between(one: tuple[float, float], two: tuple[float, float], step: float) -> Iterator[tuple[float, float]]:
    n = max(1, round(max(abs(two[0] - one[0]), abs(two[1] - one[1])) / step))
    for i in range(n + 1):
        yield one[0] + (two[0] - one[0]) * i / n, one[1] + (two[1] - one[1]) * i / n


def _inside(point: tuple[float, float], box: Box, room: float = 3) -> bool:
    return box[0] - room < point[0] < box[2] + room and box[1] - room < point[1] < box[3] + room


def _overlap(one: Box, two: Box) -> bool:
    return one[0] < two[2] and two[0] < one[2] and one[1] < two[3] and two[1] < one[3]
