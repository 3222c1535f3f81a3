"""Heads as PyTorch computes them, so that a score has a gradient. Imports torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from headstart.errors import UserError
from headstart.heads import Head
from headstart.heads.knn import KNNHead
from headstart.heads.logistic import LogisticHead
from headstart.heads.mlp import MLPHead
from headstart.heads.prototype import PrototypeHead
from headstart.heads.ridge import RidgeHead

Scores = Callable[[Tensor], Tensor]


class Scored(nn.Module):
    """A picture (b, 3, h, w), normalised -> each class's score above the mean of all (b, k) float32.

    The map passes `place`, behind the trunk.
    """

    def __init__(self, trunk: nn.Module, tail: nn.Module, head: Head) -> None:
        super().__init__()
        self.trunk, self.tail, self.place = trunk, tail, nn.Identity()
        self.scores = scores_of(head)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        cells, *carried = self.trunk(x)
        scores: Tensor = self.scores(self.tail(self.place(cells), *carried))
        return scores - scores.mean(dim=1, keepdim=True)


LEAST = 1e-12
"""Size of a feature below which its root is taken as that of this: the slope of the root has no end at 0."""


class Flat(nn.Module):
    """A map as features: (b, c, h, w) -> (b, c * h * w); what is carried along is not needed."""

    def forward(self, cells: Tensor, *_: Tensor) -> Tensor:
        """See the class."""
        return cells.flatten(1).float()


def scores_of(head: Head) -> Scores:
    """Features (b, d) -> scores (b, k): the head's logits; of neighbours, whose votes have no gradient, `_nearness`."""
    if isinstance(head, LogisticHead):
        roots, lengths = bool(head.rooted_[0]), bool(head.normalised_[0])
        layer = _dense([(head.coef_, head.intercept_)])

        def shaped(x: Tensor) -> Tensor:
            x = torch.sign(x) * torch.sqrt(x.abs().clamp_min(LEAST)) if roots else x
            return nn.functional.normalize(x, dim=1) if lengths else x

        return lambda x: layer(shaped(x))
    if isinstance(head, RidgeHead):
        return _dense([(head.coef_, head.intercept_)])
    if isinstance(head, MLPHead):
        return _dense(head.layers_)
    if isinstance(head, PrototypeHead):
        return _prototypes(head)
    if isinstance(head, KNNHead):
        return _nearness(head)
    raise UserError(f"The head {type(head).__name__} has no gradient: use method=occlusion.")


def _dense(layers: list[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> Scores:
    weights = [(_tensor(w), _tensor(b)) for w, b in layers]

    def scores(x: Tensor) -> Tensor:
        for w, b in weights[:-1]:
            x = torch.relu(x @ w + b)
        return x @ weights[-1][0] + weights[-1][1]

    return scores


def _prototypes(head: PrototypeHead) -> Scores:
    mean, scale, prototypes, shares = map(_tensor, (head.mean_, head.scale_, head.prototypes_, head.log_shares_))
    unit, temperature = head.normalise == "l2", float(head.temperature_[0])

    def scores(x: Tensor) -> Tensor:
        z = (x - mean) / scale
        z = nn.functional.normalize(z, dim=1) if unit else z
        return shares - torch.cdist(z, prototypes).square() / temperature

    return scores


def _nearness(head: KNNHead) -> Scores:
    """Minus the mean squared distance to the k nearest training rows of each class."""
    rows, mean, scale = _tensor(head.features_), _tensor(head.mean_), _tensor(head.scale_)
    own = [torch.from_numpy(np.flatnonzero(head.codes_ == c)) for c in range(len(head.classes_))]
    unit, k = head.metric == "cosine", int(head.report_["k"])

    def scores(x: Tensor) -> Tensor:
        z = (x - mean) / scale
        z = nn.functional.normalize(z, dim=1) if unit else z
        squares = torch.cdist(z, rows).square()
        return torch.stack([-squares[:, i].topk(min(k, len(i)), largest=False)[0].mean(dim=1) for i in own], dim=1)

    return scores


def _tensor(values: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
