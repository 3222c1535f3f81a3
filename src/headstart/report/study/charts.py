"""The main chart of a study: accuracy against labelled pictures, with the marks of the headline's comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headstart.report.charts import Axis, Tick, padded, spread
from headstart.report.numbers import percent
from headstart.report.study.curves import NARROW, WIDE, Curve, Frame, Label, Sample, Series, curve, fitted, labels
from headstart.report.study.files import Arm, Estimate, Point, Study
from headstart.report.study.looks import Look
from headstart.report.study.marks import Marks, marks
from headstart.report.study.words import labelled, pictures, share_with_interval, size_lines, width

Looks = Mapping[str, Look]
Ticks = list[tuple[float, tuple[str, ...]]]


@dataclass(frozen=True)
class Plot:
    """A chart in one frame: `words` are its title, `across` names its horizontal axis."""

    frame: Frame
    words: str
    across: str
    x_ticks: Ticks
    y_ticks: list[Tick]
    curves: list[Curve]
    labels: list[Label]
    marks: Marks | None = None


@dataclass(frozen=True)
class Drawn:
    """The curves of the arms by name in one frame, and the axes they are drawn on."""

    frame: Frame
    across: Axis
    up: Axis
    series: dict[str, Series]
    curves: dict[str, Curve]

    def plot(self, words: str, across: str, ticks: Ticks, told: Marks | None = None) -> Plot:
        """The chart, the headline's two arms over the others."""
        curves = list(self.curves.values())
        over = sorted(curves, key=lambda each: each.strong)
        placed = labels(list(self.series.values()), curves, self.frame)
        y_ticks = self.up.ticks(lambda share: f"{100 * share:g}%")
        return Plot(self.frame, words, across, ticks, y_ticks, over, placed, told)


def draw(series: dict[str, Series], frame: Frame, ends: tuple[float, float], log: bool = False) -> Drawn:
    """Lay out curves over values `ends` in a frame, which is made taller for many labels."""
    frame = fitted(frame, list(series.values()))
    left, top, right, bottom = frame.box
    across = Axis(*spread(*ends), start=left + frame.before, end=right - frame.after, log=log)
    up = Axis(*_heights(series), start=bottom, end=top)
    return Drawn(frame, across, up, series, {name: curve(each, across, up, frame) for name, each in series.items()})


def _heights(series: dict[str, Series]) -> tuple[float, float]:
    """The range of shares that holds every point, interval and asymptote."""
    samples = [sample for each in series.values() for sample in each.samples]
    values = [value for s in samples for value in (s.y, s.low, s.high) if value is not None]
    values += [each.limit for each in series.values() if each.limit is not None]
    return padded(max(0.0, min(values)), min(1.0, max(values)))


def main_chart(study: Study, looks: Looks) -> list[Plot]:
    """Accuracy against labelled pictures of a class, for a wide page and for a phone; empty where no arm has any."""
    series = {arm.name: _by_size(study, arm, looks[arm.name]) for arm in study.arms if arm.curve}
    return [_main(study, series, frame) for frame in (WIDE, NARROW)] if series else []


def _by_size(study: Study, arm: Arm, look: Look) -> Series:
    main, slots = study.main(), {size.n: i for i, size in enumerate(study.study.sizes)}
    role = {main.first: "first", main.second: "second"}.get(arm.name) if main else None
    limit: Estimate | None = getattr(main.asymptote, role, None) if main and role else None
    return Series(
        look,
        [_sample(study, look, slots.get(point.n, i), point) for i, point in enumerate(arm.curve)],
        *_notes(study, arm.curve[-1], limit),
        strong=role is not None,
        limit=limit.value if limit else None,
    )


def _notes(study: Study, last: Point, limit: Estimate | None) -> tuple[str, str]:
    """Where a curve ends, with its asymptote; the same for a phone."""
    early = last.n < study.study.sizes[-1].n
    told = percent(last.accuracy) + (f" at {pictures(last.n)}" if early else "")
    return (f"{told}, asymptote {percent(limit.value)}", f"{told} → {percent(limit.value)}") if limit else (told, told)


def _sample(study: Study, look: Look, slot: int, point: Point) -> Sample:
    words = f"{look.words}, {labelled(study, point.n)}: {share_with_interval(point, point.accuracy)}"
    return Sample(slot, point.n, point.accuracy, point.low, point.high, words)


def _main(study: Study, series: dict[str, Series], frame: Frame) -> Plot:
    sizes = study.study.sizes
    drawn = draw(series, frame, (min(size.n for size in sizes), max(size.n for size in sizes)), log=True)
    ticks = _apart([(drawn.across.at(size.n), size_lines(size)) for size in sizes])
    compared = study.main()
    both = compared is not None and {compared.first, compared.second} <= set(series)
    told = marks(compared, drawn.curves, drawn.across, drawn.frame) if compared and both else None
    return drawn.plot(
        "Accuracy on the test pictures, with 95% interval", "Labelled pictures of a class (log scale)", ticks, told
    )


def _apart(ticks: Ticks) -> Ticks:
    """Ticks with the labels left out that would run into a neighbour's; the last keeps its own."""
    kept: Ticks = []
    reached = float("inf")
    for x, lines in reversed(ticks):
        half = max(width(line, 11.5) for line in lines) / 2
        room = x + half + 3 < reached
        reached = x - half if room else reached
        kept.append((x, lines if room else ()))
    return kept[::-1]
