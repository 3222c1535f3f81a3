"""What `headstart explain` does: every picture explained, an overlay of each, a contact sheet, and the numbers.

OUT/explanations.json   methods, maps, nearest training pictures, what was refused
OUT/maps/0001-NAME.png  the map over the picture
OUT/index.html          the contact sheet; index-2.html and on where there are many
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from headstart import records
from headstart.bundle import load_classifier
from headstart.classifier import Classifier, top
from headstart.errors import BundleError, Refused, UserError
from headstart.explaining.explainer import Explainer, PictureMap
from headstart.explaining.nearest import Neighbour, TrainingPictures, training_pictures
from headstart.explaining.overlay import overlay, with_legend
from headstart.explaining.sheet import Card, write_sheet
from headstart.features.extract import Settings
from headstart.features.extraction import Extraction
from headstart.images import ImageSet, Limits, Refusal, decode, load_unlabelled
from headstart.images.ranges import White
from headstart.paths import expanded
from headstart.progress import Progress, silent
from headstart.report.numbers import shown
from headstart.shared import replacing

FILE = "explanations.json"
SCHEMA = 1
TOP = 3
PREVIEW = 960


@dataclass(frozen=True, eq=False)
class Explained:
    """One picture: its class and confidence, the map for that class, and the nearest training pictures.

    `seen` is whether the classifier was fitted on it, None where that is not known.
    """

    name: str
    predicted: str
    confidence: float
    map: PictureMap
    nearest: tuple[Neighbour, ...] = ()
    seen: bool | None = None
    file: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As explanations.json has it."""
        return {
            "name": self.name,
            "predicted": self.predicted,
            "confidence": round(self.confidence, 6),
            "file": self.file,
            "seen_in_fitting": self.seen,
            "map": self.map.to_dict(),
            "nearest": [n._asdict() for n in self.nearest],
        }


@dataclass(frozen=True, eq=False)
class Explanations:
    """The pictures explained, those refused, the folder that shows them, and notes on what could not be had."""

    pictures: tuple[Explained, ...]
    refused: tuple[Refusal, ...]
    folder: Path
    notes: tuple[str, ...] = ()


def explain(
    run: Path,
    pictures: Any,
    out: Path,
    settings: Settings,
    progress: Progress = silent,
    *,
    method: str = "auto",
    check: bool = False,
    nearest: int = 3,
    follow_links: bool = False,
) -> Explanations:
    """See `headstart.explain`."""
    run = expanded(run)
    folder = records.claim(expanded(out), what="explanation", file=FILE, beside=())
    classifier = load_classifier(run)
    explainer = Explainer(classifier, method, check=check)
    limits = Limits(white=White(*classifier.source.preprocess.white))
    images = load_unlabelled(pictures, limits=limits, follow_links=follow_links)
    probabilities, extraction = classifier.predict_proba(images, replace(settings, strict=False), progress)
    known, notes = _known(run, classifier, settings, progress) if nearest else (None, [])
    neighbours = _nearest(known, extraction, nearest)
    records.make(folder / "maps")
    cards, explained = [], []
    with explainer:
        for number, i in enumerate(extraction.kept, start=1):
            image = _read(images, int(i))
            best = int(top(probabilities[number - 1 : number], 1)[0, 0])
            found = Explained(
                images.names[i],
                classifier.classes[best],
                float(probabilities[number - 1, best]),
                explainer.explain(image, best),
                tuple(neighbours[number - 1]),
                _seen(known, extraction.contents[number - 1]),
                f"maps/{number:04d}-{_plain(images.names[i])}.png",
            )
            drawn = overlay(image, found.map)
            _save(with_legend(drawn, shown(found.predicted, 40), found.map.method), folder / found.file)
            cards.append(_card(found, image, drawn, known))
            explained.append(found)
            progress("explain", number, len(extraction.kept))
    notes += [note for note in (explainer.note, _of_views(classifier)) if note]
    done = Explanations(tuple(explained), (*images.refused, *extraction.refused), folder, tuple(notes))
    write_sheet(folder, run.name, cards, done.refused, done.notes)
    records.write_json(folder / FILE, _document(done, run, check))
    return done


def _document(done: Explanations, run: Path, check: bool) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "run": run.name,
        "checked": check,
        "pictures": [found.to_dict() for found in done.pictures],
        "refused": [vars(refusal) for refusal in done.refused],
        "notes": list(done.notes),
    }


def _known(
    run: Path, classifier: Classifier, settings: Settings, progress: Progress
) -> tuple[TrainingPictures | None, list[str]]:
    """The training pictures, or a note why they cannot be had."""
    try:
        known = training_pictures(run, classifier, settings, progress)
    except BundleError:
        raise
    except (UserError, OSError) as error:
        return None, [str(error)]
    gone = "The training pictures are not where they were, so the nearest are told by name alone."
    return known, [gone] if known.images is None else []


def _nearest(known: TrainingPictures | None, extraction: Extraction, k: int) -> list[list[Neighbour]]:
    if known is None:
        return [[] for _ in extraction.kept]
    return known.nearest(extraction.features, k, [bytes(content) for content in extraction.contents])


def _seen(known: TrainingPictures | None, content: NDArray[np.uint8]) -> bool | None:
    return None if known is None else bytes(content) in known.contents


def _of_views(classifier: Classifier) -> str:
    if not len(classifier.averaging):
        return ""
    return f"Confidences are averages over {1 + len(classifier.averaging)} views; maps are of the plain picture alone."


def _read(images: ImageSet, i: int) -> Image.Image:
    try:
        return decode(images.raw(i), images.limits)
    except Refused as refused:
        raise UserError(
            f"{images.names[i]} was changed while it was read ({refused.reason}); start again."
        ) from refused


def _plain(name: str) -> str:
    """A name that any file system takes."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", Path(name).stem)[:60].strip("._") or "picture"


def _save(drawn: Image.Image, path: Path) -> None:
    with replacing(path) as part:
        drawn.save(part, "png")


def _card(found: Explained, image: Image.Image, drawn: Image.Image, known: TrainingPictures | None) -> Card:
    pictures = [None if known is None else known.picture(n.name, 150) for n in found.nearest]
    return Card.of(found, image, drawn, pictures)
