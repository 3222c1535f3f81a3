"""Heads that are linear in the features of one picture: their weights and biases, exact for that picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from headstart.heads import Head

if TYPE_CHECKING:
    from headstart.heads.prototype import PrototypeHead

Matrix = NDArray[np.float64]


class Linear(NamedTuple):
    """logits = x @ weights (d, k) + bias (k,), for one row of features x (d,), up to a number all classes share."""

    weights: Matrix
    bias: Matrix

    def centred(self, column: int) -> tuple[Matrix, float]:
        """Weights (d,) and bias of one class's logit above the mean of all classes' logits, which softmax goes by."""
        weights: Matrix = self.weights[:, column] - self.weights.mean(axis=1)
        return weights, float(self.bias[column] - self.bias.mean())


def linear_at(head: Head, row: NDArray[np.floating[Any]]) -> Linear | None:
    """The head as it acts on this row (d,) of raw features; None for heads that are not linear.

    A head that takes roots of features or brings rows to length 1 first is linear once these are known.  Squared
    distances to prototypes are linear but for the square of the row, which all classes share.
    """
    from headstart.heads.logistic import LogisticHead
    from headstart.heads.mlp import MLPHead
    from headstart.heads.prototype import PrototypeHead
    from headstart.heads.ridge import RidgeHead

    x = np.asarray(row, dtype=np.float64)
    if isinstance(head, LogisticHead):
        sizes = np.sqrt(np.abs(x)) if head.rooted_[0] else np.ones_like(x)  # root of x = x / size
        factors = np.divide(1.0, sizes, out=np.zeros_like(x), where=sizes > 0)
        factors /= _length(x * factors) if head.normalised_[0] else 1.0
        return Linear(head.coef_ * factors[:, None], head.intercept_)
    if isinstance(head, RidgeHead):
        return Linear(head.coef_, head.intercept_)
    if isinstance(head, MLPHead):
        return Linear(*head.layers_[0]) if len(head.layers_) == 1 else None
    return _of_prototypes(head, x) if isinstance(head, PrototypeHead) else None


def is_linear(head: Head) -> bool:
    """Whether the head is linear in the features of one picture."""
    return linear_at(head, np.ones(head.n_features_in_)) is not None


def _of_prototypes(head: PrototypeHead, x: Matrix) -> Linear:
    """log share - |z - m|^2 / T = 2 z m / T - |m|^2 / T + log share - |z|^2 / T, and the last is the same for all."""
    z = (x - head.mean_) / head.scale_
    length = _length(z) if head.normalise == "l2" else 1.0
    T, squares = head.temperature_[0], np.square(head.prototypes_).sum(axis=1)
    weights = (2 / (T * length)) * head.prototypes_.T / head.scale_[:, None]
    return Linear(weights, head.log_shares_ - squares / T - head.mean_ @ weights)


def _length(x: Matrix) -> float:
    return float(np.sqrt(np.square(x).sum())) or 1.0
