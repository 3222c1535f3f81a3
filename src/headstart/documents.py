"""JSON that may come from strangers: bounded, strict, and checked against a schema before any of it is used.

Strict means what the standard leaves open: no NaN or infinite numbers, no key twice, not nested without end.
Every function raises ValueError with one clause that says what is wrong.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from headstart.phrases import twice

MAX_BYTES = 4 << 20
"""More than any of our documents but scores.json has; what 4 MiB of JSON become in memory stays under 200 MB."""
MAX_DEPTH = 64
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_BLOCK = 1 << 20
_OPENING, _CLOSING = (np.frombuffer(each, dtype=np.uint8) for each in (b"[{", b"]}"))
_SHOWN = 60

Model = TypeVar("Model", bound="Strict")


class Strict(BaseModel):
    """A table whose keys and types are all known; a number is finite, and text is no number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)


def read(path: Path, limit: int = MAX_BYTES) -> Any:
    """The value in a JSON file of at most `limit` bytes. Raises OSError too."""
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"it is over {limit:,} bytes")
    return parse(data)


def parse(data: bytes) -> Any:
    """The value that the JSON text `data`, in UTF-8, stands for."""
    _check_depth(data)
    try:
        return json.loads(
            data.decode("utf-8"), object_pairs_hook=_table, parse_float=_finite, parse_constant=_no_number
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON: {error}") from error


def holdable(value: Any) -> Any:
    """A value that JSON can hold: numbers that are not finite become None, within tables and lists too."""
    if isinstance(value, dict):
        return {key: holdable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [holdable(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def table(path: Path, limit: int = MAX_BYTES) -> dict[str, Any]:
    """As `read`, where the value must be a table."""
    found = read(path, limit)
    if not isinstance(found, dict):
        raise ValueError(f"it holds {shown(found)}, not a table of keys")
    return found


def checked(model: type[Model], values: Any) -> Model:
    """`values` as the model has them."""
    if not isinstance(values, dict):
        raise ValueError(f"it holds {shown(values)}, not a table of keys")
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ValueError(_clause(error)) from None


def shown(value: Any) -> str:
    """A value in a message: as Python writes it, without control characters, and cut where it is long."""
    if isinstance(value, list | dict):
        return f"a list of {len(value):,}" if isinstance(value, list) else f"a table of {len(value):,}"
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 200:
        return f"a number of {value.bit_length():,} bits"
    text = ascii(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _clause(error: ValidationError) -> str:
    """What is wrong in the first place; what is there and wrong before what lacks."""
    found = sorted(error.errors(include_url=False), key=lambda each: each["type"] == "missing")[0]
    place = ".".join(key if isinstance(key, str) else str(key) for key in found["loc"])
    place = place if len(place) <= _SHOWN and place.isprintable() else shown(place)
    if found["type"] == "missing":
        return f"it lacks '{place}'"
    if found["type"] == "extra_forbidden":
        return f"it has the unknown key '{place}'"
    told = found["msg"].removeprefix("Value error, ")
    if found["type"] == "value_error":  # our own words
        return told if not place else f"{place}: {told}"
    if found["type"] == "string_pattern_mismatch":
        return f"{place} is {shown(found['input'])}, which is not possible"
    return f"{place} is {shown(found['input'])}, but {told[:1].lower()}{told[1:]}"


def _check_depth(data: bytes) -> None:
    """Count brackets outside of strings, in blocks: the parser itself would fall into the deep before it looks."""
    bare, depth = np.frombuffer(_STRING.sub(b"", data), dtype=np.uint8), 0
    for start in range(0, len(bare), _BLOCK):
        block = bare[start : start + _BLOCK]
        steps = np.isin(block, _OPENING).astype(np.int8) - np.isin(block, _CLOSING).astype(np.int8)
        depths = depth + np.cumsum(steps, dtype=np.int32)
        if depths.max() > MAX_DEPTH:
            raise ValueError(f"it is nested more than {MAX_DEPTH} deep")
        depth = int(depths[-1])


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"it has the key {shown(twice(key for key, _ in pairs))} twice")
    return found


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:_SHOWN]} is too large")
    return value


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is not a number")
