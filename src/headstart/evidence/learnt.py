"""Whether an arm learnt anything: one that answers no better than without looking decides nothing about another arm."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]
SURE = 0.025  # one-sided: the chance to be called better than guessing without being it


def has_learnt(labels: Labels, predicted: Labels) -> bool:
    """Whether answers (r, m) to the same m test pictures are better than those of somebody who does not look.

    Either more of them are right than are with always the commonest class (exact binomial test over all answers), or
    more of each class than with any one answer: mean recall above 1 / k, which also sees what was learnt of rare ones.
    """
    right = predicted == labels
    share = float(np.bincount(labels).max() / len(labels))
    return _above(int(right.sum()), right.size, share) or _recalls(labels, right)


def _above(count: int, n: int, share: float) -> bool:
    """Whether `count` or more of `n` would be rare if each came with probability `share`."""
    from scipy.special import bdtrc

    return count > 0 and float(bdtrc(count - 1, n, share)) < SURE


def _recalls(labels: Labels, right: NDArray[np.bool_]) -> bool:
    """Whether the mean recall of the classes is above 1 / k by more than two standard errors."""
    classes = np.unique(labels)
    recall = np.array([right[:, labels == k].mean() for k in classes])
    counts = np.array([right[:, labels == k].size for k in classes])
    error = float(np.sqrt((recall * (1 - recall) / counts).sum())) / len(classes)
    return float(recall.mean()) - 1 / len(classes) > 2 * error + 1e-9
