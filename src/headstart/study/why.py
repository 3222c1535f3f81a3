"""Experiments that test a reason: the transfer arm of the claim once more, with one choice changed.

A reason of `evidence.reasons` is a condition that often goes with weak transfer. Here what it blames is changed, on the
same pictures, and the difference that this makes is judged like one of arms; stored features are used again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from headstart import records
from headstart.errors import HeadstartError, UserError
from headstart.evidence.answers import Answers
from headstart.evidence.pairwise import Pair, compare_all
from headstart.evidence.phrases import signed
from headstart.phrases import percent
from headstart.preprocess import SMALL
from headstart.progress import Progress, silent
from headstart.schema.verdicts import FILE, Comparison
from headstart.study.arms import GREYS, arms_of, primary_of
from headstart.study.execute import Study, compare
from headstart.study.recipe import StudyRecipe
from headstart.study.results import common, grouped
from headstart.study.subsets import subsets

FOLDER = "why"
LAYER = "last_conv"
"""The layer that stands for another one: where things are in a picture, which the pooled means no longer say."""


NO_FEATURES = (
    "`why` changes one choice at a time of a transfer arm with frozen features, and this study compares none; add one "
    "to `arms`, such as sprout, before those that train a network."
)


def check(recipe: StudyRecipe) -> None:
    """Raise UserError, before any fit, where the recipe's claim is about no frozen features."""
    _features(recipe, next(iter(primary_of(recipe, arms_of(recipe))), ""))


def _features(recipe: StudyRecipe, name: str) -> str:
    """How the recipe writes the arm of this name. Raises UserError where it has no frozen features."""
    for text, arm in zip(recipe.arms, arms_of(recipe), strict=True):
        if arm.name == name and arm.recipe.method == "features":
            return text
    raise UserError(NO_FEATURES)


@dataclass(frozen=True)
class Experiment:
    """One choice changed: what it is called, in words, and the values of the recipe that differ."""

    name: str
    words: str
    change: Mapping[str, Any]


def why(recipe: StudyRecipe, study: Study, progress: Progress = silent, *, store: bool = True) -> Study:
    """The study with what each experiment came to, a sentence each, which its verdicts.json then has too.

    Raises UserError as `check` does.
    """
    claim = study.findings.study.primary
    first = claim[0].first if claim else ""
    text = _features(recipe, first)
    told, found = [], {}
    for each in experiments(recipe, text):
        changed = recipe.model_copy(update={"arms": [text], "primary": None, **each.change})
        try:
            found[each.words] = compare(changed, study.folder / FOLDER / each.name, progress, store=store)
        except HeadstartError as error:
            told.append(f"With {each.words}: not possible ({error})")
    told = [*_judged(recipe, study, first, found), *told]
    known = replace(study.findings, experiments=tuple(told))
    records.write_json(study.folder / FILE, known.to_dict())
    return replace(study, findings=known)


def experiments(recipe: StudyRecipe, text: str) -> list[Experiment]:
    """Another scaling of the features, another layer, another size of the pictures, other ways to show grey ones."""
    options = dict(recipe.head.options)
    found = []
    if recipe.head.name == "logistic":
        scaled = bool(options.get("standardise", True))
        head = recipe.head.model_copy(update={"options": options | {"standardise": not scaled}})
        found.append(Experiment("scale", f"features {'not ' if scaled else ''}standardised", {"head": head}))
    name = re.match(r"[^@:+]+", text)
    if name and not text[name.end() :].startswith(":"):
        other = f"{name[0]}:{LAYER}{text[name.end() :]}"
        found.append(Experiment(f"layer-{LAYER}", f"features of the layer {LAYER}", {"arms": [other]}))
    side = SMALL[0] if recipe.image_size != SMALL[0] else 2 * SMALL[0]
    found.append(Experiment(f"size-{side}", f"pictures shown at {side} pixels", {"image_size": side}))
    if "+grey=" not in text:
        found += [
            Experiment(f"grey-{policy}", words, {"arms": [f"{text}+grey={policy}"]})
            for policy, words in GREYS.items()
            if policy != "repeat"
        ]
    return found


def _judged(recipe: StudyRecipe, study: Study, first: str, found: Mapping[str, Study]) -> list[str]:
    """The difference of each experiment to the arm as it is; their verdicts together err in 5% of studies."""
    if not found:
        return []
    labels = _labels(study)
    own = next(each for each in study.results if each.arm.name == first)
    arms = {"as it is": own} | {words: each.results[0] for words, each in found.items() if each.results[0].cells}
    whole = [s for s in study.findings.study.sizes if all(arm.complete(s.name) for arm in arms.values())]
    repeats = common(arms.values())
    right = [[arm.predicted(size.name, repeats) == labels for size in whole] for arm in arms.values()]
    answers = Answers(
        arms=tuple(arms),
        sizes=np.array([size.n for size in whole]),
        right=np.array(right),
        single=np.array([size.name == "all" for size in whole]),
        pool=subsets(recipe).pool,
        groups=grouped(study.results, len(labels)),
    )
    pairs = [Pair(words, "as it is", transfer=False) for words in list(arms)[1:]]
    seen = [pair for pair, changed in zip(pairs, answers.right[1:], strict=True) if (changed != answers.right[0]).any()]
    return [_told(each) for each in compare_all(answers, seen, margin=recipe.margin)] if seen else []


def _told(found: Comparison) -> str:
    """Like: With features not standardised: 80.1% instead of 82.2%, -2.1 points (-3.0 to -1.2), worse."""
    gap, word = found.verdict.difference, found.verdict.word
    changed, own = (percent(each.value, near="within") for each in (found.area.first, found.area.second))
    low, high = signed(gap.low or 0.0), signed(gap.high or 0.0)
    return f"With {found.first}: {changed} instead of {own}, {signed(gap.value)} points ({low} to {high}), {word}."


def _labels(study: Study) -> NDArray[np.int64]:
    """(m,) classes of the test pictures, which every cell has in the same order."""
    m = len(next(cell for each in study.results for cell in each.cells.values()).predicted)
    names = pq.read_table(study.folder / "predictions.parquet", columns=["label"]).column("label")[:m].to_pylist()
    place = {name: i for i, name in enumerate(study.findings.study.classes)}
    return np.array([place[name] for name in names], dtype=np.int64)
