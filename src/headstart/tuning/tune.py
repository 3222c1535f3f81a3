"""The act of training a network on pictures: top first, then the body, then the best blend. Imports torch."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from headstart.backbones import Backbone
from headstart.backbones.with_weights import tuned
from headstart.classifier import Classifier
from headstart.errors import UserError
from headstart.features import copies
from headstart.features.extract import Settings as ExtractSettings
from headstart.features.extract import extract
from headstart.features.source import FeatureSource
from headstart.fitted import TrainingRecord
from headstart.heads import blamed_on
from headstart.heads.base import class_weights
from headstart.heads.dense import DenseHead
from headstart.logits import log_softmax
from headstart.pictures import Pictures
from headstart.progress import Progress
from headstart.recipe import Recipe
from headstart.training.batches import RowBatches, Rows
from headstart.training.checkpoint import Keeper
from headstart.training.crew import Crew
from headstart.training.devices import place, threads_set
from headstart.training.finder import RatesTried, find_rate
from headstart.training.loop import Row, Task, Trained, train
from headstart.training.network import Layers, Tunable, blended, dense, draw, fill, groups, read
from headstart.training.weights import restore, snapshot
from headstart.tuning.rows import TrainingRows
from headstart.tuning.settings import TrainingSettings, training_settings
from headstart.tuning.summary import Course, notes, report
from headstart.tuning.training_split import TrainingSplit

SHARES = tuple(i / 10 for i in range(11))
HALF = 0.5
"""The blend without validation pictures, as Wortsman et al. recommend."""
START, SOLVED, TRAINED = 0.0, 1.0, 2.0
"""`phase` in the history: the new top at zero, the top solved on frozen features, the network trained."""
BATCH_ROWS = 64
WATCHED, WATCHES = 500, 12
"""Test pictures, and epochs, for the history of a training without validation pictures."""
Module = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Tuned:
    """What a training came to: `source` and `head` make a classifier, `features` (n, d) float32 are of all pictures."""

    source: FeatureSource
    head: DenseHead
    features: NDArray[np.float32]
    record: TrainingRecord


def tune_network(
    recipe: Recipe,
    split: TrainingSplit,
    rows: TrainingRows,
    head: DenseHead,
    progress: Progress,
    keeper: Keeper | None = None,
) -> Tuned:
    """Train the body of `split` and a new top like `head` on `rows`.

    Raises NotConverged when the loss is not finite, UserError for settings that do not fit together.
    """
    return _Tuning(recipe, split, rows, head, progress).run(keeper)


def prepared(
    recipe: Recipe, split: TrainingSplit, rows: TrainingRows, head: DenseHead, progress: Progress
) -> Callable[[Keeper], Trained]:
    """The training alone of `tune_network`, ready to begin, for one of several processes; the keeper has its end."""
    tuning = _Tuning(recipe, split, rows, head, progress)
    if tuning.settings.head_first:
        tuning._solve_top()
    task = tuning._task()
    return lambda keeper: train(task, keeper, on_epoch=tuning._on_epoch, on_step=tuning._on_step)


class _Tuning:
    def __init__(
        self, recipe: Recipe, split: TrainingSplit, rows: TrainingRows, head: DenseHead, progress: Progress
    ) -> None:
        self.recipe, self.split, self.rows, self.head, self.progress = recipe, split, rows, head, progress
        parts, labels = rows.images.parts, rows.images.labels
        self.classes = np.unique(rows.train_labels)
        self.codes = np.searchsorted(self.classes, rows.train_labels).astype(np.int64)
        self.val = np.flatnonzero((parts == "val") & np.isin(labels, self.classes))
        self.val_codes = np.searchsorted(self.classes, labels[self.val]).astype(np.int64)
        self.test = test_rows(parts, np.isin(labels, self.classes))
        self.test_codes = np.searchsorted(self.classes, labels[self.test]).astype(np.int64)
        self.settings: TrainingSettings = training_settings(
            recipe, len(self.codes), split.end.engine, len(self.val) > 0
        )
        self.plan = self.settings.plan
        self.watched = frozenset() if len(self.val) else epochs_to_watch(self.plan.epochs)
        weights = class_weights(self.codes, self.classes, head.get_params().get("class_weight"))
        self.weights = torch.tensor(weights, dtype=torch.float32)
        network = self._network()
        elsewhere = self.plan.device != "cpu"  # the backbone's own network stays where it is
        self.network = place(copy.deepcopy(network) if elsewhere else network, self.plan.device)
        self._check_batch()
        self._check_crew()
        self._said = ""
        self._solved: tuple[Layers, NDArray[np.float32]] | None = None

    def _check_batch(self) -> None:
        """Raise UserError where batch normalisation would have to learn from one picture at a time."""
        if self.plan.batch_size > 1 or self.settings.batchnorm != "trained":
            return
        if self._normalises_batches():
            raise UserError(
                f"batch_size=1: the batch normalisation of {self.split.backbone.name} cannot learn from one picture at "
                "a time; give 2 or more, or training.batchnorm=frozen."
            )

    def _check_crew(self) -> None:
        """Raise UserError where several workers would each learn the statistics of a part of the batch."""
        if Crew.here().size > 1 and self.settings.batchnorm == "trained" and self._normalises_batches():
            raise UserError(
                f"The batch normalisation of {self.split.backbone.name} learns from whole batches, and several workers "
                "have a part each: use training.batchnorm=frozen, or workers=1."
            )

    def _normalises_batches(self) -> bool:
        normed = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
        return any(isinstance(module, normed) for module in self.network.modules())

    def _network(self) -> Tunable:
        with blamed_on(self.recipe.head.name, self.recipe.head.options):
            widths = [self.split.width, *self.head.widths(), len(self.classes)]
            top = dense(widths, self.head.get_params().get("dropout", 0.0))
        draw(top, self.plan.seed)
        split = self.split
        return Tunable(split.body, split.shapes, split.end.preprocess, top, self.settings.batchnorm)

    def run(self, keeper: Keeper | None) -> Tuned:
        history = [self._start_row()]
        before = self._solve_top() if self.settings.head_first else None
        task = self._task()
        found = find_rate(task) if self.recipe.training.find_rate else None
        started = snapshot(self.network)
        begun = time.perf_counter()
        trained = train(task, keeper, on_epoch=self._on_epoch, on_step=self._on_step)
        seconds = time.perf_counter() - begun
        steps = task.batches.steps * self.plan.epochs
        self.progress("train|", steps, steps)  # also where it stopped early
        share = self._blend(started, trained) if self.settings.blend else None
        history += self._rows_of(trained, solved=before is not None)
        course = Course(trained, share, seconds, validated=len(self.val) > 0, solved=before is not None)
        return self._finish(course, history, before, found)

    def _rows_of(self, trained: Trained, *, solved: bool) -> list[Row]:
        """The loop's rows with their phase; its first is the start row once more where no top was solved."""
        first = [{"epoch": 0.0, "phase": SOLVED} | trained.history[0]] if solved else []
        return first + [{"epoch": row["epoch"], "phase": TRAINED} | row for row in trained.history[1:]]

    def _start_row(self) -> Row:
        """Row 0: a top of zeros gives every class the same probability and names the first, whatever it is given."""
        k = len(self.classes)
        row = {"epoch": 0.0, "phase": START, "train_loss": float(np.log(k))}
        row["train_accuracy"] = float((self.codes == 0).mean())
        if len(self.val):
            row |= {"val_loss": float(np.log(k)), "val_accuracy": float((self.val_codes == 0).mean())}
        elif len(self.test):
            row |= {"test_loss": float(np.log(k)), "test_accuracy": float((self.test_codes == 0).mean())}
        return row

    def _solve_top(self) -> NDArray[np.float64]:
        """LP-FT: the head solved on frozen features becomes the top; logits (n, k) of all pictures with it."""
        features = self._features("frozen features", self.split.backbone)
        learned = self._training_features(features)
        X, y, folds = self._pictures(features, learned).rows(dear=self.head.DEAR)
        epochs = self.head.get_params().get("epochs", 1)
        self.progress("head", 0, epochs)
        with blamed_on(self.recipe.head.name, self.recipe.head.options):
            self.head.fit(X, self.classes[y], folds=folds)
        self.progress("head", epochs, epochs)
        self._solved = (self.head.dense_layers(), features)
        fill(self.network.top, self.head.fitted_on_training(learned, self.classes[self.codes]).dense_layers())
        return Classifier(self.split.end, self.head, self.rows.images.classes).logits(features)

    def _pictures(self, features: NDArray[np.float32], learned: NDArray[np.float32]) -> Pictures:
        """The labelled pictures as a head on frozen features would get them."""
        train = np.flatnonzero(self.rows.images.parts == "train")
        rows = np.concatenate([train, self.val])
        done = self.rows.extraction
        y = np.concatenate([self.codes[: len(train)], self.val_codes])
        stacked = learned if len(learned) > len(train) else None
        X = features[rows]
        marks = copies.marks(done.contents[rows])
        return Pictures(X, y, len(self.val), stacked, groups=done.copies.together[rows], marks=marks)

    def _training_features(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Of the rows that are trained on; of the plain pictures alone where views are fresh in every epoch."""
        plain: NDArray[np.float32] = features[self.rows.images.parts == "train"]
        if len(self.codes) == len(plain):
            return plain
        views = self._forward(self.rows.train, np.arange(len(plain), len(self.codes)), "views")
        return np.concatenate([plain, views])

    def _task(self) -> Task:
        asked, blocks = self.settings, self.split.body.blocks
        batches = RowBatches(self.rows.train, self.codes, self.plan.batch_size, self.plan.seed, asked.sampler)
        alike = asked.layer_decay == 1 and not asked.l2sp and not asked.gradual
        members = None if alike else groups(self.network, blocks, asked.layer_decay, asked.l2sp, asked.gradual)
        return Task(self.network, batches, self.plan, members, self._evaluate, self.weights)

    def _evaluate(self, network: torch.nn.Module, epoch: int) -> Row:
        if epoch == 0 and not self.settings.head_first:
            return {}  # a top of zeros is no candidate, whatever a handful of validation pictures says of it
        if len(self.val):
            return self._measured("val", self.val, self.val_codes)
        if epoch in self.watched and len(self.test):
            return self._measured("test", self.test, self.test_codes)
        return {}

    def _measured(self, part: str, rows: NDArray[np.int64], codes: NDArray[np.int64]) -> Row:
        """Loss and accuracy on rows of a part; those of the test part are for the history alone and choose nothing."""
        logits = log_softmax(self._forward(self.rows.plain, rows, "", self.network).astype(np.float64))
        losses = -logits[np.arange(len(rows)), codes] * self.weights.numpy()[codes]
        return {f"{part}_loss": float(losses.mean()), f"{part}_accuracy": float((logits.argmax(1) == codes).mean())}

    def _forward(
        self, rows: Rows, which: NDArray[np.int64], stage: str, module: Module | None = None
    ) -> NDArray[np.float32]:
        """What `module` (the network up to its top) gives for rows, in eval mode."""
        run = module or self.network.features
        found: list[NDArray[np.float32]] = []
        self.network.eval()
        with torch.no_grad(), threads_set(self.plan.threads):
            for start in range(0, len(which), BATCH_ROWS):
                taken = rows.take(which[start : start + BATCH_ROWS], 0)
                x = torch.from_numpy(np.ascontiguousarray(taken)).to(self.plan.device)
                found.append(run(x).float().cpu().numpy())
                if stage:
                    self.progress(stage, min(start + BATCH_ROWS, len(which)), len(which))
        return np.concatenate(found)

    def _features(self, stage: str, backbone: Backbone) -> NDArray[np.float32]:
        """Of all pictures, with the body as it is; of a whole network by the engine, which is faster."""
        if not self.split.whole:
            return self._forward(self.rows.plain, np.arange(len(self.rows.images)), stage)
        known = self.rows.views.extractor.settings if backbone is self.split.backbone else ExtractSettings()
        return extract(self.rows.images, replace(self.split.end, backbone=backbone), known, self.progress).features

    def _blend(self, started: dict[str, torch.Tensor], trained: Trained) -> float | None:
        """WiSE-FT: the mixture of the weights before and after with the least validation loss; half without any."""
        if not trained.best_epoch:
            return None
        ended = snapshot(self.network)
        if not len(self.val):
            restore(self.network, blended(started, ended, HALF))
            return HALF
        losses = {}
        for share in SHARES:
            restore(self.network, blended(started, ended, share))
            losses[share] = self._evaluate(self.network, 0)["val_loss"]
        best = min(SHARES, key=lambda share: (losses[share], -share))
        restore(self.network, blended(started, ended, best))
        return best

    def _on_epoch(self, row: Row) -> None:
        self._said = f"val loss {row['val_loss']:.4f}, accuracy {row['val_accuracy']:.4f}" if "val_loss" in row else ""

    def _on_step(self, done: int, steps: int, loss: float) -> None:
        epoch = -(-done * self.plan.epochs // steps)
        said = f", {self._said}" if self._said else ""
        self.progress(f"train|epoch {epoch} of {self.plan.epochs}, loss {loss:.4f}{said}", done, steps)

    def _finish(self, course: Course, history: list[Row], before: Any, found: RatesTried | None) -> Tuned:
        if self._solved is not None and course.frozen:
            (layers, features), backbone = self._solved, self.split.backbone
        else:
            layers, backbone = read(self.network.top), tuned(self.split.backbone, self.network.body_state())
            features = self._features("features", backbone)
        head = self.head.take_layers(layers, self.classes)
        head.history_ = history
        head.notes_ = [*self.rows.notes, *notes(course, self.plan.epochs)]
        head.report_ |= {"best_epoch": course.trained.best_epoch, "epochs": course.epochs}
        parameters = sum(p.numel() for p in self.network.parameters())
        told = report(course, self.split, self.rows, self.settings, parameters, len(self.val))
        if found is not None:
            told["steepest_rate"] = found.steepest
        tried = list(zip(found.rates, found.losses, strict=True)) if found else []
        return Tuned(
            replace(self.split.end, backbone=backbone), head, features, TrainingRecord(told, before, tried=tried)
        )


def test_rows(parts: NDArray[np.str_], known: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Up to `WATCHED` rows of the test part, evenly spread, of classes that are `known`."""
    rows = np.flatnonzero((parts == "test") & known)
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(WATCHED, len(rows))).astype(np.int64))]


def epochs_to_watch(last: int) -> frozenset[int]:
    """About a dozen epochs from 0 to `last`, evenly spread by their logarithm."""
    return frozenset({0, *np.geomspace(1, last, WATCHES).round().astype(int).tolist()})
