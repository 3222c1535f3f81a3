"""What a run came to: its scores, and the files that record it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart import cautions, machine, records
from headstart.enough import described, enough, least_to_divide
from headstart.evidence.cross_validated import interval
from headstart.features.copies import marks
from headstart.features.views import views_of
from headstart.fitted import Fitted, TrainingRecord
from headstart.images import ImageSet, write_split
from headstart.images.cures import list_cures
from headstart.images.parts import part_rows, rows_in
from headstart.logits import apply_temperature
from headstart.metrics import in_short, score
from headstart.pictures import Pictures
from headstart.schema.files import from_json
from headstart.schema.scores import AboutRun, Enough, PartScores, PictureCounts, RunScores, Temperature, Timings

TOO_DEAR = "with so many pictures and features, or with this head, it takes too long to fit again on parts of them"
TOO_FEW = "there are too few to fit again on parts of them, which takes {least} of {classes} classes"


@dataclass(frozen=True)
class Outcome:
    """A fitted and calibrated classifier, its answers to the n pictures, and what scores.json says of them.

    `logits` (n, k) are before the temperature, with views averaged where the classifier does so. `augment` and
    `calibration` are blocks of scores.json.
    """

    fitted: Fitted
    logits: NDArray[np.float64]
    augment: Mapping[str, Any] | None = None
    calibration: Temperature = field(default_factory=Temperature)
    target: float | None = None

    @property
    def images(self) -> ImageSet:
        """The n pictures."""
        return self.fitted.images

    @cached_property
    def parts(self) -> dict[str, slice]:
        """The rows of each part."""
        return part_rows(self.images)

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """(n, k) calibrated."""
        return apply_temperature(self.logits, self.fitted.classifier.temperature)

    def scores(self, name: str, started: float) -> RunScores:
        """The content of scores.json but for `memory`; `started` is the `time.perf_counter()` when the run began."""
        head = self.fitted.classifier.head
        backbone = self.fitted.classifier.source.backbone
        leaks, seen = cautions.leaks(self.fitted, self.probabilities), cautions.seen_by_network(self.fitted)
        return RunScores(
            run=self._about(name),
            before=self._before(),
            after=self._after(),
            leaks=leaks or None,
            fitted_on=tuple(self.fitted.learned_parts),
            seen_by_network=seen or None,
            calibration=self.calibration,
            head={
                "name": self.fitted.recipe.head.name,
                **head.report_,
                "layers": head.describe_layers(),
                "choice_told": head.describe_choice(),
            },
            training=self._training(self.fitted.record) if self.fitted.record else None,
            augment=self.augment or None,
            timings=self._timings(time.perf_counter() - started),
            counts=self._counts(),
            enough=self._enough(),
            notes=(
                *self.images.notes,
                *list_cures([*self.images.refused, *self.fitted.extraction.refused]),
                *(backbone.notes if backbone else ()),
                *self.fitted.extraction.notes,
                *cautions.notes_on(self.fitted, self.probabilities, leaks, seen),
                *head.notes_,
            ),
        )

    def _enough(self) -> Enough | None:
        """What more labelled pictures would bring a head on features as they are; None elsewhere, and where it is dear.

        The same folds give the last point of the curve as judge the classifier, where these do.
        """
        fitted, images = self.fitted, self.images
        if fitted.record is not None or views_of(fitted.recipe)[0]:
            return None
        rows = np.flatnonzero(np.isin(images.parts, self.fitted.learned_parts))
        told, copies = marks(fitted.extraction.contents[rows]), fitted.extraction.copies
        y, k = images.labels[rows], len(images.classes)
        pictures = Pictures(fitted.extraction.features[rows], y, groups=copies.together[rows], marks=told)
        answers = fold = None
        if fitted.folds is not None:
            answers, fold = fitted.folds.probabilities, fitted.folds.fold
        found = enough(fitted.classifier.head, pictures, k, answers, fold)
        if found is None:
            least = least_to_divide(k)
            why = TOO_FEW.format(least=least, classes=k) if len(rows) < least else TOO_DEAR
            return None if self.target is None else Enough(n=len(rows), odd=why)
        return described(found, self.target)

    def _counts(self) -> PictureCounts:
        counts = asdict(self.fitted.extraction.counts)
        counts["refused"] += len(self.images.refused)
        return PictureCounts(**counts, **{part: rows_in(rows) for part, rows in self.parts.items()})

    def write(self, folder: Path) -> None:
        """Write every file of the run folder but the scores, the bundle and the report."""
        images, classes = self.images, self.images.classes
        records.write_text(folder / "recipe.toml", self.fitted.recipe.to_toml())
        write_split(images, folder / "split.csv")
        records.write_history(folder / "history.csv", self.fitted.classifier.head.history_)
        if self.fitted.record and self.fitted.record.tried:
            records.write_csv(folder / "learning_rates.csv", ["learning_rate", "loss"], self.fitted.record.tried)
        records.write_json(folder / "environment.json", machine.environment())
        records.write_refused(folder, [*images.refused, *self.fitted.extraction.refused])
        told, parts = self.probabilities, images.parts
        if self.fitted.folds is not None:
            told, parts = told.copy(), np.where(np.arange(len(images)) < self.fitted.crossed.stop, "cv", parts)
            told[self.fitted.crossed] = self.fitted.folds.probabilities
        cells = records.prediction_cells(told, classes)
        records.write_csv(
            folder / "predictions.csv",
            ["name", "split", "label", *records.prediction_columns(classes)],
            ([images.names[i], parts[i], classes[images.labels[i]], *cells[i]] for i in range(len(images))),
        )

    def _before(self) -> dict[str, PartScores]:
        """Scores before training: chance, that is the classes' shares of the training part for every picture."""
        train, k = self.parts["train"], len(self.images.classes)
        shares = np.bincount(self.images.labels[train], minlength=k) / rows_in(train)
        judged = {part: rows for part, rows in self.parts.items() if rows_in(rows)}
        if self.fitted.folds is not None:
            judged["cv"] = self.fitted.crossed
        return {part: self._part(rows, np.tile(shares, (rows_in(rows), 1))) for part, rows in judged.items()}

    def _after(self) -> dict[str, PartScores]:
        """Scores with calibrated probabilities; log loss and ECE also without the temperature."""
        found, plain = {}, apply_temperature(self.logits, 1.0)
        for part, rows in self.parts.items():
            if rows_in(rows):
                scored = self._scored(rows, self.probabilities[rows], plain[rows])
                found[part] = replace(scored, strangers=self._strangers(part))
        if self.fitted.folds is not None:
            answers = self.fitted.folds.probabilities
            crossed = self._scored(self.fitted.crossed, answers, apply_temperature(self.fitted.folds.logits, 1.0))
            low, high = self._crossed_interval(answers)
            folds = len(np.unique(self.fitted.folds.fold))
            found["cv"] = replace(crossed, accuracy_low=low, accuracy_high=high, folds=folds)
        return found

    def _strangers(self, part: str) -> float | None:
        """The share of strangers in a part that was not fitted on; None elsewhere, or where none can be told."""
        if part in self.fitted.learned_parts:
            return None
        known = self.fitted.classifier.known(self.fitted.extraction.features[self.parts[part]])
        return None if known is None else float(np.mean(~known))

    def _crossed_interval(self, answers: NDArray[np.float64]) -> tuple[float, float]:
        """The interval of a cross-validated accuracy, of out-of-fold probabilities (n, k)."""
        right = answers.argmax(axis=1) == self.images.labels[self.fitted.crossed]
        return interval(right, len(self.images.classes), self.fitted.extraction.copies.together[self.fitted.crossed])

    def _scored(self, rows: slice, answers: NDArray[np.float64], plain: NDArray[np.float64]) -> PartScores:
        """Scores of calibrated probabilities (m, k) for some pictures, and what they were without the temperature."""
        raw = self._part(rows, plain)
        return replace(self._part(rows, answers), log_loss_uncalibrated=raw.log_loss, ece_uncalibrated=raw.ece)

    def _part(self, rows: slice, probabilities: NDArray[np.float64]) -> PartScores:
        return from_json(PartScores, self._score(rows, probabilities))

    def _score(self, rows: slice, probabilities: NDArray[np.float64]) -> dict[str, Any]:
        """The scores of probabilities (m, k) for some pictures."""
        together = self.fitted.extraction.copies.together
        return score(self.images.labels[rows], probabilities, self.images.classes, together[rows])

    def _training(self, record: TrainingRecord) -> dict[str, Any]:
        """The report, and what the same features and top scored before any block was changed."""
        if record.frozen is None:
            return dict(record.report)
        plain = apply_temperature(record.frozen, 1.0)
        scored = {part: self._score(rows, plain[rows]) for part, rows in self.parts.items() if rows_in(rows)}
        if record.frozen_folds is not None:
            answers = apply_temperature(record.frozen_folds, 1.0)
            scored["cv"] = self._score(self.fitted.crossed, answers)
            scored["cv"]["accuracy_low"], scored["cv"]["accuracy_high"] = self._crossed_interval(answers)
        return {**record.report, "frozen": {part: in_short(s) for part, s in scored.items()}}

    def _about(self, name: str) -> AboutRun:
        source, recipe = self.fitted.classifier.source, self.fitted.recipe
        backbone, engine = source.backbone, source.engine
        weights = "none" if recipe.method == "scratch" else recipe.backbone.weights
        if backbone and backbone.weights.path and Path(weights).is_dir():
            weights = str(backbone.weights.path)  # the file that was found in the folder
        return AboutRun(
            name=name,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            data=recipe.data.source,
            test=recipe.data.test,
            method=recipe.method,
            backbone=backbone.name if backbone else None,
            weights=weights if backbone else None,
            licence=backbone.weights.licence if backbone else None,
            layer=source.layer,
            image_size=(source.preprocess.height, source.preprocess.width),
            engine=f"{engine.name} ({engine.device}, {engine.precision})" if backbone else None,
            head=recipe.head.name,
            n_features=int(self.fitted.extraction.features.shape[1]),
            classes=tuple(self.images.classes),
        )

    def _timings(self, total_s: float) -> Timings:
        done = self.fitted.extraction
        seconds = {
            "decode_s": done.decode_s,
            "infer_s": done.infer_s,
            "open_s": done.open_s,
            "extract_s": done.wall_s,
            "fit_s": self.fitted.fit_s,
            **({"judge_s": self.fitted.folds.seconds} if self.fitted.folds else {}),
            "total_s": total_s,
            "images_per_s": done.images_per_s,
        }
        return Timings(**{name: round(value, 3) for name, value in seconds.items()})
