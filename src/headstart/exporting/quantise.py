"""An export's network in eight bits, and what that costs in accuracy and gains in speed."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.backbones import eight_bits
from headstart.backbones.eight_bits import CALIBRATED_ON
from headstart.errors import HeadstartError
from headstart.exporting.formats import Format, Run
from headstart.exporting.pictures import OwnPictures, decoded, labels, spread
from headstart.progress import Progress

if TYPE_CHECKING:
    from headstart.classifier import Classifier
    from headstart.images import ImageSet

JUDGED_ON = 2_000
"""Test pictures at most."""


@dataclass(frozen=True)
class Quantisation:
    """Accuracies (shares) and images per second of the graph before and after, on the same pictures by turns."""

    calibrated_on: int
    on: str
    pictures: int
    accuracy_float32: float
    accuracy_int8: float
    images_per_s_float32: float
    images_per_s_int8: float

    @property
    def drop(self) -> float:
        """Points of accuracy that are lost."""
        return 100 * (self.accuracy_float32 - self.accuracy_int8)

    def check(self, max_drop: float) -> None:
        """Raise HeadstartError where more is lost than allowed."""
        if self.drop > max_drop + 1e-9:
            raise HeadstartError(
                f"int8 loses {self.drop:.2f} points, more than max_drop={max_drop:g}, so nothing was written: "
                f"{self.told()}. Export float32, or allow more."
            )

    def told(self) -> str:
        """In one clause."""
        return (
            f"{self.pictures:,} {self.on}: {self.accuracy_float32:.2%} right in float32, {self.accuracy_int8:.2%} in "
            f"int8; {self.images_per_s_float32:.0f} and {self.images_per_s_int8:.0f} images/s"
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {**asdict(self), "drop_points": round(self.drop, 4)}


def quantised(made_by: Format, network: Any, classifier: Classifier, pictures: ImageSet) -> tuple[Any, int]:
    """The network in int8, and the number of pictures that it was calibrated on; what is around it stays in float32."""
    preprocess = classifier.source.preprocess
    levels = [preprocess.apply(image).transpose(2, 0, 1)[None] for _, image in decoded(spread(pictures, CALIBRATED_ON))]
    return eight_bits.quantised(network, [made_by.fed(network, each, preprocess) for each in levels]), len(levels)


def judged(
    before: Run, after: Run, classifier: Classifier, own: OwnPictures, calibrated_on: int, progress: Progress
) -> Quantisation:
    """Both graphs on the same pictures, by turns."""
    images = spread(own.judged, JUDGED_ON)
    right, seconds = np.zeros(2), list[tuple[float, float]]()
    answers = labels(images, classifier)
    for i, image in decoded(images):
        picture, took = np.asarray(image.convert("RGB")), [0.0, 0.0]
        for which, run in enumerate((before, after)):
            begun = time.perf_counter()
            row = run(picture)
            took[which] = time.perf_counter() - begun
            right[which] += row[: len(classifier.classes)].argmax() == answers[i]
        seconds.append((took[0], took[1]))
        progress("judge", i + 1, len(images))
    n = len(seconds)
    accuracy, rate = right / n, 1 / np.median(seconds, axis=0)  # other programs disturb single pictures
    return Quantisation(
        calibrated_on, own.on, n, float(accuracy[0]), float(accuracy[1]), float(rate[0]), float(rate[1])
    )
