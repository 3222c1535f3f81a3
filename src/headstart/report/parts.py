"""The parts of a run's data, from scores.json alone: which one tests the classifier, which ones it was fitted on."""

from __future__ import annotations

from headstart.phrases import plural
from headstart.schema.scores import PartScores, RunScores

PARTS = ("test", "cv", "val", "calibration", "train")
"""In the order in which they are told: what tests the classifier first, what it was fitted on last."""
PART_WORDS = {
    "train": "training",
    "val": "validation",
    "calibration": "calibration",
    "cv": "cross-validated",
    "test": "test",
}
ACCURACY_WORDS = {"test": "Test accuracy", "cv": "Accuracy in cross-validation"}
JUDGED_WORDS = {
    "": "",
    "test": "Test pictures.",
    "cv": "All pictures, each named by a classifier that had not seen it.",
}
"""What tables and examples of the judged part show."""
TESTS = ("test", "cv")
"""Parts that no choice and no fit has seen: pictures kept apart, or each named by a classifier fitted without it."""
USES = {"test": "", "choices": "used for choices", "seen": "seen in fitting"}
"""What a part was used for, in words that set it apart from a test."""


def scored(scores: RunScores) -> dict[str, PartScores]:
    """The scores after training by part, in the order of `PARTS`; empty parts are absent."""
    return {part: scores.after[part] for part in PARTS if part in scores.after and scores.after[part].n}


def judged_part(scores: RunScores) -> str:
    """The part that the headline speaks of: test, else cv; '' where nothing tested the classifier."""
    return next((part for part in TESTS if part in scored(scores)), "")


def fitted_on(scores: RunScores) -> tuple[str, ...]:
    """The parts that the head was fitted on; in folders that do not list them, val where the head was refitted."""
    if scores.fitted_on is not None:
        return scores.fitted_on
    return ("train", "val") if refitted(scores) else ("train",)


def refitted(scores: RunScores) -> bool:
    """Whether the head was fitted again with the validation pictures, after they had served to choose."""
    head = scores.head
    return (head.get("n_refit") or 0) > (head.get("n_train") or 0)


def use(scores: RunScores, part: str) -> str:
    """What a part was used for: a key of `USES`."""
    if part in TESTS:
        return "test"
    return "seen" if part in fitted_on(scores) else "choices"


def by_use(scores: RunScores) -> dict[str, list[str]]:
    """The scored parts under each use that has some: tests first, what the head was fitted on last."""
    found = {kind: [part for part in scored(scores) if use(scores, part) == kind] for kind in USES}
    return {kind: parts for kind, parts in found.items() if parts}


def told(scores: RunScores) -> list[str]:
    """The scored parts in the order of `by_use`."""
    return [part for parts in by_use(scores).values() for part in parts]


def pictures(part: str, n: int) -> str:
    """`500 test pictures`."""
    return plural(n, f"{PART_WORDS[part]} picture")
