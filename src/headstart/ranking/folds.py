"""Stratified folds of the pictures, and answers to each by a regression that was fitted without it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError, UserError
from headstart.heads.logistic import LogisticHead
from headstart.images.order import shuffled

Codes = NDArray[np.int64]
HELD_OUT = 0.2
"""The share of the fitted pictures of each class on which C is chosen."""


@dataclass(frozen=True, eq=False)
class Folds:
    """n pictures in k folds: fold (n,) int64, and chooses (k, n) bool, the rows on which fold i's fit chooses C."""

    fold: Codes
    chooses: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.chooses)


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """predicted (n,) int64 classes, each by a fit that saw neither the picture nor its copies.

    In how many folds C was the strongest or the weakest penalty of its grid, and the regression did not converge.
    """

    predicted: Codes
    strongest: int
    weakest: int
    stopped_early: int


def draw(y: Codes, names: Sequence[str], k: int, seed: int, twins: Sequence[tuple[int, int]] = ()) -> Folds:
    """Folds with every class spread evenly; they depend on the names and the seed, not on the listing order.

    `twins` are pairs of rows (later, first) of pictures with the same content: they share a fold. A class with one
    picture has nothing left to be learned from in the fold that judges it. Raises UserError for an impossible k.
    """
    if not 2 <= k <= len(y):
        raise UserError(f"--folds is {k}: it must lie between 2 and the number of pictures, {len(y)}.")
    order = np.concatenate([shuffled(np.flatnonzero(y == c), names, seed, "folds") for c in np.unique(y)])
    fold = np.empty(len(y), dtype=np.int64)
    fold[order] = np.arange(len(y)) % k
    for later, first in twins:
        fold[later] = fold[first]
    for i in range(k):
        if len(np.unique(y[fold != i])) < 2:
            raise DataError("Without one fold the pictures are of one class only; add pictures or take fewer --folds.")
    return Folds(fold, np.stack([_held_out(y, order, np.flatnonzero(fold != i)) for i in range(k)]))


def _held_out(y: Codes, order: Codes, fitted: Codes) -> NDArray[np.bool_]:
    """A mask (n,) of about HELD_OUT of each class among the rows `fitted`, leaving each class at least one."""
    mask = np.zeros(len(y), dtype=bool)
    ordered = order[np.isin(order, fitted)]
    for c in np.unique(y[fitted]):
        own = ordered[y[ordered] == c]
        mask[own[: min(round(HELD_OUT * len(own)), len(own) - 1)]] = True
    return mask


def answers(X: NDArray[Any], y: Codes, folds: Folds, step: Callable[[int, int], None]) -> OutOfFold:
    """Each picture's class by logistic regression on the other folds; C is chosen there too, on a part of them.

    X (n, d) float32, y (n,). `step` is told (folds done, folds). Kornblith et al. 2019 rank networks by this protocol.
    """
    predicted = np.empty(len(y), dtype=np.int64)
    fitted = []
    for i in range(len(folds)):
        step(i, len(folds))
        judged = folds.fold == i
        head = _fit(X, y, ~judged & ~folds.chooses[i], folds.chooses[i])
        predicted[judged] = head.predict(X[judged])
        fitted.append(head.report_)
    step(len(folds), len(folds))
    chosen = [report for report in fitted if len(report["grid"]) > 1]
    strongest, weakest = (sum(report["C"] == report["grid"][end] for report in chosen) for end in (0, -1))
    return OutOfFold(predicted, strongest, weakest, sum(not report["converged"] for report in fitted))


def _fit(X: NDArray[Any], y: Codes, train: NDArray[np.bool_], held_out: NDArray[np.bool_]) -> LogisticHead:
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # counted, and told in the notes
        return LogisticHead().fit(X[train], y[train], validation=(X[held_out], y[held_out]))
