"""Exact multinomial logistic regression on features; cross-validation chooses scale and C (decisions 0008, 0020)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from headstart.heads.base import ClassWeight, Examples, Features, HeadSettingError, class_weights
from headstart.heads.dense import DenseHead
from headstart.heads.few_rows import USUAL, FewRows, Shape, Way, unit
from headstart.heads.folds import MANY, Folds
from headstart.heads.many_rows import ManyRows
from headstart.heads.principal import WIDEST
from headstart.heads.solver.scaler import Scaler
from headstart.heads.solver.softmax import Solution
from headstart.heads.state import State
from headstart.heads.trials import Trials, note_choice

if TYPE_CHECKING:
    from headstart.training.network import Layers

Matrix = NDArray[np.float64]
NO_PENALTY = 1e6  # a C above this is as good as no penalty
STRENGTHS = (1.0, 10.0, 100.0, 1000.0)
"""C times the mean squared length of the rows, as it is tried on few of them."""
ROWS_FOR_LENGTHS, MOST_FOR_LENGTHS = 10, 500
"""From so many rows of each class on it is also tried without `normalise`, below so many rows in all."""
FEW_ROWS = Way(Shape(normalise=True), 0.01, (USUAL,))
"""What is used for two classes where nothing can be tried, and tried first elsewhere: decision 0020."""
MOST_UNTRIED = 100.0
"""Up to this the strength grows with the number of classes where nothing can be tried."""


def c_grid(power: float) -> list[float]:
    """13 values of C, half a decade apart, from strong to weak penalty; they shift with the power of the features.

    Standardised rows have squared norm about d, so C times d is what acts: the grid starts near 0.1 / d
    (512 features: 1e-4 to 1e2). For features as they are, `power` is their total variance.
    """
    start = np.floor(2 * np.log10(0.1 / power) + 1e-9) / 2
    return [float(f"{10.0 ** (start + step / 2):.4g}") for step in range(13)]


def default_c(power: float) -> float:
    """C where no rows held out choose: the fifth of the grid, near 10 / d."""
    return c_grid(power)[4]


class LogisticHead(DenseHead):
    """Minimises (1/N) sum NLL + ||W||^2 / (2 C N), bias unpenalised, to a largest gradient of `tol` in float64.

    Kornblith et al. 2019 (protocol).  `C=None` chooses on rows held out, by their log loss, and fits on all rows.
    Below `MANY` rows, where there are no more than `WIDEST` features or rows, it also chooses whether every feature is
    first replaced by its signed square root (`root`), whether every row is brought to length 1 (`normalise`), and
    whether standardised features are whitened (`whiten`): divided, in their principal axes, by
    sqrt(variance + whiten * total variance); 0 is not at all.  The penalty on whitened features spares what varies
    little within the classes, as ridge regression and linear discriminants do.  Where nothing can be tried it is
    `FEW_ROWS`, with a weaker penalty for more than two classes.  With a C that is given, features are left as they are
    unless something else is asked for.

    `class_weight='balanced'` weighs every loss, also those of the history.  When there are more features than rows the
    problem is solved in the span of the rows, which is exact.  `standardise=False` takes the features as they are; a
    very large C (1e12) is no penalty.  logits = X coef_ + intercept_ for `coef_` (d, k) and `intercept_` (k,), where X
    are the features, their roots where `rooted_` holds 1, and then of length 1 where `normalised_` does.
    """

    ARRAYS: ClassVar = {
        "coef_": State(("d", "k")),
        "intercept_": State(("k",)),
        "rooted_": State((1,), "u", high=1),
        "normalised_": State((1,), "u", high=1),
    }
    coef_: Matrix
    intercept_: Matrix
    rooted_: NDArray[np.uint8]
    normalised_: NDArray[np.uint8]

    def __init__(
        self,
        C: float | None = None,
        class_weight: ClassWeight = None,
        tol: float = 1e-6,
        max_iter: int = 1000,
        standardise: bool = True,
        root: bool | None = None,
        normalise: bool | None = None,
        whiten: float | None = None,
    ) -> None:
        self.C = C
        self.class_weight = class_weight
        self.tol = tol
        self.max_iter = max_iter
        self.standardise = standardise
        self.root = root
        self.normalise = normalise
        self.whiten = whiten

    def _chooses(self) -> bool:
        return self.C is None

    def _fit(self, rows: Examples, folds: Folds | None) -> None:
        self._check(rows.X)
        weights = class_weights(rows.y, self.classes_, self.class_weight)
        fit = self._fit_few if self._in_axes(rows.X) else self._fit_many
        fit(rows, weights, folds)

    def _check(self, X: Features) -> None:
        if self.C is not None and not 0 < self.C < np.inf:
            raise HeadSettingError(
                f"C is {self.C}: it must be a positive number (1e12 is no penalty), or None to choose it."
            )
        if self.whiten is not None and not 0 <= self.whiten < np.inf:
            raise HeadSettingError(f"whiten is {self.whiten}: it must be 0 (not at all) or more, such as 0.01.")
        if self.whiten and not self.standardise:
            raise HeadSettingError("whiten needs standardised features; leave standardise=false out.")
        if self.whiten and min(X.shape) > WIDEST:
            raise HeadSettingError(
                f"whiten is for up to {WIDEST:,} rows or features, not {len(X):,} rows of {X.shape[1]:,}; leave it out."
            )

    def _in_axes(self, X: Features) -> bool:
        """Whether the fit is made in principal axes: where whitening is asked for, or may be chosen."""
        if self.whiten:
            return True
        return self.C is None and self.standardise and len(X) < MANY and min(X.shape) <= WIDEST

    def _fit_few(self, rows: Examples, weights: Matrix, folds: Folds | None) -> None:
        fit = FewRows(rows, weights, self.tol, self.max_iter).fit(self._ways(rows, folds), folds)
        self.coef_, self.intercept_ = fit.coef, fit.intercept
        self._describe(len(rows.y), fit.C, fit.solution, fit.trials, fit.way.told())
        if fit.trials:
            self.report_["strength"] = fit.strength

    def _ways(self, rows: Examples, folds: Folds | None) -> list[Way]:
        """What is tried in principal axes, the usual first."""
        if self.C is not None:
            return [Way(self._asked(), self.whiten or 0.0, (float(self.C),), relative=False)]
        n, n_least = len(rows.y), int(np.bincount(rows.y).min())
        whitenings = (FEW_ROWS.whiten, 0.0) if self.whiten is None else (self.whiten,)
        several = n_least >= ROWS_FOR_LENGTHS and n < MOST_FOR_LENGTHS
        lengths = (True, False) if several else (not _differ_in_length_alone(rows.X),)
        if self.normalise is not None:
            lengths = (self.normalise,)
        roots = (False, True) if n < MOST_FOR_LENGTHS and folds is not None else (False,)
        if self.root is not None:
            roots = (self.root,)
        untried = min(FEW_ROWS.strengths[0] * (len(self.classes_) - 1), MOST_UNTRIED)
        strengths = (untried,) if folds is None else STRENGTHS
        shapes = [Shape(root, normalise) for normalise in lengths for root in roots]
        return [Way(shape, whiten, strengths) for shape in shapes for whiten in whitenings]

    def _asked(self) -> Shape:
        """The shape of the rows where nothing is chosen."""
        return Shape(bool(self.root), bool(self.normalise))

    def _fit_many(self, rows: Examples, weights: Matrix, folds: Folds | None) -> None:
        X = self._asked().of(rows.X)
        scaler = Scaler.measure(X) if self.standardise else Scaler.identity(self.n_features_in_)
        power = self.n_features_in_ if self.standardise else Scaler.total_variance(X) or 1.0
        grid = c_grid(power)
        solver = ManyRows(Examples(X, rows.y), scaler, weights, self.tol, self.max_iter, self._path(grid))
        fit = solver.fit(grid if self.C is None else [float(self.C)], default_c(power), folds)
        self.coef_, self.intercept_ = fit.coef, fit.intercept
        self._describe(len(rows.y), fit.C, fit.solution, fit.trials, Way(self._asked(), 0.0, ()).told())
        if fit.trials and len(fit.trials.found) > 1 and fit.C in (grid[0], grid[-1]):
            side = "strongest" if grid[0] == fit.C else "weakest"
            self.notes_.append(
                f"C = {fit.C:g} is the {side} penalty of the grid: the best value may lie beyond; set C to try."
            )

    def _path(self, grid: list[float]) -> list[float]:
        """Values of C to go through before one that is beyond the grid."""
        if self.C is None or grid[-1] >= self.C:
            return []
        beyond = np.arange(np.log10(grid[-1]) + 1, np.log10(self.C))
        return grid[::2] + [float(C) for C in 10.0**beyond]

    def _describe(self, n: int, C: float, solution: Solution, trials: Trials | None, way: dict[str, float]) -> None:
        """Everything that is told of a fit on n rows; `way` is how they were scaled."""
        self.n_iter_, self.C_ = solution.iterations, C
        self.rooted_, self.normalised_ = (np.array([way[name]], dtype=np.uint8) for name in ("root", "normalise"))
        self.report_ |= {"C": C, **way, "class_weight": self.class_weight, "standardised": self.standardise}
        self.report_ |= {
            "objective": solution.objective,
            "max_gradient": solution.max_gradient,
            "iterations": solution.iterations,
            "converged": solution.converged,
            "rows": n,
            "parameters": int(self.coef_.size + self.intercept_.size),
        }
        self._tell(trials, solution, C)
        note_choice(self, {"C": C} | way, trials, "as given" if self.C is not None else "too few rows to choose")
        if C > NO_PENALTY and solution.objective * n < np.log(2):
            self.notes_.append(
                f"C = {C:g} means no penalty, and the classes can be separated without error: ever larger weights fit "
                "better, and the solver stopped close to those of the largest margin."
            )
        self._warn_unless_converged(solution)

    def _tell(self, trials: Trials | None, solution: Solution, C: float) -> None:
        """The history, whose row 0 gives every class the same probability, and the answers out of fold."""
        chance = float(np.log(len(self.classes_)))
        if trials is None:
            last = {"C": C, "objective": solution.objective, "iterations": float(solution.iterations)}
            self.history_ = [{"C": 0.0, "objective": chance, "iterations": 0.0}, last]
            return
        names = trials.found[0].settings
        self.history_ = [{**dict.fromkeys(names, 0.0), "val_log_loss": chance}, *trials.history()]
        self.out_of_fold_ = trials.out_of_fold(trials.best)

    def _warn_unless_converged(self, solution: Solution) -> None:
        if solution.converged:
            return
        from sklearn.exceptions import ConvergenceWarning

        text = (
            f"Logistic regression stopped after {solution.iterations} iterations with a largest gradient of "
            f"{solution.max_gradient:.1e}, above {self.tol:g}: not converged."
        )
        self.notes_.append(text)
        warnings.warn(text, ConvergenceWarning, stacklevel=4)

    def _logits(self, X: Features) -> Matrix:
        shape = Shape(bool(self.rooted_[0]), bool(self.normalised_[0]))
        logits: Matrix = shape.of(X.astype(np.float64, copy=False)) @ self.coef_ + self.intercept_
        return logits

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], config: dict[str, Any]) -> Self:
        """The fitted head back from `to_arrays()` and `config()`; older ones have rows as they are."""
        return super().from_arrays(
            dict.fromkeys(("rooted", "normalised"), np.zeros(1, np.uint8)) | dict(arrays), config
        )

    def dense_layers(self) -> Layers:
        """One layer. Raises HeadSettingError where rows are shaped first, which a layer cannot do."""
        if self.normalised_[0]:
            raise HeadSettingError(
                "The head scales rows to length 1, which a dense layer cannot do: set normalise=false."
            )
        if self.rooted_[0]:
            raise HeadSettingError(
                "The head takes square roots of features, which a dense layer cannot do: set root=false."
            )
        return [(self.coef_, self.intercept_)]

    def _set_layers(self, layers: Layers) -> None:
        ((self.coef_, self.intercept_),) = layers
        self.rooted_ = self.normalised_ = np.zeros(1, np.uint8)

    def fitted_on_training(self, X: NDArray[Any], y: NDArray[Any]) -> Self:
        """With what was chosen, on X and y alone."""
        chosen = {name: float(self.report_.get(name, 0.0)) for name in ("C", "whiten")}
        chosen |= {"root": bool(self.rooted_[0]), "normalise": bool(self.normalised_[0])}
        return type(self)(**self.get_params() | chosen).fit(X, y)


def _differ_in_length_alone(X: Features) -> bool:
    """Whether rows (n, d) would all be the same at length 1, as pictures of one grey level each are."""
    rows = unit(X)
    return bool(np.abs(rows - rows[:1]).max() < 1e-6)
