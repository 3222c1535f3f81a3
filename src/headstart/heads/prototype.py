"""Nearest class mean: softmax of negative squared distances to each class's prototype."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headstart.heads.base import ClassWeight, Examples, Features, Head, HeadSettingError, class_weights, row_blocks
from headstart.heads.scale import fit_scale
from headstart.heads.scaler import Scaler

Matrix = NDArray[np.float64]


class PrototypeHead(Head):
    """logits = -|z - mean_c|^2 / temperature + log share_c (Mensink et al. 2013; Snell et al. 2017).

    Rows are standardised, and with `normalise='l2'` scaled to unit length.  `temperature=None` takes the one with the
    least log loss on validation (without it on the training part).  Shares are those of training, or equal for
    `class_weight='balanced'`.
    """

    ARRAYS = ("prototypes_", "log_shares_", "mean_", "scale_", "temperature_")
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

    def _fit(self, train: Examples, validation: Examples | None) -> None:
        if self.normalise not in ("none", "l2"):
            raise HeadSettingError(f"normalise is {self.normalise!r}: use 'none' or 'l2'.")
        if self.temperature is not None and not self.temperature > 0:
            raise HeadSettingError(f"temperature is {self.temperature}: it must be positive, or None to choose it.")
        k = len(self.classes_)
        scaler = Scaler.measure(train.X)
        self.mean_, self.scale_ = scaler.mean, scaler.scale
        counts = np.bincount(train.y, minlength=k)
        shares = counts * class_weights(train.y, self.classes_, self.class_weight)
        self.log_shares_ = np.log(shares / shares.sum())
        self.prototypes_ = (
            sum(
                (np.eye(k)[train.y[rows]].T @ self._placed(train.X[rows]) for rows in row_blocks(train.X)),
                np.zeros((k, train.X.shape[1])),
            )
            / counts[:, None]
        )
        check = validation or train
        distances = np.concatenate([self._distances(check.X[rows]) for rows in row_blocks(check.X)])
        chosen = self.temperature or 1.0 / fit_scale(-distances, check.y, self.log_shares_)
        self.temperature_ = np.array([float(chosen)])
        self._describe(distances, check, "train" if validation is None else "val")

    def _describe(self, distances: Matrix, check: Examples, part: str) -> None:
        logits = self._from_distances(distances)
        top = logits.max(axis=1)
        own = logits[np.arange(len(logits)), check.y]
        loss = np.log(np.exp(logits - top[:, None]).sum(axis=1)) + top - own
        before = -self.log_shares_[check.y]
        self.history_ = [
            {"step": 0.0, f"{part}_log_loss": float(before.mean())},
            {
                "step": 1.0,
                f"{part}_log_loss": float(loss.mean()),
                f"{part}_accuracy": float(np.mean(logits.argmax(axis=1) == check.y)),
            },
        ]
        self.report_ |= {
            "temperature": float(self.temperature_[0]),
            "normalise": self.normalise,
            "class_weight": self.class_weight,
            "parameters": int(self.prototypes_.size),
        }

    def _placed(self, X: Features) -> Matrix:
        Z = Scaler(self.mean_, self.scale_).apply(X)
        if self.normalise == "l2":
            length = np.linalg.norm(Z, axis=1, keepdims=True)
            np.divide(Z, length, out=Z, where=length > 0)
        return Z

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
