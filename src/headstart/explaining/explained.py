"""One picture explained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from headstart.explaining.explainer import PictureMap
from headstart.explaining.nearest import Neighbour


@dataclass(frozen=True, eq=False)
class Explained:
    """One picture: its class and confidence, the map for that class, and the nearest training pictures.

    `seen` is whether the classifier was fitted on it, and `known` whether it is like what that was fitted on, else it
    is of none of the classes; None where that is not known.
    """

    name: str
    predicted: str
    confidence: float
    map: PictureMap
    nearest: tuple[Neighbour, ...] = ()
    seen: bool | None = None
    known: bool | None = None
    file: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As explanations.json has it."""
        return {
            "name": self.name,
            "predicted": self.predicted,
            "confidence": round(self.confidence, 6),
            "file": self.file,
            "seen_in_fitting": self.seen,
            "known": self.known,
            "map": self.map.to_dict(),
            "nearest": [n._asdict() for n in self.nearest],
        }
