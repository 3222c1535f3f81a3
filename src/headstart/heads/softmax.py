"""Penalised softmax regression: L-BFGS preconditioned by each class's own curvature, exact line search on logits.

    f(W, b) = sum_i w_i NLL_i + (penalty / 2) ||W||^2,   logits = Z W + b,   Z (n, d), W (d, k), b (k,), sum w_i = 1

The gradient of the logits along a direction is itself linear, so the line search costs no pass over Z.  The
preconditioner is the block diagonal of the Hessian, sum_i w_i p_ik (1 - p_ik) z_i z_i' + penalty I for class k, from
a sample of rows drawn in proportion to their weight (two classes: exact).  Any preconditioner gives the same optimum.
Sources: Nocedal and Wright 2006, chapters 6 and 7; Böhning 1992 for the Hessian's form.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from headstart.heads.blocks import SMALL, map_all, map_rows

Matrix = NDArray[np.float64]
Operator = Callable[[Matrix], Matrix]
MEMORY = 20  # pairs that L-BFGS keeps
FULL_CURVATURE = 2048  # up to so many features the preconditioner sees all of them, above a sketch
SKETCH = 512
CURVATURE_DOUBLES = 3 * 10**7  # largest preconditioner, in numbers; above, all classes share one block


def softmax(logits: Matrix) -> Matrix:
    """Probabilities (n, k) from logits (n, k), without overflow."""
    shifted: Matrix = logits - logits.max(axis=1, keepdims=True)
    np.exp(shifted, out=shifted)
    shifted /= shifted.sum(axis=1, keepdims=True)
    return shifted


class Rows(Protocol):
    """A matrix Z (n, d) that is used only through these three products."""

    def times(self, W: Matrix) -> Matrix: ...  # noqa: D102
    def transposed_times(self, R: Matrix) -> Matrix: ...  # noqa: D102
    def sample(self, indices: NDArray[np.intp]) -> NDArray[Any]: ...  # noqa: D102


@dataclass(frozen=True)
class Dense:
    """Rows held in memory as float32 (fast) or float64 (exact)."""

    Z: NDArray[Any]

    def times(self, W: Matrix) -> Matrix:
        """Z W (n, k) as float64."""
        weights = W.astype(self.Z.dtype, copy=False)
        out = np.empty((len(self.Z), W.shape[1]))

        def fill(rows: slice) -> None:
            out[rows] = self.Z[rows] @ weights

        map_rows(fill, *self.Z.shape)
        return out

    def transposed_times(self, R: Matrix) -> Matrix:
        """Z' R (d, k) as float64."""

        def part(rows: slice) -> NDArray[Any]:
            product: NDArray[Any] = np.ascontiguousarray(R[rows].T, dtype=self.Z.dtype) @ self.Z[rows]
            return product

        return sum(map_rows(part, *self.Z.shape), np.zeros((R.shape[1], self.Z.shape[1]))).T

    def sample(self, indices: NDArray[np.intp]) -> NDArray[Any]:
        """Some rows (m, d)."""
        return self.Z[indices]


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


@dataclass
class Curvature:
    """What is known of the Hessian: the preconditioner and the last steps of L-BFGS; may outlive one solve."""

    sketch: Matrix | None = None  # orthonormal (d, q), or None for all features
    precondition: Operator | None = None
    pairs: list[tuple[Matrix, Matrix, float]] = field(default_factory=list)
    next_refresh: int = 0

    def direction(self, grad: Matrix) -> Matrix:
        """Two-loop recursion: minus the inverse Hessian's estimate times the gradient."""
        assert self.precondition is not None
        q = grad.copy()
        factors = []
        for step, change, rho in reversed(self.pairs):
            factors.append(rho * np.vdot(step, q))
            q -= factors[-1] * change
        q = self.precondition(q)
        for (step, change, rho), factor in zip(self.pairs, reversed(factors), strict=True):
            q += (factor - rho * np.vdot(change, q)) * step
        return -q

    def remember(self, step: Matrix, change: Matrix) -> None:
        """Keep one pair if its curvature is positive."""
        product = float(np.vdot(step, change))
        if product > 0:
            self.pairs = [*self.pairs[-MEMORY + 1 :], (step, change, 1.0 / product)]

    def refresh(self, problem: Problem, P: Matrix, iteration: int) -> None:
        """Build the preconditioner at the present probabilities; done rarely, at doubling intervals."""
        self.precondition = block_curvature(problem, P, self.sketch)
        self.next_refresh = 2 * iteration + 8


def sketch_of(rows: Rows, d: int, seed: int = 0) -> Matrix | None:
    """Orthonormal (d, q) that spans the leading directions of Z'Z; None where d is small enough to take all.

    Randomised subspace iteration, Halko, Martinsson and Tropp 2011, algorithm 4.4 with one power step.
    """
    if d <= FULL_CURVATURE:
        return None
    Q: Matrix = np.random.default_rng(seed).standard_normal((d, SKETCH))
    for _ in range(2):
        Q = np.linalg.qr(rows.transposed_times(rows.times(Q)))[0]
    return Q


def block_curvature(problem: Problem, P: Matrix, sketch: Matrix | None) -> Operator:
    """Inverse of the Hessian's block diagonal at P (n, k), as a function of a gradient (d + 1, k)."""
    k = P.shape[1]
    q = problem.rows.sample(np.zeros(1, dtype=np.intp)).shape[1] if sketch is None else sketch.shape[1]
    if k == 2 or k * q * q > CURVATURE_DOUBLES:
        shared = problem.weights * (1.0 - np.einsum("nk,nk->n", P, P)) / (k - 1)
        blocks = [_block(problem, shared, sketch)] * k
    else:
        spread = k / (k - 1) * problem.weights[:, None] * P * (1.0 - P)
        blocks = map_all(lambda c: _block(problem, spread[:, c], sketch), range(k), threads=k * q * q >= SMALL)

    def solve(grad: Matrix) -> Matrix:
        out: Matrix = np.stack([block(grad[:, c]) for c, block in enumerate(blocks)], axis=1)
        out -= out.mean(axis=1, keepdims=True)  # the sum over classes is free: keep it zero
        return out

    return solve


def _block(problem: Problem, spread: Matrix, sketch: Matrix | None) -> Operator:
    """Inverse of sum_i spread_i [z_i, 1][z_i, 1]' + penalty, exact in the sketch, a mean value outside."""
    from scipy.linalg import cho_solve

    Z, mass = _weighted_sample(problem.rows, spread, sketch)
    inner = Z if sketch is None else Z @ sketch.astype(Z.dtype)
    q = inner.shape[1]
    A = np.empty((q + 1, q + 1))
    A[:q, :q] = (inner * mass[:, None].astype(Z.dtype)).T @ inner
    A[q, :q] = A[:q, q] = mass @ inner
    A[q, q] = mass.sum() * (1 + 1e-9) + 1e-12
    factor = _factorised(A, problem.penalty)
    if sketch is None:
        return lambda g: cho_solve(factor, g)
    outside = float(mass @ np.einsum("nd,nd->n", Z, Z)) - float(np.trace(A[:q, :q])) + q * problem.penalty
    tail = problem.penalty + max(outside, 0.0) / (len(sketch) - q)

    def solve(g: Matrix) -> Matrix:
        inside = sketch.T @ g[:-1]
        solved = cho_solve(factor, np.append(inside, g[-1]))
        return np.append((g[:-1] - sketch @ inside) / tail + sketch @ solved[:-1], solved[-1])

    return solve


def _weighted_sample(rows: Rows, spread: Matrix, sketch: Matrix | None) -> tuple[NDArray[Any], Matrix]:
    """Rows that stand for all: every one when they are few, else a systematic sample in proportion to spread."""
    cumulative = np.cumsum(spread)
    d = rows.sample(np.zeros(1, dtype=np.intp)).shape[1] if sketch is None else sketch.shape[1]
    m = max(4 * d, 2048)
    if len(spread) <= 2 * m or cumulative[-1] <= 0:
        return rows.sample(np.arange(len(spread))), spread
    points = (np.arange(m) + 0.5) / m * cumulative[-1]
    indices, counts = np.unique(np.searchsorted(cumulative, points), return_counts=True)
    return rows.sample(np.minimum(indices, len(spread) - 1)), counts * (cumulative[-1] / m)


def _factorised(A: Matrix, penalty: float) -> tuple[Matrix, bool]:
    """Cholesky factor of A with the penalty on all but the bias; rounding is met by a larger diagonal."""
    from scipy.linalg import LinAlgError, cho_factor

    d = len(A) - 1
    jitter = 0.0
    A[np.arange(d), np.arange(d)] += penalty
    for _ in range(20):
        try:
            factor: tuple[Matrix, bool] = cho_factor(A)
            return factor
        except LinAlgError:
            extra = max(10 * jitter, 1e-8 * float(np.trace(A)) / d + 1e-300)
            A[np.diag_indices(d + 1)] += extra - jitter
            jitter = extra
    return np.eye(d + 1) * np.sqrt(max(float(np.trace(A)), 1e-300)), True


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
    logits = problem.logits(theta)
    objective, P = problem.value(logits, theta)
    grad = problem.gradient(P, theta)
    for iteration in range(max_iter + 1):
        if np.abs(grad).max() <= tol or iteration == max_iter:
            break
        if curvature.precondition is None or iteration == curvature.next_refresh:
            curvature.refresh(problem, P, iteration)
        direction = curvature.direction(grad)
        found = _line_search(problem, theta, logits, direction, (objective, float(np.vdot(grad, direction))))
        if found is None and curvature.pairs:
            curvature.pairs = []  # rounding has spoilt them: one plain step
            direction = curvature.direction(grad)
            found = _line_search(problem, theta, logits, direction, (objective, float(np.vdot(grad, direction))))
        if found is None:
            break
        size, logits, objective, P = found
        before = grad
        theta = theta + size * direction
        if iteration % 16 == 15:  # sums of steps collect rounding errors
            logits = problem.logits(theta)
            objective, P = problem.value(logits, theta)
        grad = problem.gradient(P, theta)
        curvature.remember(size * direction, grad - before)
    largest = float(np.abs(grad).max())
    return Solution(theta, objective, largest, iteration, largest <= tol)


def _line_search(
    problem: Problem, theta: Matrix, logits: Matrix, direction: Matrix, start: tuple[float, float]
) -> tuple[float, Matrix, float, Matrix] | None:
    """Step size, logits, objective and probabilities at a point with half the slope, by safeguarded Newton steps.

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
            return size, trial, value, point.P
        low, high = (low, size) if here > 0 or value > objective + noise else (size, high)
        newton = size - here / (point.bend + bend) if point.bend + bend > 0 else np.inf
        size = newton if low < newton < high else (0.5 * (low + high) if np.isfinite(high) else 2.0 * size)
    return None


def row_weights(codes: NDArray[np.int64], per_class: Sequence[float] | Matrix) -> Matrix:
    """Weights (n,) for `Problem`: each row its class's weight, divided by n."""
    return np.asarray(per_class, dtype=np.float64)[codes] / len(codes)
