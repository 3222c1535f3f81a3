"""Ridge regression on one-hot labels, by closed form; alpha from rows held out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from headstart.heads.base import ClassWeight, Examples, Features, Head, HeadSettingError, OutOfFold, class_weights
from headstart.heads.folds import Folds
from headstart.heads.solver import blocks
from headstart.heads.solver.blocks import row_blocks, taken
from headstart.heads.solver.design import columns_of, gram_matrix
from headstart.heads.solver.scale import fit_scale
from headstart.heads.solver.scaler import Scaler, standardised
from headstart.heads.state import State
from headstart.heads.trials import Trials, at_the_edge, note_choice

Matrix = NDArray[np.float64]
Solver = Callable[[Sequence[float]], list[tuple[Matrix, Matrix]]]
ALPHAS = tuple(10.0**exponent for exponent in range(-3, 5))
USUAL = 0.01  # times the number of features, where nothing can be tried


class RidgeHead(Head):
    """Minimises (1/n) sum w_i |t_i - W'z_i - b|^2 + alpha ||W||^2 for one-hot t (n, k), standardised z (n, d).

    With row weights Omega: (A) n >= d: W = (Z'ΩZ/n + αI)^-1 Z'ΩT/n; (B) d > n: W = Z'Ω^½ (Ω^½ZZ'Ω^½/n + αI)^-1 Ω^½T/n
    (Hoerl and Kennard 1970).  `alpha=None` takes the value of `ALPHAS` with the least squared error on rows held out
    (where nothing can be tried, a hundredth of the number of features), and fits on all rows.  Logits are the fit times
    one factor, with the least log loss on those rows.
    """

    ARRAYS: ClassVar = {"coef_": State(("d", "k")), "intercept_": State(("k",))}
    coef_: Matrix
    intercept_: Matrix

    def __init__(self, alpha: float | None = None, class_weight: ClassWeight = None) -> None:
        self.alpha = alpha
        self.class_weight = class_weight

    def _chooses(self) -> bool:
        return self.alpha is None

    def _fit(self, rows: Examples, folds: Folds | None) -> None:
        self._check_settings()
        weights = class_weights(rows.y, self.classes_, self.class_weight)
        trials = self._tried(rows, weights, folds) if folds is not None else None
        alpha = trials.best.settings["alpha"] if trials else self.alpha or USUAL * rows.X.shape[1]
        ((coef, intercept),) = _solver(rows, weights)([alpha])
        seen = trials.best.logits if trials else _scores(rows.X, coef, intercept)
        scale = fit_scale(seen, trials.codes if trials else rows.y)
        self.coef_, self.intercept_ = scale * coef, scale * intercept
        if trials:
            self.out_of_fold_ = OutOfFold(trials.rows, scale * trials.best.logits)
        self._describe(alpha, scale, trials)

    def _check_settings(self) -> None:
        if self.alpha is not None and not self.alpha > 0:
            raise HeadSettingError(f"alpha is {self.alpha}: it must be a positive number, or None to choose it.")

    def _tried(self, rows: Examples, weights: Matrix, folds: Folds) -> Trials:
        """Every alpha on every fold."""
        trials = Trials(rows.y, folds, weights, "squared error")
        alphas = ALPHAS if self.alpha is None else (float(self.alpha),)
        of_folds = [
            [_scores(rows.X[j], *fit) for fit in _solver(Examples(taken(rows.X, f), rows.y[f]), weights)(alphas)]
            for f, j in folds
        ]
        targets = np.eye(len(weights))[trials.codes]
        for alpha, scores in zip(alphas, zip(*of_folds, strict=True), strict=True):
            trials.add({"alpha": alpha}, scores, np.square(np.concatenate(scores) - targets).sum(axis=1))
        return trials

    def _describe(self, alpha: float, scale: float, trials: Trials | None) -> None:
        self.history_ = [{"alpha": 0.0}]  # before training: every class its share
        self.history_ += trials.history("val_squared_error") if trials else [{"alpha": alpha}]
        parameters = int(self.coef_.size + self.intercept_.size)
        self.report_ |= {"alpha": alpha, "scale": scale, "class_weight": self.class_weight, "parameters": parameters}
        note_choice(self, {"alpha": alpha}, trials, "as given" if self.alpha is not None else "too few rows to choose")
        if trials and len(trials.found) > 1 and alpha in (ALPHAS[0], ALPHAS[-1]):
            self.notes_.append(at_the_edge(f"alpha = {alpha:g}"))

    def _logits(self, X: Features) -> Matrix:
        logits: Matrix = X.astype(np.float64, copy=False) @ self.coef_ + self.intercept_
        return logits


def _scores(X: Features, coef: Matrix, intercept: Matrix) -> Matrix:
    return np.concatenate([X[rows].astype(np.float64) @ coef + intercept for rows in row_blocks(X)])


def _solver(rows: Examples, weights: Matrix) -> Solver:
    """For each alpha, weights (d, k) and bias (k,) for raw features; `weights` (k,) are those of the classes."""
    if rows.X.size >= blocks.VERY_LARGE and len(rows.X) >= rows.X.shape[1]:
        return _accumulated(rows, weights)
    each, targets = weights[rows.y], np.eye(len(weights))[rows.y]
    scaler = _weighted_scaler(rows.X, each)
    mean = each @ targets / each.sum()
    solve = _closed_form(rows.X, scaler, each, targets - mean)
    return lambda alphas: [scaler.fold(W, mean) for W in solve(alphas)]


def _accumulated(rows: Examples, weights: Matrix) -> Solver:
    """As `_solver`, with two passes over blocks of rows: what is kept are the sums (d, d) and (d, k) of (A)."""
    from scipy.linalg import solve

    X, y, k = rows.X, rows.y, len(weights)
    each = weights[y]
    total, scale = each.sum(), Scaler.measure(X).scale
    centre = sum((each[b] @ X[b].astype(np.float64) for b in row_blocks(X)), np.zeros(X.shape[1])) / total
    scaler, mean, one_hot = Scaler(centre, scale), np.bincount(y, each, k) / total, np.eye(k)
    A, right = np.zeros((X.shape[1], X.shape[1])), np.zeros((X.shape[1], k))
    for b in row_blocks(X):
        Z, root = scaler.apply(X[b]), np.sqrt(each[b] / len(X))[:, None]
        Z *= root
        A += Z.T @ Z
        right += Z.T @ (root * (one_hot[y[b]] - mean))
    one = np.eye(len(A))
    return lambda alphas: [scaler.fold(solve(A + alpha * one, right, assume_a="pos"), mean) for alpha in alphas]


def _weighted_scaler(X: Features, weights: Matrix) -> Scaler:
    """The training part's scaler, centred on the weighted mean: this makes the bias separate from the weights."""
    scaler = Scaler.measure(X)
    if np.all(weights == 1.0):
        return scaler
    return Scaler((weights @ X) / weights.sum(), scaler.scale)


def _closed_form(
    X: Features, scaler: Scaler, weights: Matrix, targets: Matrix
) -> Callable[[Sequence[float]], list[Matrix]]:
    """For each alpha, weights (d, k) for standardised features, from whichever normal matrix is smaller."""
    from scipy.linalg import solve

    n, d = X.shape
    root = np.sqrt(weights / n)
    if n >= d:
        Z = standardised([X], scaler, np.float64) * root[:, None]
        A, right = Z.T @ Z, Z.T @ (root[:, None] * targets)
        return lambda alphas: [solve(A + alpha * np.eye(d), right, assume_a="pos") for alpha in alphas]
    G = gram_matrix([X], scaler)
    G *= root[:, None]
    G *= root

    def dual(alpha: float) -> Matrix:
        B = G.copy(order="F")
        B[np.diag_indices(n)] += alpha
        found: Matrix = root[:, None] * solve(B, root[:, None] * targets, assume_a="pos", lower=True, overwrite_a=True)
        return found

    def wide(alphas: Sequence[float]) -> list[Matrix]:
        weights = columns_of([X], scaler, np.concatenate([dual(alpha) for alpha in alphas], axis=1))
        return np.split(weights, len(alphas), axis=1)

    return wide
