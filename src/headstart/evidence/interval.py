"""The t interval of a mean over repeats."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headstart.schema.verdicts import Estimate
from headstart.statistics import t_quantile


def over_repeats(values: NDArray[np.float64]) -> Estimate:
    """Mean of one figure per repeat, (r,), with its 95% t interval; without bounds for r = 1."""
    mean, r = float(np.mean(values)), len(values)
    if r < 2:
        return Estimate(mean)
    half = t_quantile(r - 1, 0.95) * float(np.std(values, ddof=1)) / r**0.5
    return Estimate(mean, mean - half, mean + half)
