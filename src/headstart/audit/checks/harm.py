"""The check of pictures that hurt: those whose leaving out makes the answers to all others better."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from headstart.audit.checks.labels import votes
from headstart.audit.findings import Codes, Finding, Material
from headstart.enough import out_of_fold, settled
from headstart.heads import Head
from headstart.heads.folds import numbers
from headstart.heads.trials import log_losses
from headstart.images.groups import torn
from headstart.learner import Learner
from headstart.pictures import Pictures
from headstart.threads import single_threaded_blas

FOLDS = 5
MOST = 20
"""Suspects that are left out, each with fits of its own."""
DEAREST = 2**20
"""Numbers in the features above which those fits would take minutes."""
SMALL = 0.5
"""A picture whose side is under this share of the usual one was enlarged to be looked at."""
ALONE = 0.1
"""At most this share of the neighbours of a picture that stands alone has its label."""


def hurts(material: Material) -> Iterator[Finding]:
    """Training pictures without which the log loss of the others falls, out of fold; the most harmful first.

    Tried are those with a near copy in another class, those with (nearly) all neighbours of other classes, and small
    ones. Only a fall by more than one picture's share counts: by chance half of them would have some.
    """
    if material.answers is None:
        return
    rows = material.labelled[material.parts[material.labelled] != "test"]
    pictures = Pictures(
        material.extraction.features[rows], material.images.labels[rows], groups=material.copies.together[rows]
    )
    suspects = _suspects(material, rows)
    if pictures.X.size > DEAREST or not suspects or len(np.unique(pictures.y)) < 2:
        return
    head = settled(Learner().fit(pictures).head)
    assert head is not None
    harm = _harm(head, pictures, [at for at, _ in suspects], len(material.images.classes))
    for j in np.argsort(-harm, kind="stable").tolist():
        if harm[j] > 1 / len(rows):
            i, why = int(rows[suspects[j][0]]), suspects[j][1]
            told = f"labelled {material.label(i)}, {why}; without it, the log loss of the others is {harm[j]:.2%} lower"
            yield Finding(material.images.names[i], told, i, score=float(harm[j]))


def _suspects(material: Material, rows: Codes) -> list[tuple[int, str]]:
    """Places in `rows` (m,) of the pictures to try, with what is suspicious about them; at most `MOST`."""
    labels, facts = material.images.labels, material.sketches.facts
    clash = torn(np.unique(material.copies.near[rows], return_inverse=True)[1].reshape(-1), labels[rows])
    share = np.zeros(len(material.images))
    share[material.labelled] = votes(material)[0]
    side = np.sqrt(facts["height"].astype(float) * facts["width"])[rows]
    why = (
        (clash, "nearly the same as a picture of another class"),
        (share[rows] <= ALONE, "but hardly any similar picture is"),
        (side < SMALL * np.median(side), "far smaller than the others"),
    )
    found: dict[int, str] = {}
    for which, words in why:
        for at in np.flatnonzero(which).tolist():
            found.setdefault(at, words)
    return list(found.items())[:MOST]


@single_threaded_blas()
def _harm(head: Head, pictures: Pictures, suspects: list[int], classes: int) -> NDArray[np.float64]:
    """By which share the summed log loss of the others falls (s,) where one suspect is not learnt from."""
    y = pictures.y
    fold = numbers(y, FOLDS, [np.int64(i).tobytes() for i in range(len(y))], pictures.groups)
    usual = log_losses(out_of_fold(head, pictures, classes, fold), y)
    found = np.zeros(len(suspects))
    for place, at in enumerate(suspects):
        others = np.delete(np.arange(len(y)), at)
        losses = log_losses(out_of_fold(head, pictures.take(others), classes, fold[others]), y[others])
        found[place] = 1 - float(losses.sum()) / max(float(usual[others].sum()), 1e-12)
    return found
