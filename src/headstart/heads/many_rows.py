"""Logistic regression on standardised features as they are: for many rows or features, and for a C that is given.

float32 for most of the work, float64 for the end; where features outnumber rows, in their span.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Self

import numpy as np

from headstart.heads.base import Examples
from headstart.heads.folds import Codes, Folds
from headstart.heads.solver.curvature import Block, Curvature, sketch_of
from headstart.heads.solver.design import Design, design_for
from headstart.heads.solver.rows import Dense, Matrix, Rows
from headstart.heads.solver.scaler import Scaler
from headstart.heads.solver.softmax import Problem, Solution, minimise, row_weights
from headstart.heads.trials import Trials

PATH_TOLERANCE = 1e-4  # max-gradient of the fits that only choose C; less where the loss is below 0.1
FAST_TOLERANCE = 2e-6  # where float32 rows hand over to exact ones
DAMPING = 0.1  # of a column's curvature
APPROACH = 0.1  # of the gradient, to which each problem on the way to hardly any penalty is solved
COSTLY = 2**23
"""Numbers in the rows from which one trial is all that is made."""


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


class ManyRowsFit(NamedTuple):
    """Weights (d, k) and bias (k,) of features, the penalty, how it was solved, and the trials."""

    coef: Matrix
    intercept: Matrix
    C: float
    solution: Solution
    trials: Trials | None


@dataclass(frozen=True, eq=False)
class ManyRows:
    """The rows to fit and their scaler, the weight (k,) of each class, and where the solver stops.

    `path` are values of C that are gone through before a larger one: from zero, a Newton step with hardly any penalty
    fits the labels through the directions of least variance; along the path the weights stay near the smallest that
    fit, those of the largest margin.
    """

    rows: Examples
    scaler: Scaler
    weights: Matrix
    tol: float
    max_iter: int
    path: Sequence[float] = ()

    def fit(self, Cs: Sequence[float], usual: float, folds: Folds | None) -> ManyRowsFit:
        """The C of `Cs` with the least loss on rows held out, `usual` without folds, fitted on all rows."""
        design = design_for([self.rows.X], self.scaler)
        curvature = self._curvature(design.fast)
        trials, theta = None, None
        C = Cs[0] if len(Cs) == 1 else usual
        if folds is not None:
            few = folds.first() if self.rows.X.size >= COSTLY else folds
            trials = Trials(self.rows.y, few, self.weights, offered=len(Cs))
            C, theta = self._choose(design, Cs, trials, curvature)
        theta, spent = (theta, 0) if theta is not None else self._approach(design.fast, self.rows.y, curvature)
        found = self._finish(design, C, theta, curvature)
        coef, intercept = self.scaler.fold(design.unmap(found.theta[:-1]), found.theta[-1])
        return ManyRowsFit(coef, intercept, C, replace(found, iterations=found.iterations + spent), trials)

    def _curvature(self, rows: Dense) -> Curvature:
        return Damped.of(rows) if self.path else Curvature(sketch_of(rows))

    def _problem(self, rows: Rows, codes: Codes, C: float) -> Problem:
        return Problem(rows, codes, row_weights(codes, self.weights), 1.0 / (C * len(codes)))

    def _approach(self, rows: Dense, codes: Codes, curvature: Curvature) -> tuple[Matrix, int]:
        """Where the path leads to from zero, (width + 1, k), and the iterations it took, at most `max_iter` in all."""
        theta, spent = np.zeros((rows.width + 1, len(self.weights))), 0
        for C in self.path:
            problem = self._problem(rows, codes, C)
            tol = max(self.tol, APPROACH * _steepest(problem, theta))
            found = minimise(problem, theta, tol=tol, max_iter=self.max_iter - spent, curvature=curvature)
            theta, spent = found.theta, spent + found.iterations
        return theta, spent

    def _choose(
        self, design: Design, Cs: Sequence[float], trials: Trials, curvature: Curvature
    ) -> tuple[float, Matrix | None]:
        """The C of least loss, tried from strong to weak penalty, and a solution there to go on from."""
        Z, y, several = design.fast.Z, self.rows.y, len(trials.folds) > 1
        steps = [
            _Fold(self, Dense(Z[fitted]), y[fitted], Dense(Z[judged]), None if several else curvature)
            for fitted, judged in trials.folds
        ]
        best: tuple[float, float, Matrix | None] = (np.inf, Cs[0], None)
        worse = 0
        for C in Cs:
            loss = trials.add({"C": C}, [step.to(C) for step in steps])
            if loss < best[0]:
                best = (loss, C, steps[0].theta)
            worse = worse + 1 if loss > 1.01 * best[0] else 0
            if worse == 2:
                break
        return best[1], None if self.path else best[2]

    def _finish(self, design: Design, C: float, theta: Matrix, curvature: Curvature) -> Solution:
        """The fit that is kept: in float32 while that helps, then exact."""
        spent = 0
        if design.fast is not design.exact:
            fast = self._problem(design.fast, self.rows.y, C)
            tol = max(self.tol, FAST_TOLERANCE)
            rough = minimise(fast, theta, tol=tol, max_iter=self.max_iter, curvature=curvature)
            theta, spent = rough.theta, rough.iterations
        exact = self._problem(design.exact, self.rows.y, C)
        found = minimise(exact, theta, tol=self.tol, max_iter=self.max_iter, curvature=curvature)
        return replace(found, iterations=found.iterations + spent)


class _Fold:
    """Fits on the rows of one fold, each started from the one before."""

    def __init__(self, owner: ManyRows, rows: Dense, y: Codes, judged: Dense, curvature: Curvature | None) -> None:
        self.owner, self.rows, self.y, self.judged = owner, rows, y, judged
        self.curvature = curvature or owner._curvature(rows)
        self.theta = owner._approach(rows, y, self.curvature)[0]
        self.loss = 1.0

    def to(self, C: float) -> Matrix:
        """On to this C: logits (m, k) of the rows judged."""
        problem = self.owner._problem(self.rows, self.y, C)
        tol = max(self.owner.tol, PATH_TOLERANCE * min(1.0, 10 * self.loss))
        found = minimise(problem, self.theta, tol=tol, max_iter=self.owner.max_iter, curvature=self.curvature)
        self.theta = found.theta
        self.loss = found.objective - 0.5 * problem.penalty * float(np.vdot(self.theta[:-1], self.theta[:-1]))
        return Problem(self.judged, self.y[:0], np.zeros(0), 0.0).logits(self.theta)


def _steepest(problem: Problem, theta: Matrix) -> float:
    gradient = problem.gradient(problem.point(problem.logits(theta)).P, theta)
    return float(np.abs(gradient).max())
