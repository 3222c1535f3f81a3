"""How a source is to be read: one value that `load` hands to every source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypedDict

from headstart.images.decode import DEFAULT_LIMITS, Limits
from headstart.progress import Progress


@dataclass(frozen=True)
class LoadOptions:
    """labelled=False: every picture found, without labels, as for prediction.

    allow_empty_classes: class folders without pictures are left out instead of refused.
    follow_links: links out of the folder are followed instead of refused.
    image_column, label_column, split_column, group_column: the columns of a table, where they are not called `image`,
    `label`, `split` and `group`. fitted_columns: what a run was told of these, taken where none is named and the table
    has it.
    """

    labelled: bool = True
    allow_empty_classes: bool = False
    limits: Limits = DEFAULT_LIMITS
    progress: Progress | None = None
    follow_links: bool = False
    image_column: str | None = None
    label_column: str | None = None
    split_column: str | None = None
    group_column: str | None = None
    fitted_columns: Mapping[str, str | None] = field(default_factory=dict)


COLUMNS = ("image_column", "label_column", "split_column", "group_column")


class Reading(TypedDict, total=False):
    """What people say of their data, as keyword arguments of `load`: see `LoadOptions`."""

    follow_links: bool
    image_column: str | None
    label_column: str | None
    split_column: str | None
    group_column: str | None


class ReadingForRun(Reading, total=False):
    """The same, with what a run was told of its own data."""

    fitted_columns: Mapping[str, str | None]


def without_columns(reading: Reading) -> Reading:
    """The same for data that are no table."""
    return Reading(follow_links=reading.get("follow_links", False))


def for_test(reading: Reading, table: bool) -> Reading:
    """The same for a separate test set, all of which is a test unless a column `split` of its own says otherwise."""
    return {**reading, "split_column": None} if table else without_columns(reading)
