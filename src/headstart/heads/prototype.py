"""Nearest class mean: softmax of negative squared distances to each class's prototype."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from headstart.documents import shown
from headstart.heads.base import ClassWeight, Examples, Features, Head, HeadSettingError, OutOfFold, class_weights
from headstart.heads.folds import Folds
from headstart.heads.solver.blocks import row_blocks
from headstart.heads.solver.scale import fit_scale
from headstart.heads.solver.scaler import Scaler, to_unit_length
from headstart.heads.state import LEAST, State
from headstart.heads.trials import Trials, log_losses, note_choice

Matrix = NDArray[np.float64]


class PrototypeHead(Head):
    """logits = -|z - mean_c|^2 / temperature + log share_c (Mensink et al. 2013; Snell et al. 2017).

    Rows are standardised, and with `normalise='l2'` scaled to unit length.  `temperature=None` takes the one with the
    least log loss on rows held out (where nothing can be held out, on the rows themselves).  Shares are those of
    training, or equal for `class_weight='balanced'`.
    """

    ARRAYS: ClassVar = {
        "prototypes_": State(("k", "d")),
        "log_shares_": State(("k",)),
        "mean_": State(("d",)),
        "scale_": State(("d",), low=LEAST),
        "temperature_": State((1,), low=LEAST),
    }
    prototypes_: Matrix
    log_shares_: Matrix
    mean_: Matrix
    scale_: Matrix
    temperature_: Matrix

    def __init__(
        self, temperature: float | None = None, normalise: str = "none", class_weight: ClassWeight = None
    ) -> None:
        self.temperature = temperature
        self.normalise = normalise
        self.class_weight = class_weight

    def _chooses(self) -> bool:
        return self.temperature is None

    def _fit(self, rows: Examples, folds: Folds | None) -> None:
        self._check_settings()
        scaler = Scaler.measure(rows.X)
        self.mean_, self.scale_ = scaler.mean, scaler.scale
        k = len(self.classes_)
        shares = np.bincount(rows.y, minlength=k) * class_weights(rows.y, self.classes_, self.class_weight)
        self.log_shares_ = np.log(shares / shares.sum())
        trials = self._tried(rows, folds) if folds is not None else None
        self.prototypes_ = self._means(rows)
        distances = -trials.best.logits if trials else self._all_distances(rows.X)
        codes = trials.codes if trials else rows.y
        chosen = self.temperature or 1.0 / fit_scale(-distances, codes, self.log_shares_)
        self.temperature_ = np.array([float(chosen)])
        logits = self._from_distances(distances)
        self.out_of_fold_ = OutOfFold(trials.rows, logits) if trials else None
        self._describe(logits, codes, trials)

    def _check_settings(self) -> None:
        if self.normalise not in ("none", "l2"):
            raise HeadSettingError(f"normalise is {shown(self.normalise)}: use 'none' or 'l2'.")
        if self.temperature is not None and not self.temperature > 0:
            raise HeadSettingError(f"temperature is {self.temperature}: it must be positive, or None to choose it.")

    def _tried(self, rows: Examples, folds: Folds) -> Trials:
        """Squared distances of the rows judged to prototypes of the others, with a minus."""
        trials, found = Trials(rows.y, folds, np.ones(len(self.classes_))), []
        for fitted, judged in folds:
            self.prototypes_ = self._means(Examples(rows.X[fitted], rows.y[fitted]))
            found.append(-self._all_distances(rows.X[judged]))
        trials.add({}, found)
        return trials

    def _means(self, rows: Examples) -> Matrix:
        """The mean (k, d) of each class's placed rows; of a class without rows, that of all."""
        k = len(self.classes_)
        sums = sum(
            (np.eye(k)[rows.y[part]].T @ self._placed(rows.X[part]) for part in row_blocks(rows.X)),
            np.zeros((k, rows.X.shape[1])),
        )
        counts = np.bincount(rows.y, minlength=k)[:, None]
        means: Matrix = np.where(counts > 0, sums / np.maximum(counts, 1), sums.sum(axis=0) / len(rows.y))
        return means

    def _all_distances(self, X: Features) -> Matrix:
        return np.concatenate([self._distances(X[part]) for part in row_blocks(X)])

    def _describe(self, logits: Matrix, codes: NDArray[np.int64], trials: Trials | None) -> None:
        part = "val" if trials else "train"
        accuracy = float(np.mean(logits.argmax(axis=1) == codes))
        loss = float(log_losses(logits, codes).mean())
        self.history_ = [
            {"step": 0.0, f"{part}_log_loss": float(-self.log_shares_[codes].mean())},
            {"step": 1.0, f"{part}_log_loss": loss, f"{part}_accuracy": accuracy},
        ]
        temperature = float(self.temperature_[0])
        self.report_ |= {"temperature": temperature, "normalise": self.normalise, "class_weight": self.class_weight}
        self.report_["parameters"] = int(self.prototypes_.size)
        by = trials.folds.words if trials else "the rows it was fitted on"
        how = "as given" if self.temperature is not None else f"the least log loss of {by}"
        note_choice(self, {"temperature": temperature}, None, how)

    def _placed(self, X: Features) -> Matrix:
        Z = Scaler(self.mean_, self.scale_).apply(X)
        return to_unit_length(Z) if self.normalise == "l2" else Z

    def _distances(self, X: Features) -> Matrix:
        """Squared distances (n, k) to the prototypes."""
        Z = self._placed(X)
        squares: Matrix = np.einsum("nd,nd->n", Z, Z)[:, None] + np.einsum(
            "kd,kd->k", self.prototypes_, self.prototypes_
        )
        squares -= 2 * Z @ self.prototypes_.T
        return np.maximum(squares, 0.0)

    def _from_distances(self, distances: Matrix) -> Matrix:
        logits: Matrix = self.log_shares_ - distances / self.temperature_[0]
        return logits

    def _logits(self, X: Features) -> Matrix:
        return self._from_distances(self._distances(X))
