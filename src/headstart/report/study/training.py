"""Accuracy against epochs, on validation or on test pictures, for the arms of a study that were trained."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby

from headstart.report.numbers import percent, shown
from headstart.report.parts import PART_WORDS
from headstart.report.study.charts import Looks, Plot, Ticks, draw
from headstart.report.study.curves import NARROW, WIDE, Box, Frame, Sample, Series
from headstart.report.study.files import Epoch, Study, Training
from headstart.report.study.looks import Look
from headstart.report.study.words import labelled, share_with_interval


@dataclass(frozen=True)
class Trained:
    """The charts of the arms that were trained at one size (its words), and a sentence for each."""

    size: str
    plots: list[Plot]
    sentences: list[str]


def training(study: Study, looks: Looks) -> list[Trained]:
    """A chart for each size, the largest first."""
    order = {size.name: i for i, size in enumerate(study.study.sizes)}
    told = sorted((each for each in study.training if each.points), key=lambda each: -order.get(each.size, 0))
    return [_trained(study, looks, list(same)) for _, same in groupby(told, key=lambda each: (each.size, each.part))]


def _trained(study: Study, looks: Looks, told: list[Training]) -> Trained:
    n = next((size.n for size in study.study.sizes if size.name == told[0].size), None)
    series = {each.arm: _series(each, looks[each.arm]) for each in told}
    part = PART_WORDS[told[0].part]
    return Trained(
        size=labelled(study, n, told[0].size),
        plots=[_plot(series, part, replace(frame, before=8, after=0, box=_lower(frame))) for frame in (WIDE, NARROW)],
        sentences=[shown(each.sentence, 1000) for each in told if each.sentence],
    )


def _lower(frame: Frame) -> Box:
    left, top, right, bottom = frame.box
    return left, top, right, top + 0.68 * (bottom - top)


def _series(told: Training, look: Look) -> Series:
    samples = [_sample(look, i, point) for i, point in enumerate(told.points)]
    last = percent(told.points[-1].accuracy)
    return Series(look, samples, f"{last} at the end", last, strong=True)


def _sample(look: Look, slot: int, point: Epoch) -> Sample:
    words = f"{look.words}, epoch {point.epoch:g}: {share_with_interval(point, point.accuracy)}"
    return Sample(slot, point.epoch, point.accuracy, point.low, point.high, words)


def _plot(series: dict[str, Series], part: str, frame: Frame) -> Plot:
    epochs = [sample.x for each in series.values() for sample in each.samples]
    drawn = draw(series, frame, (min(epochs), max(epochs)))
    ticks = drawn.across.ticks("{:g}".format, 8 if frame.wide else 5)
    whole: Ticks = [(x, (text,)) for x, text in ticks if float(text).is_integer()]
    return drawn.plot(f"Accuracy on the {part} pictures, with 95% interval", "Epoch", whole)
