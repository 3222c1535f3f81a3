"""What `headstart explain` does: every picture explained, an overlay of each, a contact sheet, and the numbers.

OUT/explanations.json   methods, maps, nearest training pictures, what was refused
OUT/maps/0001-NAME.png  the map over the picture
OUT/index.html          the contact sheet; index-2.html and on where there are many
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from headstart import outputs, records
from headstart.bundle import load_classifier
from headstart.classifier import Classifier, top
from headstart.division import data_of, with_columns
from headstart.errors import BundleError, Refused, UserError
from headstart.explaining.explained import Explained
from headstart.explaining.explainer import Explainer
from headstart.explaining.nearest import Neighbour, TrainingPictures, training_pictures
from headstart.explaining.overlay import overlay, with_legend
from headstart.explaining.sheet import Card, write_sheet
from headstart.features.extract import Settings
from headstart.features.extraction import Extraction
from headstart.images import ImageSet, Refusal, decode, load_unlabelled
from headstart.images.options import Reading
from headstart.progress import Progress, silent
from headstart.report.examples import SIDE
from headstart.report.numbers import shown
from headstart.shared import replacing

FILE = "explanations.json"
SCHEMA = 1


@dataclass(frozen=True, eq=False)
class Explanations:
    """The pictures explained, those refused, the folder that shows them, and notes on what could not be had."""

    pictures: tuple[Explained, ...]
    refused: tuple[Refusal, ...]
    folder: Path
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asked:
    """The choices of `headstart.explain`."""

    method: str = "auto"
    check: bool = False
    nearest: int = 3
    reading: Reading = field(default_factory=Reading)


def explain(
    run: Path, pictures: Any, out: Path, asked: Asked, settings: Settings, progress: Progress = silent
) -> Explanations:
    """See `headstart.explain`."""
    folder = outputs.claim(out, what="explanation", file=FILE, beside=_left_by_a_stop(out))
    outputs.check_outside(folder, pictures, data_of(run))
    classifier = load_classifier(run)
    with Explainer(classifier, asked.method, check=asked.check) as explainer:
        images = load_unlabelled(pictures, limits=classifier.limits, **with_columns(asked.reading, run, pictures))
        probabilities, extraction = classifier.predict_proba(images, settings, progress)
        known, notes = _known(run, classifier, settings, progress) if asked.nearest else (None, [])
        nearest, alike = _nearest(known, extraction, asked.nearest), classifier.known(extraction.features)
        outputs.make(folder / "maps")
        explained, cards = [], []
        for number, i in enumerate(extraction.kept):
            image, name = _read(images, int(i)), images.names[i]
            best = int(top(probabilities[number : number + 1], 1)[0, 0])
            found = Explained(
                name=name,
                predicted=classifier.classes[best],
                confidence=float(probabilities[number, best]),
                map=explainer.explain(image, best),
                nearest=tuple(nearest[number]),
                seen=None if known is None else bytes(extraction.contents[number]) in known.seen,
                known=None if alike is None else bool(alike[number]),
                file=f"maps/{number + 1:04d}-{_plain(name)}.png",
            )
            cards.append(_drawn(found, image, folder, known))
            explained.append(found)
            progress("explain", number + 1, len(extraction.kept))
        notes += [note for note in (explainer.note, _of_views(classifier)) if note]
    done = Explanations(tuple(explained), (*images.refused, *extraction.refused), folder, tuple(notes))
    _tidy(folder, {found.file for found in explained})
    write_sheet(folder, run.name, cards, done.refused, done.notes)
    records.write_json(folder / FILE, _document(done, run, asked.check))
    return done


def _left_by_a_stop(folder: Path) -> tuple[str, ...]:
    """The maps, where no other file is among them: what there is of an explanation that was stopped."""
    found = list((folder / "maps").iterdir()) if (folder / "maps").is_dir() else []
    return ("maps",) if all(re.fullmatch(r"\d{4,}-.*\.png|\..*\.part", path.name) for path in found) else ()


def _tidy(folder: Path, files: set[str]) -> None:
    """Delete the maps of an earlier explanation in the folder, which no page shows any more."""
    for path in (folder / "maps").glob("[0-9]" * 4 + "-*.png"):
        if f"maps/{path.name}" not in files:
            path.unlink(missing_ok=True)


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
    gone = "The training pictures have moved, so only the names of the most similar ones are shown."
    return known, [gone] if known.images is None else []


def _nearest(known: TrainingPictures | None, extraction: Extraction, k: int) -> list[list[Neighbour]]:
    if known is None:
        return [[] for _ in extraction.kept]
    return known.nearest(extraction.features, k, [bytes(content) for content in extraction.contents])


def _of_views(classifier: Classifier) -> str:
    if not len(classifier.averaging):
        return ""
    return (
        f"Confidences are averages over {1 + len(classifier.averaging)} views; the maps show the original picture only."
    )


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


def _drawn(found: Explained, image: Image.Image, folder: Path, known: TrainingPictures | None) -> Card:
    """The overlay written to its file, and what the sheet shows of the picture."""
    drawn = overlay(image, found.map)
    with replacing(folder / found.file) as part:
        with_legend(drawn, shown(found.predicted, 40), found.map).save(part, "png")
    pictures = [None if known is None else known.picture(n.name, SIDE) for n in found.nearest]
    return Card.of(found, image, drawn, pictures)
