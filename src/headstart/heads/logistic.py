"""Exact multinomial logistic regression on features (METHODS 1): standardised, C from validation, refitted."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from headstart.heads.base import ClassWeight, Examples, Features, HeadSettingError, class_weights
from headstart.heads.blocks import single_threaded_blas
from headstart.heads.curvature import Block, Curvature, sketch_of
from headstart.heads.dense import DenseHead
from headstart.heads.design import Design, design_for
from headstart.heads.rows import Dense, Rows
from headstart.heads.scaler import Scaler
from headstart.heads.softmax import Problem, Solution, minimise, row_weights

if TYPE_CHECKING:
    from headstart.training.network import Layers

Matrix = NDArray[np.float64]
PATH_TOLERANCE = 1e-4  # max-gradient of the fits that only choose C; less where the loss is below 0.1
FAST_TOLERANCE = 2e-6  # where float32 rows hand over to exact ones
DAMPING = 0.1  # of a column's curvature
APPROACH = 0.1  # of the gradient, to which each problem on the way to hardly any penalty is solved
NO_PENALTY = 1e6  # a C above this is as good as no penalty


def c_grid(power: float) -> list[float]:
    """13 values of C, half a decade apart, from strong to weak penalty; they shift with the power of the features.

    Standardised rows have squared norm about d, so C times d is what acts: the grid starts near 0.1 / d
    (512 features: 1e-4 to 1e2). For features as they are, `power` is their total variance.
    """
    start = np.floor(2 * np.log10(0.1 / power) + 1e-9) / 2
    return [float(f"{10.0 ** (start + step / 2):.4g}") for step in range(13)]


def default_c(power: float) -> float:
    """C where no validation part chooses: the fifth of the grid, near 10 / d."""
    return c_grid(power)[4]


@dataclass
class Damped(Curvature):
    """For hardly any penalty: directions that the sampled rows say little about get some curvature, not a step of 1e15.

    Marquardt 1963: in proportion to each column's own, so that the scales of the features do not matter.
    """

    squares: Matrix = field(default_factory=lambda: np.ones(1))  # (q + 1,) mean squares of [Z, 1], in the sketch

    @classmethod
    def of(cls, rows: Dense) -> Self:
        """For the rows Z (n, d)."""
        sketch = sketch_of(rows)
        Z = rows.Z if sketch is None else rows.times(sketch)
        squares = np.einsum("nq,nq->q", Z, Z, dtype=np.float64) / len(Z)
        return cls(sketch, squares=np.append(squares, 1.0))

    def preconditioning(self) -> list[Block]:
        """With `DAMPING` of each column's curvature added."""
        return [replace(b, A=b.A + np.diag(DAMPING * b.A[-1, -1] * self.squares)) for b in self.blocks]


class LogisticHead(DenseHead):
    """Minimises (1/N) sum NLL + ||W||^2 / (2 C N), bias unpenalised, to a largest gradient of `tol` in float64.

    Kornblith et al. 2019 (protocol).  `C=None` takes the value of `c_grid` with the least validation log loss
    (without validation `default_c`), then refits on train and validation with C and the training part's scaler
    kept.  `class_weight='balanced'` weighs every loss, also those of the history.  When there are more features
    than rows the problem is solved in the span of the rows, which is exact.  `standardise=False` takes the features
    as they are; a very large C (1e12) is no penalty.  `coef_` (d, k) and `intercept_` (k,) act on raw features in
    either case: logits = X coef_ + intercept_.
    """

    ARRAYS = ("coef_", "intercept_")
    coef_: Matrix
    intercept_: Matrix

    def __init__(
        self,
        C: float | None = None,
        class_weight: ClassWeight = None,
        tol: float = 1e-6,
        max_iter: int = 1000,
        standardise: bool = True,
    ) -> None:
        self.C = C
        self.class_weight = class_weight
        self.tol = tol
        self.max_iter = max_iter
        self.standardise = standardise

    def _fit(self, train: Examples, validation: Examples | None) -> None:
        if self.C is not None and not 0 < self.C < np.inf:
            raise HeadSettingError(
                f"C is {self.C}: it must be a positive number (1e12 is no penalty), or None to choose it."
            )
        parts = [train] if validation is None else [train, validation]
        scaler = Scaler.measure(train.X) if self.standardise else Scaler.identity(self.n_features_in_)
        design = design_for([part.X for part in parts], scaler)
        with single_threaded_blas():
            solution, C = self._solve(design, train, validation)
        self.coef_, self.intercept_ = scaler.fold(design.unmap(solution.theta[:-1]), solution.theta[-1])
        self._describe(solution, C, train, validation)

    def _solve(self, design: Design, train: Examples, validation: Examples | None) -> tuple[Solution, float]:
        """The kept solution on the design's rows, and its C."""
        path = self._path(train.X)
        curvature = Damped.of(design.fast) if path else Curvature(sketch_of(design.fast))
        start, spent = self._approach(path, design.split(len(train.X))[0], train.y, curvature)
        y = train.y
        if validation is None:
            C = default_c(self._power(train.X)) if self.C is None else float(self.C)
            self.report_["grid"] = [C]
        else:
            C, start = self._choose(design, train, validation, (start, curvature))
            y = np.concatenate([y, validation.y])
            if path:  # the rows of validation too are to be met from strong penalty
                start, spent = self._approach(path, design.fast, y, curvature)
        found = self._finish(design, y, C, (start, curvature))
        return replace(found, iterations=found.iterations + spent), C

    def _path(self, X: Features) -> list[float]:
        """Values of C to go through before one that is beyond the grid.

        From zero, a Newton step with hardly any penalty fits the labels through the directions of least variance;
        along the path the weights stay near the smallest that fit, those of the largest margin.
        """
        if self.C is None:
            return []
        grid = c_grid(self._power(X))
        if grid[-1] >= self.C:
            return []
        beyond = np.arange(np.log10(grid[-1]) + 1, np.log10(self.C))
        return grid[::2] + [float(C) for C in 10.0**beyond]

    def _approach(
        self, path: list[float], rows: Dense, codes: NDArray[np.int64], curvature: Curvature
    ) -> tuple[Matrix, int]:
        """Where the path leads to from zero, (width + 1, k), and the iterations it took, at most `max_iter` in all."""
        theta, spent = np.zeros((rows.width + 1, len(self.classes_))), 0
        for C in path:
            problem = self._problem(rows, codes, C)
            before = problem.gradient(problem.point(problem.logits(theta)).P, theta)
            tol = max(self.tol, APPROACH * float(np.abs(before).max()))
            found = minimise(problem, theta, tol=tol, max_iter=self.max_iter - spent, curvature=curvature)
            theta, spent = found.theta, spent + found.iterations
        return theta, spent

    def _power(self, X: Features) -> float:
        """What C is measured against: the number of standardised features, or the total variance of raw ones."""
        return self.n_features_in_ if self.standardise else Scaler.total_variance(X) or 1.0

    def _problem(self, rows: Rows, codes: NDArray[np.int64], C: float) -> Problem:
        weights = row_weights(codes, class_weights(codes, self.classes_, self.class_weight))
        return Problem(rows, codes, weights, 1.0 / (C * len(codes)))

    def _choose(
        self, design: Design, train: Examples, validation: Examples, state: tuple[Matrix, Curvature]
    ) -> tuple[float, Matrix]:
        """C with the least validation loss, warm-started from strong to weak, and the solution there."""
        theta, curvature = state
        rows, held_out = design.split(len(train.X))
        grid = c_grid(self._power(train.X)) if self.C is None else [float(self.C)]
        shares = class_weights(train.y, self.classes_, self.class_weight)
        check = Problem(held_out, validation.y, row_weights(validation.y, shares), 0.0)
        best = (np.inf, grid[0], theta)
        before = Solution(np.zeros_like(theta), np.nan, np.nan, 0, True)
        self._record(0.0, self._problem(rows, train.y, 1.0), check, before)
        worse = 0
        for C in grid:
            problem = self._problem(rows, train.y, C)
            tol = max(self.tol, PATH_TOLERANCE * min(1.0, 10 * self.history_[-1]["train_log_loss"]))
            found = minimise(problem, theta, tol=tol, max_iter=self.max_iter, curvature=curvature)
            theta = found.theta
            loss = self._record(C, problem, check, found)
            if loss < best[0]:
                best = (loss, C, theta)
            worse = worse + 1 if loss > 1.01 * best[0] else 0
            if worse == 2:
                break
        self.report_["grid"] = grid
        self._note_edge(best[1], grid)
        return best[1], best[2]

    def _record(self, C: float, problem: Problem, check: Problem, found: Solution) -> float:
        """One row of the history; returns the validation loss."""
        theta = found.theta
        logits = check.logits(theta)
        loss = check.point(logits).loss
        train_loss = problem.point(problem.logits(theta)).loss
        self.history_.append(
            {
                "C": C,
                "train_log_loss": train_loss,
                "val_log_loss": loss,
                "val_accuracy": float(np.mean(logits.argmax(axis=1) == check.codes)),
                "iterations": float(found.iterations),
            }
        )
        return loss

    def _note_edge(self, C: float, grid: list[float]) -> None:
        if len(grid) > 1 and C in (grid[0], grid[-1]):
            side = "strongest" if grid[0] == C else "weakest"
            self.notes_.append(
                f"C = {C:g} is the {side} penalty of the grid: the best value may lie beyond; set C to try."
            )

    def _finish(self, design: Design, codes: NDArray[np.int64], C: float, state: tuple[Matrix, Curvature]) -> Solution:
        """The fit that is kept: on all rows, in float32 while that helps, then exact."""
        theta, curvature = state
        spent = 0
        if design.fast is not design.exact:
            fast = self._problem(design.fast, codes, C)
            rough = minimise(
                fast, theta, tol=max(self.tol, FAST_TOLERANCE), max_iter=self.max_iter, curvature=curvature
            )
            theta, spent = rough.theta, rough.iterations
        exact = self._problem(design.exact, codes, C)
        found = minimise(exact, theta, tol=self.tol, max_iter=self.max_iter, curvature=curvature)
        if len(self.history_) == 0:
            self._record_without_validation(exact, C, found, spent)
        return replace(found, iterations=found.iterations + spent)

    def _record_without_validation(self, exact: Problem, C: float, found: Solution, spent: int) -> None:
        start = exact.point(np.zeros((len(exact.codes), len(self.classes_)))).loss
        penalty = 0.5 * exact.penalty * float(np.vdot(found.theta[:-1], found.theta[:-1]))
        self.history_ = [
            {"C": 0.0, "train_log_loss": start, "iterations": 0.0},
            {
                "C": C,
                "train_log_loss": found.objective - penalty,
                "iterations": float(found.iterations + spent),
            },
        ]

    def _describe(self, solution: Solution, C: float, train: Examples, validation: Examples | None) -> None:
        self.n_iter_ = solution.iterations
        self.C_ = C
        self.report_ |= {
            "C": C,
            "class_weight": self.class_weight,
            "standardised": self.standardise,
            "objective": solution.objective,
            "max_gradient": solution.max_gradient,
            "iterations": solution.iterations,
            "converged": solution.converged,
            "n_train": len(train.X),
            "n_refit": len(train.X) + (0 if validation is None else len(validation.X)),
            "parameters": int(self.coef_.size + self.intercept_.size),
        }
        if validation is not None:
            how = "chosen on validation and kept" if self.C is None else "as given"
            scaled = "with the scaler of train" if self.standardise else "on features that are not standardised"
            self.notes_.append(f"C = {C:g} ({how}): refitted on train and validation, {scaled}.")
        if C > NO_PENALTY and solution.objective * self.report_["n_refit"] < np.log(2):
            self.notes_.append(
                f"C = {C:g} is no penalty, and the classes are separated without error: larger weights fit ever "
                "better, and the solver stopped at some near those of the largest margin."
            )
        if not solution.converged:
            from sklearn.exceptions import ConvergenceWarning

            text = (
                f"Logistic regression stopped after {solution.iterations} iterations with a largest gradient of "
                f"{solution.max_gradient:.1e}, above {self.tol:g}: not converged."
            )
            self.notes_.append(text)
            warnings.warn(text, ConvergenceWarning, stacklevel=4)

    def _logits(self, X: Features) -> Matrix:
        logits: Matrix = X.astype(np.float64, copy=False) @ self.coef_ + self.intercept_
        return logits

    def dense_layers(self) -> Layers:
        """One layer."""
        return [(self.coef_, self.intercept_)]

    def _set_layers(self, layers: Layers) -> None:
        ((self.coef_, self.intercept_),) = layers

    def fitted_on_training(self, X: NDArray[Any], y: NDArray[Any]) -> Self:
        """With the C that was chosen, on X and y alone."""
        params = self.get_params() | {"C": float(self.report_["C"])}
        return type(self)(**params).fit(X, y)
