"""Pictures per second from file to features, for networks that nothing else is asked of: no labels, no weights."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headstart.backbones.spelling import Spelled, unloaded
from headstart.backbones.weights_files import KINDS
from headstart.errors import DataError, HeadstartError, UserError
from headstart.feature_source import feature_source
from headstart.features.extract import Settings, extract
from headstart.features.source import FeatureSource
from headstart.images import ImageSet, load
from headstart.progress import Progress, silent
from headstart.ranking.candidates import Candidate, resolve_candidates
from headstart.ranking.judge import figures
from headstart.ranking.request import RankingRequest
from headstart.schema.ranking import Failure

ROUNDS = 3
ENOUGH_S = 8.0
"""A network whose first round takes this long is measured once."""


@dataclass(frozen=True)
class Measured:
    """`images_per_s` is the median round's, decoding and resizing included, opening the network not.

    `size` is the input's (height, width) in pixels; parameters and multiply-adds None where they are not known.
    """

    label: str
    images_per_s: float
    size: tuple[int, int]
    parameters: int | None
    multiply_adds: int | None


@dataclass(frozen=True)
class Bench:
    """The networks, the fastest first, and those that could not be measured; `pictures` were taken each round."""

    pictures: int
    engine: str
    networks: tuple[Measured, ...]
    failures: tuple[Failure, ...]


def bench(request: RankingRequest, progress: Progress = silent) -> Bench:
    """Measure the request's networks in turns, so that other work on the machine slows all alike.

    Up to `request.limit` pictures are spread over the data. Weights that no file holds are drawn at random: the speed
    is the same. Raises UserError where no network can be measured, DataError without pictures.
    """
    images = _pictures(request)
    found, failures = resolve_candidates(
        request.backbones, lambda s: feature_source(request.recipe(spelled=_random(s)), images)
    )
    rates: dict[str, list[float]] = {candidate.label: [] for candidate in found}
    for turn in range(ROUNDS):
        for number, candidate in enumerate(list(found)):
            progress(f"speed|{candidate.label}", turn * len(found) + number, ROUNDS * len(found))
            try:
                _measure(candidate.source, images, rates[candidate.label])
            except HeadstartError as error:
                found.remove(candidate)
                failures.append(Failure(candidate.label, unloaded(candidate.spelled["name"], error)))
    if not found:
        raise UserError(f"No network could be measured. {failures[0].backbone}: {failures[0].reason}")
    progress("speed", ROUNDS * len(found), ROUNDS * len(found))
    measured = [_measured(candidate, rates[candidate.label]) for candidate in found]
    engine = found[0].source.engine
    ordered = tuple(sorted(measured, key=lambda m: -m.images_per_s))
    return Bench(len(images), f"{engine.name} on {engine.device}", ordered, tuple(failures))


def _pictures(request: RankingRequest) -> ImageSet:
    images = load(request.data, labelled=False, **request.reading)
    if not len(images):
        raise DataError(f"{images.title} holds no picture.")
    count = min(len(images), request.limit or len(images))
    return images.take(np.linspace(0, len(images) - 1, count).astype(np.int64))


def _random(spelled: Spelled) -> Spelled:
    """The same network with random weights, unless a file is named or is the network."""
    own = spelled["weights"] in KINDS and not spelled["name"].lower().endswith(".onnx")
    return {**spelled, "weights": "none"} if own else spelled


def _measure(source: FeatureSource, images: ImageSet, rates: list[float]) -> None:
    """Add a round's rate, unless the first round was long enough."""
    if rates and len(images) / rates[0] >= ENOUGH_S:
        return
    extraction = extract(images, source, Settings(store=None))
    rates.append(extraction.counts.computed / (extraction.wall_s - extraction.open_s))


def _measured(candidate: Candidate, rates: Sequence[float]) -> Measured:
    parameters, multiply_adds, _ = figures(candidate.source)
    size = candidate.source.preprocess.height, candidate.source.preprocess.width
    return Measured(candidate.label, statistics.median(rates), size, parameters, multiply_adds)
