"""What is served, from the folder of a run or of its bundle."""

from __future__ import annotations

from pathlib import Path

from headstart import card
from headstart.bundle import identity, load_classifier
from headstart.errors import UserError
from headstart.explaining.nearest import training_pictures
from headstart.features.extract import Settings
from headstart.progress import Progress, silent
from headstart.serve.server import Served


def load(
    run: Path, settings: Settings, progress: Progress = silent, *, nearest: bool = True, needed: bool = False
) -> Served:
    """The classifier and its card, with the `nearest` training pictures where they can be had, or are `needed`.

    Raises BundleError for a broken run, UserError for pictures that are needed and gone.
    """
    classifier, training = load_classifier(run), None
    if nearest:
        try:
            training = training_pictures(run, classifier, settings, progress)
        except UserError:
            if needed:
                raise
    return Served(classifier, run.resolve().name, card.read(run), training, identity(run))
