"""`Estimate`: a figure with its 95% interval; the t interval of a mean over repeats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.statistics import t_quantile


@dataclass(frozen=True)
class Estimate:
    """A figure and the bounds of its 95% interval; a bound is None where none can be given."""

    value: float
    low: float | None = None
    high: float | None = None

    def to_dict(self) -> dict[str, float | None]:
        """JSON-able: value, low, high."""
        return {"value": self.value, "low": self.low, "high": self.high}

    def within(self, low: float, high: float) -> Estimate:
        """The same with its bounds moved into [low, high], for a figure that cannot lie outside."""
        moved = [None if bound is None else min(max(bound, low), high) for bound in (self.low, self.high)]
        return Estimate(self.value, *moved)


def over_repeats(values: NDArray[np.float64]) -> Estimate:
    """Mean of one figure per repeat, (r,), with its 95% t interval; without bounds for r = 1."""
    mean, r = float(np.mean(values)), len(values)
    if r < 2:
        return Estimate(mean)
    half = t_quantile(r - 1, 0.95) * float(np.std(values, ddof=1)) / r**0.5
    return Estimate(mean, mean - half, mean + half)
