"""What a run came to: its scores, and the files that record it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart import records
from headstart.classifier import Classifier
from headstart.evidence.cross_validated import interval
from headstart.features.copies import repeated, torn
from headstart.features.extract import Extraction
from headstart.images import ImageSet, write_split
from headstart.images.cures import cures
from headstart.images.parts import PARTS
from headstart.learner import CrossValidated
from headstart.metrics import apply_temperature, score
from headstart.recipe import Recipe


def part_rows(images: ImageSet) -> dict[str, slice]:
    """The rows of each part, which lie side by side: slices, so that features are viewed and not copied."""
    found = {}
    for part in PARTS:
        rows = np.flatnonzero(images.parts == part)
        found[part] = slice(int(rows[0]), int(rows[-1]) + 1) if len(rows) else slice(0, 0)
    return found


def rows_in(rows: slice) -> int:
    """The number of rows of a part."""
    return int(rows.stop - rows.start)


@dataclass(frozen=True)
class Training:
    """What a network's training leaves behind, beside the head: the block `training` of scores.json without scores.

    `frozen` are logits (n, k) of all pictures before any block was changed, None from scratch; `folds` are the same of
    the training pictures by cross-validation, where that judges; `tried` are learning rates and the losses they led to,
    where they were looked for.
    """

    report: Mapping[str, Any]
    frozen: NDArray[np.float64] | None = None
    folds: NDArray[np.float64] | None = None
    tried: Sequence[tuple[float, float]] = ()


@dataclass(frozen=True)
class Outcome:
    """A fitted and calibrated classifier with all that went into it. `images` are the n pictures that could be used.

    `logits` (n, k) are before the temperature, with views averaged where the classifier does so. `folds` are
    out-of-fold answers to the pictures that the head was fitted on, where these judge. `augment` and `calibration` are
    blocks of scores.json.
    """

    recipe: Recipe
    images: ImageSet
    extraction: Extraction
    parts: Mapping[str, slice]
    classifier: Classifier
    logits: NDArray[np.float64]
    fit_s: float
    training: Training | None = None
    augment: Mapping[str, Any] | None = None
    folds: CrossValidated | None = None
    calibration: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """(n, k) calibrated."""
        return apply_temperature(self.logits, self.classifier.temperature)

    def scores(self, name: str, started: float) -> dict[str, Any]:
        """The content of scores.json but for `memory`; `started` is the `time.perf_counter()` when the run began."""
        head = self.classifier.head
        backbone = self.classifier.source.backbone
        return {
            "schema": 1,
            "run": self._about(name),
            "before": self._before(),
            "after": self._after(),
            **({"leaks": self._leaks} if self._leaks else {}),
            "fitted_on": self._fitted_on(),
            "calibration": dict(self.calibration),
            "head": {"name": self.recipe.head.name, **head.report_, "choice_told": head.describe_choice()},
            **({"training": self._training(self.training)} if self.training else {}),
            **({"augment": dict(self.augment)} if self.augment else {}),
            "timings": self._timings(time.perf_counter() - started),
            "counts": {
                **asdict(self.extraction.counts),
                "refused": self.extraction.counts.refused + len(self.images.refused),
                **{part: rows_in(rows) for part, rows in self.parts.items()},
            },
            "notes": [
                *self.images.notes,
                *cures([*self.images.refused, *self.extraction.refused]),
                *(backbone.notes if backbone else ()),
                *self.extraction.notes,
                *self._told_leaks(),
                *self._copies_in_folds(),
                *self._doubts(),
                *head.notes_,
            ],
        }

    def write(self, folder: Path) -> None:
        """Write every file of the run folder but the scores, the bundle and the report."""
        images, classes = self.images, self.images.classes
        records.write_text(folder / "recipe.toml", self.recipe.to_toml())
        write_split(images, folder / "split.csv")
        records.write_history(folder / "history.csv", self.classifier.head.history_)
        if self.training and self.training.tried:
            records.write_csv(folder / "learning_rates.csv", ["learning_rate", "loss"], self.training.tried)
        records.write_json(folder / "environment.json", records.environment())
        records.write_refused(folder, [*images.refused, *self.extraction.refused])
        told, parts = self.probabilities, images.parts
        if self.folds is not None:
            told, parts = told.copy(), np.where(np.arange(len(images)) < self._crossed.stop, "cv", parts)
            told[self._crossed] = self.folds.probabilities
        cells = records.prediction_cells(told, classes)
        records.write_csv(
            folder / "predictions.csv",
            ["name", "split", "label", *records.prediction_columns(classes)],
            ([images.names[i], parts[i], classes[images.labels[i]], *cells[i]] for i in range(len(images))),
        )

    @cached_property
    def _leaks(self) -> dict[str, dict[str, Any]]:
        """Of each part that was not fitted on: how many copy a picture that was, or nearly, and the score without them.

        `same` counts those with the same content; there is no score where no picture is left (decision 0029).
        """
        parts, copies = self.images.parts, self.extraction.copies
        found: dict[str, dict[str, Any]] = {}
        fitted = np.isin(parts, self._fitted_on())
        for part in PARTS:
            own = parts == part
            leaked = own & np.isin(copies.near, copies.near[fitted])
            if part in self._fitted_on() or not leaked.any():
                continue
            same = own & np.isin(copies.same, copies.same[fitted])
            left = np.flatnonzero(own & ~leaked)
            scored = score(self.images.labels[left], self.probabilities[left], self.images.classes) if len(left) else {}
            kept = ("n", "accuracy", "accuracy_low", "accuracy_high", "log_loss")
            found[part] = {"copies": int(leaked.sum()), "same": int(same.sum())}
            found[part] |= {"without": {key: scored[key] for key in kept}} if scored else {}
        return found

    def _told_leaks(self) -> list[str]:
        """A note for each such part, with the accuracy without the copies."""
        told = []
        for part, leak in self._leaks.items():
            without = leak.get("without")
            same = f" ({leak['same']:,} the same)" if leak["same"] not in (0, leak["copies"]) else ""
            what = f"{leak['copies']:,} pictures of {part} copy a training picture{same}"
            if without is None:
                told.append(f"{what}: no other is left, so accuracy there says nothing.")
                continue
            low, high = without["accuracy_low"], without["accuracy_high"]
            told.append(
                f"{what}; without them accuracy there is {without['accuracy']:.4f} "
                f"(95% interval {low:.4f} to {high:.4f})."
            )
        return told

    def _doubts(self) -> list[str]:
        """One line on what the cheap part of an audit finds in the pictures, where it finds anything."""
        copies, sketches, labels = self.extraction.copies, self.extraction.sketches, self.images.labels
        clash, again = torn(copies.same, labels), int(repeated(copies.same).sum())
        counts = [
            (int(clash.sum()), "copies of each other in different classes"),
            (again - int(clash.sum()), "copies of each other"),
            (0 if sketches is None else int(sketches.plain.sum()), "of one colour"),
            (0 if sketches is None else int(sketches.tiny.sum()), "too small to show anything"),
        ]
        said = [f"{n:,} {what}" for n, what in counts if n]
        if not said:
            return []
        return [f"Among the pictures: {'; '.join(said)}. `headstart audit` shows them."]

    @property
    def _crossed(self) -> slice:
        """The pictures that cross-validation judges: those of train and val, which come first."""
        return slice(0, 0 if self.folds is None else len(self.folds.fold))

    def _copies_in_folds(self) -> list[str]:
        """A note on pictures that were kept in one fold, so that none was judged by what had learnt from its copy."""
        n = 0 if self.folds is None else self.folds.copies
        if not n:
            return []
        return [f"{n:,} pictures are copies of others, or nearly: copies were always judged together (in one fold)."]

    def _before(self) -> dict[str, Any]:
        """Scores before training: chance, that is the classes' shares of the training part for every picture."""
        train, k = self.parts["train"], len(self.images.classes)
        shares = np.bincount(self.images.labels[train], minlength=k) / rows_in(train)
        judged = {part: rows for part, rows in self.parts.items() if rows_in(rows)}
        if self.folds is not None:
            judged["cv"] = self._crossed
        return {
            part: score(self.images.labels[rows], np.tile(shares, (rows_in(rows), 1)), self.images.classes)
            for part, rows in judged.items()
        }

    def _after(self) -> dict[str, Any]:
        """Scores with calibrated probabilities; log loss and ECE also without the temperature."""
        found, plain = {}, apply_temperature(self.logits, 1.0)
        for part, rows in self.parts.items():
            if rows_in(rows):
                found[part] = self._scored(self.images.labels[rows], self.probabilities[rows], plain[rows])
        if self.folds is not None:
            answers, labels = self.folds.probabilities, self.images.labels[self._crossed]
            found["cv"] = self._scored(labels, answers, apply_temperature(self.folds.logits, 1.0))
            found["cv"] |= self._crossed_interval(answers) | {"folds": len(np.unique(self.folds.fold))}
        return found

    def _crossed_interval(self, answers: NDArray[np.float64]) -> dict[str, float]:
        """The interval of a cross-validated accuracy, of out-of-fold probabilities (n, k)."""
        right = answers.argmax(axis=1) == self.images.labels[self._crossed]
        low, high = interval(right, len(self.images.classes))
        return {"accuracy_low": low, "accuracy_high": high}

    def _scored(
        self, labels: NDArray[np.int64], answers: NDArray[np.float64], plain: NDArray[np.float64]
    ) -> dict[str, Any]:
        """Scores of calibrated probabilities (m, k), and what they were without the temperature."""
        classes, raw = self.images.classes, score(labels, plain, self.images.classes)
        return score(labels, answers, classes) | {
            "log_loss_uncalibrated": raw["log_loss"],
            "ece_uncalibrated": raw["ece"],
        }

    def _fitted_on(self) -> list[str]:
        """The parts that the classifier was fitted on: a head on all labelled pictures, a network not on val."""
        parts = ("train",) if self.training else ("train", "val")
        return [part for part in parts if rows_in(self.parts[part])]

    def _training(self, told: Training) -> dict[str, Any]:
        """The report, and what the same features and top scored before any block was changed."""
        if told.frozen is None:
            return dict(told.report)
        plain, classes = apply_temperature(told.frozen, 1.0), self.images.classes
        scored = {p: score(self.images.labels[r], plain[r], classes) for p, r in self.parts.items() if rows_in(r)}
        if told.folds is not None:
            answers = apply_temperature(told.folds, 1.0)
            scored["cv"] = score(self.images.labels[self._crossed], answers, classes) | self._crossed_interval(answers)
        kept = ("n", "accuracy", "accuracy_low", "accuracy_high", "log_loss")
        return {**told.report, "frozen": {part: {key: s[key] for key in kept} for part, s in scored.items()}}

    def _about(self, name: str) -> dict[str, Any]:
        source, backbone = self.classifier.source, self.classifier.source.backbone
        engine = source.engine
        return {
            "name": name,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "data": self.recipe.data.source,
            "test": self.recipe.data.test,
            "method": self.recipe.method,
            "backbone": backbone.name if backbone else None,
            "weights": backbone and ("none" if self.recipe.method == "scratch" else self.recipe.backbone.weights),
            "layer": source.layer,
            "image_size": [source.preprocess.height, source.preprocess.width],
            "engine": f"{engine.name} ({engine.device}, {engine.precision})" if backbone else None,
            "head": self.recipe.head.name,
            "n_features": int(self.extraction.features.shape[1]),
            "classes": list(self.images.classes),
        }

    def _timings(self, total_s: float) -> dict[str, float]:
        done = self.extraction
        seconds = {
            "decode_s": done.decode_s,
            "infer_s": done.infer_s,
            "open_s": done.open_s,
            "extract_s": done.wall_s,
            "fit_s": self.fit_s,
            **({"judge_s": self.folds.seconds} if self.folds else {}),
            "total_s": total_s,
            "images_per_s": done.images_per_s,
        }
        return {name: round(value, 3) for name, value in seconds.items()}
