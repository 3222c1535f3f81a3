"""`Comparison`: everything a study says of two arms, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from headstart.evidence.interval import Estimate
from headstart.evidence.verdict import Verdict


@dataclass(frozen=True)
class Pair:
    """One figure of both arms and their difference, first minus second."""

    first: Estimate
    second: Estimate
    difference: Estimate

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, with the names of the fields."""
        return {name: found.to_dict() for name, found in self.__dict__.items()}


@dataclass(frozen=True)
class Ends:
    """The asymptotes of both arms and their difference; None where they cannot be estimated."""

    first: Estimate | None = None
    second: Estimate | None = None
    difference: Estimate | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, with the names of the fields."""
        return {name: found.to_dict() if found else None for name, found in self.__dict__.items()}


@dataclass(frozen=True)
class Equivalence:
    """How many labelled pictures of a class, `value`, the second arm needs for what the first does with n of them.

    beyond: the second arm's largest size, where that is not enough (value None then). Neither: its smallest size is
    already more than enough. low, high: 95%; None where the interval leaves the second arm's curve on that side.
    """

    n: float
    value: float | None
    low: float | None
    high: float | None
    beyond: float | None

    @property
    def multiple(self) -> float | None:
        """value / n."""
        return None if self.value is None else self.value / self.n

    def to_dict(self) -> dict[str, float | None]:
        """JSON-able, with the names of the fields and `multiple`."""
        return {**self.__dict__, "multiple": self.multiple}


@dataclass(frozen=True)
class Comparison:
    """What a study says of `first` against `second`; fields as in the `comparisons` of verdicts.json."""

    first: str
    second: str
    margin: float
    verdict: Verdict
    by_size: tuple[Verdict, ...]
    slope: Pair | None
    x90: tuple[float | None, float | None]
    asymptote: Ends
    area: Pair
    ratio: Estimate | None
    equivalence: tuple[Equivalence, ...]
    p: float | None
    sentence: str = ""
    details: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: one entry of `comparisons` in verdicts.json."""
        return {
            **self.__dict__,
            "verdict": self.verdict.to_dict(),
            "by_size": [verdict.to_dict() for verdict in self.by_size],
            "slope": self.slope.to_dict() if self.slope else None,
            "x90": dict(zip(("first", "second"), self.x90, strict=True)),
            "asymptote": self.asymptote.to_dict(),
            "area": self.area.to_dict(),
            "ratio": self.ratio.to_dict() if self.ratio else None,
            "equivalence": [entry.to_dict() for entry in self.equivalence],
            "details": list(self.details),
        }
