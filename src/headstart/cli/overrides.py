"""`--set KEY=VALUE` of `headstart run`: values of a recipe replaced, every key checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from headstart.cli.fit import options
from headstart.errors import UnknownName, UserError
from headstart.paths import absolute, absolute_network
from headstart.ranking.recipe import RankingRecipe
from headstart.recipe import TRAINED, Document, Recipe
from headstart.study.recipe import StudyRecipe

EXAMPLE = "--set limit=500"
Values = dict[str, Any]
SHORT: Mapping[type[Document], Mapping[str, str]] = {
    Recipe: {
        "data": "data.source",
        "limit": "data.limit",
        "backbone": "backbone.name",
        **{key: f"backbone.{key}" for key in ("weights", "layer", "grey", "image_size")},
        **{key: f"training.{key}" for key in ("epochs", "unfreeze")},
    },
    StudyRecipe: {"data": "data.source", "limit": "data.limit", "epochs": "training.epochs"},
    RankingRecipe: {},
}
"""What is short for which full key; a key that is its own full one is not listed."""
ONE_NAME = {"backbone": "name", "weights": "weights", "layer": "layer"}
"""Keys that replace a part of every backbone, where a recipe names several."""
OTHER_PICTURES = ("data.source", "data.classes", "data.limit", "data.train_per_class", "data.test")
PATHS = {
    **dict.fromkeys(("data", "data.source", "data.test", "data.split", "backbone.weights"), absolute),
    "backbone.name": absolute_network,
}
"""Keys whose values are paths, and how each becomes absolute."""


def overridden(recipe: Document, pairs: list[str]) -> Document:
    """The recipe with the values of `pairs`, each KEY=VALUE; paths become absolute.

    Raises UnknownName with the nearest keys, and UserError for a value that is not possible.
    """
    given = options(pairs, EXAMPLE)
    if not given:
        return recipe
    short = SHORT[type(recipe)]
    full = {short.get(key, key): value for key, value in given.items()}
    parts = {ONE_NAME[key]: full.pop(key) for key in ONE_NAME if key in full and not isinstance(recipe, Recipe)}
    known = dict(_fields(type(recipe)))
    for key in full:
        if key not in known and not key.startswith("head.options."):
            raise UnknownName("key", key, [*_short(recipe), *known], "(in --set)")
    values = recipe.model_dump(exclude_none=True)
    if isinstance(recipe, Recipe):
        _check(str(full.get("method", recipe.method)), full)
        if any(key in OTHER_PICTURES for key in full):
            values["data"].pop("split", None)  # a split lists the pictures that it divides
    for key, value in full.items():
        _put(values, key, _value(known.get(key), PATHS[key](value) if key in PATHS else value))
    _rewrite(values, {key: absolute(str(value)) for key, value in parts.items()})
    return type(recipe).from_dict(values, "--set")


def _check(method: str, full: Values) -> None:
    """Raise UserError for values without effect."""
    for key in full:
        if method == "pixels" and key.startswith("backbone.") and key != "backbone.image_size":
            raise UserError(f"--set {key}: raw pixels need no network; leave it out, or add --set method=features.")
        if method not in TRAINED and key.startswith("training."):
            raise UserError(f"--set {key} is for training a network; add --set method=finetune (or scratch).")


def _short(recipe: Document) -> list[str]:
    return [*SHORT[type(recipe)], *([] if isinstance(recipe, Recipe) else ONE_NAME)]


def _fields(model: type[BaseModel], before: str = "") -> Iterator[tuple[str, Any]]:
    """Every key in full with the type of its value."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _fields(kind, f"{before}{name}.")
        elif f"{before}{name}" != "head.options":
            yield f"{before}{name}", kind


def _value(kind: Any, value: Any) -> Any:
    """`7,8` -> ['7', '8'] where a list of names is wanted, `5,all` -> [5, 'all'] where one of sizes is."""
    if "list[" not in str(kind) or "list[dict" in str(kind):
        return value
    texts = [str(each).strip() for each in (value if isinstance(value, list) else str(value).split(","))]
    return texts if "list[str]" in str(kind) else [int(each) if each.isdecimal() else each for each in texts]


def _put(values: Values, key: str, value: Any) -> None:
    *sections, name = key.split(".")
    for section in sections:
        values = values.setdefault(section, {})
    values[name] = value


def _rewrite(values: Values, parts: Mapping[str, str]) -> None:
    """Replace parts of every backbone that a study or a ranking names."""
    from headstart.backbones.spelling import parse, spell
    from headstart.study.arms import rewritten

    ways: dict[str, Callable[[str], str]] = {
        "arms": lambda arm: rewritten(arm, dict(parts)),
        "backbones": lambda text: spell(parse(text) | dict(parts)),
    }
    for key, way in ways.items():
        if key in values:
            values[key] = list(dict.fromkeys(map(way, values[key])))
