"""The backbones that are to be ranked: resolved, named shortly, none of them twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from headstart.backbones import BaseBackbone
from headstart.backbones.spelling import Spelled, short, spell, unloaded
from headstart.errors import HeadstartError, UnknownName, UserError
from headstart.features.source import FeatureSource
from headstart.schema.ranking import Failure

Resolve = Callable[[Spelled], FeatureSource]


@dataclass(frozen=True, eq=False)
class Candidate:
    """A backbone as it was written, its short name in tables, and what gives its features."""

    spelled: Spelled
    label: str
    source: FeatureSource

    @property
    def backbone(self) -> BaseBackbone:
        """The network."""
        assert self.source.backbone is not None
        return self.source.backbone


def labels(asked: Sequence[Spelled]) -> list[str]:
    """A name for each in tables: the short one where no two have the same, else what was written."""
    names = [short(each) for each in asked]
    often = Counter(names)
    return [name if often[name] == 1 else spell(each) for name, each in zip(names, asked, strict=True)]


def resolve_candidates(
    asked: Sequence[Spelled], resolve: Resolve, *, found_here: bool = False
) -> tuple[list[Candidate], list[Failure]]:
    """Those that can be resolved, and why others cannot.

    Raises UserError where two are the same backbone, UnknownName for one that is misspelt. Of those that nobody named,
    but were `found_here`, the first of two such is taken, and what no library knows is among the failures.
    """
    found: list[Candidate] = []
    failed = []
    for spelled, label in zip(asked, labels(asked), strict=True):
        try:
            candidate = Candidate(spelled, label, resolve(spelled))
        except HeadstartError as error:
            if isinstance(error, UnknownName) and not found_here:
                raise
            failed.append(Failure(label, unloaded(spelled["name"], error)))
            continue
        twin = next((other for other in found if _key(other) == _key(candidate)), None)
        if twin is None:
            found.append(candidate)
        elif not found_here:
            both = f"{spell(twin.spelled)} and {spell(spelled)}"
            raise UserError(f"`backbones` lists one backbone twice: {both}; leave one of them out.")
    return found, failed


def _key(candidate: Candidate) -> tuple[str, str]:
    return candidate.backbone.fingerprint, candidate.source.layer
