"""Notes of a study, in sentences: what was claimed, what intervals and verdicts allow for, what was left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from headstart.division import learnt_by_network
from headstart.images.cures import list_cures
from headstart.images.looks import Looks
from headstart.phrases import joined, plural
from headstart.seen import WIDTH, known
from headstart.study.recipe import StudyRecipe
from headstart.study.subsets import Subsets

SEEN = "The network of"
"""What the note begins with that an arm's network had learnt from pictures of the study."""
OVERLAP = 0.2
"""Of the pool: subsets that take more of it are said to overlap."""


def of_claim(pairs: Sequence[tuple[str, str]], before: Sequence[str] = ()) -> list[str]:
    """What was claimed before the data were seen, of one arm against others, in their words.

    `before`: the arms of the claim that this study had, where it is another one now.
    """
    if not pairs:
        return []
    fixed = "" if before else ", fixed in advance,"
    changed = (
        f" It was {before[0]} against {joined(before[1:])} before, so it is not fixed in advance." if before else ""
    )
    return [
        f"The claim{fixed} is {pairs[0][0]} against {joined([other for _, other in pairs])}, over all sizes.{changed} "
        "Single sizes and other pairs are judged more strictly, so that all verdicts together are wrong in 5% of "
        "studies."
    ]


def of_failed_arms(failed: Mapping[str, str]) -> list[str]:
    """Arms that have no result, or none at some sizes, and why, by their words."""
    return [f"The arm {words} failed: {why}" for words, why in failed.items()]


def of_source(arm: str, weights: str, drawn: Subsets) -> list[str]:
    """Pictures of the study that the network of an arm learnt from before, where its weights were trained here."""
    learnt = learnt_by_network(weights)
    if learnt is None:
        return []
    seen = known(np.frombuffer(b"".join(drawn.contents), np.uint8).reshape(-1, WIDTH), learnt)
    tested = int(seen[drawn.test].sum())
    if not seen.any():
        return []
    return [
        f"{SEEN} {arm} ({PurePath(weights).name}) was trained on {int(seen.sum()):,} of the {len(seen):,} pictures of "
        f"this study{f', {tested:,} of them test pictures' if tested else ''}, so "
        f"{'its accuracy here is too good' if tested else 'it knew more of them than the other arms'}."
    ]


def of_failed_fits(arm: str, lost: Mapping[str, int]) -> list[str]:
    """Fits of an arm that failed where others did not, by size."""
    listed = ", ".join(f"{many} with {size}" for size, many in lost.items() if many)
    if not listed:
        return []
    return [
        f"Fits of {arm} that failed where others did not: {listed} per class. A verdict stands only if it is the same "
        "without these repeats."
    ]


def of_overlap(drawn: Subsets, recipe: StudyRecipe) -> list[str]:
    """Sizes whose subsets have many pictures in common."""
    shares = {name: n / drawn.pool for name, n in drawn.sizes.items() if drawn.pool}
    overlapping = [name for name, share in shares.items() if name != "all" and share > OVERLAP]
    if not overlapping or recipe.repeats == 1:
        return []
    return [
        f"Subsets of {joined(overlapping)} per class overlap, because there are only about {drawn.pool:,.0f} to draw "
        "from, so their intervals are wider."
    ]


def of_near_copies(groups: NDArray[np.int64] | None, named: bool) -> list[str]:
    """Test pictures that are near copies of others; `groups` (m,) has a number for each group.

    named: the data say of some pictures that they belong together, which also makes a group.
    """
    if groups is None:
        return []
    alike = int((np.bincount(groups)[groups] > 1).sum())
    what = "belong to a group of the data or are near copies of others" if named else "are near copies of others"
    return [f"{alike:,} test pictures {what}; intervals count each group as one picture."]


def of_repeats(fewest: int, recipe: StudyRecipe) -> list[str]:
    """What few repeats mean for what is said, or fewer of arms that train a network."""
    key, told = "repeats", []
    if fewest < recipe.repeats:
        key = "trained_repeats"
        told.append(
            f"Arms that train a network learnt from {fewest} of the {recipe.repeats} subsets of each size. Two arms "
            "are compared on the subsets that both have, so their difference may be a little off that of their curves."
        )
    if fewest == 1:
        told.append(f"1 subset a size says nothing about other labelled pictures; {key}=5 or more does.")
    elif fewest < 5:
        told.append(f"{fewest} subsets a size make wide intervals; {key}=5 or more narrows them.")
    return told


def of_pictures(drawn: Subsets, looks: Looks, recipe: StudyRecipe) -> list[str]:
    """Which pictures were left out, and what was done with all of them."""
    told = []
    if looks.refused:
        told.append(f"Left out as unusable: {plural(len(looks.refused), 'picture')}, see refused.csv.")
    told += list_cures([*drawn.images.refused, *looks.refused])
    if "all" in drawn.sizes and len(drawn.sizes) > 1 and recipe.repeats > 1:
        told.append(
            "There is one subset of all labelled pictures: it is left out of the verdict over all sizes, and how much "
            "another would differ is taken from the largest size before it."
        )
    told.append(
        "Every arm is fitted on all labelled pictures of a size. Test accuracy by epoch is for you to look at; "
        "nothing was chosen by it."
    )
    return told
