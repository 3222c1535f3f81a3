"""The most confident mistakes of a run, for its report: their nearest training pictures, and exact maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from headstart.classifier import Classifier
from headstart.errors import Refused, UserError
from headstart.explaining.explainer import Explainer
from headstart.explaining.nearest import Neighbour, TrainingPictures, unit
from headstart.explaining.overlay import overlay
from headstart.fitted import Fitted
from headstart.images import ImageSet, decode
from headstart.images.parts import part_rows
from headstart.report.examples import SIDE, Thumbnail
from headstart.report.explained import Near, Shown

MOST = 6
NEIGHBOURS = 3


@dataclass(frozen=True)
class Mistake:
    """A picture that was given the class `predicted` (an index), and the training pictures nearest to it."""

    name: str
    predicted: int
    nearest: tuple[Neighbour, ...]


def mistakes_of(fitted: Fitted, probabilities: NDArray[np.float64], fitted_on: Sequence[str]) -> tuple[Mistake, ...]:
    """The most confident mistakes of the pictures that judge: of the test part, else by cross-validation.

    `probabilities` (n, k) are the classifier's, of all pictures; `fitted_on` are the parts that it was fitted on.
    """
    images = fitted.images
    rows = part_rows(images)["test"]
    answers = probabilities[rows]
    if fitted.folds is not None:
        rows, answers = slice(0, len(fitted.folds.fold)), fitted.folds.probabilities
    wrong = np.flatnonzero(answers.argmax(axis=1) != images.labels[rows])
    if not len(wrong):
        return ()
    chosen = sorted(wrong.tolist(), key=lambda i: (-answers[i].max(), images.names[rows.start + i]))[:MOST]
    places = np.array([rows.start + i for i in chosen])
    learnt = np.flatnonzero(np.isin(images.parts, fitted_on))
    known = _training(fitted, learnt)
    features, contents = fitted.extraction.features[places], fitted.extraction.contents[places]
    nearest = known.nearest(features, NEIGHBOURS, [bytes(content) for content in contents])
    return tuple(
        Mistake(images.names[place], int(answers[i].argmax()), tuple(near))
        for i, place, near in zip(chosen, places, nearest, strict=True)
    )


def _training(fitted: Fitted, rows: NDArray[np.int64]) -> TrainingPictures:
    images, extraction = fitted.images, fitted.extraction
    return TrainingPictures(
        tuple(images.names[i] for i in rows),
        tuple(images.classes[images.labels[i]] for i in rows),
        unit(extraction.features[rows]),
        tuple(map(bytes, extraction.contents[rows])),
    )


def explained(
    mistakes: Sequence[Mistake], classifier: Classifier | None, images: ImageSet, thumbnail: Thumbnail
) -> Mapping[str, Shown]:
    """What a report shows of them, by name; maps only where they are exact, so that no report waits for gradients.

    Without a classifier there are neighbours alone.
    """
    maps = {} if classifier is None else _maps(mistakes, classifier, images, thumbnail)
    return {
        m.name: Shown(maps.get(m.name), [Near.of(n.name, n.label, n.similarity, thumbnail(n.name)) for n in m.nearest])
        for m in mistakes
    }


def _maps(
    mistakes: Sequence[Mistake], classifier: Classifier, images: ImageSet, thumbnail: Thumbnail
) -> dict[str, Image.Image]:
    found: dict[str, Image.Image] = {}
    with Explainer(classifier, "cam") as explainer:
        for mistake in mistakes:
            try:
                whole = decode(images.raw(images.places[mistake.name]), images.limits)
                shown = thumbnail(mistake.name)
                if shown is not None:
                    drawn = explainer.explain(whole, mistake.predicted)
                    found[mistake.name] = overlay(shown, drawn, least=SIDE, most=2 * SIDE)
            except Refused:
                continue
            except UserError:  # no exact map, and so none of the others either
                return found
    return found
