"""Problems that are solved together have the answers that each has alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from headstart.heads.principal import Diagonal, Principal
from headstart.heads.solver import softmax, together
from headstart.heads.solver.batch import Batch
from headstart.heads.solver.rows import Dense

Rows = NDArray[Any]
Codes = NDArray[np.int64]
PENALTIES = np.array([1.0, 1e-3, 1e-2, 1e-4, 0.1])


def problems(k: int, dtype: Any = np.float64) -> tuple[list[Rows], list[Codes]]:
    """Five of different sizes, along their principal axes; the classes of the third are unbalanced."""
    rng = np.random.default_rng(k)
    rows, codes = [], []
    for n, d in ((12, 5), (40, 60), (33, 8), (70, 20), (13, 5)):
        y = np.arange(n) % k if len(rows) != 2 else np.minimum(np.arange(n) // 11, k - 1)
        X = rng.normal(size=(n, d)) + 0.7 * rng.normal(size=(k, d))[y]
        rows.append(Principal.of(X).rows.astype(dtype))
        codes.append(y)
    return rows, codes


def alone(Z: Rows, y: Codes, weights: Rows, penalty: float) -> softmax.Solution:
    """The same by the solver of one problem, to a gradient of 1e-12."""
    problem = softmax.Problem(Dense(Z.astype(np.float64)), y, softmax.row_weights(y, weights), penalty)
    start, curvature = np.zeros((Z.shape[1] + 1, len(weights))), Diagonal(variances=np.square(Z).mean(axis=0))
    return softmax.minimise(problem, start, tol=1e-12, max_iter=500, curvature=curvature)


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize(("dtype", "tol", "near"), [(np.float64, 1e-10, 1e-5), (np.float32, 1e-5, 2e-2)])
def test_each_has_the_weights_it_has_alone(k: int, dtype: Any, tol: float, near: float) -> None:
    """Whatever is beside it: more rows, more columns, a weaker penalty, fewer steps to go."""
    rows, codes = problems(k, dtype)
    weights = np.linspace(0.5, 1.5, k)
    batch = Batch.of(rows, codes, weights).penalised(PENALTIES)
    theta = together.minimise(batch, batch.zeros(), np.full(5, tol), 500)
    assert batch.steepness(theta).max() <= 1.1 * tol
    for Z, y, penalty, found in zip(rows, codes, PENALTIES, theta, strict=True):
        expected = alone(Z, y, weights, penalty).theta.T
        width = Z.shape[1]
        assert np.abs(found[:, :width] - expected[:, :-1]).max() < near * np.abs(expected).max()
        assert np.abs(found[:, -1] - expected[:, -1]).max() < near * np.abs(expected).max()
        assert not found[:, width:-1].any(), "a column that a problem lacks has a weight"


def test_a_problem_stops_by_its_own_tolerance_and_the_others_go_on() -> None:
    rows, codes = problems(3)
    batch = Batch.of(rows, codes, np.ones(3)).penalised(PENALTIES)
    first = batch.steepness(batch.zeros())
    tol = np.where(np.arange(5) == 1, 2 * first, 1e-8)
    theta = together.minimise(batch, batch.zeros(), tol, 500)
    assert not theta[1].any()
    assert (batch.steepness(theta) <= tol).all()
    assert batch.steepness(theta)[[0, 2, 3, 4]].max() < 1e-6 * first.min()


def test_a_problem_of_rows_that_are_all_alike_learns_the_shares_of_the_classes() -> None:
    """Rows without a column, beside one that has some; the bias is all there is to learn."""
    rows, codes = problems(2)
    rows[0], codes[0] = np.zeros((12, 0)), np.array([0] * 9 + [1] * 3)
    batch = Batch.of(rows, codes, np.ones(2)).penalised(PENALTIES)
    theta = together.minimise(batch, batch.zeros(), np.full(5, 1e-10), 500)
    assert theta[0, 0, -1] - theta[0, 1, -1] == pytest.approx(np.log(3))
    assert not theta[0, :, :-1].any()


def test_where_rounding_leaves_no_decrease_the_solver_stops() -> None:
    """A tolerance of nothing is never reached, and no problem moves away from its best place."""
    rows, codes = problems(3)
    batch = Batch.of(rows, codes, np.ones(3)).penalised(PENALTIES)
    theta = together.minimise(batch, batch.zeros(), np.zeros(5), 5_000)
    assert batch.steepness(theta).max() < 1e-9


def test_a_gradient_that_rounding_made_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Balanced classes of rows that are all alike: in float32 the first gradient is a rounding error."""
    steps, gradient = [], Batch.gradient
    monkeypatch.setattr(Batch, "gradient", lambda *of: steps.append(1) or gradient(*of))
    y = (np.arange(40) % 4 == 0).astype(np.int64)
    batch = Batch.of([np.zeros((40, 0), np.float32)], [y], np.array([2 / 3, 2.0])).penalised(np.array([1e-3]))
    theta = together.minimise(batch, batch.zeros(), 0.01 * batch.steepness(batch.zeros()), 500)
    assert len(steps) < 5
    assert np.abs(theta).max() < 1e-5
