"""Dataclasses to JSON and back. A file may have more keys than are known here: those of later versions are left out."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import field, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from headstart import documents
from headstart.errors import UserError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")
MAX_BYTES = 256 << 20
"""A confusion matrix, or the recall of a thousand classes by many pairs of arms, is no small file."""


def absent() -> Any:
    """A field that is None by default; its key is left out of the file then."""
    return field(default=None, metadata={"absent": True})


class Content:
    """All that is in a file; a dataclass."""

    def to_dict(self) -> dict[str, Any]:
        """As the file has it."""
        content: dict[str, Any] = to_json(self)
        return content


def to_json(value: Any) -> Any:
    """What JSON can hold: a dataclass as a table of its fields, a tuple as a list; `class_` is the key `class`."""
    if is_dataclass(value):
        told = {each: getattr(value, each.name) for each in fields(value)}
        there = {each: inner for each, inner in told.items() if inner is not None or "absent" not in each.metadata}
        return {each.name.rstrip("_"): to_json(inner) for each, inner in there.items()}
    if isinstance(value, Mapping):
        return {key: to_json(inner) for key, inner in value.items()}
    return [to_json(inner) for inner in value] if isinstance(value, list | tuple) else value


def from_json(kind: type[T], values: Any) -> T:
    """The dataclass `kind` of what `to_json` gave. Raises ValueError with one clause that says what is wrong."""
    from pydantic import ValidationError

    if not isinstance(values, dict):
        raise ValueError(f"it holds {documents.shown(values)}, not a table of keys")
    try:
        checked: T = _adapter(cast(Hashable, kind)).validate_python(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"{place}: {first['msg']}" if place else first["msg"]) from None
    return checked


def read(kind: type[T], path: Path, what: str, again: str) -> T:
    """The content of a file.

    Raises:
        UserError: it is missing, so its folder is no finished `what` ("study"), or it is no such file, so that the user
            must `again` ("run `headstart compare` again").
    """
    try:
        return from_json(kind, documents.read(path, MAX_BYTES))
    except NotADirectoryError:
        raise UserError(f"{path.parent} is a file; name the folder of the {what}.") from None
    except FileNotFoundError:
        raise UserError(f"{path.parent} is not a finished {what}: it holds no {path.name}.") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); {again}.") from None


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)
