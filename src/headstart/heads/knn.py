"""Nearest neighbours: smoothed votes of the k nearest training rows; k from rows held out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headstart.documents import shown
from headstart.errors import BundleError
from headstart.heads.base import ClassWeight, Examples, Features, Head, HeadSettingError, class_weights
from headstart.heads.folds import Folds
from headstart.heads.solver.blocks import row_blocks
from headstart.heads.solver.scaler import Scaler, standardised, to_unit_length
from headstart.heads.state import LEAST, State
from headstart.heads.trials import Trials, at_the_edge, note_choice

Matrix = NDArray[np.float64]
KS = (1, 3, 5, 9, 15, 25, 45)
DEFAULT_K = 9
FAR = 1e15  # of a row in float32, so that the square of its length is finite


class KNNHead(Head):
    """Votes of the k nearest standardised training rows by scikit-learn's `NearestNeighbors` (Cover and Hart 1967).

    p_c = (votes_c + prior_c) / (k + 1) with the training shares as prior; logits are log p.  `k=None` takes the
    value of `KS` with the least log loss on rows held out (9 where nothing can be tried).  `metric` is 'cosine' or
    'euclidean'.  `class_weight='balanced'` weighs votes and prior by class.
    """

    ARRAYS: ClassVar = {
        "features_": State(("n", "d"), low=-FAR, high=FAR),
        "codes_": State(("n",), "u", high="k"),
        "mean_": State(("d",), low=-FAR, high=FAR),
        "scale_": State(("d",), low=LEAST),
        "votes_": State(("k",), low=0),
        "prior_": State(("k",), low=LEAST),
    }
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

    def _chooses(self) -> bool:
        return self.k is None

    def _fit(self, rows: Examples, folds: Folds | None) -> None:
        self._check_settings()
        scaler = Scaler.measure(rows.X)
        self.mean_, self.scale_ = scaler.mean, scaler.scale
        self.features_ = self._placed(standardised([rows.X], scaler, np.float32))
        self.codes_ = rows.y
        self.votes_ = class_weights(rows.y, self.classes_, self.class_weight)
        self.prior_ = _shares(rows.y, self.votes_)
        trials = self._tried(folds) if folds is not None else None
        usual = min(self.k or DEFAULT_K, len(rows.y))
        k = int(trials.best.settings["k"]) if trials and self.k is None else usual
        self.out_of_fold_ = trials.out_of_fold(trials.best) if trials else None
        self._describe(k, trials)

    def _check_settings(self) -> None:
        if self.metric not in ("cosine", "euclidean"):
            raise HeadSettingError(f"metric is {shown(self.metric)}: use 'cosine' or 'euclidean'.")
        if self.k is not None and self.k < 1:
            raise HeadSettingError(f"k is {self.k}: it must be at least 1, or None to choose it.")

    def _restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        super()._restore(arrays)
        k = self.report_.get("k")
        if type(k) is not int or not 1 <= k <= len(self.codes_):
            raise BundleError(f"A KNNHead cannot be restored: k is {shown(k)}, not 1 to {len(self.codes_)}.")

    def _tried(self, folds: Folds) -> Trials:
        """Every k that the folds have rows for."""
        trials = Trials(self.codes_, folds, np.ones(len(self.votes_)))
        most = min(len(self.codes_[fitted]) for fitted, _ in folds)
        grid = [k for k in KS if k <= most] if self.k is None else [min(self.k, most)]
        near = [
            (self.codes_[fitted][_nearest(self.features_[fitted], self.features_[judged], max(grid))], fitted)
            for fitted, judged in folds
        ]
        for k in grid:
            logits = [
                self._log_votes(codes[:, :k], _shares(self.codes_[fitted], self.votes_)) for codes, fitted in near
            ]
            trials.add({"k": float(k)}, logits)
        return trials

    def _describe(self, k: int, trials: Trials | None) -> None:
        loss = float(-np.log(self.prior_)[self.codes_].mean())
        self.history_ = [{"k": 0.0, "val_log_loss": loss}, *(trials.history() if trials else [])]
        self.report_ |= {"k": k, "metric": self.metric, "class_weight": self.class_weight, "rows": len(self.codes_)}
        how = "too few rows to choose"
        if self.k is not None:
            how = "as given" if k == self.k else f"all rows there are; {self.k:,} were asked for"
        note_choice(self, {"k": float(k)}, trials, how)
        if trials and len(trials.found) > 1 and k in (KS[0], trials.found[-1].settings["k"]):
            self.notes_.append(at_the_edge(f"k = {k}"))

    def _placed(self, Z: NDArray[Any]) -> NDArray[Any]:
        """Rows where Euclidean distance orders as the metric does: unit length for 'cosine'."""
        return Z if self.metric == "euclidean" else to_unit_length(Z)

    def _log_votes(self, codes: NDArray[np.int64], prior: Matrix) -> Matrix:
        """log p (n, classes) from the classes (n, k) of the nearest rows."""
        votes = np.stack([(codes == c).sum(axis=1) * w for c, w in enumerate(self.votes_)], axis=1)
        p = votes + prior
        log_p: Matrix = np.log(p / p.sum(axis=1, keepdims=True))
        return log_p

    def logits(self, X: ArrayLike) -> Matrix:
        """See `Head.logits`. Votes do not round, so rows are answered all at once, which is ten times as fast."""
        self._require_fitted()
        features = self._checked(X)
        return np.concatenate([self._logits(features[rows]) for rows in row_blocks(features)])

    def _logits(self, X: Features) -> Matrix:
        query = self._placed(standardised([X], Scaler(self.mean_, self.scale_), np.float32))
        near = _nearest(self.features_, query, int(self.report_["k"]))
        return self._log_votes(self.codes_[near], self.prior_)


def _shares(codes: NDArray[np.int64], votes: Matrix) -> Matrix:
    """Each class's share of the rows (k,), weighted."""
    counted = np.bincount(codes, minlength=len(votes)) * votes
    shares: Matrix = np.maximum(counted, 1e-12) / counted.sum()
    return shares


def _nearest(rows: NDArray[np.float32], query: NDArray[np.float32], k: int) -> NDArray[np.intp]:
    """Indices (n, k) of the rows nearest to each of the query, nearest first."""
    from sklearn import config_context
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(rows)
    with config_context(working_memory=128):
        near: NDArray[np.intp] = index.kneighbors(query, return_distance=False)
    return near
