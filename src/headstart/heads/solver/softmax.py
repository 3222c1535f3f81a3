"""Penalised softmax regression: preconditioned L-BFGS with an exact line search on the logits.

    f(W, b) = sum_i w_i NLL_i + (penalty / 2) ||W||^2,   logits = Z W + b,   Z (n, d), W (d, k), b (k,), sum w_i = 1

Along a direction the logits change linearly, so a line search costs no pass over Z (Nocedal and Wright 2006,
chapters 3 and 7).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from headstart.heads.solver.blocks import map_rows
from headstart.heads.solver.curvature import Curvature
from headstart.heads.solver.rows import Matrix, Rows


def softmax(logits: Matrix) -> Matrix:
    """Probabilities (n, k) from logits (n, k), without overflow."""
    shifted: Matrix = logits - logits.max(axis=1, keepdims=True)
    np.exp(shifted, out=shifted)
    shifted /= shifted.sum(axis=1, keepdims=True)
    return shifted


class Point(NamedTuple):
    """Weighted NLL at some logits, the probabilities (n, k), and its first two derivatives along a direction."""

    loss: float
    P: Matrix
    slope: float
    bend: float


@dataclass(frozen=True)
class Problem:
    """Rows Z with their classes (n,), row weights (n,) that sum to 1, and the penalty 1 / (C N)."""

    rows: Rows
    codes: NDArray[np.int64]
    weights: Matrix
    penalty: float

    def logits(self, theta: Matrix) -> Matrix:
        """Z W + b for theta (d + 1, k), whose last row is b."""
        out = self.rows.times(theta[:-1])
        out += theta[-1]
        return out

    def value(self, logits: Matrix, theta: Matrix) -> tuple[float, Matrix]:
        """Objective and probabilities (n, k)."""
        point = self.point(logits)
        return point.loss + 0.5 * self.penalty * float(np.vdot(theta[:-1], theta[:-1])), point.P

    def point(self, logits: Matrix, change: Matrix | None = None) -> Point:
        """The data term at logits (n, k), and along `change` (n, k) if given."""
        P = np.empty_like(logits)

        def block(rows: slice) -> NDArray[np.float64]:
            weights, own = self.weights[rows], (np.arange(len(P[rows])), self.codes[rows])
            here = np.subtract(logits[rows], logits[rows].max(axis=1, keepdims=True), out=P[rows])
            own_logit = here[own]
            np.exp(here, out=here)
            total = here.sum(axis=1)
            here /= total[:, None]
            loss = weights @ (np.log(total) - own_logit)
            if change is None:
                return np.array([loss, 0.0, 0.0])
            along = change[rows]
            mean = np.einsum("nk,nk->n", here, along)
            bend = weights @ (np.einsum("nk,nk->n", here, along * along) - mean * mean)
            return np.array([loss, weights @ (mean - along[own]), bend])

        loss, slope, bend = sum(map_rows(block, *logits.shape), np.zeros(3))
        return Point(float(loss), P, float(slope), float(bend))

    def gradient(self, P: Matrix, theta: Matrix) -> Matrix:
        """Gradient (d + 1, k) at theta, where the probabilities are P."""
        R = P.copy()
        R[np.arange(len(R)), self.codes] -= 1.0
        R *= self.weights[:, None]
        grad = np.empty_like(theta)
        grad[:-1] = self.rows.transposed_times(R)
        grad[:-1] += self.penalty * theta[:-1]
        grad[-1] = R.sum(axis=0)
        return grad


@dataclass(frozen=True)
class Solution:
    """theta (d + 1, k), the objective and the largest absolute gradient there, and how it was reached."""

    theta: Matrix
    objective: float
    max_gradient: float
    iterations: int
    converged: bool


def minimise(
    problem: Problem, theta: Matrix, *, tol: float, max_iter: int, curvature: Curvature | None = None
) -> Solution:
    """Minimise the penalised NLL from theta (d + 1, k) until the largest absolute gradient is at most tol."""
    curvature = curvature or Curvature()
    curvature.begin(problem.penalty)
    logits = problem.logits(theta)
    objective, P = problem.value(logits, theta)
    grad = problem.gradient(P, theta)
    for iteration in range(max_iter + 1):
        if np.abs(grad).max() <= tol or iteration == max_iter:
            break
        curvature.prepare(problem.rows, problem.weights, P)
        step = _step(problem, theta, logits, (objective, grad), curvature)
        if step is None:
            break
        before, theta, logits, objective = grad, theta + step.move, step.logits, step.objective
        if iteration % 16 == 15:  # sums of steps collect rounding errors
            logits = problem.logits(theta)
        P = step.P
        grad = problem.gradient(P, theta)
        curvature.remember(step.move, grad - before)
    largest = float(np.abs(grad).max())
    return Solution(theta, objective, largest, iteration, largest <= tol)


class Step(NamedTuple):
    """A move of theta (d + 1, k), and the logits, objective and probabilities after it."""

    move: Matrix
    logits: Matrix
    objective: float
    P: Matrix


def _step(
    problem: Problem, theta: Matrix, logits: Matrix, here: tuple[float, Matrix], curvature: Curvature
) -> Step | None:
    """A step along L-BFGS's direction, or where rounding has spoilt that, along the preconditioned gradient."""
    objective, grad = here
    while True:
        direction = curvature.direction(grad)
        found = _line_search(problem, theta, logits, direction, (objective, float(np.vdot(grad, direction))))
        if found is not None or not curvature.pairs:
            return found
        curvature.pairs = []


def _line_search(
    problem: Problem, theta: Matrix, logits: Matrix, direction: Matrix, start: tuple[float, float]
) -> Step | None:
    """A step to a point with at most half the slope, by safeguarded Newton steps on its size.

    None when rounding leaves no decrease to be found.
    """
    objective, slope = start
    if not slope < 0:
        return None
    change = problem.rows.times(direction[:-1]) + direction[-1]
    bend = problem.penalty * float(np.vdot(direction[:-1], direction[:-1]))
    pull = problem.penalty * float(np.vdot(theta[:-1], direction[:-1]))
    weight = 0.5 * problem.penalty * float(np.vdot(theta[:-1], theta[:-1]))
    noise = 1e-12 * (1.0 + abs(objective))
    low, high, size = 0.0, np.inf, 1.0
    for _ in range(30):
        trial = logits + size * change
        point = problem.point(trial, change)
        value = point.loss + weight + size * pull + 0.5 * size * size * bend
        here = point.slope + pull + size * bend
        if abs(here) <= 0.5 * abs(slope) and value <= objective + noise:
            return Step(size * direction, trial, value, point.P)
        low, high = (low, size) if here > 0 or value > objective + noise else (size, high)
        newton = size - here / (point.bend + bend) if point.bend + bend > 0 else np.inf
        size = newton if low < newton < high else (0.5 * (low + high) if np.isfinite(high) else 2.0 * size)
    return None


def row_weights(codes: NDArray[np.int64], per_class: Matrix) -> Matrix:
    """Weights (n,) for `Problem`: each row its class's weight, divided by n."""
    return np.asarray(per_class, dtype=np.float64)[codes] / len(codes)
