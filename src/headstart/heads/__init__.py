"""Heads: what turns a table of features into class probabilities, in scikit-learn's shape.

`HEADS` is the table; looking a name up imports its module, so `import headstart.heads` costs nothing heavy.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from headstart.errors import UnknownName, UserError, nearest

if TYPE_CHECKING:
    from headstart.heads.base import Head

__all__ = ["HEADS", "Head", "blamed_on", "make_head"]


class HeadTable(Mapping[str, "type[Head]"]):
    """Name -> class of a head; the class is imported when it is looked up."""

    def __init__(self, places: dict[str, str]) -> None:
        self._places = places

    def __getitem__(self, name: str) -> type[Head]:
        if name not in self._places:
            raise KeyError(name)
        module, attribute = self._places[name].split(":")
        found: type[Head] = getattr(importlib.import_module(f"headstart.heads.{module}"), attribute)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


HEADS: Mapping[str, type[Head]] = HeadTable(
    {
        "logistic": "logistic:LogisticHead",
        "mlp": "mlp:MLPHead",
        "linear": "mlp:LinearHead",
        "ridge": "ridge:RidgeHead",
        "knn": "knn:KNNHead",
        "prototype": "prototype:PrototypeHead",
    }
)


def make_head(name: str, /, **params: Any) -> Head:
    """An unfitted head by its name in `HEADS`; unknown names and parameters are refused with the nearest match."""
    if name not in HEADS:
        raise UnknownName("head", name, HEADS)
    cls = HEADS[name]
    known = sorted(cls().get_params())
    for key in params:
        if key not in known:
            near = [name for name in nearest(key, known) if name[0] == key[:1]]  # dropout is not root
            hint = f"did you mean {' or '.join(near)}?" if near else f"it takes: {', '.join(known)}."
            raise UserError(f"Head '{name}' has no parameter '{key}': {hint}")
    _check_numbers(name, cls, params)
    return cls(**params)


def _check_numbers(name: str, cls: type[Head], params: Mapping[str, Any]) -> None:
    """Raise UserError for text where a number, or true or false, belongs."""
    hints = cls.__init__.__annotations__  # as text: to evaluate it would run code while a bundle is read
    for key, value in params.items():
        kinds = {kind.strip() for kind in str(hints.get(key, "")).split("|")} - {"None"}
        if isinstance(value, str) and kinds and kinds <= {"int", "float", "bool"}:
            from headstart.documents import shown

            what = "true or false" if kinds == {"bool"} else "a number"
            raise UserError(f"The head {name} takes {what} for {key}, not {shown(value)}.")


@contextmanager
def blamed_on(name: str, options: Mapping[str, Any]) -> Iterator[None]:
    """Raise UserError for a value among the `options` of the head `name` that the block cannot work with."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if isinstance(error, UserError) or not options:
            raise
        told = ", ".join(f"{key}={value!r}" for key, value in options.items())
        raise UserError(f"The head {name} cannot be fitted with {told}: {error}.") from error


def __getattr__(name: str) -> Any:
    if name == "Head":
        from headstart.heads.base import Head

        return Head
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
