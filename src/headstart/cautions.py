"""What a reader of a run's scores should know of its pictures: copies across parts, doubtful ones, lone classes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath

import numpy as np

from headstart.division import alike, learnt_by_network
from headstart.features.copies import repeated
from headstart.features.extraction import Extraction
from headstart.fitted import Fitted
from headstart.images.groups import Codes, torn
from headstart.images.parts import PARTS, rows_in
from headstart.logits import Matrix
from headstart.metrics import in_short, score
from headstart.phrases import first_of, plural
from headstart.schema.scores import Leak
from headstart.seen import known

IN_EIGHT_BITS = (
    "These scores are of the network in 8 bits. The classifier in the bundle computes in float32, so what it says "
    "about a picture can differ a little from predictions.csv."
)


def leaks(fitted: Fitted, probabilities: Matrix) -> dict[str, Leak]:
    """Of each part that was not fitted on: how many copy a picture that was, or nearly, and the score without them.

    `probabilities` (n, k) are the answers to all pictures; `same` counts those with the same content. There is no score
    where no picture is left (decision 0029).
    """
    images, copies = fitted.images, fitted.extraction.copies
    found: dict[str, Leak] = {}
    learnt = np.isin(images.parts, fitted.learned_parts)
    for part in PARTS:
        own = images.parts == part
        leaked = own & np.isin(copies.together, copies.together[learnt])
        if part in fitted.learned_parts or not leaked.any():
            continue
        same = own & np.isin(copies.same, copies.same[learnt])
        left = np.flatnonzero(own & ~leaked)
        scored = (images.labels[left], probabilities[left], images.classes, copies.together[left])
        without = in_short(score(*scored)) if len(left) else None
        grouped = None if images.groups is None else True
        found[part] = Leak(copies=int(leaked.sum()), same=int(same.sum()), without=without, grouped=grouped)
    return found


def seen_by_network(fitted: Fitted) -> int:
    """How many of the pictures judged the network had learnt from before, where its weights were trained here."""
    learnt = learnt_by_network(fitted.recipe.backbone.weights) if fitted.classifier.source.backbone else None
    if learnt is None or fitted.recipe.method == "scratch":
        return 0
    return int(known(fitted.extraction.contents[fitted.judged], learnt).sum())


def notes_on(fitted: Fitted, probabilities: Matrix, leaked: Mapping[str, Leak], seen: int) -> list[str]:
    """All that there is to say, a sentence or two for each thing.

    `probabilities` as for `leaks`; `leaked` and `seen` are what that and `seen_by_network` found.
    """
    return [
        *(_leak(part, leak, grouped=fitted.images.groups is not None) for part, leak in leaked.items()),
        *_seen_by_network(fitted, seen),
        *_groups(fitted),
        *_copies_in_folds(fitted),
        *_lone_classes(fitted),
        *_never_right(fitted, probabilities),
        *([IN_EIGHT_BITS] if fitted.recipe.engine.precision == "int8" else []),
        *_doubts(fitted.extraction, fitted.images.labels),
    ]


def _leak(part: str, leak: Leak, *, grouped: bool) -> str:
    """How many of a part are copies, and the accuracy without them."""
    same = f" ({leak.same:,} the same)" if leak.same not in (0, leak.copies) else ""
    copied = "are copies of training pictures" if leak.copies > 1 else "is a copy of a training picture"
    grouped_too = f"{'belong' if leak.copies > 1 else 'belongs'} to a group that was trained on, or {copied}"
    what = f"{leak.copies:,} of the {part} pictures {grouped_too if grouped else copied}{same}"
    if leak.without is None:
        return f"{what}: no others are left, so accuracy there says nothing."
    low, high = leak.without["accuracy_low"], leak.without["accuracy_high"]
    return (
        f"{what}; without them accuracy there is {leak.without['accuracy']:.4f} (95% interval {low:.4f} to {high:.4f})."
    )


def _seen_by_network(fitted: Fitted, n: int) -> list[str]:
    if not n:
        return []
    weights, all_judged = PurePath(fitted.recipe.backbone.weights).name, plural(rows_in(fitted.judged), "picture")
    return [
        f"The network itself ({weights}) was trained on {n:,} of the {all_judged} judged "
        "here, so this accuracy is too good. Judge it with pictures that neither training saw."
    ]


def _groups(fitted: Fitted) -> list[str]:
    """A note on what the groups that the data give mean for the intervals."""
    images = fitted.images
    if images.groups is None:
        return []
    n, groups = rows_in(fitted.judged), len(np.unique(fitted.extraction.copies.together[fitted.judged]))
    if groups == n:
        return []
    return [
        f"The {plural(n, 'picture')} judged are of {plural(groups, 'group')}. Pictures of a group often go right or "
        "wrong together; the intervals of accuracy allow for that."
    ]


def _copies_in_folds(fitted: Fitted) -> list[str]:
    """A note on pictures that were kept in one fold, so that none was judged by what had learnt from its copy."""
    n = 0 if fitted.folds is None else fitted.folds.copies
    if not n:
        return []
    return [f"{alike(fitted.images)} ({plural(n, 'picture')}) were always judged together, in one fold."]


def _lone_classes(fitted: Fitted) -> list[str]:
    """A note on classes that cross-validation cannot name: one picture is never both learnt from and judged."""
    classes = fitted.images.classes
    alone = [classes[k] for k in np.flatnonzero(fitted.images.class_counts(fitted.crossed) == 1)]
    if not alone:
        return []
    who, them = ("Class", "it") if len(alone) == 1 else ("Classes", "them")
    has = "has one labelled picture" if len(alone) == 1 else "have one labelled picture each"
    return [
        f"{who} {first_of(alone, 5)} {has}. Cross-validation always gets {them} wrong: it never learns from the "
        "picture that it is tested on."
    ]


def _never_right(fitted: Fitted, probabilities: Matrix) -> list[str]:
    """A note on classes of several pictures that were all named wrongly: of a rare class, accuracy hardly shows it."""
    y = fitted.images.labels[fitted.judged]
    answers = probabilities[fitted.judged] if fitted.folds is None else fitted.folds.probabilities
    classes = fitted.images.classes
    judged = np.bincount(y, minlength=len(classes))
    right = np.bincount(y[answers.argmax(axis=1) == y], minlength=len(classes))
    missed = [f"{classes[k]} ({judged[k]:,})" for k in np.flatnonzero((judged > 1) & (right == 0))]
    if not missed:
        return []
    return [
        f"No picture of {first_of(missed, 5)} was named correctly, which the accuracy of all pictures does not show."
    ]


def _doubts(extraction: Extraction, labels: Codes) -> list[str]:
    """One line on what the cheap part of an audit finds in the pictures, where it finds anything."""
    copies, sketches = extraction.copies, extraction.sketches
    clash, again = torn(copies.same, labels), int(repeated(copies.same).sum())
    counts = [
        (int(clash.sum()), "copies of each other in different classes"),
        (again - int(clash.sum()), "copies of each other"),
    ]
    if sketches is not None:
        counts += [
            (int(sketches.plain.sum()), "of one colour"),
            (int(sketches.dark.sum()), "of 16 or 32 bits with values so low that they are read as nearly black"),
            (int(sketches.tiny.sum()), "too small to show anything"),
            (int(sketches.facts["pages"].sum()), "in files of several pages, of which only the first is read"),
        ]
    said = [f"{n:,} {what}" for n, what in counts if n]
    return [f"Among the pictures: {'; '.join(said)}. headstart audit shows them."] if said else []
