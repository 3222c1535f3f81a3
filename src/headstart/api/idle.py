"""Choices that would do nothing are refused before any work: who asks for a thing expects that it was done.

A recipe that is read from a file is not refused: it writes down the defaults as well, and those of older versions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headstart.errors import UserError
from headstart.heads import HEADS
from headstart.phrases import joined
from headstart.recipe import AUTO, TRAINED, BackboneRecipe, EngineRecipe

if TYPE_CHECKING:
    from headstart.recipe import Recipe
    from headstart.study.recipe import StudyRecipe

OF_THE_TOP = ("hidden", "dropout", "class_weight")
"""Parameters of a head that shape a top, which is trained with the network from the first step."""


def check_fit(recipe: Recipe) -> None:
    """Raise UserError for choices that the method does not use."""
    method, training, options = recipe.method, recipe.training.model_fields_set, recipe.head.options
    if training and method not in TRAINED:
        named = ", ".join(sorted(training))
        raise UserError(
            f"{named}: only for training a network; add method=finetune (or scratch){_of_the_head(recipe)}."
        )
    if method == "pixels":
        backbone, engine = BackboneRecipe(), EngineRecipe()
        used = {
            "backbone": "name" in recipe.backbone.model_fields_set,
            "weights": recipe.backbone.weights != backbone.weights,
            "layer": recipe.backbone.layer != backbone.layer,
            "grey": recipe.backbone.grey != backbone.grey,
            "engine": recipe.engine.name != engine.name,
            "precision": recipe.engine.precision != engine.precision,
        }
        if idle := [f"`{name}`" for name, given in used.items() if given]:
            raise UserError(f"method=pixels uses no network; leave {' and '.join(idle)} out, or choose another method.")
    if method == "scratch" and (idle := [name for name in options if name not in OF_THE_TOP]):
        raise UserError(
            f"{', '.join(idle)}: only for a head that is fitted on features; with method=scratch the head is trained "
            "with the network, with the settings in `train`."
        )


def _of_the_head(recipe: Recipe) -> str:
    """How to give a head what it has under the same name as the training of a network."""
    if recipe.head.name not in HEADS:
        return ""
    own = sorted(recipe.training.model_fields_set & HEADS[recipe.head.name]().get_params().keys())
    values = joined([f"head_options.{name}={getattr(recipe.training, name)}" for name in own])
    return f", or give the head its own with {values}" if own else ""


def check_study(recipe: StudyRecipe) -> None:
    """Raise UserError for choices that no arm uses."""
    from headstart.study.arms import arms_of

    training, fewer, vary = recipe.training.model_fields_set, recipe.trained_repeats, recipe.augment
    if not any(arm.trained for arm in arms_of(recipe)):
        idle = [
            words
            for words, given in (
                (", ".join(sorted(training)), training),
                (f"trained_repeats={fewer}", fewer is not None),
                (f"augment={vary.name}", vary.name != AUTO or vary.transform is not None),
            )
            if given
        ]
        if idle:
            raise UserError(f"{idle[0]}: only for arms that train a network; add scratch, or NAME+finetune, to `arms`.")
    if fewer is not None and fewer > recipe.repeats:
        raise UserError(
            f"trained_repeats={fewer} is more than repeats={recipe.repeats}: it is how many of these repeats are used "
            "for arms that train a network."
        )
