"""The main job, readable top to bottom: pictures -> features -> head -> temperature -> scores -> run folder.

With an augmentation, the head is fitted on views of the training pictures too, and the probabilities of several views
are averaged for test and prediction. The head's own choices and its temperature are made on plain pictures.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from headstart import bundle, records
from headstart.augment import NO_VIEWS, Views
from headstart.classifier import Classifier
from headstart.division import by_folds
from headstart.errors import Refused, UserError
from headstart.features.extract import Progress, Settings, silent
from headstart.features.views import ViewExtractor, contact_sheet, views_of
from headstart.fitting import Fitted, Job, check_unfinished
from headstart.gains import gains
from headstart.images import ImageSet, decode
from headstart.metrics import fit_temperature
from headstart.network_folds import cross_validated
from headstart.outcome import Outcome, Training, part_rows, rows_in
from headstart.paths import expanded, features_dir
from headstart.recipe import TRAINED, Recipe

if TYPE_CHECKING:
    from headstart.report.charts.display import Display

THUMBNAIL = 150
FEWEST_BROUGHT = 20
"""Pictures of a part for the temperature below which it would be a coin's toss."""


@dataclass(frozen=True, repr=False)
class Run:
    """A finished run: its folder, what is in scores.json, the classifier, and the views that it was trained with."""

    folder: Path
    scores: Mapping[str, Any]
    classifier: Classifier
    images: ImageSet
    training: Views = NO_VIEWS

    def thumbnail(self, name: str) -> Image.Image | None:
        """The picture of a name in predictions.csv, large enough for a report; None when it cannot be had any more."""
        if name not in self._places:
            return None
        try:
            images = self.images.read_by(self.classifier.source.preprocess.white)
            return decode(images.raw(self._places[name]), images.limits, preview=THUMBNAIL)
        except Refused:
            return None

    def contact_sheet(self, pictures: int = 6, views: int = 5) -> list[list[NDArray[np.uint8]]]:
        """The plain input (h, w, c) uint8 and views of it, of training pictures; empty without an augmentation."""
        train = self.images.take(self.images.parts == "train")
        return contact_sheet(train, self.classifier.source, replace(self.training, count=views), pictures)

    def plot(self, chart: str | None = None) -> Display:
        """A chart of the run, drawn: `confusion`, `reliability`, `history`, `accuracy`, ...; the first by default.

        A notebook shows it, `.save("x.svg")` writes it, `.ax_` and `.figure_` are Matplotlib's. Raises UnknownName.
        """
        from headstart.report.figures import of_run, plotted

        return plotted(of_run(self.folder), chart)

    def __repr__(self) -> str:
        from headstart.report.headline import headline

        return f"Run({str(self.folder)!r}: {headline(self.scores)})"

    def _repr_html_(self) -> str:
        """The headline and the main chart."""
        from headstart.report.figures import of_run, shown_as
        from headstart.report.headline import headline

        return shown_as(headline(self.scores), of_run(self.folder))

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.images.names)}


def with_split_beside(recipe: Recipe, path: Path) -> Recipe:
    """The recipe, told to use the split.csv beside its file if there is one and it names none itself."""
    beside = path.with_name("split.csv")
    if recipe.data.split is not None or not beside.is_file():
        return recipe
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"split": str(beside.resolve())})})


def execute(
    recipe: Recipe,
    out: Path | None = None,
    progress: Progress = silent,
    *,
    store: bool = True,
    resume: bool = False,
) -> Run:
    """Run a recipe and write its folder (`out`, by default one named after the recipe under `runs/`).

    `resume` goes on with a training that was stopped in `out`, to the weights it would have come to.

    Raises UserError and its kin for anything the user can mend; see `headstart.errors`.
    """
    started = time.perf_counter()
    training, averaging = views_of(recipe)
    if resume and out is None:
        raise UserError("--resume needs --out: the folder of the run to go on with.")
    if resume and recipe.method not in TRAINED:
        raise UserError(f"--resume goes on with the training of a network; leave it out with --method {recipe.method}.")
    folder = records.claim(expanded(out)) if out else records.unused(Path("runs") / default_name(recipe))
    check_unfinished(folder, resume)
    job = Job(
        recipe, folder, training, Settings(features_dir() if store else None, strict=recipe.data.strict), progress
    )
    with records.listing_refused(folder):
        fitted = job.train_network(resume) if recipe.method in TRAINED else job.fit_frozen(averaging)
    training, averaging = views_of(fitted.recipe)  # an augmentation by the looks of the pictures is known by now
    if recipe.method in TRAINED and by_folds(fitted.recipe, fitted.images):
        fitted = cross_validated(job, fitted, averaging)
    images, extraction, parts = fitted.images, fitted.extraction, part_rows(fitted.images)

    classifier = Classifier(fitted.source, fitted.head, images.classes, fitted.temperature, averaging)
    plain = classifier.logits(extraction.features)
    views = replace(fitted.views, source=fitted.source)
    logits = average(classifier, plain, images, views)
    classifier, calibration = calibrated(classifier, logits, images, fitted)
    trained = against_frozen(fitted, plain)
    augment = None
    if training.augment.steps:
        augment = views.report(training, averaging) | {"steps": gains(*answers(fitted, plain, logits, averaging))}
    outcome = Outcome(
        fitted.recipe, images, extraction, parts, classifier, logits, fitted.fit_s,
        trained, augment, fitted.folds, calibration,
    )  # fmt: skip
    scores = outcome.scores(folder.name, started)
    records.make(folder)
    outcome.write(folder)
    bundle.save(classifier, folder / "bundle", seen=extraction.contents[images.parts != "test"])
    scores["memory"] = {
        "peak_mb": round(records.peak_memory_mb(), 1)
    }  # measured last, when all was done that takes any
    records.write_json(folder / "scores.json", scores)
    fitted.done()
    return Run(folder, scores, classifier, images, training)


def default_name(recipe: Recipe) -> str:
    """The folder name of a run that was given none: data, backbone or `pixels`, head."""
    what = "pixels" if recipe.method == "pixels" else Path(recipe.backbone.name).stem
    return f"{Path(recipe.data.source).stem}-{what}-{recipe.head.name}"


def average(
    classifier: Classifier, plain: NDArray[np.float64], images: ImageSet, views: ViewExtractor
) -> NDArray[np.float64]:
    """Plain logits (n, k), those of calibration and test averaged over the classifier's views."""
    judged = np.flatnonzero(np.isin(images.parts, ("calibration", "test")))
    if not len(judged) or not classifier.averaging:
        return plain
    logits = plain.copy()
    logits[judged] = classifier.averaged(plain[judged], images.take(judged), views)
    return logits


def answers(
    fitted: Fitted, plain: NDArray[np.float64], logits: NDArray[np.float64], averaging: Views
) -> tuple[NDArray[np.int64], dict[str, NDArray[np.float64]]]:
    """The classes (m,) of the pictures judged, and logits (m, k) for them after each step: views, averaging."""
    test, labels, folds = part_rows(fitted.images)["test"], fitted.images.labels, fitted.folds
    found = {**fitted.answers, "views": plain[test] if folds is None else folds.plain}
    if averaging:
        found["averaging"] = logits[test] if folds is None else folds.logits
    return (labels[test] if folds is None else labels[: len(folds.fold)]), found


def against_frozen(fitted: Fitted, plain: NDArray[np.float64]) -> Training | None:
    """A training with what it mended and what it broke of the pictures judged, where a frozen network was before it."""
    training, labels, test = fitted.training, fitted.images.labels, part_rows(fitted.images)["test"]
    if training is None or training.frozen is None:
        return training
    frozen, judged, y = training.frozen[test], plain[test], labels[test]
    if fitted.folds is not None and training.folds is not None:
        frozen, judged, y = training.folds, fitted.folds.plain, labels[: len(training.folds)]
    steps = gains(y, {"frozen": frozen, "trained": judged})
    return replace(training, report={**training.report, "test": steps})


def calibrated(
    classifier: Classifier, logits: NDArray[np.float64], images: ImageSet, fitted: Fitted
) -> tuple[Classifier, dict[str, Any]]:
    """The classifier with its temperature, and the block `calibration` of scores.json.

    By a part `calibration` that the data bring; else by the head's own trials; a network's by a part `val`. logits are
    (n, k), of all pictures.
    """
    for part in ("calibration", "val") if fitted.training else ("calibration",):
        rows = part_rows(images)[part]
        if rows_in(rows) >= FEWEST_BROUGHT:
            temperature = fit_temperature(logits[rows], images.labels[rows])
            told = {"temperature": temperature, "n": rows_in(rows), "fitted_on": part}
            return replace(classifier, temperature=temperature), told
    by = "folds" if fitted.calibrated_on else None
    return classifier, {"temperature": classifier.temperature, "n": fitted.calibrated_on, "fitted_on": by}
