"""What L-BFGS knows of the Hessian of softmax regression: a preconditioner and its last steps.

The Hessian's block for class c is sum_i w_i p_ic (1 - p_ic) [z_i, 1][z_i, 1]' + penalty (Böhning 1992).  The inverse
of this block diagonal, from a sample of rows drawn in proportion to their weight (two classes, few rows: exact),
takes the place of the identity in the two-loop recursion (Nocedal and Wright 2006, algorithm 7.4): any positive
choice has the same optimum, this one needs a tenth of the iterations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.heads.solver.blocks import SMALL
from headstart.heads.solver.rows import Dense, Matrix, Rows
from headstart.threads import map_all

Operator = Callable[[Matrix], Matrix]
MEMORY = 20  # pairs that L-BFGS keeps
FIRST_LIFE = 8  # iterations before the blocks are built anew, doubled each time within a solve
FULL = 2048  # up to so many features the blocks see all of them, above a sketch
SKETCH = 512
MOST = 2 * 10**7  # largest set of blocks, in numbers; above, all classes share one
BLOCK_SPEED = 16  # times as many operations a second in a block's products as in those of a step
DEAR = 60  # passes over the rows; where blocks of their own cost more, all classes share one, and steps are cheap


def sketch_of(rows: Rows) -> Matrix | None:
    """Orthonormal (d, q) that spans the leading directions of Z'Z; None where d is small enough to take all.

    Randomised subspace iteration, Halko, Martinsson and Tropp 2011, algorithm 4.4 with one power step.
    """
    if rows.width <= FULL:
        return None
    Q: Matrix = np.random.default_rng(0).standard_normal((rows.width, SKETCH))
    for _ in range(2):
        Q = np.linalg.qr(rows.transposed_times(rows.times(Q)))[0]
    return Q


@dataclass
class Curvature:
    """The preconditioner and the pairs of L-BFGS; serves one problem after another along a path of penalties."""

    sketch: Matrix | None = None  # orthonormal (d, q), or None for all features
    blocks: list[Block] = field(default_factory=list)
    precondition: Operator | None = None
    pairs: list[tuple[Matrix, Matrix, float]] = field(default_factory=list)
    penalty: float = np.nan
    age: int = 0
    life: int = FIRST_LIFE

    def begin(self, penalty: float) -> None:
        """Another penalty: the blocks stay, what contains the old penalty goes."""
        if penalty != self.penalty:
            self.penalty, self.pairs, self.precondition, self.life = penalty, [], None, FIRST_LIFE

    def prepare(self, rows: Rows, weights: Matrix, P: Matrix) -> None:
        """Before a step at probabilities P (n, k): build the blocks if there are none or they are old.

        They are old after `life` steps, or where they are dear after as many as cost what new blocks do.
        """
        if not self.blocks or self.age >= max(self.life, block_passes(rows, self.sketch) / BLOCK_SPEED):
            self.life = self.life if not self.blocks else 2 * self.life
            self.blocks, self.precondition, self.age = class_blocks(rows, weights, P, self.sketch), None, 0
        if self.precondition is None:
            self.precondition = inverse(self.preconditioning(), self.penalty, self.sketch)
        self.age += 1

    def preconditioning(self) -> list[Block]:
        """The blocks whose inverse is taken."""
        return self.blocks

    def direction(self, grad: Matrix) -> Matrix:
        """Two-loop recursion: minus the inverse Hessian's estimate times the gradient (d + 1, k)."""
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
        """Keep a step and the gradient's change along it, if the curvature between them is positive."""
        product = float(np.vdot(step, change))
        if product > 0:
            self.pairs = [*self.pairs[-MEMORY + 1 :], (step, change, 1.0 / product)]


@dataclass(frozen=True)
class Block:
    """sum_i spread_i [z_i, 1][z_i, 1]' in the sketch (q + 1, q + 1), and the mean of its diagonal outside."""

    A: NDArray[Any]
    outside: float

    def inverse(self, penalty: float, sketch: Matrix | None) -> Operator:
        """(A + penalty)^-1 as a function of vectors (d + 1, m); the bias is not penalised."""
        from scipy.linalg import cho_solve

        factor = _factorised(self.A.astype(np.float64), penalty)
        if sketch is None:
            return lambda g: cho_solve(factor, g, check_finite=False)

        def solve(g: Matrix) -> Matrix:
            inside = sketch.T @ g[:-1]
            solved = cho_solve(factor, np.vstack([inside, g[-1:]]), check_finite=False)
            rest = (g[:-1] - sketch @ inside) / (self.outside + penalty)
            return np.vstack([rest + sketch @ solved[:-1], solved[-1:]])

        return solve


def class_blocks(rows: Rows, weights: Matrix, P: Matrix, sketch: Matrix | None) -> list[Block]:
    """One block for each class at probabilities P (n, k); one for all when there are two or they cost too much."""
    k = P.shape[1]
    q = rows.width if sketch is None else sketch.shape[1]
    if k == 2 or k * q * q > MOST or block_passes(rows, sketch) > DEAR:
        return [_block(rows, weights * (1.0 - np.einsum("nk,nk->n", P, P)) / (k - 1), sketch)]
    spread = k / (k - 1) * weights[:, None] * P * (1.0 - P)
    return map_all(lambda c: _block(rows, spread[:, c], sketch), range(k), threads=k * q * q >= SMALL)


def block_passes(rows: Rows, sketch: Matrix | None) -> float:
    """The operations of a block, its products and its factor, as a multiple of those of a step for one class."""
    n, q = len(rows), rows.width if sketch is None else sketch.shape[1]
    return q * (q / 3 + min(n, _sampled(q))) / (4 * n)


def inverse(blocks: list[Block], penalty: float, sketch: Matrix | None) -> Operator:
    """The inverse of the block diagonal as a function of a gradient (d + 1, k)."""
    solvers = map_all(lambda block: block.inverse(penalty, sketch), blocks, threads=blocks[0].A.size >= SMALL // 8)

    def solve(grad: Matrix) -> Matrix:
        each = np.hsplit(grad, len(solvers))  # a block for each class, or one for all
        out: Matrix = np.hstack([block(those) for block, those in zip(solvers, each, strict=True)])
        out -= out.mean(axis=1, keepdims=True)  # the sum over classes is free: keep it zero
        return out

    return solve


def _block(rows: Rows, spread: Matrix, sketch: Matrix | None) -> Block:
    Z, mass = _weighted_sample(rows, spread, sketch)
    Z = Z.astype(np.float32, copy=False)  # exact enough for a preconditioner
    inner = Z if sketch is None else Z @ sketch.astype(Z.dtype)
    q = inner.shape[1]
    A = np.empty((q + 1, q + 1), dtype=Z.dtype)
    A[q, :q] = A[:q, q] = mass @ inner
    inner = inner * np.sqrt(mass)[:, None].astype(Z.dtype)
    A[:q, :q] = inner.T @ inner
    A[q, q] = mass.sum()
    if sketch is None:
        return Block(A, 0.0)
    outside = float(mass @ np.einsum("nd,nd->n", Z, Z)) - float(np.trace(A[:q, :q]))
    return Block(A, max(outside, 0.0) / (len(sketch) - q))


def _sampled(d: int) -> int:
    """Rows that a block of d features is built from, where there are more."""
    return max(2 * d, 2048)


def _weighted_sample(rows: Rows, spread: Matrix, sketch: Matrix | None) -> tuple[NDArray[Any], Matrix]:
    """Rows that stand for all: every one when they are few, else a systematic sample in proportion to spread."""
    cumulative = np.cumsum(spread)
    d = rows.width if sketch is None else sketch.shape[1]
    m = _sampled(d)
    if len(spread) <= m or cumulative[-1] <= 0:
        return rows.Z if isinstance(rows, Dense) else rows.sample(np.arange(len(spread))), spread
    points = (np.arange(m) + 0.5) / m * cumulative[-1]
    indices, counts = np.unique(np.searchsorted(cumulative, points), return_counts=True)
    return rows.sample(np.minimum(indices, len(spread) - 1)), counts * (cumulative[-1] / m)


def _factorised(A: Matrix, penalty: float) -> tuple[Matrix, bool]:
    """Cholesky factor of A with the penalty on all but the bias; rounding is met by a larger diagonal."""
    from scipy.linalg import LinAlgError, cho_factor

    d = len(A) - 1
    jitter = 0.0
    A[np.arange(d), np.arange(d)] += penalty
    A[d, d] += 1e-9 * A[d, d] + 1e-12
    for _ in range(20):
        try:
            factor: tuple[Matrix, bool] = cho_factor(A, check_finite=False)
            return factor
        except LinAlgError:
            extra = max(10 * jitter, 1e-8 * float(np.trace(A)) / d + 1e-300)
            A[np.diag_indices(d + 1)] += extra - jitter
            jitter = extra
    return np.eye(d + 1) * np.sqrt(max(float(np.trace(A)), 1e-300)), True
