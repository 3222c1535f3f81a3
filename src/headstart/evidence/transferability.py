"""Cheap hints at how well features will serve: LogME, H-score, LEEP, NCE. Higher is better for all.

X (n, d) are features of n pictures, float32 or float64, y (n,) their class codes, P (n, z) the probabilities that a
source classifier gives its own z classes. Computed in float64 from the smaller Gram matrix: O(n d min(n, d)) time. None
is invariant to everything: `docs/ranking.md` has a table. Agostinelli et al. 2022: none is best everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Codes = NDArray[np.int64]
STEPS = 500
"""The most updates of LogME; a class in which nothing can be found or nothing is left unexplained would take more."""
SETTLED = 1e-9
"""LogME stops when the logarithm of its penalty moves less than this."""
FAR = 1e12
"""The penalty stays within this factor of the mean squared singular value: beyond, the score no longer changes."""


@dataclass(frozen=True)
class Spectrum:
    """The thin SVD X = U diag(sqrt(s)) V': s (k,) descending, U (n, k), k the numerical rank."""

    s: Matrix
    U: Matrix

    @classmethod
    def of(cls, X: Matrix) -> Spectrum:
        """From the eigenvectors of X'X or XX', whichever is smaller; directions at rounding level are left out."""
        tall = X.shape[0] > X.shape[1]
        s, vectors = np.linalg.eigh(X.T @ X if tall else X @ X.T)
        kept = np.flatnonzero(s > max(X.shape) * np.finfo(np.float64).eps * max(s[-1], 0.0))[::-1]
        return cls(s[kept], X @ vectors[:, kept] / np.sqrt(s[kept]) if tall else vectors[:, kept])


def logme(X: NDArray[Any], y: NDArray[Any]) -> float:
    """Log of maximum evidence, the mean over classes of a Bayesian linear regression's on one-hot labels, per picture.

    You et al. 2021. Features are not centred. For n < d the published code counts d directions where there are n; here
    the rank counts.
    """
    X, y = _checked(X, y)
    spectrum = Spectrum.of(_scaled(X))
    targets = _one_hot(y)
    x2 = (spectrum.U.T @ targets) ** 2
    counts = targets.sum(axis=0)
    rho = counts - x2.sum(axis=0)  # what lies outside the span of the features
    rho[rho < len(y) * np.finfo(np.float64).eps * counts] = 0.0  # rounding: it would decide how far alpha / beta falls
    return float(np.mean(_evidence(spectrum.s, x2, rho, len(y))))


def _evidence(s: Matrix, x2: Matrix, rho: Matrix, n: int) -> Matrix:
    """Maximum log evidence of each class (c,) per row, by MacKay's updates of l = alpha / beta."""
    if not len(s):
        return -0.5 * (np.log(2 * np.pi * np.maximum(rho, np.finfo(np.float64).tiny) / n) + 1)
    column, scale = s[:, None], float(s.mean())
    bounds = (scale / FAR, scale * FAR)
    penalty = np.full(x2.shape[1], scale)  # a start that scales with the features
    for _ in range(STEPS):
        alpha, beta, _, _ = _update(column, x2, rho, penalty, n)
        moved = np.clip(alpha / beta, *bounds)
        done = np.abs(np.log(moved / penalty)).max() < SETTLED
        penalty = moved
        if done:
            break
    _, _, m2, r2 = _update(column, x2, rho, penalty, n)
    beta = n / (r2 + penalty * m2)  # the best at this penalty, also at a bound: there beta r2 + alpha m2 = n
    logs = np.log(penalty / (penalty + column)).sum(axis=0) + n * np.log(beta)
    found: Matrix = (logs - n - n * np.log(2 * np.pi)) / (2 * n)
    return found


def _update(s: Matrix, x2: Matrix, rho: Matrix, penalty: Matrix, n: int) -> tuple[Matrix, Matrix, Matrix, Matrix]:
    """LogME's alpha, beta, m^2, |Xm - y|^2 (You et al. 2021) for each class (c,); s (k, 1), x2 (k, c)."""
    tiny = np.finfo(np.float64).tiny
    share = penalty / (penalty + s)
    effective = (s / (penalty + s)).sum(axis=0)
    m2 = (s * x2 / (penalty + s) ** 2).sum(axis=0)
    r2 = np.maximum((x2 * share**2).sum(axis=0) + rho, tiny)
    unexplained = (n - len(s)) + share.sum(axis=0)  # n - gamma, without the loss of digits where they are near
    return effective / np.maximum(m2, tiny), np.maximum(unexplained, tiny) / r2, m2, r2


def h_score(X: NDArray[Any], y: NDArray[Any]) -> float:
    """tr(S^-1 S_B): how far apart class means lie, in units of the features' covariance; 0 to classes - 1.

    Bao et al. 2019. Where n <= d it is classes - 1 whatever the features are: use `h_score_regularised`.
    """
    X, y = _checked(X, y)
    means, counts = _class_means(Spectrum.of(_centred(X)).U, y)
    return float((counts @ means**2).sum())


def h_score_regularised(X: NDArray[Any], y: NDArray[Any]) -> float:
    """(1 - a) tr(S_a^-1 S_B) with the covariance of Ledoit and Wolf 2004, S_a = (1 - a) S + a tr(S)/d I.

    Ibrahim et al. 2021. S divides by n, S_B by n - 1. Directions without variance carry no difference of class means,
    so only the span of the features is looked at.
    """
    X, y = _checked(X, y)
    X = _centred(X)
    spectrum = Spectrum.of(X)
    if not len(spectrum.s) or len(y) < 2:
        return 0.0
    n, d = X.shape
    shrinkage = ledoit_wolf(X, spectrum.s)
    variances = (1 - shrinkage) * spectrum.s / n + shrinkage * spectrum.s.sum() / (n * d)
    means, counts = _class_means(spectrum.U, y)
    between = spectrum.s * (counts @ means**2) / (n - 1)
    return float((1 - shrinkage) * (between / variances).sum())


def ledoit_wolf(X: Matrix, s: Matrix) -> float:
    """The shrinkage (0 to 1) of Ledoit and Wolf 2004 for centred X (n, d) with squared singular values s.

    It is scikit-learn's `ledoit_wolf_shrinkage`, which computes the d x d matrix that `s` makes unnecessary.
    """
    n, d = X.shape
    mean = s.sum() / (n * d)
    squares = float((s**2).sum()) / n**2
    spread = float((np.einsum("nd,nd->n", X, X) ** 2).sum()) / n
    distance = squares / d - mean**2
    return min(max((spread - squares) / (d * n), 0.0) / distance, 1.0) if distance > 0 else 0.0


def leep(P: NDArray[Any], y: NDArray[Any]) -> float:
    """Mean log of sum_z P(y_i | z) theta(x_i)_z, with P(y | z) counted from the source probabilities themselves.

    Nguyen et al. 2020. P (n, z) holds theta: rows of probabilities. Never above 0.
    """
    P, y = _checked(P, y)
    if (P < 0).any() or np.abs(P.sum(axis=1) - 1).max() > 1e-3:
        raise ValueError("LEEP needs probabilities: rows that are not negative and sum to 1.")
    together = _one_hot(y).T @ P
    totals = together.sum(axis=0)
    given = np.divide(together, totals, out=np.zeros_like(together), where=totals > 0)
    own = np.einsum("nz,nz->n", given[np.unique(y, return_inverse=True)[1]], P)
    return float(np.mean(np.log(np.maximum(own, np.finfo(np.float64).tiny))))


def nce(z: NDArray[Any], y: NDArray[Any]) -> float:
    """Minus the conditional entropy H(y | z) of the labels y (n,) given source labels z (n,).

    Tran et al. 2019. Never above 0. LEEP is its relative for source probabilities instead of source labels.
    """
    z, y = np.asarray(z), np.asarray(y)
    if z.shape != y.shape or z.ndim != 1 or not len(y):
        raise ValueError(f"NCE needs two lists of one length, not {z.shape} and {y.shape}.")
    pairs, together = np.unique(np.stack([_codes(z), _codes(y)]), axis=1, return_counts=True)
    totals = np.bincount(pairs[0], together)[pairs[0]]
    return float((together * np.log(together / totals)).sum() / len(y))


def _checked(X: NDArray[Any], y: NDArray[Any]) -> tuple[Matrix, Codes]:
    """X (n, d) as float64 and y (n,) as codes 0..c-1. Raises ValueError for wrong shapes, NaN and inf."""
    X, y = np.asarray(X, dtype=np.float64), np.asarray(y)
    if X.ndim != 2 or y.shape != X.shape[:1] or not len(y):
        raise ValueError(f"Scores need features (n, d) and labels (n,), n at least 1, not {X.shape} and {y.shape}.")
    if not np.isfinite(X).all():
        raise ValueError("The features hold NaN or inf.")
    return X, _codes(y)


def _codes(values: NDArray[Any]) -> Codes:
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def _one_hot(y: Codes) -> Matrix:
    return np.eye(int(y.max()) + 1)[y]


def _centred(X: Matrix) -> Matrix:
    """X minus its means, scaled; a constant column becomes exactly 0, not what rounding leaves of it."""
    centred: Matrix = X - X.mean(axis=0)
    centred[:, np.equal(X, X[0]).all(axis=0)] = 0.0
    return _scaled(centred)


def _scaled(X: Matrix) -> Matrix:
    """X with the largest absolute value 1: no score depends on it, but the squares of squares stay within float64."""
    return X / (np.abs(X).max() or 1.0)


def _class_means(U: Matrix, y: Codes) -> tuple[Matrix, NDArray[np.int64]]:
    """The mean row of each class (c, k), and its number of rows (c,)."""
    counts = np.bincount(y)
    return _one_hot(y).T @ U / counts[:, None], counts
