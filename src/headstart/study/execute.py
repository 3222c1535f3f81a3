"""A study, readable top to bottom: subsets -> pictures looked at -> arms x sizes x repeats -> findings -> folder."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headstart import machine, outputs, records
from headstart.backbones.spelling import unloaded
from headstart.errors import HeadstartError, UnknownName, UserError
from headstart.feature_source import feature_source
from headstart.features.auto import with_augment
from headstart.features.copies import MOST
from headstart.features.extract import Settings, extract
from headstart.features.extraction import Extraction
from headstart.features.source import FeatureSource
from headstart.fitting import learner_of
from headstart.images.looks import Looks, look_at
from headstart.paths import features_dir
from headstart.progress import Progress, silent
from headstart.recipe import Recipe
from headstart.schema.verdicts import FILE, Verdicts, read
from headstart.spread import Spread, in_turn
from headstart.study import tables
from headstart.study.arms import Arm, arms_of, primary_of
from headstart.study.cells import Cell, Where, fit_features
from headstart.study.facts import about_arm
from headstart.study.findings import findings
from headstart.study.folder import PICTURES, RECIPE, ArmFolder, claimed, open_folder, seen, spent
from headstart.study.networks import Networks
from headstart.study.recipe import StudyRecipe
from headstart.study.results import ArmResults, near_copies
from headstart.study.subsets import CellPlace, Subsets, subsets

if TYPE_CHECKING:
    from headstart.report.charts.display import Display

FORMAT = 2
"""Raised when the same choices come to give other answers, so that cells of earlier versions are not mixed in."""


@dataclass(frozen=True, repr=False)
class Study:
    """A finished study: its folder, what was found, and the results of each arm, which no folder brings.

    >>> from headstart.schema.verdicts import AboutStudy, ArmSummary, StudySize, Verdicts
    >>> arm = ArmSummary(name="pixels", words="raw pixels", transfer=False)
    >>> about = AboutStudy(sizes=(StudySize("5", 5.0),))
    >>> study = Study(Path("studies/first"), Verdicts(headline="One arm alone has results.", study=about, arms=(arm,)))
    >>> study.verdicts["headline"]
    'One arm alone has results.'
    """

    folder: Path
    findings: Verdicts
    results: tuple[ArmResults, ...] = ()

    @cached_property
    def verdicts(self) -> Mapping[str, Any]:
        """What was found as verdicts.json has it."""
        return self.findings.to_dict()

    def plot(self, chart: str | None = None) -> Display:
        """A chart of the study, drawn: `curves`, `differences`, `classes`, `training`, ...; the first by default.

        A notebook shows it, `.save("x.svg")` writes it, `.ax_` and `.figure_` are Matplotlib's. Raises UnknownName.
        """
        from headstart.report.figures import of_study, plotted

        return plotted(of_study(self.folder), chart)

    def __repr__(self) -> str:
        return f"Study({str(self.folder)!r}: {self.findings.headline})"

    def _repr_html_(self) -> str:
        """The headline and the main chart."""
        from headstart.report.figures import of_study, shown_as

        return shown_as(self.findings.headline, of_study(self.folder))


def compare(
    recipe: StudyRecipe,
    out: Path | str | None = None,
    progress: Progress = silent,
    *,
    store: bool = True,
    command: str = "",
    spread: Spread | None = None,
) -> Study:
    """Fit every arm on the same subsets, judge them on the same test pictures, and say whether transfer helped.

    `spread` fits the cells of an arm; without, this machine's cores do.

    Results that `out` holds already are used again, so a study that was stopped goes on, and arms, sizes and repeats
    can be added. An arm that fails is reported and the others go on; UserError when none works.
    """
    started = time.perf_counter()
    folder = open_folder(out, recipe)
    drawn, study = _carried_out(recipe, recipe, folder, progress, Settings(features_dir() if store else None), spread)
    about = replace(
        study.findings.study,
        name=folder.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(time.perf_counter() - started + spent(folder), 1),
    )
    found = replace(study.findings, study=about, command=command)
    tables.write(folder, drawn, study.results)
    records.write_json(folder / "environment.json", machine.environment())
    records.write_json(folder / FILE, found.to_dict())
    return replace(study, findings=found)


def pilot(recipe: StudyRecipe, study: StudyRecipe, folder: Path, progress: Progress, *, store: bool) -> Study:
    """The fits of a recipe for a study to come in the same folder, which are kept; what it came to before stays."""
    return _carried_out(recipe, study, folder, progress, Settings(features_dir() if store else None), None)[1]


def _carried_out(
    recipe: StudyRecipe, kept: StudyRecipe, folder: Path, progress: Progress, settings: Settings, spread: Spread | None
) -> tuple[Subsets, Study]:
    """The subsets, and what the arms of a recipe came to; the folder has the recipe `kept`, with its claim."""
    with outputs.given_back(folder):
        arms, before = arms_of(recipe), claimed(folder)
        recipe = recipe.model_copy(update={"primary": primary_of(recipe, arms, before) or None})
        drawn = subsets(recipe)
        _check(arms, drawn)
    outputs.make(folder)
    claim = primary_of(kept, arms_of(kept), before) or None
    records.write_text(folder / RECIPE, kept.model_copy(update={"primary": claim}).to_toml())
    drawn, looks = _looked_at(drawn, folder, progress)
    work = _Work(recipe, folder, drawn, settings, progress, spread)
    work.total = sum(len(work.places(arm)) for arm in arms)
    results = tuple(work.run(arm) for arm in arms)
    if not any(found.cells for found in results):
        raise UserError(f"No arm of the study worked. {results[0].failed}")
    found = findings(recipe, drawn, looks, results, before if before != recipe.primary else ())
    return drawn, Study(folder, found, results)


def load(folder: Path) -> Study:
    """A finished study from its folder. Raises UserError where it holds none."""
    return Study(folder, read(folder))


def _check(arms: Sequence[Arm], drawn: Subsets) -> None:
    """Raise UserError for what is misspelt, before hours of work; what may work tomorrow fails its arm alone."""
    for arm in arms:
        learner_of(arm.recipe).head()
        try:
            feature_source(arm.recipe, drawn.images)
        except UnknownName:
            raise
        except HeadstartError:
            continue


def _looked_at(drawn: Subsets, folder: Path, progress: Progress) -> tuple[Subsets, Looks]:
    """The subsets without pictures that cannot be used, and what was seen: remembered for the same pictures."""
    mark = drawn.mark()
    known = seen(folder, mark)
    with outputs.listing_refused(folder):
        looks = Looks.from_dict(known["looks"]) if known else look_at(drawn.images, progress=progress)
    if not known:
        records.write_json(folder / PICTURES, {"mark": mark, "looks": looks.to_dict()})
        records.write_refused(folder, [*drawn.images.refused, *looks.refused])
    with outputs.listing_refused(folder):
        return drawn.without(np.array(looks.refused_at, dtype=np.int64), looks.refused), looks


@dataclass
class _Work:
    """The cells of a study, one arm after another."""

    recipe: StudyRecipe
    folder: Path
    drawn: Subsets
    settings: Settings
    progress: Progress
    spread: Spread | None = None
    total: int = 0
    done: int = 0

    def places(self, arm: Arm) -> list[CellPlace]:
        """The cells of an arm."""
        repeats = self.recipe.repeats_of(trained=arm.trained)
        return [place for place in self.drawn.labelled if place[1] < repeats]

    def run(self, arm: Arm) -> ArmResults:
        """Every cell of an arm; an arm that cannot be made at all has none."""
        found, start = ArmResults(arm, self.recipe.repeats_of(trained=arm.trained)), self.done
        try:
            source = found.source = feature_source(arm.recipe, self.drawn.images)
            kept = ArmFolder.of(self.folder, arm.name, self._identity(arm.recipe, source))
            fit = self._networks if arm.trained else self._features
            with closing(fit(arm, source, kept, found)) as cells:  # an interrupt ends workers at once
                for cell in cells:
                    if isinstance(cell, str):
                        found.failed = cell
                        continue
                    found.cells[cell.size, cell.repeat] = cell
                    self._advance(
                        f"{arm.name}: {cell.size} per class, repeat {cell.repeat + 1}, accuracy {cell.accuracy:.3f}"
                    )
        except HeadstartError as error:
            found.failed = unloaded(arm.recipe.backbone.name, error)
        self.done = start + len(self.places(arm))
        self.progress("cells", self.done, self.total)
        return found

    def _identity(self, recipe: Recipe, source: FeatureSource) -> dict[str, Any]:
        """All that an arm's answers depend on beside the pictures."""
        chosen = recipe.model_dump(include={"method", "seed", "head", "training"})
        varied = with_augment(recipe, self.drawn.images).augment.model_dump(exclude={"tta"})
        return {"format": FORMAT, "space": source.space(), **chosen, "augment": varied}

    def _advance(self, said: str) -> None:
        self.done += 1
        self.progress(f"cells|{said}", self.done, self.total)

    def _pending(self, arm: Arm, kept: ArmFolder) -> tuple[list[Cell], list[Where]]:
        ready, pending = [], []
        for size, repeat in self.places(arm):
            mark = self.drawn.mark((size, repeat))
            cell = kept.cell(size, repeat, mark)
            if cell is None:
                pending.append(Where(size, repeat, mark))
            else:
                ready.append(cell)
        return ready, pending

    def _features(
        self, arm: Arm, source: FeatureSource, kept: ArmFolder, found: ArmResults
    ) -> Generator[Cell | str, None, None]:
        """Cells of an arm whose features are extracted once, or why one could not be fitted."""
        ready, pending = self._pending(arm, kept)
        yield from ready
        found.about = kept.about() or {}
        if not pending and found.about:
            return
        self.progress("cells", self.done, self.total)
        extraction = self._extracted(arm, source)
        near = near_copies(extraction.copies.together[self.drawn.test])
        found.about = about_arm(arm, source, extraction) | {"near": near}
        kept.keep_about(found.about)
        cells = _FeatureCells(arm.recipe, self.drawn, extraction.features, extraction.copies.together)
        for _, cell in (self.spread or in_turn)(cells, pending):
            if isinstance(cell, Cell):
                kept.keep(cell)
            yield cell

    def _extracted(self, arm: Arm, source: FeatureSource) -> Extraction:
        def progress(stage: str, done: int, total: int) -> None:
            self.progress(f"{arm.name} {stage}" if stage == "extract" else stage, done, total)

        extraction = extract(self.drawn.images, source, self.settings, progress, sketches=MOST)
        if extraction.refused:
            first = extraction.refused[0]
            raise UserError(f"The picture {first.name} changed while the study ran ({first.reason}); start it again.")
        return extraction

    def _networks(
        self, arm: Arm, source: FeatureSource, kept: ArmFolder, found: ArmResults
    ) -> Generator[Cell | str, None, None]:
        """Cells of an arm that trains a network for each, or why one could not be fitted."""
        ready, pending = self._pending(arm, kept)
        yield from ready
        found.about = kept.about() or about_arm(arm, source, None)
        kept.keep_about(found.about)
        height, width = source.preprocess.height, source.preprocess.width
        side = height if height == width else arm.recipe.backbone.image_size  # not each cell's own by the size rule
        self.progress("cells", self.done, self.total)

        def progress(stage: str, done: int, total: int) -> None:
            self.progress(f"cells|{arm.name}, {stage.partition('|')[0]} {done} of {total}", self.done, self.total)

        networks = Networks(self.recipe, self.drawn, arm, side, kept, self.settings)
        on_cpu = source.engine.device == "cpu"
        if self.spread is not None:
            fitted = (cell for _, cell in self.spread(networks.fitted, pending, gpu=not on_cpu))
        else:
            fitted = networks.fit_all(self.folder, pending, on_cpu, progress)
        with closing(fitted) as cells:
            for cell in cells:
                if isinstance(cell, Cell) and self.spread is not None:  # its node may have kept it elsewhere
                    kept.keep(cell)
                yield cell


@dataclass(frozen=True)
class _FeatureCells:
    """Fits the cells of an arm on features (n, d) of all pictures of the study; near copies share a number (n,)."""

    recipe: Recipe
    drawn: Subsets
    features: NDArray[np.float32]
    near: NDArray[np.int64]

    def __call__(self, where: Where) -> Cell | str:
        """The cell, or why there is none."""
        images, rows = self.drawn.cell((where.size, where.repeat))
        try:
            return fit_features(self.recipe, images, self.features[rows], where, self.near[rows])
        except UserError as error:
            return where.failed(error)
