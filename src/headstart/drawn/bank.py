"""`Bank`: the sheets of all families side by side, from which figures are taken at random."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from headstart.drawn.sheet import Sheet


@dataclass(frozen=True)
class Part:
    """One family: `fields` (n, SIDE, SIDE) uint8, `starts` (k + 1,) int64 where each class begins, its first label."""

    share: float
    fields: Tensor
    starts: Tensor
    first: int


class Bank:
    """Figures of several families; a family is chosen by its share, then a class, then a figure, each alike."""

    def __init__(self, sheets: dict[str, Sheet], shares: dict[str, float]) -> None:
        self.parts: list[Part] = []
        self.classes = 0
        for name, sheet in sheets.items():
            starts = np.searchsorted(sheet.labels, np.arange(len(sheet.classes) + 1))
            fields, begins = torch.from_numpy(sheet.fields), torch.from_numpy(starts)
            self.parts.append(Part(shares[name], fields, begins, self.classes))
            self.classes += len(sheet.classes)

    def to(self, device: str) -> Bank:
        """The same figures on a device, where those drawn from it then are."""
        found = copy(self)
        found.parts = [replace(p, fields=p.fields.to(device), starts=p.starts.to(device)) for p in self.parts]
        return found

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """(count, SIDE, SIDE) uint8 fields and (count,) int64 labels, grouped by family."""
        weights = torch.tensor([part.share for part in self.parts])
        which = torch.multinomial(weights, count, replacement=True, generator=generator)
        counts = torch.bincount(which, minlength=len(self.parts)).tolist()
        drawn = [_from(part, n, generator) for part, n in zip(self.parts, counts, strict=True)]
        return torch.cat([fields for fields, _ in drawn]), torch.cat([labels for _, labels in drawn])


def _from(part: Part, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    classes = torch.randint(len(part.starts) - 1, (count,), generator=generator)
    low, high = part.starts[classes], part.starts[classes + 1]
    place = low + (torch.rand(count, generator=generator) * (high - low)).long()
    return part.fields[torch.minimum(place, high - 1)], classes + part.first
