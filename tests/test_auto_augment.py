"""Which augmentation a network is trained with where none is named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from headstart.errors import UserError
from headstart.features.auto import with_augment
from headstart.features.views import views_of
from headstart.images import from_arrays
from headstart.recipe import Recipe
from headstart.study.arms import arms_of
from headstart.study.recipe import StudyRecipe

GREY = np.random.default_rng(0).integers(0, 256, (6, 28, 28), dtype=np.uint8)
COLOUR = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
LARGE = np.random.default_rng(0).integers(0, 256, (6, 120, 100), dtype=np.uint8)


def recipe(method: str = "scratch", **sections: Any) -> Recipe:
    return Recipe.from_dict({"method": method, "data": {"source": "pictures"}, **sections})


def chosen(pictures: NDArray[np.uint8], asked: Recipe) -> str:
    return with_augment(asked, from_arrays(pictures, list("abcabc"))).augment.name


@pytest.mark.parametrize(
    ("pictures", "name"),
    [(GREY, "digits"), (np.repeat(GREY[..., None], 3, 3), "digits"), (COLOUR, "light"), (LARGE, "light")],
    ids=["small grey", "grey stored as colour", "colour", "large grey"],
)
def test_small_grey_pictures_are_never_mirrored_and_all_others_vary_as_photographs_do(
    pictures: NDArray[np.uint8], name: str
) -> None:
    assert chosen(pictures, recipe()) == name
    assert chosen(pictures, recipe("finetune", training={"unfreeze": "all"})) == name


def test_with_a_frozen_part_pictures_are_left_as_they_are_unless_views_are_asked_for() -> None:
    assert chosen(COLOUR, recipe("finetune")) == "none"
    assert chosen(COLOUR, recipe("finetune", augment={"views": 2})) == "light"
    assert chosen(COLOUR, recipe("features")) == "auto"
    assert views_of(recipe("features")) == views_of(recipe("features", augment={"name": "none"}))


def test_what_was_named_is_kept() -> None:
    for name in ("none", "strong"):
        assert chosen(GREY, recipe(augment={"name": name})) == name


def test_views_of_a_frozen_network_still_need_a_name() -> None:
    with pytest.raises(UserError, match="views=2 needs an augmentation"):
        views_of(recipe("features", augment={"views": 2}))


def test_in_a_study_only_arms_that_train_a_network_vary_their_pictures() -> None:
    arms = ["pixels", "scratch", "sprout", "sprout+finetune"]
    for asked in ({}, {"augment": {"name": "none"}}):
        study = StudyRecipe.from_dict({"data": {"source": "digits"}, "arms": arms, **asked})
        names = {arm.name: arm.recipe.augment.name for arm in arms_of(study)}
        assert names["pixels"] == names["sprout"] == "none"
        assert names["scratch"] == names["sprout+finetune"] == ("none" if asked else "auto")
