"""From the results of the arms to verdicts.json: curves, verdicts, reasons, costs, and a headline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from statistics import median
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from headstart.evidence.accuracy import curves_of, per_class
from headstart.evidence.answers import Answers
from headstart.evidence.bootstrap import Bootstrap
from headstart.evidence.learnt import has_learnt
from headstart.evidence.pairwise import Pair, compare_all
from headstart.evidence.reasons import reasons, unlearnt
from headstart.evidence.training import training_block
from headstart.images.looks import Looks
from headstart.schema.verdicts import (
    BELOW,
    OPEN,
    AboutStudy,
    ArmPair,
    ArmSummary,
    Comparison,
    ExtractionCost,
    PerClass,
    Reason,
    Reasons,
    SizeAccuracy,
    StudySize,
    TrainingCurve,
    Verdicts,
)
from headstart.study import notes
from headstart.study.facts import facts
from headstart.study.recipe import StudyRecipe
from headstart.study.results import ArmResults, common, grouped
from headstart.study.subsets import Subsets


def findings(
    recipe: StudyRecipe, drawn: Subsets, looks: Looks, results: Sequence[ArmResults], before: Sequence[str] = ()
) -> Verdicts:
    """The content of verdicts.json but for when and where; `before` are the arms of a claim that was another one."""
    return _Findings(recipe, drawn, looks, results, before).told()


Arms = tuple[ArmResults, ArmResults]


def _pairs(working: Sequence[ArmResults]) -> list[Arms]:
    """Every pair, those that say whether transfer helped first; transfer arms first, then frozen random weights."""

    def rank(found: ArmResults) -> int:
        return 0 if found.arm.transfer else 1 if _frozen(found) else 2

    found = [(b, a) if rank(b) < rank(a) else (a, b) for a, b in combinations(working, 2)]
    return sorted(found, key=lambda pair: (not _is_transfer(pair), rank(pair[0])))


def _frozen(found: ArmResults) -> bool:
    """Whether it uses weights that it did not learn itself."""
    return found.arm.recipe.method in ("features", "finetune")


def _is_transfer(pair: Arms) -> bool:
    return pair[0].arm.transfer and not pair[1].arm.transfer


@dataclass(frozen=True, eq=False)
class _Findings:
    """What can be said of the results; arms with the same sizes share the draws of one bootstrap."""

    recipe: StudyRecipe
    drawn: Subsets
    looks: Looks
    results: Sequence[ArmResults]
    before: Sequence[str] = ()

    def told(self) -> Verdicts:
        """Every block."""
        working = [found for found in self.results if found.cells]
        pairs = [pair for pair in _pairs(working) if self.sizes(pair)]
        pairs.sort(key=lambda pair: not self.is_primary(pair))
        primary = sum(map(self.is_primary, pairs))
        comparisons = self.compared(pairs, primary)
        reasons = [self.reasons(pair, each) for pair, each in zip(pairs, comparisons, strict=True)]
        claimed = [(one.arm.words, other.arm.words) for one, other in pairs[:primary] if len(pairs) > 1 or self.before]
        told = notes.of_failed_arms({found.arm.words: found.failed for found in self.results if found.failed})
        for found in working:
            if found.arm.recipe.method not in ("pixels", "scratch"):
                told += notes.of_source(found.arm.words, found.arm.recipe.backbone.weights, self.drawn)
        told += [*notes.of_claim(claimed, self.before), *self.drawn.notes, *self.doubts(working)]
        for found in working:
            told += notes.of_failed_fits(found.arm.words, self.lost(found))
        told += notes.of_overlap(self.drawn, self.recipe) + notes.of_near_copies(
            self.groups, self.drawn.images.groups is not None
        )
        told += notes.of_repeats(common(working), self.recipe) + notes.of_pictures(self.drawn, self.looks, self.recipe)
        return Verdicts(
            headline=_headline(comparisons, primary),
            study=_about(self.recipe, self.drawn, pairs[:primary], common(self.results)),
            arms=tuple(self.arm(found) for found in self.results),
            comparisons=tuple(comparisons),
            training=tuple(curve for found in working if (curve := self.training(found)) is not None),
            per_class=tuple(self.per_class(pair) for pair in pairs),
            reasons=tuple(each for each in reasons if each.reasons),
            notes=tuple(told),
        )

    def sizes(self, arms: Sequence[ArmResults]) -> tuple[str, ...]:
        """The sizes at which these arms have every repeat."""
        return tuple(size for size in self.drawn.sizes if all(found.complete(size) for found in arms))

    def bootstrap(self, shared: Sequence[ArmResults]) -> Bootstrap:
        """Of the sizes and repeats that these arms share: of all arms that have them."""
        sizes, repeats = self.sizes(shared), common(shared)
        if (sizes, repeats) not in self._bootstraps:
            able = [found for found in self.results if found.repeats >= repeats]
            arms = [found for found in able if set(sizes) <= set(self.sizes([found]))]
            labels = self.drawn.images.labels[self.drawn.test]
            right = [[found.predicted(size, repeats) == labels for size in sizes] for found in arms]
            answers = Answers(
                arms=tuple(found.arm.name for found in arms),
                sizes=np.array([self.drawn.sizes[size] for size in sizes]),
                right=np.array(right),
                unlearnt=np.array([[self.unlearnt(found, size) for size in sizes] for found in arms]),
                single=np.array([size == "all" for size in sizes]),
                pool=self.drawn.pool,
                groups=self.groups,
                failed=np.array([[np.resize(self.failed(found, size), repeats) for size in sizes] for found in arms]),
            )
            self._bootstraps[sizes, repeats] = Bootstrap.of(answers)
        return self._bootstraps[sizes, repeats]

    def unlearnt(self, found: ArmResults, size: str) -> bool:
        """Whether an arm's answers at a size are no better than without looking."""
        labels = self.drawn.images.labels[self.drawn.test]
        return not has_learnt(labels, np.array([cell.predicted for cell in found.at(size)], dtype=np.int64))

    @cached_property
    def _bootstraps(self) -> dict[tuple[tuple[str, ...], int], Bootstrap]:
        return {}

    @cached_property
    def groups(self) -> NDArray[np.int64] | None:
        """Near copies among the test pictures."""
        return grouped(self.results, len(self.drawn.test))

    def failed(self, found: ArmResults, size: str) -> NDArray[np.bool_]:
        """(r,) the fits of an arm at a size that failed where most did not: they stopped early or stayed at chance."""
        cells = found.at(size)
        labels = self.drawn.images.labels[self.drawn.test]
        middle = float(np.median([cell.accuracy for cell in cells])) / 2
        stuck = [
            cell.converged is False
            or (cell.accuracy < middle and not has_learnt(labels, np.array([cell.predicted], dtype=np.int64)))
            for cell in cells
        ]
        return np.array(stuck) if 2 * sum(stuck) < len(stuck) else np.zeros(len(stuck), np.bool_)

    def lost(self, found: ArmResults) -> dict[str, int]:
        """How many fits of an arm failed so, at each of its sizes but `all`."""
        return {size: int(self.failed(found, size).sum()) for size in self.sizes([found]) if size != "all"}

    def is_primary(self, pair: Arms) -> bool:
        """Whether the claim that was named beforehand is about this pair."""
        names = self.recipe.primary or []
        return pair[0].arm.name in names[:1] and pair[1].arm.name in names[1:]

    def compared(self, pairs: Sequence[Arms], primary: int) -> list[Comparison]:
        """Each pair of arms over the sizes and repeats that both have."""
        boots = [self.bootstrap(pair) for pair in pairs]
        named = [
            Pair(one.arm.name, other.arm.name, (one.arm.words, other.arm.words), _is_transfer((one, other)))
            for one, other in pairs
        ]
        return compare_all(boots, named, primary, self.recipe.margin)

    def arm(self, found: ArmResults) -> ArmSummary:
        """The block of an arm, also of one that failed."""
        cells, about = list(found.cells.values()), dict(found.about)
        sizes = list(self.drawn.sizes)
        extraction = ExtractionCost(**about["extraction"]) if about.get("extraction") else None
        parameters = next((cell.network_parameters for cell in cells), None) or about.get("network_parameters")
        return ArmSummary(
            name=found.arm.name,
            words=found.arm.words,
            kind=found.arm.recipe.method,
            transfer=found.arm.transfer,
            backbone=about.get("backbone"),
            layer=about.get("layer"),
            image_size=about.get("image_size"),
            features=cells[0].features if cells else None,
            trained_parameters=max((cell.parameters for cell in cells), default=None),
            network_parameters=parameters,
            extraction=extraction,
            fit_s=tuple(median(c.fit_s for c in found.at(size)) if found.at(size) else None for size in sizes),
            total_s=round(sum(cell.fit_s for cell in cells) + (extraction.seconds if extraction else 0.0), 2),
            budget=_budget(found, sizes),
            measures=about.get("measures", {}),
            curve=self.curve(found),
            notes=tuple(dict.fromkeys(about.get("notes", []))),
            failed=found.failed,
        )

    def curve(self, found: ArmResults) -> tuple[SizeAccuracy, ...]:
        """Accuracy with its interval at every size that is complete, and each repeat's."""
        sizes = self.sizes([found])
        boot = self.bootstrap([found]) if sizes else None
        estimates = curves_of(boot)[boot.answers.arms.index(found.arm.name)] if boot else []
        return tuple(
            SizeAccuracy(
                size=size,
                n=self.drawn.sizes[size],
                accuracy=estimate.value,
                low=estimate.low,
                high=estimate.high,
                repeats=tuple(cell.accuracy for cell in found.at(size)),
                learnt=not self.unlearnt(found, size),
            )
            for size, estimate in zip(sizes, estimates, strict=True)
        )

    def training(self, found: ArmResults) -> TrainingCurve | None:
        """Accuracy by epoch at the largest size of an arm that trains a network: on validation or on test pictures."""
        sizes = [size for size in self.sizes([found]) if all(cell.history for cell in found.at(size))]
        if not sizes or not found.arm.trained:
            return None
        cells = found.at(sizes[-1])
        part: Literal["val", "test"] = "val" if all("val_accuracy" in cell.history[-1] for cell in cells) else "test"
        key = f"{part}_accuracy"
        rows = [{int(row["epoch"]): row[key] for row in cell.history if key in row} for cell in cells]
        epochs = sorted(set.intersection(*(set(row) for row in rows)))
        if len(epochs) < 2:
            return None
        last = cells[0].history[-1]["epoch"]
        steps = np.array(epochs) * ((cells[0].steps or last) / last)
        accuracy = np.array([[row[epoch] for epoch in epochs] for row in rows])
        curve = training_block(np.array(epochs), steps, accuracy, found.arm.words)
        return replace(curve, arm=found.arm.name, size=sizes[-1], part=part)

    def per_class(self, pair: Arms) -> PerClass:
        """Recall of each class by both arms at the largest size that both have."""
        size, labels = self.sizes(pair)[-1], self.drawn.images.labels[self.drawn.test]
        right = np.array([[found.predicted(size, common(pair)) == labels] for found in pair])
        first, second = (found.arm.name for found in pair)
        answers = Answers((first, second), np.array([self.drawn.sizes[size]]), right, groups=self.groups)
        recalls = per_class(answers, labels, self.drawn.images.classes, first, second)
        return PerClass(first, second, size, tuple(recalls))

    def doubts(self, working: Sequence[ArmResults]) -> list[str]:
        """A sentence for each arm that did not learn at some of its sizes."""
        told = {found.arm.words: self.doubt(found, self.sizes([found])) for found in working}
        return [reason.sentence for reason in told.values() if reason is not None]

    def doubt(self, found: ArmResults, sizes: Sequence[str]) -> Reason | None:
        """That an arm did not learn, where it did not."""
        lost = {self.drawn.sizes[size]: size for size in sizes if self.unlearnt(found, size)}
        accuracy = [float(np.mean([cell.accuracy for cell in found.at(size)])) for size in lost.values()]
        return unlearnt(found.arm.words, tuple(lost), float(np.mean(accuracy))) if lost else None

    def reasons(self, pair: Arms, comparison: Comparison) -> Reasons:
        """That an arm did not learn, and what goes with the verdict of frozen weights; at the smallest size."""
        listed = [reason for found in pair if (reason := self.doubt(found, self.sizes(pair))) is not None]
        if _frozen(pair[0]) and not _frozen(pair[1]):
            known = facts(pair[0], self.sizes(pair)[0], self.drawn, self.looks)
            listed += reasons(known, _gain(comparison))
        return Reasons(comparison.first, comparison.second, tuple(listed))


def _gain(found: Comparison) -> int:
    """Whether transfer was worth it: 1 it was, -1 it was not or by too little, 0 it is ahead and that may be chance."""
    verdict = found.verdict
    if verdict.claim > 0:
        return -1 if verdict.word.endswith(BELOW) else 1
    return 0 if verdict.word == OPEN and verdict.difference.value > found.margin else -1


def _headline(comparisons: Sequence[Comparison], primary: int) -> str:
    """The sentence on the primary claim: against the source-free arm that is hardest to beat, of those that learnt."""
    named = comparisons[:primary]
    sure = [each for each in named if not each.verdict.unlearnt] or named
    if sure:
        return min(sure, key=lambda each: each.verdict.difference.value).sentence
    if comparisons:
        return comparisons[0].sentence
    return "One arm alone has results: there is nothing to compare."


def _about(recipe: StudyRecipe, drawn: Subsets, primary: Sequence[Arms], fewest: int) -> AboutStudy:
    return AboutStudy(
        data=recipe.data.source,
        seed=recipe.seed,
        repeats=recipe.repeats,
        trained_repeats=fewest if fewest < recipe.repeats else None,
        classes=tuple(drawn.images.classes),
        n_test=len(drawn.test),
        margin=recipe.margin,
        head=recipe.head.name,
        sizes=tuple(StudySize(name, n) for name, n in drawn.sizes.items()),
        primary=tuple(ArmPair(one.arm.name, other.arm.name) for one, other in primary) or None,
    )


def _budget(found: ArmResults, sizes: Sequence[str]) -> str:
    """What the arm could choose from, the same for every size or the smallest and the largest one's."""
    told = list(dict.fromkeys(cell.tried for size in sizes for cell in found.at(size)))
    return told[0] if len(told) == 1 else f"{told[0]} at the smallest size, {told[-1]} at the largest" if told else ""
