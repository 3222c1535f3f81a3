"""How a source is to be read: one value that `load` hands to every source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from headstart.images.decode import DEFAULT_LIMITS, Limits

Progress = Callable[[str, int, int], None]
"""progress(file name, bytes done, bytes in all or 0 when unknown), called while a file is downloaded."""


@dataclass(frozen=True)
class LoadOptions:
    """labelled=False: every picture found, without labels, as for prediction.

    allow_empty_classes: class folders without pictures are left out instead of refused.
    follow_links: links out of the folder are followed instead of refused.
    """

    labelled: bool = True
    allow_empty_classes: bool = False
    follow_links: bool = False
    limits: Limits = DEFAULT_LIMITS
    progress: Progress | None = None
