"""`Overlap`: which classes a source has learnt to tell apart already, by name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Overlap:
    """How many of `total` class names are `known` to a source; examples: up to three (class, the source's name)."""

    source: str
    known: int
    total: int
    examples: tuple[tuple[str, str], ...] = ()

    @property
    def share(self) -> float:
        """Known of total."""
        return self.known / max(self.total, 1)

    @property
    def words(self) -> str:
        """As part of a sentence: "2 of 2 classes are named among the 1,000 of ImageNet (cats: tabby cat)"."""
        count = f"{self.known or 'none'} of {'the ' if not self.known else ''}{self.total:,} classes"
        shown = "; ".join(f"{mine}: {theirs}" for mine, theirs in self.examples)
        verb = "is" if self.known <= 1 else "are"
        return f"{count} {verb} named among {self.source}{f' ({shown})' if shown else ''}"
