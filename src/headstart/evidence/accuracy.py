"""The accuracy of each arm at each size, and the recall of each class, with intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from headstart.evidence.answers import Answers
from headstart.evidence.bootstrap import Bootstrap
from headstart.evidence.multiple import ALPHA
from headstart.schema.verdicts import ClassRecall, Estimate


def curves_of(study: Answers | Bootstrap) -> list[list[Estimate]]:
    """Each arm's accuracy at each size with its 95% interval, by Wilson's formula."""
    boot = Bootstrap.of(study) if isinstance(study, Answers) else study
    arms, sizes = (range(len(each)) for each in (boot.answers.arms, boot.answers.sizes))
    return [[_point(boot, arm, size) for size in sizes] for arm in arms]


def _point(boot: Bootstrap, arm: int, size: int) -> Estimate:
    """The accuracy of one arm at one size."""
    coefficients = np.zeros(boot.accuracy.shape)
    coefficients[arm, size] = 1.0
    return boot.spread(coefficients).share()


def per_class(
    answers: Answers, labels: NDArray[np.int64], classes: Sequence[str], first: str, second: str, size_index: int = -1
) -> list[ClassRecall]:
    """The recall of both arms, and its difference, of each class that is among `labels` (m,), indices into `classes`.

    Recall is the mean over repeats at one size. The intervals hold all together; a class with one test picture, or
    near copies of one, has none (None).
    """
    arms = (first, second)
    right = answers.right[[answers.arms.index(arm) for arm in arms]][:, [size_index]]
    rows, there = [], np.unique(labels)
    for label in there:
        own = labels == label
        groups = None if answers.groups is None else answers.groups[own]
        found = Answers(arms, answers.sizes[[size_index]], right[..., own], groups=groups)
        one, other = found.accuracy.mean(axis=2)[:, 0].tolist()
        gap = _difference(found, ALPHA / len(there))
        rows.append(ClassRecall(classes[label], found.n_test, one, other, gap.value, gap.low, gap.high))
    return rows


def _difference(own: Answers, alpha: float) -> Estimate:
    """Difference of two arms at one size."""
    signs = np.array([[1.0], [-1.0]])
    if own.n_groups > 1:
        return Bootstrap.of(own).spread(signs).estimate(1 - alpha).within(-1.0, 1.0)
    return Estimate(float((own.accuracy.mean(axis=2) * signs).sum()))
