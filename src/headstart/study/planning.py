"""How many repeats and test pictures a study needs: from a pilot of a few fits, which the study itself uses again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from headstart import outputs
from headstart.division import pictures
from headstart.errors import UserError
from headstart.evidence import power
from headstart.progress import Progress, silent
from headstart.schema.verdicts import Plan
from headstart.study.arms import Arm, arms_of, primary_of
from headstart.study.execute import pilot
from headstart.study.folder import claimed, open_folder
from headstart.study.recipe import StudyRecipe

PILOT = 5
"""Repeats of the pilot: fewer do not tell how much subsets differ."""


def plan(
    recipe: StudyRecipe, out: Path | str | None = None, progress: Progress = silent, *, store: bool = True
) -> tuple[Plan, str]:
    """What finds the recipe's margin in four studies of five, and the pair of arms that tells it, in words.

    The pilot is a study in `out` of the first transfer arm and the source-free one that is quickest to fit; the claim
    that `out` keeps is the whole recipe's. Raises UserError where the recipe has not both.
    """
    arms, folder = arms_of(recipe), open_folder(out, recipe)
    with outputs.given_back(folder):
        names = primary_of(recipe, arms, claimed(folder))
        if not names:
            raise UserError("A plan needs a transfer arm and a source-free one, such as --arms pixels,sprout.")
    two = _quickest([arm for arm in arms if arm.name in names])
    sizes = [size for size in recipe.sizes if size != "all"] or recipe.sizes
    texts = [text for text, arm in zip(recipe.arms, arms, strict=True) if arm in two]
    update = {"arms": texts, "repeats": PILOT, "trained_repeats": None, "sizes": sizes, "primary": None}
    study = pilot(recipe.model_copy(update=update), recipe, folder, progress, store=store)
    if not study.findings.comparisons:
        raise UserError(f"The pilot has nothing to compare. {study.findings.headline}")
    found = study.findings.comparisons[0]
    words = " against ".join(study.findings.arm(name).words for name in (found.first, found.second))
    planned = power.plan(power.spread_of(found, PILOT), recipe.margin)
    return planned if planned.more_pictures is None else replace(planned, had=_had(recipe)), words


def _had(recipe: StudyRecipe) -> int:
    """The labelled pictures of the study's classes that its data have, whatever it is limited to."""
    data = recipe.data.model_copy(update={"allow_empty_classes": True, "limit": None})
    return int((pictures(data, recipe.seed).labels >= 0).sum())


def _quickest(arms: list[Arm]) -> list[Arm]:
    """The first transfer arm and the source-free one that trains no network, where there is one."""
    free = sorted((arm for arm in arms if not arm.transfer), key=lambda arm: arm.trained)
    return [next(arm for arm in arms if arm.transfer), free[0]]
