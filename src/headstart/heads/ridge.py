"""Ridge regression on one-hot labels, by closed form; alpha from validation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from headstart.heads.base import ClassWeight, Examples, Features, Head, HeadSettingError, class_weights
from headstart.heads.design import columns_of, gram_matrix
from headstart.heads.scale import fit_scale
from headstart.heads.scaler import Scaler, standardised

Matrix = NDArray[np.float64]
ALPHAS = tuple(10.0**exponent for exponent in range(-3, 5))
DEFAULT_ALPHA = 0.1


class RidgeHead(Head):
    """Minimises (1/n) sum w_i |t_i - W'z_i - b|^2 + alpha ||W||^2 for one-hot t (n, k), standardised z (n, d).

    With row weights Omega: (A) n >= d: W = (Z'ΩZ/n + αI)^-1 Z'ΩT/n; (B) d > n: W = Z'Ω^½ (Ω^½ZZ'Ω^½/n + αI)^-1 Ω^½T/n
    (Hoerl and Kennard 1970).  `alpha=None` takes the value of `ALPHAS` with the least validation squared error
    (without validation 0.1).  Logits are the fit times one factor with the least log loss.
    """

    ARRAYS = ("coef_", "intercept_")
    coef_: Matrix
    intercept_: Matrix

    def __init__(self, alpha: float | None = None, class_weight: ClassWeight = None) -> None:
        self.alpha = alpha
        self.class_weight = class_weight

    def _fit(self, train: Examples, validation: Examples | None) -> None:
        if self.alpha is not None and not self.alpha > 0:
            raise HeadSettingError(f"alpha is {self.alpha}: it must be a positive number, or None to choose it.")
        k = len(self.classes_)
        weights = class_weights(train.y, self.classes_, self.class_weight)[train.y]
        scaler = _weighted_scaler(train.X, weights)
        targets = np.eye(k)[train.y]
        mean = weights @ targets / weights.sum()
        solve = _closed_form(train.X, scaler, weights, targets - mean)
        check = train if validation is None else validation
        errors: dict[float, float] = {}
        fits: dict[float, tuple[Matrix, Matrix]] = {}
        self._record(0.0, (np.zeros((train.X.shape[1], k)), mean), train, validation)
        for alpha in self._grid(validation):
            fits[alpha] = scaler.fold(solve(alpha), mean)
            errors[alpha] = self._record(alpha, fits[alpha], train, validation)
        best = min(errors, key=lambda alpha: errors[alpha])
        coef, intercept = fits[best]
        scale = fit_scale(_scores(check.X, coef, intercept), check.y)
        self.coef_, self.intercept_ = scale * coef, scale * intercept
        self._describe(best, scale, list(errors))

    def _grid(self, validation: Examples | None) -> tuple[float, ...]:
        if self.alpha is not None:
            return (float(self.alpha),)
        return ALPHAS if validation is not None else (DEFAULT_ALPHA,)

    def _record(self, alpha: float, fit: tuple[Matrix, Matrix], train: Examples, validation: Examples | None) -> float:
        """One row of the history; returns the squared error that chooses alpha."""
        row = {"alpha": alpha}
        for name, part in (("train", train), ("val", validation)):
            if part is not None:
                scores = _scores(part.X, *fit)
                row[f"{name}_squared_error"] = float(
                    np.sum((scores - np.eye(len(self.classes_))[part.y]) ** 2) / len(scores)
                )
                row[f"{name}_accuracy"] = float(np.mean(scores.argmax(axis=1) == part.y))
        self.history_.append(row)
        return row.get("val_squared_error", row["train_squared_error"])

    def _describe(self, alpha: float, scale: float, grid: list[float]) -> None:
        self.report_ |= {
            "alpha": alpha,
            "grid": grid,
            "scale": scale,
            "class_weight": self.class_weight,
            "parameters": int(self.coef_.size + self.intercept_.size),
        }
        if len(grid) > 1 and alpha in (grid[0], grid[-1]):
            self.notes_.append(f"alpha = {alpha:g} is at the edge of the grid: the best value may lie beyond.")

    def _logits(self, X: Features) -> Matrix:
        logits: Matrix = X.astype(np.float64, copy=False) @ self.coef_ + self.intercept_
        return logits


def _scores(X: Features, coef: Matrix, intercept: Matrix) -> Matrix:
    from headstart.heads.base import row_blocks

    return np.concatenate([X[rows].astype(np.float64) @ coef + intercept for rows in row_blocks(X)])


def _weighted_scaler(X: Features, weights: Matrix) -> Scaler:
    """The training part's scaler, centred on the weighted mean: this makes the bias separate from the weights."""
    scaler = Scaler.measure(X)
    if np.all(weights == 1.0):
        return scaler
    return Scaler((weights @ X) / weights.sum(), scaler.scale)


def _closed_form(X: Features, scaler: Scaler, weights: Matrix, targets: Matrix) -> Callable[[float], Matrix]:
    """alpha -> weights (d, k) for standardised features, from whichever normal matrix is smaller."""
    from scipy.linalg import solve

    n, d = X.shape
    root = np.sqrt(weights / n)
    if n >= d:
        Z = standardised([X], scaler, np.float64) * root[:, None]
        A, right = Z.T @ Z, Z.T @ (root[:, None] * targets)
        return lambda alpha: solve(A + alpha * np.eye(d), right, assume_a="pos")
    G = gram_matrix([X], scaler)
    G *= root[:, None]
    G *= root

    def wide(alpha: float) -> Matrix:
        B = G.copy(order="F")
        B[np.diag_indices(n)] += alpha
        dual = root[:, None] * solve(B, root[:, None] * targets, assume_a="pos", lower=True, overwrite_a=True)
        return columns_of([X], scaler, dual)

    return wide
