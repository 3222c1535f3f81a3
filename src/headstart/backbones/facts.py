"""What is known of an architecture without building it."""

from __future__ import annotations

from dataclasses import dataclass

from headstart.preprocess import Preprocess


@dataclass(frozen=True)
class Facts:
    """`fixed_size` is the one (height, width) that the network takes, or None when it takes any."""

    preprocess: Preprocess
    licence: str
    fixed_size: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()
