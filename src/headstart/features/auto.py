"""The augmentation that goes without saying where a network is trained: chosen by the looks of the pictures."""

from __future__ import annotations

import numpy as np

from headstart.errors import DataError
from headstart.images import ImageSet
from headstart.images.looks import look_at
from headstart.recipe import AUTO, TRAINED, Recipe

SMALL = 96
"""Pixels of the shorter side under which grey pictures are taken for characters, which are never mirrored."""
GREY = 0.9
"""Share of grey pictures from which a set counts as grey."""
LOOKED_AT = 64


def with_augment(recipe: Recipe, images: ImageSet) -> Recipe:
    """The recipe with the augmentation in place of `auto`, where it trains a network on these pictures."""
    asked = recipe.augment
    if recipe.method not in TRAINED or asked.name != AUTO or asked.transform is not None:
        return recipe
    name = "none" if _dear(recipe) and not asked.views and asked.tta == 1 else fitting(images)
    return recipe.model_copy(update={"augment": asked.model_copy(update={"name": name})})


def _dear(recipe: Recipe) -> bool:
    """Whether a frozen part of the network would have to run for every view: that gains too little."""
    return recipe.method == "finetune" and recipe.training.unfreeze != "all"


def fitting(images: ImageSet) -> str:
    """`digits` for small grey pictures, which it never mirrors; `light` for all others."""
    try:
        looks = look_at(images.take(np.unique(np.linspace(0, len(images) - 1, LOOKED_AT).astype(int))))
    except DataError:
        return "light"
    return "digits" if looks.side < SMALL and looks.grey_share >= GREY else "light"
