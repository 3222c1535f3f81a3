"""Pictures that are listed one by one: paths and addresses of files and folders, or what is in memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from headstart.errors import DataError
from headstart.images.imageset import ImageSet, Refusal
from headstart.images.items import Item
from headstart.images.names import escape, nfc
from headstart.images.options import LoadOptions
from headstart.images.sources import folder, remote, zipped
from headstart.images.sources.arrays import from_arrays
from headstart.images.sources.table import is_table
from headstart.paths import expanded, one_way
from headstart.storage import is_address

OTHER_TABLES = (".xlsx", ".xls", ".xlsm", ".ods", ".json", ".jsonl", ".ndjson", ".feather", ".arrow", ".pkl")
"""Endings of tables of labels that people have, and that are not read."""


def accepts(data: Any) -> bool:
    """An array, a list or tuple, or a single file."""
    return isinstance(data, np.ndarray | list | tuple) or (isinstance(data, Path) and data.is_file())


def load(data: Any, options: LoadOptions) -> ImageSet:
    """Unlabelled pictures; a folder or zip in a list of paths and addresses stands for every picture in it."""
    if isinstance(data, Path):
        if options.labelled:
            if data.suffix.lower() in OTHER_TABLES:
                raise DataError(f"{data}: tables are read as .csv, .tsv or .parquet; save it as one of these.")
            if is_table(data.stem):
                raise DataError(f"{data} is a compressed table, which is not read: unpack it first.")
            raise DataError(f"{data} is a single file, so it has no labels: give a folder, zip, table, .npz or name.")
        data = [data]
    if len(data) == 0:
        raise DataError("No picture was given.")
    if isinstance(data, np.ndarray) or not all(isinstance(item, str | os.PathLike) for item in data):
        images = from_arrays(data, white=options.limits.white)
        return replace(images, limits=replace(options.limits, white=images.limits.white))
    if not all(str(item).strip() for item in data):
        raise DataError("A path is empty: name a picture, a folder or a zip.")
    return _paths([item if is_address(item) else expanded(item) for item in data], options)


def _paths(given: Sequence[Path | str], options: LoadOptions) -> ImageSet:
    """Files as given and every picture of the folders given; each once, missing ones refused."""
    files: dict[str, Item] = {}
    refused: list[Refusal] = []
    there: set[str] = set()  # files, however they are written
    for place in given:
        name = escape(place.rstrip("/") if isinstance(place, str) else place.as_posix())
        found: list[tuple[str, Item]] = []
        inside = _inside(place, replace(options, labelled=False))
        if isinstance(inside, ImageSet):
            found = [(f"{name}/{inner}", item) for inner, item in zip(inside.names, inside.items, strict=True)]
            refused += [replace(r, name=f"{name}/{r.name}") for r in inside.refused]
        elif inside is not None:
            found = [(nfc(name), inside)]
        else:
            refused.append(Refusal(name, "missing-file", "no such file"))
        for key, item in found:
            where = one_way(item) if isinstance(item, Path) else key
            if key in files or where in there:
                refused.append(Refusal(key, "same-file", "named more than once"))
            else:
                files[key] = item
                there.add(where)
    labels, parts = np.full(len(files), -1), np.full(len(files), "", "U11")
    title = escape(str(given[0])) if len(given) == 1 else f"{len(given)} paths"
    return ImageSet(list(files.values()), tuple(files), labels, (), parts, tuple(refused), title, limits=options.limits)


def _inside(place: Path | str, options: LoadOptions) -> ImageSet | Item | None:
    """The pictures of a folder or zip, or the one file that is there; None where nothing is."""
    if isinstance(place, str):
        one = remote.file_at(place)
        return one if one is not None else remote.load(place, options)
    if place.is_dir():
        return folder.load(place, options)
    if zipped.accepts(place) and place.is_file():
        return zipped.load(place, options)
    return place if os.path.lexists(place) else None
