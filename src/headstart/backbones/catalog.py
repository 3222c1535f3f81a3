"""The catalog: the usual families with size and cost, read from `catalog.toml`.

`python -m headstart.backbones.measure` makes the file anew; a test builds rows again and compares.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from importlib.resources import files
from math import inf
from typing import Any

from headstart.backbones import names
from headstart.errors import UnknownName


@dataclass(frozen=True)
class Row:
    """One backbone. Sizes are those of its default weights' input; None where a figure does not apply.

    `parameters` counts the classifier too; `multiply_adds` is of one picture: convolutions, matrix products, attention.
    `top1` is the default weights' published accuracy on ImageNet's validation pictures in per cent, measured at
    pictures of `top1_size` pixels (`published.toml`).
    """

    name: str
    alias: str | None
    input_size: tuple[int, int]
    pooled: int | None
    last_conv: tuple[int, ...] | None
    parameters: int | None
    multiply_adds: int | None
    licence: str
    top1: float | None = None
    top1_size: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values without those that are None."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items() if v is not None}


def catalog_rows() -> tuple[Row, ...]:
    """The rows of the catalog; imports no library."""
    text = files("headstart.backbones").joinpath("catalog.toml").read_text(encoding="utf-8")
    return tuple(_row(values) for values in tomllib.loads(text)["backbone"])


def _unknown_last(figure: float | None) -> float:
    return inf if figure is None else figure


SORTS: dict[str, Callable[[Row], float]] = {
    "accuracy": lambda row: _unknown_last(None if row.top1 is None else -row.top1),
    "speed": lambda row: _unknown_last(row.multiply_adds),
    "size": lambda row: _unknown_last(row.parameters),
}
"""The best first, rows without the figure last. Speed is by multiply-adds; `ranking.bench` measures it."""


def select(
    rows: Iterable[Row], sort: str | None = None, fits: int | None = None, max_params: float | None = None
) -> tuple[Row, ...]:
    """The rows whose own input is at most `fits` pixels high and wide, with at most `max_params` parameters, sorted.

    A row without a count of parameters is left out where one is asked for. Raises UnknownName for another order.
    """
    if sort is not None and sort not in SORTS:
        raise UnknownName("order", sort, SORTS)
    kept = [
        row
        for row in rows
        if (fits is None or max(row.input_size) <= fits)
        and (max_params is None or (row.parameters is not None and row.parameters <= max_params))
    ]
    return tuple(sorted(kept, key=SORTS[sort]) if sort else kept)


def alias_of(architecture: str) -> str | None:
    """The Keras spelling of an architecture, None when it has none."""
    return next((alias for alias, meant in names.ALIASES.items() if meant == architecture), None)


def _row(values: dict[str, Any]) -> Row:
    height, width = values["input_size"]
    return Row(
        name=values["name"],
        alias=values.get("alias"),
        input_size=(height, width),
        pooled=values.get("pooled"),
        last_conv=tuple(values["last_conv"]) if "last_conv" in values else None,
        parameters=values.get("parameters"),
        multiply_adds=values.get("multiply_adds"),
        licence=values["licence"],
        top1=values.get("top1"),
        top1_size=values.get("top1_size"),
    )
