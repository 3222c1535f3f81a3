"""What callers give, checked before any work: each wrong value is told by its parameter."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from inspect import signature
from numbers import Integral, Real
from typing import Any, NoReturn, ParamSpec, TypeVar

from headstart.errors import UnknownName, UserError

P = ParamSpec("P")
R = TypeVar("R")


def known_parameters(function: Callable[P, R]) -> Callable[P, R]:
    """The function, which tells a parameter that it does not have: the nearest, or the one that this is a setting of.

    >>> @known_parameters
    ... def draw(*, colour: str = "red") -> str:
    ...     return colour
    >>> draw(color="blue")
    Traceback (most recent call last):
    headstart.errors.UnknownName: Unknown parameter of draw 'color': did you mean colour?
    """

    @wraps(function)
    def checked(*given: P.args, **named: P.kwargs) -> R:
        known = tuple(signature(function).parameters)
        for name in named:
            if name not in known:
                raise _unknown(function.__name__, name, known, named)
        return function(*given, **named)

    return checked


def _unknown(function: str, name: str, known: Sequence[str], named: Mapping[str, Any]) -> UserError:
    """What to write in place of a parameter that a function does not have."""
    from headstart.heads import HEADS
    from headstart.recipe import TrainingRecipe

    if "training" in known and name in TrainingRecipe.model_fields:
        return UserError(
            f"`{function}` has no parameter {name}: it is a setting of a network that is trained, so give "
            f"training={{{name!r}: {named[name]!r}}}."
        )
    head = str(named.get("head", "logistic"))
    if "head_options" in known and head in HEADS and name in HEADS[head]().get_params():
        return UserError(
            f"`{function}` has no parameter {name}: it is a setting of the head {head}, so give "
            f"head_options={{{name!r}: {named[name]!r}}}."
        )
    return UnknownName(f"parameter of {function}", name, known)


def refuse_unserved(what: str, missing: ModuleNotFoundError) -> NoReturn:
    """Raise UserError: the extra that serves pages, for which `what` asks, is not installed."""
    raise UserError(
        f"{what} needs {missing.name}, which is not installed: pip install 'headstart[serve]'."
    ) from missing


def check_whole(least: int = 1, *, optional: bool = False, **given: Any) -> None:
    """Raise UserError for what is no whole number of at least `least`, nor None where that is `optional`.

    >>> check_whole(folds=2.5)
    Traceback (most recent call last):
    headstart.errors.UserError: folds=2.5 is not possible: give a whole number of 1 or more.
    """
    for name, value in given.items():
        if value is None and optional:
            continue
        if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
            raise UserError(f"{name}={value!r} is not possible: give a whole number of {least} or more.")


def check_share(**given: Any) -> None:
    """Raise UserError for what is neither None nor a number above 0 and below 1."""
    for name, value in given.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < 1):
            raise UserError(f"{name}={value!r} is not possible: give a share above 0 and below 1, such as 0.95.")


def check_flags(**given: Any) -> None:
    """Raise UserError for what is neither True nor False: the text 'no' would count as true.

    >>> check_flags(store="no")
    Traceback (most recent call last):
    headstart.errors.UserError: store='no' is not possible: give True or False.
    """
    for name, value in given.items():
        if value not in (True, False):
            raise UserError(f"{name}={value!r} is not possible: give True or False.")


def listed(name: str, given: Any) -> list[Any]:
    """A list or tuple as a list, and text with commas as what is between them. Raises UserError for others, and none.

    What has a comma itself is in double quotes, as in a table.

    >>> listed("classes", "7, 8")
    ['7', '8']
    >>> listed("classes", '"ants, red", bees')
    ['ants, red', 'bees']
    """
    if isinstance(given, str):
        cells = next(csv.reader([given], skipinitialspace=True), []) if '"' in given else given.split(",")
        given = [part.strip() for part in cells if part.strip()]
    if not isinstance(given, Sequence):
        raise UserError(f"`{name}` must be a list, or text with commas, not {type(given).__name__}.")
    if not len(given):
        raise UserError(f"`{name}` is empty: name at least one.")
    return list(given)


def names(name: str, given: Any) -> list[str] | None:
    """The same of names; None stays."""
    return None if given is None else [str(each) for each in listed(name, given)]
