"""Nearest neighbours: smoothed votes of the k nearest training rows; k from validation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.heads.base import ClassWeight, Examples, Features, Head, HeadSettingError, class_weights
from headstart.heads.scaler import Scaler, standardised

Matrix = NDArray[np.float64]
KS = (1, 3, 5, 9, 15, 25, 45)
DEFAULT_K = 9


class KNNHead(Head):
    """Votes of the k nearest standardised training rows by scikit-learn's `NearestNeighbors` (Cover and Hart 1967).

    p_c = (votes_c + prior_c) / (k + 1) with the training shares as prior; logits are log p.  `k=None` takes the
    value of `KS` with the least validation log loss (without validation 9).  `metric` is 'cosine' or 'euclidean'.
    `class_weight='balanced'` weighs votes and prior by class.
    """

    ARRAYS = ("features_", "codes_", "mean_", "scale_", "votes_", "prior_")
    features_: NDArray[np.float32]
    codes_: NDArray[np.int64]
    mean_: Matrix
    scale_: Matrix
    votes_: Matrix
    prior_: Matrix

    def __init__(self, k: int | None = None, metric: str = "cosine", class_weight: ClassWeight = None) -> None:
        self.k = k
        self.metric = metric
        self.class_weight = class_weight

    def _fit(self, train: Examples, validation: Examples | None) -> None:
        if self.metric not in ("cosine", "euclidean"):
            raise HeadSettingError(f"metric is {self.metric!r}: use 'cosine' or 'euclidean'.")
        if self.k is not None and self.k < 1:
            raise HeadSettingError(f"k is {self.k}: it must be at least 1, or None to choose it.")
        scaler = Scaler.measure(train.X)
        self.mean_, self.scale_ = scaler.mean, scaler.scale
        self.features_ = self._placed(standardised([train.X], scaler, np.float32))
        self.codes_ = train.y
        self.votes_ = class_weights(train.y, self.classes_, self.class_weight)
        counted = np.bincount(train.y, minlength=len(self.classes_)) * self.votes_
        self.prior_ = counted / counted.sum()
        self.report_["k"] = self._choose(validation)
        self.report_ |= {"metric": self.metric, "class_weight": self.class_weight, "rows": len(train.y)}

    def _choose(self, validation: Examples | None) -> int:
        most = len(self.codes_)
        shares = np.log(self.prior_)
        if validation is None:
            self.history_ = [{"k": 0.0}]
            return min(self.k or DEFAULT_K, most)
        own = np.arange(len(validation.y)), validation.y
        self.history_.append({"k": 0.0, "val_log_loss": float(-shares[validation.y].mean())})
        grid = [k for k in KS if k <= most] if self.k is None else [min(self.k, most)]
        near = self._neighbours(validation.X, max(grid))
        for k in grid:
            log_p = self._log_votes(near[:, :k])
            accuracy = float(np.mean(log_p.argmax(axis=1) == validation.y))
            self.history_.append({"k": float(k), "val_log_loss": float(-log_p[own].mean()), "val_accuracy": accuracy})
        best = min(self.history_[1:], key=lambda row: row["val_log_loss"])
        self.report_["grid"] = grid
        if len(grid) > 1 and best["k"] in (grid[0], grid[-1]):
            self.notes_.append(f"k = {best['k']:g} is at the edge of the grid: the best value may lie beyond.")
        return int(best["k"])

    def _placed(self, Z: NDArray[Any]) -> NDArray[Any]:
        """Rows where Euclidean distance orders as the metric does: unit length for 'cosine'."""
        if self.metric == "euclidean":
            return Z
        length = np.linalg.norm(Z, axis=1, keepdims=True)
        np.divide(Z, length, out=Z, where=length > 0)
        return Z

    def _neighbours(self, X: Features, k: int) -> NDArray[np.intp]:
        """Indices (n, k) of the nearest training rows, nearest first."""
        from sklearn import config_context
        from sklearn.neighbors import NearestNeighbors

        index = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(self.features_)
        query = self._placed(standardised([X], Scaler(self.mean_, self.scale_), np.float32))
        with config_context(working_memory=128):
            near: NDArray[np.intp] = index.kneighbors(query, return_distance=False)
        return near

    def _log_votes(self, near: NDArray[np.intp]) -> Matrix:
        codes = self.codes_[near]
        votes = np.stack([(codes == c).sum(axis=1) * w for c, w in enumerate(self.votes_)], axis=1)
        p = votes + self.prior_
        log_p: Matrix = np.log(p / p.sum(axis=1, keepdims=True))
        return log_p

    def _logits(self, X: Features) -> Matrix:
        return self._log_votes(self._neighbours(X, int(self.report_["k"])))
