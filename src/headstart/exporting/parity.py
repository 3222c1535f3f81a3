"""Whether a graph gives what the classifier gives, on pictures of the run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.errors import HeadstartError

EXACT = 1e-4
"""What a probability may differ by."""
LOOSE = 2e-2
"""The same where a picture is resized without double precision, so that grey levels may be one off."""
MARGIN = 1e-3
"""Between the two most probable classes; below it rounding may choose."""


@dataclass(frozen=True)
class Parity:
    """Of so many `pictures`: the largest difference of a probability, and how many have the same answer.

    `within` are those whose probabilities differ by no more than `EXACT`; `changed` are those with another answer
    although the margin between the first two classes is over `MARGIN`. Strangeness may differ as probabilities may.
    """

    on: str
    pictures: int
    largest_difference: float
    within: int
    same_answer: int
    changed: int
    tolerance: float
    strangeness_difference: float = 0.0

    @classmethod
    def of(cls, ours: NDArray[Any], theirs: NDArray[Any], on: str, tolerance: float) -> Parity:
        """From probabilities (n, k) of the classifier and of the graph."""
        differences = np.abs(ours - theirs).max(axis=1)
        first, second = np.sort(ours, axis=1)[:, :-3:-1].T
        same = ours.argmax(axis=1) == theirs.argmax(axis=1)
        largest, within = float(differences.max()), int((differences <= EXACT).sum())
        changed = int((~same & (first - second > MARGIN)).sum())
        return cls(on, len(ours), largest, within, int(same.sum()), changed, tolerance)

    def check(self, what: str) -> None:
        """Raise HeadstartError with the figures where the graph is not the classifier."""
        within = self.largest_difference <= self.tolerance and self.strangeness_difference <= self.tolerance
        if not within or self.changed:  # also where one is not a number
            raise HeadstartError(
                f"The {what} does not give the same results as the run, so nothing was written: on {self.told()} "
                f"(allowed are {self.tolerance:g} and the same answer wherever it is clear)."
            )

    def told(self) -> str:
        """`200 test pictures: probabilities differ by 3e-07 at most, 200 answers are the same`."""
        differ = f"probabilities differ by {self.largest_difference:.1g} at most"
        few = "" if self.within == self.pictures else f" (those of {self.within:,} by no more than {EXACT:g})"
        return f"{self.pictures:,} {self.on}: {differ}{few}, {self.same_answer:,} answers are the same"

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)
