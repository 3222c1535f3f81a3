"""The one way to fit a head on features: runs, studies, estimators and rankings all come here.

Pictures (features, classes, views, groups) -> Learner.fit -> Fitted (head, temperature)
                                            -> Learner.cross_validate -> CrossValidated (an answer to each picture)
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from headstart.conformal import Conformal
from headstart.errors import DataError
from headstart.heads import HEADS, Head, blamed_on, make_head
from headstart.heads.folds import contents, numbers
from headstart.heads.solver import scale
from headstart.logits import apply_temperature, averaged_logits, full_logits
from headstart.pictures import Codes, Pictures
from headstart.progress import Progress, silent
from headstart.threads import map_lazily, single_threaded_blas

FOLDS = 10
"""Of a cross-validation that judges; the interval of its score is made for so many."""
LARGE = 2**19
"""Numbers in the features from which folds are fitted in a thread each: with fewer, threads wait for each other."""
FEWEST = 50
"""Pictures below which no temperature is fitted: it would be a coin's toss (decision 0021)."""
TOO_FEW = (
    "There are too few pictures for cross-validation: without those of one fold, only one class is left. Label two or "
    "more of "
    "each class, or give a test set."
)


class FittedHead(NamedTuple):
    """A fitted head, the temperature of its probabilities, the pictures that gave that, and the seconds all took.

    `conformal` has the head's own answers to pictures it had not seen; None where nothing was tried.
    """

    head: Head
    temperature: float
    calibrated_on: int
    seconds: float
    conformal: Conformal | None = None


class CrossValidated(NamedTuple):
    """An answer to each of n pictures by a fit that saw neither it nor its copies.

    logits (n, k) before the temperature of the fit that gave them, probabilities (n, k) with it, and the fold (n,);
    k are the classes that were asked for. `plain` are logits of the plain pictures alone, where views are averaged;
    `stopped_early` counts the fits that did not converge, `copies` the pictures that are copies of another or nearly.
    """

    plain: NDArray[np.float64]
    logits: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    fold: Codes
    stopped_early: int
    copies: int
    seconds: float


@dataclass(frozen=True)
class Learner:
    """A head by name and options, not fitted; the seed goes to those that draw random numbers."""

    name: str = "logistic"
    options: Mapping[str, Any] | None = None
    class_weight: str | None = None
    seed: int = 0

    def head(self) -> Head:
        """A new head. Raises UserError for a name or an option that there is not."""
        params = dict(self.options or {})
        if self.class_weight not in (None, "none"):
            params.setdefault("class_weight", self.class_weight)
        if self.name in HEADS and "seed" in HEADS[self.name]().get_params():
            params.setdefault("seed", self.seed)
        return make_head(self.name, **params)

    def fit(self, pictures: Pictures, progress: Progress = silent) -> FittedHead:
        """Fit on all pictures; what is left to choose is chosen on validation pictures that the data bring, or folds.

        Raises UserError when the head cannot be fitted with the options.
        """
        if not len(pictures.y):
            raise DataError("No training picture is left; a run needs some of at least two classes.")
        started, head = time.perf_counter(), self.head()
        X, y, folds = pictures.rows(dear=head.DEAR)
        epochs = head.get_params().get("epochs", 1)
        progress("fit", 0, epochs)
        if "on_epoch" in head.get_params():
            head.set_params(on_epoch=lambda row: progress("fit", int(row["epoch"]), epochs))
        with blamed_on(self.name, self.options or {}):
            head.fit(X, y, folds=folds)
        progress("fit", epochs, epochs)
        temperature, n = temperature_of(head, y)
        conformal = conformal_of(head, y, temperature)
        return FittedHead(head, temperature, n, time.perf_counter() - started, conformal)

    @single_threaded_blas()
    def cross_validate(
        self, pictures: Pictures, classes: int, progress: Progress = silent, fold: Codes | None = None
    ) -> CrossValidated:
        """Answer each picture by a fit on the other folds, with every choice made there; `fold` (n,) may be given.

        Classes that a fold's fit has not seen, and pictures of which it saw a copy, get no chance there. Raises
        DataError where the pictures outside some fold are of one class.
        """
        started, n = time.perf_counter(), len(pictures.y)
        if fold is None:
            fold = numbers(pictures.y, min(FOLDS, n), pictures.marks or contents(pictures.X), pictures.groups)
        plain, logits, probabilities = (np.empty((n, classes)) for _ in range(3))
        parts, stopped = np.unique(fold), 0
        threads = not self.head().DEAR and pictures.X.size >= LARGE
        fits = map_lazily(lambda part: self._without(pictures, fold == part), parts, threads=threads)
        for done, (part, fitted) in enumerate(zip(parts, fits, strict=True)):
            progress("folds", done, len(parts))
            judged = np.flatnonzero(fold == part)
            plain[judged] = full_logits(fitted.head, pictures.X[judged], classes)
            views = (full_logits(fitted.head, view[judged], classes) for view in pictures.averaged)
            logits[judged] = averaged_logits(plain[judged], views)
            stopped += not fitted.head.report_.get("converged", True)
            probabilities[judged] = apply_temperature(logits[judged], fitted.temperature)
        progress("folds", len(parts), len(parts))
        seconds = time.perf_counter() - started
        return CrossValidated(plain, logits, probabilities, fold, stopped, pictures.copies, seconds)

    def _without(self, pictures: Pictures, judged: NDArray[np.bool_]) -> FittedHead:
        """Fitted on the pictures that are not judged."""
        others = pictures.take(np.flatnonzero(~judged))
        if len(np.unique(others.y)) < 2:
            raise DataError(TOO_FEW)
        return self.fit(others)


def temperature_of(head: Head, y: Codes) -> tuple[float, int]:
    """The temperature by the answers of a head's trials to rows with classes y, and how many pictures gave it.

    Their labels are smoothed by one picture's worth, as in Platt 1999: where all were right, the next need not be. 1
    where the pictures are fewer than `FEWEST`.
    """
    seen = head.out_of_fold_
    n = 0 if seen is None else len(np.unique(seen.rows))
    if seen is None or n < FEWEST:
        return 1.0, 0
    return scale.temperature_of(seen.logits, np.searchsorted(head.classes_, y[seen.rows])), n


def conformal_of(head: Head, y: Codes, temperature: float) -> Conformal | None:
    """The answers of a head's trials to rows with classes y (n,), one for each picture; None where there were none."""
    if head.out_of_fold_ is None:
        return None
    rows, first = np.unique(head.out_of_fold_.rows, return_index=True)
    answers = apply_temperature(head.out_of_fold_.logits[first], temperature)
    return Conformal.of(answers, np.searchsorted(head.classes_, y[rows]))
