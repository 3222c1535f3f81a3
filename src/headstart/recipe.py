"""Recipe: every choice of a run in one value that is written to TOML, read back, and repeats the run.

Unknown keys are refused with the nearest one. A key left out has the default shown here.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal, Self

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from headstart.documents import shown
from headstart.errors import UnknownName, UserError
from headstart.paths import expanded

AUTO = "auto"
"""The augmentation that is chosen by the looks of the pictures."""


class Section(BaseModel):
    """A table of TOML with known keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)


class Document(Section):
    """A whole TOML file of such tables: written, read back, and refused with one sentence where it is not right."""

    def to_toml(self) -> str:
        """The values as TOML; keys without a value are left out."""
        return tomli_w.dumps(self.model_dump(exclude_none=True))

    @classmethod
    def from_toml(cls, text: str, where: str = "recipe") -> Self:
        """Read TOML; raises UserError with one sentence that names the key, what is wrong, and the nearest key."""
        try:
            values = tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{where} is not valid TOML: {error}.") from error
        return cls.from_dict(values, where)

    @classmethod
    def from_dict(cls, values: dict[str, Any], where: str = "recipe") -> Self:
        """Check nested plain values; raises UserError as `from_toml` does, which names parameters if `where` is ""."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise _explain(cls, error, where) from None

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file."""
        path = expanded(path)
        if path.is_dir():
            raise UserError(f"The recipe {path} is a folder; name a file, as {path / 'recipe.toml'}.")
        try:
            return cls.from_toml(path.read_text(encoding="utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"The recipe {path} cannot be read: {error}.") from error


class DataRecipe(Section):
    """Which pictures, and how they are divided."""

    source: str
    """A folder, table, IDX folder, `.npz` or built-in name."""
    classes: list[str] | None = None
    """Only these classes, by name."""
    limit: int | None = Field(default=None, ge=1)
    """At most this many pictures in all, stratified by part and class."""
    train_per_class: int | None = Field(default=None, ge=1)
    """This many labelled pictures of each class beside the test part."""
    evaluate: Literal["auto", "holdout", "cv"] = "auto"
    """Where the data bring no test part: `cv` judges by cross-validation, `holdout` by a fifth of the pictures that is
    kept apart; `auto` is `cv` for a head on fewer than 2,000 labelled pictures, else `holdout`."""
    split: str | None = None
    """A `split.csv` of an earlier run to use again."""
    test: str | None = None
    """A separate source whose pictures are the test set."""
    max_pixels: int = Field(default=50_000_000, ge=1)
    """A file with more pixels than this is refused before it is decoded."""
    decode: Literal["exact", "fast"] = "exact"
    """`fast` decodes a large JPEG to a smaller size, at least twice the network's input; see decision 46."""
    strict: bool = False
    """Stop at the first picture that cannot be used instead of leaving it out."""
    allow_empty_classes: bool = False
    """Accept class folders without pictures."""
    follow_links: bool = False
    """Follow links that lead out of the folder."""
    image_column: str | None = None
    """The column of a table that has the pictures, where it is not called `image`."""
    label_column: str | None = None
    """The column of a table that has the labels, where it is not called `label`."""
    split_column: str | None = None
    """The column of a table that has the parts, where it is not called `split`."""
    group_column: str | None = None
    """The column of a table that says which pictures belong together, where it is not called `group`."""

    def reading(self) -> dict[str, Any]:
        """What is said of how to read the source, as keyword arguments of `images.load`."""
        return self.model_dump(include=READING)


READING = {"follow_links", "image_column", "label_column", "split_column", "group_column"}
"""What a recipe says of how to read its data."""


class BackboneRecipe(Section):
    """Which network gives the features, and from which layer."""

    name: str = "mobilenetv2_100"
    weights: str = "pretrained"
    """`pretrained` (its own: ImageNet's for those of libraries), `none` (random, seeded), or a file."""
    layer: str = "auto"
    """`pooled`, `last_conv`, `cls`, `mean`, a named layer, or `A+B`; `auto`: what the network's authors probe with."""
    image_size: int | None = Field(default=None, ge=1)
    """Side of the network's input in pixels; chosen by the size rule when left out."""
    grey: Literal["repeat", "first", "colormap"] | None = None
    """How grey pictures fill three channels, see `Preprocess`; as the weights expect, `repeat`, when left out."""


class EngineRecipe(Section):
    """What runs the network."""

    name: Literal["auto", "openvino", "torch"] = "auto"
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["float32", "mixed", "int8"] = "float32"
    """`mixed` on a GPU; `int8` on a CPU, calibrated on the training pictures (decision 39)."""


class HeadRecipe(Section):
    """What is trained on the features."""

    name: str = "logistic"
    class_weight: Literal["none", "balanced"] = "none"
    options: dict[str, Any] = Field(default_factory=dict)
    """Parameters of the head, such as `C = 0.1` or `hidden = [512]`."""


TRAINED = ("finetune", "scratch")
"""Methods that train the network too; with the others all that is trained is the head."""


LARGEST = 1e30
"""Of a rate or a weight of a penalty: far beyond any that trains, and what single precision can hold."""


class TrainingRecipe(Section):
    """How a network is trained, with `method` `finetune` or `scratch`; what is left out is chosen by rules of size."""

    unfreeze: int | str | None = None
    """The last N blocks with weights, `all`, or the name of the first block to train; 3 when left out."""
    epochs: int | None = Field(default=None, ge=1)
    batch_size: int | None = Field(default=None, ge=1)
    optimiser: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float | None = Field(default=None, gt=0, le=LARGEST)
    """Of the new top and the highest rate of all; see `layer_decay`."""
    weight_decay: float = Field(default=1e-2, ge=0, le=LARGEST)
    """On weight matrices and kernels, never on biases and norms."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Of sgd."""
    layer_decay: float | None = Field(default=None, gt=0, le=1)
    """Each block further from the top learns at this times the rate of the one above it."""
    l2sp: float | None = Field(default=None, ge=0, le=LARGEST)
    """Draws the blocks back to the weights they came with (L2-SP), in place of weight decay."""
    gradual: int = Field(default=0, ge=0)
    """Blocks begin to learn one after another, this many epochs apart, from the top; 0: all at once."""
    batchnorm: Literal["frozen", "trained"] | None = None
    """Whether batch normalisations of trained blocks keep their stored statistics."""
    head_first: bool | None = None
    """Solve the top on frozen features before the first update (LP-FT)."""
    blend: bool | None = None
    """Mix the weights before and after fine-tuning as validation likes best (WiSE-FT)."""
    warmup: float = Field(default=0.1, ge=0, lt=1)
    """The share of all steps in which the rate rises; then it falls along a cosine."""
    clip: float = Field(default=1.0, ge=0, le=LARGEST)
    """The largest norm of the gradient; 0: any."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """The share of a label that is spread over all classes."""
    mixup: float | None = Field(default=None, ge=0, le=LARGEST)
    ema: float = Field(default=0.0, ge=0, lt=1)
    """Decay of a moving average of the weights that is used in their place; 0: none."""
    patience: int | None = Field(default=None, ge=0)
    """Epochs without a lower validation loss after which training stops; 0: never."""
    sampler: Literal["shuffle", "balanced"] = "shuffle"
    """`balanced` draws every class as often as the others."""
    threads: int | None = Field(default=None, ge=1, le=1024)
    """On the CPU; measured when left out."""
    find_rate: bool = False
    """Try learning rates on a copy of the network first, and draw what they did."""
    disk_gb: float = Field(default=10.0, ge=0, le=LARGEST)
    """Stored activations may take this much; what would take more is computed anew in every epoch."""


class VariedRecipe(Section):
    """How training pictures are varied."""

    name: str = AUTO
    """`auto`, `none`, `light`, `strong`, `digits`, or the name of the transforms below. `auto` is none for a head on a
    frozen network; a method that trains the network chooses by the looks of the pictures."""
    transform: list[dict[str, Any]] | None = None
    """Transforms in order, `[[augment.transform]]`, in place of those of the name."""
    views: int | None = Field(default=None, ge=0, le=1000)
    """Views of each training picture beside the plain one; 0: fresh ones every epoch."""


class AugmentRecipe(VariedRecipe):
    """How training pictures are varied, and how many views of a picture are averaged at the test."""

    tta: int = Field(default=1, ge=1, le=1000)
    """Views of a picture, the plain one among them, whose probabilities are averaged; 1: the plain one alone."""


class Recipe(Document):
    """Every choice of a run.

    `method` is `features` (a frozen backbone), `pixels` (the raw-pixel arm), `finetune` (some or all blocks of the
    backbone are trained on) or `scratch` (all of it, from random weights).

    >>> recipe = Recipe.from_dict({"method": "pixels", "data": {"source": "digits"}})
    >>> recipe.head.name
    'logistic'
    >>> Recipe.from_toml(recipe.to_toml()) == recipe
    True
    >>> Recipe.from_dict({"data": {"source": "digits", "limits": 100}})
    Traceback (most recent call last):
    headstart.errors.UnknownName: Unknown key 'limits': did you mean limit? (in recipe, section data)
    """

    version: Literal[1] = 1
    method: Literal["features", "pixels", "finetune", "scratch"] = "features"
    seed: int = Field(default=0, ge=0, lt=2**63)
    data: DataRecipe
    backbone: BackboneRecipe = Field(default_factory=BackboneRecipe)
    engine: EngineRecipe = Field(default_factory=EngineRecipe)
    head: HeadRecipe = Field(default_factory=HeadRecipe)
    training: TrainingRecipe = Field(default_factory=TrainingRecipe)
    augment: AugmentRecipe = Field(default_factory=AugmentRecipe)


def _explain(document: type[Document], error: ValidationError, where: str) -> UserError:
    first = error.errors()[0]
    *path, key = [str(part) for part in first["loc"]] or ["recipe"]
    if first["type"] == "extra_forbidden":
        section = document.model_fields.get(path[0]) if path else None
        model = section.annotation if section is not None else document
        known = (
            model.model_fields if isinstance(model, type) and issubclass(model, BaseModel) else document.model_fields
        )
        if not where:
            return UnknownName(f"setting of {path[0]}" if path else "setting", key, known)
        return UnknownName("key", key, known, f"(in {where}{', section ' + path[0] if path else ''})")
    if first["type"] == "missing":
        return UserError(f"{where or 'The recipe'}: {'.'.join([*path, key])} is missing.")
    value, wrong = shown(first["input"]), first["msg"].lower().replace("input should", "it should")
    if meant := _meaning(document, first["loc"]):
        wrong = f"{wrong}; {meant}"
    if not where:
        return UserError(f"{_parameter(document, first['loc'])}={value} is not possible: {wrong}.")
    return UserError(f"{where}: {'.'.join([*path, key])} = {value} is not possible: {wrong}.")


def _meaning(document: type[Document], place: tuple[int | str, ...]) -> str | None:
    """What a key of the document itself means, where it says so (`description`)."""
    field = document.model_fields.get(str(place[0])) if place else None
    return field.description if field else None


def _parameter(document: type[Document], place: tuple[int | str, ...]) -> str:
    """What a function calls a key of a recipe: `limit`, `training.epochs`; `engine` where it is the section's name."""
    model: Any = document
    path: list[str] = []
    for part in place:  # behind a list or a union come its places and its types
        if not (isinstance(model, type) and issubclass(model, BaseModel) and part in model.model_fields):
            break
        path.append(str(part))
        model = model.model_fields[str(part)].annotation
    *outer, key = path or ["recipe"]
    if not outer or outer[0] == "training":
        return ".".join([*outer, key])
    return {"name": outer[0], "source": outer[0], "options": f"{outer[0]}_options"}.get(key, key)
