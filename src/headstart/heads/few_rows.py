"""Logistic regression on few rows: how to scale them and how strong a penalty, chosen by cross-validation.

Each fold has principal axes of its own: axes that had seen the rows judged would set them apart from those fitted on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from headstart.heads.base import Examples, Features
from headstart.heads.folds import Codes, Folds
from headstart.heads.principal import Diagonal, Principal
from headstart.heads.solver.batch import Batch, padded
from headstart.heads.solver.design import columns_of, gram_matrix
from headstart.heads.solver.rows import Dense, Matrix
from headstart.heads.solver.scaler import Scaler, standardised
from headstart.heads.solver.softmax import Problem, Solution, minimise, row_weights
from headstart.heads.solver.together import minimise as minimise_together
from headstart.heads.trials import Trials
from headstart.threads import map_all

ROUGH = 1e-2
"""The gradient, as a share of the first, to which fits that only choose are solved; less for weak penalties."""
USUAL, DECADES = 10.0, 1.4
"""The strength that is taken where folds say nothing, and how many decades around it are as likely as not: a normal
distribution of its logarithm, worth less than one picture, so that four of them do not claim certainty."""
ROOT_DOUBT = 1.0
"""Nats by which roots must be better, over all rows together: seldom so on ordinary photographs, elsewhere often."""
BLOCK = 512
"""Rows that are a thread's work in the fit of all rows, beside which nothing else is at work."""
LARGE = 2**21
"""Numbers in all the rows from which folds, and ways to scale them, are worth a thread each."""
TOGETHER = 2**20
"""Numbers in the rows of fits that are walked together, or in their logits: so many stay in the processor's cache."""


class Shape(NamedTuple):
    """What is done to each row by itself, first `root`, then `normalise`.

    `root` takes the signed square root of every feature: a few loud features then weigh less (power normalisation,
    Perronnin et al. 2010). `normalise` brings the row to length 1.
    """

    root: bool = False
    normalise: bool = False

    def of(self, X: Features) -> Features:
        """Rows (n, d) so shaped; as they are for neither."""
        X = rooted(X) if self.root else X
        return unit(X) if self.normalise else X


class Way(NamedTuple):
    """How rows are scaled, and the penalties to try: `strengths` are C, or if `relative` C times the rows' mean square.

    The mean square is the mean squared length of the rows as they are solved.
    """

    shape: Shape
    whiten: float
    strengths: tuple[float, ...]
    relative: bool = True

    def told(self) -> dict[str, float]:
        """How rows are scaled, for a history."""
        return {"root": float(self.shape.root), "normalise": float(self.shape.normalise), "whiten": self.whiten}

    def penalty(self, strength: float, n: int, square: float) -> float:
        """1 / (C n) for n rows with this mean square."""
        return max(square if self.relative else 1.0, 1e-300) / (strength * n)


class FewRowsFit(NamedTuple):
    """Weights (d, k) and bias (k,) of shaped features, what was chosen, how they were solved, and the trials."""

    coef: Matrix
    intercept: Matrix
    way: Way
    strength: float
    C: float
    solution: Solution
    trials: Trials | None


@dataclass(frozen=True, eq=False)
class FewRows:
    """The rows to fit, the weight (k,) of each class, and where the solver stops."""

    rows: Examples
    weights: Matrix
    tol: float
    max_iter: int

    def fit(self, ways: Sequence[Way], folds: Folds | None) -> FewRowsFit:
        """The way and penalty of least loss out of fold, fitted on all rows; the first without folds."""
        if folds is None:
            way, strength, trials, whole = ways[0], ways[0].strengths[0], None, None
        else:
            trials = Trials(self.rows.y, folds, self.weights)
            with self._turned_beside(ways) as whole:
                self._try(ways, trials)
            chosen = trials.best.settings
            way = next(way for way in ways if way.told().items() <= chosen.items())
            strength = chosen["strength"]
        return self._finish(way, strength, trials, whole)

    def _try(self, ways: Sequence[Way], trials: Trials) -> None:
        """Every penalty of every way, from strong to weak."""
        turned = {shape: self._turned(shape, trials.folds) for shape in {way.shape for way in ways}}
        paths = [
            _Path.of(way, rows, self.rows.y[fitted])
            for way in ways
            for rows, (fitted, _) in zip(turned[way.shape], trials.folds, strict=True)
        ]
        large = sum(path.Z.size for path in paths) >= LARGE
        walked = chain.from_iterable(map_all(self._walked, self._batches(paths), threads=large))
        for way in ways:
            of_each = zip(*islice(walked, len(trials.folds)), strict=True)  # of every fold, strength by strength
            for strength, logits in zip(way.strengths, of_each, strict=True):
                doubt = _doubt(strength) + way.shape.root * ROOT_DOUBT if way.relative else 0.0
                trials.add(way.told() | {"strength": strength}, logits, doubt=doubt)

    def _turned(self, shape: Shape, folds: Folds) -> list[_Turned]:
        """The rows of every fold."""
        placed = self._placed[shape].rounded()  # exact enough to choose by
        return map_all(placed.turned, folds.pairs, threads=placed.size >= LARGE)

    def _batches(self, paths: Sequence[_Path]) -> list[Sequence[_Path]]:
        """Paths that are walked together: as many as the processor's cache holds."""
        largest = max(max(path.Z.size, len(path.Z) * len(self.weights)) for path in paths)
        size = max(1, TOGETHER // largest)
        return [paths[start : start + size] for start in range(0, len(paths), size)]

    def _walked(self, paths: Sequence[_Path]) -> list[list[Matrix]]:
        """For each path the logits (m, k) of every strength; each fit is started from the one before."""
        batch = Batch.of([path.Z for path in paths], [path.y for path in paths], self.weights)
        judged, theta = padded([path.judged for path in paths], batch.Z.shape[2]), batch.zeros()
        first, squares = batch.steepness(theta), batch.variances[:, :-1].sum(axis=1)
        found: list[list[Matrix]] = [[] for _ in paths]
        for strengths in zip(*(path.way.strengths for path in paths), strict=True):
            each = zip(paths, strengths, squares, strict=True)
            penalties = [path.way.penalty(s, len(path.Z), float(square)) for path, s, square in each]
            tol = ROUGH * first / np.sqrt(np.maximum(strengths, 1.0))
            theta = minimise_together(batch.penalised(np.array(penalties)), theta, tol, max_iter=200)
            logits = judged @ theta.transpose(0, 2, 1)
            for path, those, here in zip(paths, found, logits, strict=True):
                those.append(here[: len(path.judged)].astype(np.float64))
        return found

    @contextmanager
    def _turned_beside(self, ways: Sequence[Way]) -> Iterator[Future[Principal] | None]:
        """All rows turned beside the trials; None where it depends on these which rows they are."""
        placed = self._placed[ways[0].shape]
        if len({way.shape for way in ways}) > 1 or placed.size < LARGE:
            yield None
            return
        with ThreadPoolExecutor(1) as pool:
            yield pool.submit(placed.principal)

    def _finish(self, way: Way, strength: float, trials: Trials | None, whole: Future[Principal] | None) -> FewRowsFit:
        placed = self._placed[way.shape]
        axes = placed.principal() if whole is None else whole.result()
        Z = axes.rows * axes.factors(way.whiten)
        variances = np.square(Z).mean(axis=0)
        penalty = way.penalty(strength, len(Z), float(variances.sum()))
        problem = Problem(Dense(Z, BLOCK), self.rows.y, row_weights(self.rows.y, self.weights), penalty)
        start = np.zeros((Z.shape[1] + 1, len(self.weights)))
        curvature = Diagonal(variances=variances)
        found = minimise(problem, start, tol=self.tol, max_iter=self.max_iter, curvature=curvature)
        weights, bias = axes.back(found.theta, way.whiten)
        coef, intercept = placed.scaler.fold(placed.unmap(weights), bias)
        return FewRowsFit(coef, intercept, way, strength, 1.0 / (penalty * len(Z)), found, trials)

    @cached_property
    def _placed(self) -> dict[Shape, _Placed]:
        return _OnDemand(self.rows.X)


@dataclass(frozen=True, eq=False)
class _Placed:
    """All rows, standardised: their features (n, d), or where these outnumber them their inner products (n, n)."""

    scaler: Scaler
    X: Features
    numbers: NDArray[Any]

    @classmethod
    def of(cls, X: Features) -> _Placed:
        """Of features X (n, d)."""
        scaler = Scaler.measure(X)
        if X.shape[1] <= len(X):
            return cls(scaler, X, standardised([X], scaler, np.float64))
        lower = np.tril(gram_matrix([X], scaler))
        return cls(scaler, X, lower + np.tril(lower, -1).T)

    @property
    def size(self) -> int:
        return self.numbers.size

    @property
    def products(self) -> bool:
        """Whether the numbers are products."""
        return bool(self.X.shape[1] > len(self.X))

    def rounded(self) -> _Placed:
        """In float32."""
        return replace(self, numbers=self.numbers.astype(np.float32))

    def principal(self) -> Principal:
        """All rows along their axes."""
        return Principal.of_products(self.numbers) if self.products else Principal.of(self.numbers)

    def turned(self, pair: tuple[Codes, Codes]) -> _Turned:
        """The rows of a fold (fitted on, judged)."""
        fitted, judged = (self.numbers[rows] for rows in pair)
        if not self.products:
            axes = Principal.of(fitted)
            return _Turned(axes, axes.apply(judged))
        axes = Principal.of_products(fitted[:, pair[0]])
        return _Turned(axes, axes.apply(judged[:, pair[0]]))

    def unmap(self, weights: Matrix) -> Matrix:
        """Weights (s, k) of the numbers -> weights (d, k) of standardised features."""
        return columns_of([self.X], self.scaler, weights) if self.products else weights


class _OnDemand(dict[Shape, _Placed]):
    """A shape of the rows -> these placed, made when they are first asked for."""

    def __init__(self, X: Features) -> None:
        super().__init__()
        self.X = X

    def __missing__(self, shape: Shape) -> _Placed:
        self[shape] = _Placed.of(shape.of(self.X))
        return self[shape]


class _Turned(NamedTuple):
    """The rows of a fold: those fitted on along their axes, and those judged (m, r) along the same."""

    axes: Principal
    judged: Matrix


class _Path(NamedTuple):
    """A way on one fold: the rows to fit (n, r), their classes (n,), and the rows to judge (m, r)."""

    way: Way
    Z: Matrix
    y: Codes
    judged: Matrix

    @classmethod
    def of(cls, way: Way, rows: _Turned, y: Codes) -> _Path:
        """Of the rows of a fold."""
        factors = rows.axes.factors(way.whiten)
        return cls(way, rows.axes.rows * factors, y, rows.judged * factors)


def _doubt(strength: float) -> float:
    """How unlikely a strength is before any row is seen, in nats."""
    return 0.5 * float(np.log10(strength / USUAL) / DECADES) ** 2


def rooted(X: Features) -> Features:
    """The square root of each feature's size, with its sign."""
    roots: Features = np.copysign(np.sqrt(np.abs(X)), X)
    return roots


def unit(X: Features) -> Features:
    """Rows (n, d) brought to length 1; a row of zeros stays."""
    length = np.sqrt(np.einsum("nd,nd->n", X, X, dtype=np.float64))
    scale: NDArray[np.float64] = 1.0 / np.where(length > 0, length, 1.0)
    rows: Features = X * scale[:, None].astype(X.dtype)
    return rows
