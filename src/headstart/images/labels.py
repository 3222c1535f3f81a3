"""Labels as they come, names or numbers, as indices into the names of classes."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError
from headstart.images.names import check_twins, check_whole, escape, natural_sort, nfc


def encode(
    labels: Any, classes: Sequence[str] | None, n: int, where: str = "labels"
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """n labels -> (index (n,) into the classes, classes in natural order); -1 for None, NaN and ''.

    With `classes`, integer labels are positions in that list; otherwise a label's text is its class.
    """
    if labels is None:
        return np.full(n, -1, np.int64), ()
    array = one_label_each(labels, where)
    if array.shape != (n,):
        raise DataError(f"{where} must have shape ({n},), one for each picture; got {array.shape}.")
    distinct, inverse = _distinct(array)
    texts = [_text(value, classes, where) for value in distinct]
    names = natural_sort(text for text in texts if text is not None)
    check_twins(names, where)
    position = {name: k for k, name in enumerate(names)}
    index = np.array([-1 if text is None else position[text] for text in texts], np.int64)
    return index[inverse], names


def is_missing(value: Any) -> bool:
    """Whether a label or a cell stands for nothing: None, NaN, pandas' NA and NaT, or ''."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return value == "" if isinstance(value, str) else isinstance(value, float | np.floating) and math.isnan(value)


def without_point(value: Any) -> Any:
    """A label as it is, but a whole number of a column with gaps, which makes floats of all, as an int."""
    return int(value) if isinstance(value, float | np.floating) and value.is_integer() else value


def whole(text: str) -> str:
    """The same as text: `12` of `12.0`, other text as it is."""
    return re.sub(r"^(-?[0-9]+)\.0+$", r"\1", text)


def one_label_each(labels: Any, where: str = "labels") -> NDArray[Any]:
    """Labels (n,), (n,1) or a DataFrame of one column -> (n,). Raises `DataError` with the cure for one-hot rows."""
    try:
        array = np.asarray(labels)
    except ValueError:  # lists of several lengths
        raise DataError(f"{where} have several labels for a picture: give one for each, as text.") from None
    if array.dtype.kind == "U" and isinstance(labels, list | tuple) and any(map(is_missing, labels)):
        array = np.array(labels, dtype=object)  # as text, NaN would be a class `nan`
    if array.ndim == 2 and array.shape[1] == 1:
        return array[:, 0]
    if array.ndim == 2:
        raise DataError(
            f"{where} have shape {array.shape}, {array.shape[1]} columns: give one label for each picture, shape "
            f"({array.shape[0]},), as labels.argmax(axis=1) makes them of one-hot rows."
        )
    return array


def _distinct(array: NDArray[Any]) -> tuple[list[Any], NDArray[np.int64]]:
    if array.dtype != object:
        values, inverse = np.unique(array, return_inverse=True)
        return values.tolist(), inverse
    seen: dict[tuple[bool, str], tuple[int, Any]] = {}
    inverse = np.array([seen.setdefault((is_missing(v), str(v)), (len(seen), v))[0] for v in array.tolist()], np.int64)
    return [value for _, value in seen.values()], inverse


def _text(value: Any, classes: Sequence[str] | None, where: str) -> str | None:
    """The class name that one label stands for; None for no label."""
    if is_missing(value):
        return None
    value = without_point(value)
    if classes is None or not isinstance(value, int):
        return _name(value, where)
    if not 0 <= value < len(classes):
        raise DataError(f"{where}: label {value} is not a valid index into the {len(classes)} class names.")
    return _name(classes[value], where)


def _name(value: Any, where: str) -> str:
    """The text of a label as the name of a class."""
    text = str(value)
    check_whole([text], where)
    return escape(nfc(text))
