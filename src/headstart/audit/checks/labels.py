"""The check of labels: doubted only where a classifier and the neighbours agree on another class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.audit.findings import Codes, Finding, Material

AGREE = 0.3
"""At most this share of the neighbours has the label that is doubted (decision 29)."""


def suspicious(material: Material) -> Iterator[Finding]:
    """Labels that confident learning doubts and the neighbours outvote for the same class, the most doubtful first."""
    answers = material.answers
    if answers is None:
        return
    rows, images = material.labelled, material.images
    y, told = images.labels[rows], answers.argmax(axis=1)
    share, voted = votes(material)
    outvoted = (
        (share <= AGREE) & (voted == told) & upheld(y, material.copies.near[rows], material.neighbours.at.shape[1])
    )
    doubted = unsure(y, answers) & outvoted
    own = answers[np.arange(len(y)), y]
    for at in sorted(np.flatnonzero(doubted).tolist(), key=lambda i: (own[i], images.names[rows[i]])):
        i = int(rows[at])
        suggested = images.classes[int(told[at])]
        detail = f"labelled {material.label(i)}, looks like {suggested} ({answers[at].max():.0%})"
        drops = () if material.parts[i] == "test" else (i,)
        yield Finding(images.names[i], detail, i, suggested=suggested, score=float(own[at]), drops=drops)


def unsure(y: Codes, answers: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which labels (n,) cleanlab's confident learning doubts, by probabilities (n, k) out of fold."""
    import warnings

    from cleanlab.filter import find_label_issues

    warnings.filterwarnings("ignore", "May not flag all label issues")  # of classes with few examples, as here often
    classes, codes = np.unique(y, return_inverse=True)
    given = np.clip(answers[:, classes], 1e-9, 1.0)
    given /= given.sum(axis=1, keepdims=True)
    found: Any = find_label_issues(codes.reshape(-1), given, n_jobs=1)
    return np.asarray(found, dtype=bool)


def votes(material: Material) -> tuple[NDArray[np.float64], Codes]:
    """Of each labelled picture the share of its neighbours (n,) with its label, and the commonest label there (n,)."""
    labels, rows = material.images.labels, material.labelled
    around = labels[material.neighbours.at[rows]]
    counts = np.stack([(around == k).sum(axis=1) for k in range(len(material.images.classes))], axis=1)
    own = counts[np.arange(len(rows)), labels[rows]]
    return own / np.maximum(counts.sum(axis=1), 1), counts.argmax(axis=1).astype(np.int64)


def upheld(y: Codes, groups: Codes, neighbours: int) -> NDArray[np.bool_]:
    """Whether so many neighbours could uphold each label (n,): its class has pictures enough beside its own copies.

    Those of a class of two or three are outvoted whatever they show. Pictures of one of the `groups` (n,) are copies.
    """
    _, at, copies = np.unique(np.stack([y, groups]), axis=1, return_inverse=True, return_counts=True)
    return np.asarray(np.bincount(y)[y] - copies[at.reshape(-1)] > AGREE * neighbours)
