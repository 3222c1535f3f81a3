"""`load`: data as people name them -> `ImageSet`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from PIL import Image

from headstart.errors import DataError, UserError, nearest
from headstart.images.columns import pictures_in
from headstart.images.cures import cured
from headstart.images.decode import DEFAULT_LIMITS, Limits
from headstart.images.imageset import ImageSet
from headstart.images.options import COLUMNS, LoadOptions, Reading
from headstart.images.sources import SOURCES, builtin
from headstart.images.sources.table import is_table
from headstart.paths import expanded
from headstart.phrases import first_of
from headstart.progress import Progress
from headstart.storage import is_address


def load(
    data: Any,
    *,
    labelled: bool = True,
    allow_empty_classes: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    progress: Progress | None = None,
    **reading: Unpack[Reading],
) -> ImageSet:
    """Read a folder, zip, table, `.npz`, folder of IDX files, built-in name, array, or list of paths or pictures.

    A word that is both a built-in name and a folder here is refused as ambiguous: `./mnist` is the folder,
    `builtin:mnist` the data set. Files are listed, not decoded. labelled=False takes every picture without labels;
    for the other settings see `LoadOptions`. Raises `UserError` and its kinds.
    """
    options = LoadOptions(labelled, allow_empty_classes, limits, progress, **reading)
    if isinstance(data, ImageSet):
        return data
    target = _target(data) if isinstance(data, str | os.PathLike) else data
    for name, source in SOURCES.items():
        if source.accepts(target):
            named = [each for each in COLUMNS if getattr(options, each) is not None]
            if name != "table" and named:
                raise UserError(f"{data} is not a table, so it has no columns: leave `{'`, `'.join(named)}` out.")
            return source.load(target, options)
    kinds = "; ".join(source.example for source in SOURCES.values())
    raise DataError(f"Data of type {type(data).__name__} are not supported; use one of these: {kinds}.")


def load_unlabelled(
    pictures: Any, *, limits: Limits = DEFAULT_LIMITS, strict: bool = False, **reading: Unpack[Reading]
) -> ImageSet:
    """Pictures to be named: paths of files and folders, PIL pictures, encoded bytes or arrays, several of them or one.

    An array (h,w) or (h,w,3|4) is one picture. A table, alone, stands for the pictures that its column of images names.

    Raises DataError where none is found and, if `strict`, at the first that is refused.
    """
    pictures = _several(pictures)
    alone = pictures[0] if isinstance(pictures, list | tuple) and len(pictures) == 1 else None
    named = isinstance(alone, str | os.PathLike) and not is_address(alone) and is_table(os.fspath(alone))
    images = load(alone if named else pictures, labelled=False, limits=limits, **reading)
    if strict and images.refused:
        raise images.refused[0].error()
    if not len(images):
        missing = [one.name for one in images.refused if one.reason == "missing-file"]
        if missing:
            raise DataError(f"There is no file or folder {first_of(missing, 3)}.")
        first = f"; the first: {images.refused[0].name} ({images.refused[0].reason})" if images.refused else ""
        raise DataError(
            f"No picture was found in {first_of(list(map(str, pictures)), 3)}{first}.{cured(images.refused)}"
        )
    return images


def _several(pictures: Any) -> Any:
    """One picture as one of several; a column as a list."""
    if isinstance(pictures, str | bytes | os.PathLike | Image.Image):
        return [pictures]
    if isinstance(pictures, np.ndarray) and pictures.dtype.kind in "OUS":
        return pictures_in(pictures)
    if isinstance(pictures, np.ndarray) and (
        pictures.ndim == 2 or (pictures.ndim == 3 and pictures.shape[2] in (3, 4))
    ):
        return pictures[None]
    if isinstance(pictures, ImageSet | np.ndarray | list | tuple):
        return pictures
    return list(pictures_in(pictures))


def _target(data: str | os.PathLike[str]) -> Path | str:
    """A path, an address, or the name of a built-in data set."""
    if isinstance(data, str):
        if not data.strip():
            raise DataError("The data have no name: give a folder, a table, an .npz, or a built-in name.")
        name = data.removeprefix("builtin:")
        if name in builtin.BUILTINS:
            _unambiguous(data, name)
            return name
    if is_address(data):
        return str(data)
    path = expanded(data)
    if not os.path.lexists(path):
        near = nearest(str(data), builtin.BUILTINS)
        hint = f"did you mean '{near[0]}'?" if near else f"built-in names are {', '.join(builtin.BUILTINS)}."
        raise DataError(f"There is no file or folder '{data}', and no built-in data set of that name; {hint}")
    return path


def _unambiguous(data: str, name: str) -> None:
    """Refuse a bare name that is also a folder here, unless it is the very folder that the name stands for."""
    here = Path(name)
    if data != name or not here.exists():
        return
    known = builtin.find(name)
    if known is None or not here.samefile(known):
        raise UserError(
            f"'{name}' is both a folder here and a built-in data set: "
            f"write './{name}' for the folder or 'builtin:{name}' for the data set."
        )
