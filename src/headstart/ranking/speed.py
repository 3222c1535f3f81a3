"""Pictures per second through each network, measured in turns, so that other work on the machine slows all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from headstart.engines import Picture
from headstart.features.source import FeatureSource
from headstart.images import ImageSet, decode
from headstart.progress import Progress
from headstart.ranking.candidates import Candidate
from headstart.ranking.judge import Judged

BATCH = 16
ROUNDS = 3
BATCHES = 3
"""In each round; the first of a network that takes ENOUGH_S for a batch is the round's only one."""
ENOUGH_S = 3.0


def measured(
    judged: Sequence[Judged], candidates: Sequence[Candidate], images: ImageSet, progress: Progress
) -> list[Judged]:
    """The judged with their speed: the median batch of all rounds, through the opened, warm engine, without decoding.

    Measured also where all features are stored, because it is a fact about this machine.
    """
    batches = [_batch(candidate.source, images) for candidate in candidates]
    seconds: list[list[float]] = [[] for _ in candidates]
    for turn in range(ROUNDS):
        for i, (candidate, batch) in enumerate(zip(candidates, batches, strict=True)):
            progress(f"speed|{candidate.label}", turn * len(batches) + i, ROUNDS * len(batches))
            seconds[i] += _round(candidate.source, batch)
    progress("speed", ROUNDS * len(batches), ROUNDS * len(batches))
    speeds = [BATCH / statistics.median(each) for each in seconds]
    return [replace(j, cost=replace(j.cost, images_per_s=s)) for j, s in zip(judged, speeds, strict=True)]


def _batch(source: FeatureSource, images: ImageSet) -> Picture:
    """BATCH of these pictures as the network takes them: (b, h, w, c) uint8."""
    rows = [i % len(images) for i in range(BATCH)]
    return np.stack([source.picture(decode(images.raw(i), images.limits), b"") for i in rows])


def _round(source: FeatureSource, batch: Picture) -> list[float]:
    """Seconds of each batch of one round; opening and the first batch, in which memory is allocated, do not count."""
    engine = source.open()
    engine.run(batch)
    seconds: list[float] = []
    while len(seconds) < BATCHES and sum(seconds) < ENOUGH_S:
        begun = time.perf_counter()
        engine.run(batch)
        seconds.append(time.perf_counter() - begun)
    return seconds
