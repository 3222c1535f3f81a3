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

from headstart import bundle, card, machine, outputs, records
from headstart.classifier import Classifier
from headstart.conformal import Conformal
from headstart.division import by_folds, pictures
from headstart.errors import UserError
from headstart.explaining import nearest
from headstart.explaining.mistakes import Mistake, explained, mistakes_of
from headstart.features.extract import Settings
from headstart.features.views import contact_sheet, views_of
from headstart.fitted import Fitted, TrainingRecord
from headstart.fitting import FEWEST_BROUGHT, check_unfinished, fit_frozen, train_network
from headstart.images import ImageSet
from headstart.images.parts import part_rows, rows_in
from headstart.logits import apply_temperature, fit_temperature
from headstart.network_folds import cross_validated
from headstart.outcome import Outcome
from headstart.paths import features_dir
from headstart.progress import Progress, silent
from headstart.recipe import TRAINED, Recipe
from headstart.schema.scores import FILE, Memory, RunScores, Temperature, read
from headstart.stepwise import stepwise_accuracy
from headstart.views import NO_VIEWS, Views

if TYPE_CHECKING:
    from headstart.report.charts.display import Display
    from headstart.report.explained import Explain

THUMBNAIL = 150


@dataclass(frozen=True, repr=False)
class Run:
    """A finished run: its folder, what it came to, the classifier, and the views that it was fitted on.

    >>> from tempfile import TemporaryDirectory
    >>> digits = {"source": "digits", "limit": 100}
    >>> recipe = Recipe.from_dict({"method": "pixels", "data": digits, "head": {"name": "knn"}})
    >>> with TemporaryDirectory() as folder:
    ...     run = execute(recipe, Path(folder) / "run", store=False)
    >>> run.classifier.classes
    ('0', '1', '2', '3', '4', '5', '6', '7', '8', '9')
    >>> low, high = (run.scores["after"]["cv"][key] for key in ("accuracy_low", "accuracy_high"))
    >>> low > 0.7, high < 1
    (True, True)
    """

    folder: Path
    content: RunScores
    classifier: Classifier
    images: ImageSet | None = None
    """The pictures that could be used; None of a run that was loaded from its folder."""
    train_views: Views = NO_VIEWS
    mistakes: tuple[Mistake, ...] = ()
    """The most confident ones, with their nearest training pictures; none of a run that was loaded."""
    opened: bool = False
    """Whether the run had its network open: one whose features are stored opens none, for maps neither."""
    replaced: RunScores | None = None
    """What the run came to that was in the folder before."""

    @cached_property
    def scores(self) -> Mapping[str, Any]:
        """What it came to, as scores.json has it."""
        return self.content.to_dict()

    def thumbnail(self, name: str) -> Image.Image | None:
        """The picture of a name in predictions.csv, large enough for a report; None when it cannot be had any more."""
        images = self._listed
        return None if images is None else images.preview(name, THUMBNAIL)

    def contact_sheet(self, pictures: int = 6, views: int = 5) -> list[list[NDArray[np.uint8]]]:
        """The plain input (h, w, c) uint8 and views of it, of training pictures; empty without an augmentation."""
        if self.images is None:
            return []
        train = self.images.take(self.images.parts == "train")
        return contact_sheet(train, self.classifier.source, replace(self.train_views, count=views), pictures)

    def explained(self) -> Explain:
        """What a report shows of the most confident mistakes: exact maps, where there are any, and nearest pictures."""
        if self.images is None:
            return {}
        images = self.images.read_by(self.classifier.source.preprocess.white)
        return explained(self.mistakes, self.classifier if self.opened else None, images, self.thumbnail)

    def plot(self, chart: str | None = None) -> Display:
        """A chart of the run, drawn: `confusion`, `reliability`, `mistakes`, `history`, ...; the first by default.

        A notebook shows it, `.save("x.svg")` writes it, `.ax_` and `.figure_` are Matplotlib's. Raises UnknownName.
        """
        from headstart.report.figures import of_run, plotted

        return plotted(of_run(self.folder, self.thumbnail), chart)

    def __repr__(self) -> str:
        from headstart.report.headline import headline

        return f"Run({str(self.folder)!r}: {headline(self.content)})"

    def _repr_html_(self) -> str:
        """The headline and the main chart."""
        from headstart.report.figures import of_run, shown_as
        from headstart.report.headline import headline

        return shown_as(headline(self.content), of_run(self.folder))

    @cached_property
    def _listed(self) -> ImageSet | None:
        """The pictures; of a run that was loaded, those of its recipe, where they are still there."""
        images = self.images
        if images is None:
            try:
                recipe = Recipe.load(self.folder / "recipe.toml")
                images = pictures(recipe.data, recipe.seed)
            except (UserError, OSError):
                return None
        return images.read_by(self.classifier.source.preprocess.white)


def load(folder: Path) -> Run:
    """A finished run from its folder. Raises UserError where it holds none, BundleError where its bundle is damaged."""
    return Run(folder, read(folder), bundle.load_classifier(folder))


def with_split_beside(recipe: Recipe, path: Path) -> Recipe:
    """The recipe, told to use the split.csv beside its file if there is one and it names none itself."""
    beside = path.with_name("split.csv")
    if recipe.data.split is not None or not beside.is_file():
        return recipe
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"split": str(beside.resolve())})})


def execute(
    recipe: Recipe,
    out: Path | str | None = None,
    progress: Progress = silent,
    *,
    store: bool = True,
    resume: bool = False,
    target: float | None = None,
) -> Run:
    """Run a recipe and write its folder (`out`, by default one named after the recipe under `runs/`).

    `resume` goes on with a training that was stopped in `out`, to the weights it would have come to. `target` is an
    accuracy, 0 to 1, of which it says how many labelled pictures it takes.

    Raises UserError and its kin for anything the user can mend; see `headstart.errors`.

    >>> from tempfile import TemporaryDirectory
    >>> digits = {"source": "digits", "limit": 100}
    >>> recipe = Recipe.from_dict({"method": "pixels", "data": digits, "head": {"name": "knn"}})
    >>> with TemporaryDirectory() as folder:
    ...     run = execute(recipe, Path(folder) / "run", store=False)
    ...     sorted(path.name for path in run.folder.iterdir() if path.suffix == ".csv")
    ['fitted_on.csv', 'history.csv', 'predictions.csv', 'refused.csv', 'split.csv']
    """
    started = time.perf_counter()
    check_choices(recipe, out, resume, target)
    data = recipe.data
    folder = outputs.output_folder(out, Path("runs") / default_name(recipe), data.source, data.test)
    outputs.check_apart(folder / "bundle", recipe.backbone.name, recipe.backbone.weights, data.source, data.test)
    check_unfinished(folder, resume)
    earlier = earlier_scores(folder)
    settings = Settings(features_dir() if store else None, strict=recipe.data.strict)
    with outputs.listing_refused(folder):
        fitted = fit(recipe, folder, settings, progress, resume=resume)

    plain = fitted.classifier.logits(fitted.extraction.features)
    logits = averaged(fitted, plain)
    fitted, calibration = calibrated(fitted, logits)
    fitted = replace(fitted, record=against_frozen(fitted, plain))
    outcome = Outcome(fitted, logits, augment_block(fitted, plain, logits), calibration, target)
    scores = outcome.scores(folder.name, started)
    outputs.make(folder)
    (folder / FILE).unlink(missing_ok=True)  # stopped from here on, the folder holds no finished run: never a mixed one
    outcome.write(folder)
    seen = fitted.extraction.contents[fitted.images.parts != "test"]
    bundle.save(fitted.classifier, folder / "bundle", seen, fitted.views.extractor)
    fitted_on = fitted.learned_parts
    learnt = np.isin(fitted.images.parts, fitted_on)
    nearest.write(fitted.images.take(learnt), fitted.extraction.contents[learnt], folder)
    peak_mb = round(machine.peak_memory_mb(), 1)  # measured when all was done that takes any
    scores = replace(scores, memory=Memory(peak_mb))
    records.write_json(folder / FILE, scores.to_dict())
    card.write(folder / "bundle", scores)
    fitted.done()
    fitted.views.extractor.close()
    mistakes = mistakes_of(fitted, outcome.probabilities, fitted_on)
    opened = bool(fitted.extraction.counts.computed or fitted.record or fitted.classifier.source.backbone is None)
    return Run(folder, scores, fitted.classifier, fitted.images, views_of(fitted.recipe)[0], mistakes, opened, earlier)


def earlier_scores(folder: Path) -> RunScores | None:
    """What a run came to that is in the folder already; None where there is none that can be read."""
    try:
        return read(folder)
    except UserError:
        return None


def check_choices(recipe: Recipe, out: Path | str | None, resume: bool, target: float | None) -> None:
    """Raise UserError for choices that do not fit together, before anything is read or written."""
    views, _ = views_of(recipe)
    trained = recipe.method in TRAINED
    if target is not None and not (isinstance(target, int | float) and 0 < target < 1):
        raise UserError(f"target={target} is not an accuracy; give a share such as 0.95.")
    if target is not None and (trained or views):
        cause = f"method={recipe.method}" if trained else f"augment={views.augment.name}"
        raise UserError(
            f"target={target} needs a head on plain features or pixels, which is quick to fit again on parts of the "
            f"pictures; leave it out with {cause}."
        )
    if resume and out is None:
        raise UserError("`resume` needs `out`: the folder of the run to continue.")
    if resume and not trained:
        raise UserError(f"`resume` continues the training of a network; leave it out with method={recipe.method}.")


def fit(recipe: Recipe, folder: Path, settings: Settings, progress: Progress, *, resume: bool) -> Fitted:
    """The head on frozen features, or the network trained, by the recipe's method; judged by folds where these do."""
    if recipe.method not in TRAINED:
        return fit_frozen(recipe, settings, progress)
    fitted = train_network(recipe, folder, settings, progress, resume=resume)
    return cross_validated(fitted, folder, settings, progress) if by_folds(fitted.recipe, fitted.images) else fitted


def default_name(recipe: Recipe) -> str:
    """The folder name of a run that was given none: data, backbone or `pixels`, and the head or how it is trained."""
    what = "pixels" if recipe.method == "pixels" else Path(recipe.backbone.name).stem
    how = recipe.method if recipe.method in TRAINED else recipe.head.name
    return f"{Path(recipe.data.source).stem}-{what}-{how}"


def averaged(fitted: Fitted, plain: NDArray[np.float64]) -> NDArray[np.float64]:
    """Plain logits (n, k), those of calibration and test averaged over the classifier's views."""
    images = fitted.images
    judged = np.flatnonzero(np.isin(images.parts, ("calibration", "test")))
    if not len(judged) or not fitted.classifier.averaging:
        return plain
    logits = plain.copy()
    logits[judged] = fitted.classifier.averaged(plain[judged], images.take(judged), fitted.views)
    return logits


def augment_block(fitted: Fitted, plain: NDArray[np.float64], logits: NDArray[np.float64]) -> dict[str, Any] | None:
    """The block `augment` of scores.json: the views, what they cost, and what each step gained; None without any."""
    train_views, averaging = views_of(fitted.recipe)
    if not train_views.augment.steps:
        return None
    test, labels, folds = part_rows(fitted.images)["test"], fitted.images.labels, fitted.folds
    answers = {} if fitted.without_views is None else {"plain": fitted.without_views}
    answers["views"] = plain[test] if folds is None else folds.plain
    if averaging:
        answers["averaging"] = logits[test] if folds is None else folds.logits
    steps = stepwise_accuracy(labels[fitted.judged], answers, fitted.extraction.copies.together[fitted.judged])
    return fitted.views.report(train_views, averaging) | {"steps": steps}


def against_frozen(fitted: Fitted, plain: NDArray[np.float64]) -> TrainingRecord | None:
    """A training with what it mended and what it broke of the pictures judged, where a frozen network was before it."""
    record, labels, test = fitted.record, fitted.images.labels, part_rows(fitted.images)["test"]
    if record is None or record.frozen is None:
        return record
    rows, answers = test, {"frozen": record.frozen[test], "trained": plain[test]}
    if fitted.folds is not None and record.frozen_folds is not None:
        rows, answers = fitted.crossed, {"frozen": record.frozen_folds, "trained": fitted.folds.plain}
    steps = stepwise_accuracy(labels[rows], answers, fitted.extraction.copies.together[rows])
    return replace(record, report={**record.report, "test": steps})


def calibrated(fitted: Fitted, logits: NDArray[np.float64]) -> tuple[Fitted, Temperature]:
    """The fitted classifier with its temperature and what makes sets, and the block `calibration` of scores.json.

    By a part `calibration` that the data bring; else by the head's own trials; a network's by a part `val`. logits are
    (n, k), of all pictures.
    """
    images = fitted.images
    for part in ("calibration", "val") if fitted.record else ("calibration",):
        rows = part_rows(images)[part]
        if rows_in(rows) >= FEWEST_BROUGHT:
            temperature = fit_temperature(logits[rows], images.labels[rows])
            told = Temperature(temperature, rows_in(rows), part)
            conformal = Conformal.of(apply_temperature(logits[rows], temperature), images.labels[rows])
            classifier = replace(fitted.classifier, temperature=temperature, conformal=conformal)
            return replace(fitted, classifier=classifier), told
    by = "folds" if fitted.calibrated_on else None
    return fitted, Temperature(fitted.classifier.temperature, fitted.calibrated_on, by)
