"""What people hand to an estimator as X and y, brought to pictures and labels: DataFrames, columns, one picture."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from headstart.errors import DataError
from headstart.images.groups import check_groups
from headstart.images.labels import is_missing, one_label_each, without_point
from headstart.images.names import check_whole

Shape = tuple[int, ...]


def pictures_in(X: Any) -> Any:
    """X as `from_arrays` takes it: one column of a DataFrame or an (n,1) array of paths is a list of paths.

    What is gone through once, as a generator, becomes a list. Raises `DataError` where there are several columns, for a
    single path or picture, and for what holds no pictures at all.
    """
    if isinstance(X, str | bytes | os.PathLike | Image.Image):
        raise DataError("X is a single picture or path: give a list, as [X].")
    names = getattr(X, "columns", None)
    if names is not None and hasattr(X, "shape"):  # a DataFrame of pandas or polars
        listed = [str(name) for name in names]
        if len(listed) != 1:
            raise DataError(
                f"X has {len(listed)} columns ({', '.join(listed[:10])}): give the one with the pictures, as "
                f"X['{_likely(listed)}']."
            )
        return list(X[names[0]])
    if isinstance(X, np.ndarray) and X.dtype.kind in "OUS" and X.ndim == 2:
        if X.shape[1] != 1:
            raise DataError(f"X has {X.shape[1]} columns: give the one with the pictures, as X[:, 0].")
        return X[:, 0].tolist()
    if not hasattr(X, "__iter__") and not hasattr(X, "__getitem__"):
        raise DataError(f"Pictures are paths, PIL pictures, encoded bytes or arrays, not {type(X).__name__}.")
    if isinstance(X, Iterator):
        return list(X)
    rows = X if isinstance(X, list | tuple) else ()
    if rows and all(isinstance(row, list | tuple) and len(row) == 1 for row in rows):
        return [row[0] for row in rows]
    return X


def shape_of(X: Any) -> Shape | None:
    """The shape of each picture where X is one array of pixels; None for a list of pictures."""
    return X.shape[1:] if isinstance(X, np.ndarray) and X.dtype.kind not in "OUS" else None


def check_several(X: Any, seen: Shape | None = None) -> None:
    """Raise `DataError` for one picture (h,w,c), or (h,w) after grey pictures, where n pictures are expected.

    `seen` is the shape of the pictures that `fit` saw: n grey pictures of 3 or 4 columns are meant where it saw such.
    """
    shape = getattr(X, "shape", None) if shape_of(X) is not None else None
    if shape is None or shape[1:] == seen:
        return
    if (len(shape) == 3 and shape[2] in (1, 3, 4)) or (len(shape) == 2 and shape == seen):
        raise DataError(
            f"X has shape {shape}, which is one picture and not several: for one, give X[None] (X[0][None] for the "
            "first of several), of shape (1, height, width, channels)."
        )


def labels_in(y: Any) -> NDArray[Any]:
    """y as (n,) labels. Raises `DataError` where labels are missing, with their number, or have several columns."""
    labels = one_label_each(y, "y")
    if labels.ndim != 1:
        raise DataError(f"y must have shape (n,), one label for each picture; got {labels.shape}.")
    missing = _missing(labels)
    if missing.any():
        raise DataError(
            f"y lacks {int(missing.sum()):,} of {len(labels):,} labels (None, NaN or empty), the first in row "
            f"{int(missing.argmax())}: leave these rows out of X and y."
        )
    try:
        distinct = np.unique(labels)
    except TypeError:
        kinds = ", ".join(sorted({type(value).__name__ for value in labels.tolist()}))
        raise DataError(
            f"y mixes labels that do not sort ({kinds}): convert them to one kind, for example with y.astype(str)."
        ) from None
    check_whole((value for value in distinct.tolist() if isinstance(value, str)), "y")
    return labels


def groups_in(groups: Any, n: int) -> NDArray[np.str_] | None:
    """`groups` as the names (n,) of groups, '' of none. Raises `DataError` where they are not one for each picture."""
    if groups is None:
        return None
    names = np.asarray(groups, dtype=object)
    names = names[:, 0] if names.shape[1:] == (1,) else names
    if names.shape != (n,):
        raise DataError(f"groups have shape {names.shape}; give one for each of the {n:,} pictures, shape ({n},).")
    found = np.array(["" if is_missing(value) else str(without_point(value)) for value in names.tolist()], str)
    check_groups(found, "groups")
    return found


def _missing(labels: NDArray[Any]) -> NDArray[np.bool_]:
    if labels.dtype.kind in "biu":
        return np.zeros(len(labels), bool)
    return np.array([is_missing(value) for value in labels.tolist()], bool)


def _likely(names: Sequence[str]) -> str:
    from headstart.images.sources.cells import USUAL, plain

    return next((name for name in names if plain(name) in ("image", *USUAL["image"])), names[0] if names else "image")
