"""The check of outliers: pictures far from all others in the features of the network."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from headstart.audit.findings import Finding, Material

FAR = 4.0
"""Deviations of the logarithm of the mean distance to the neighbours, by the median absolute one, that are far."""
MOST = 0.01
"""Of all pictures at the most."""
FEWEST = 50


def far(material: Material) -> Iterator[Finding]:
    """Pictures whose neighbours are far away, the farthest first."""
    n = len(material.images)
    if n < FEWEST:
        return
    distance = np.log(np.maximum(material.neighbours.distances.mean(axis=1), 1e-9))
    middle = float(np.median(distance))
    spread = 1.4826 * float(np.median(np.abs(distance - middle)))
    score = (distance - middle) / max(spread, 1e-9)
    for i in np.argsort(-score, kind="stable")[: max(1, int(MOST * n))].tolist():
        if score[i] > FAR:
            times = float(np.exp(distance[i] - middle))
            yield Finding(material.images.names[i], f"{times:.2f} times the usual distance", i, score=float(score[i]))
