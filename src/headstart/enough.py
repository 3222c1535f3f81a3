"""Is it enough? What twice and four times the labels would bring, from subsets of the user's own labels.

A head that is settled (with what it chose on all pictures) is fitted again on parts of them, an eighth to nine tenths,
and judged on the others: shares of wrong answers by size, picture by picture, from which `evidence.forecast` goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from headstart.evidence.forecast import TIMES, Forecast, TargetForecast, forecast
from headstart.heads import Head
from headstart.heads.folds import NONE, contents, numbers
from headstart.heads.solver.scale import temperature_of
from headstart.learner import FEWEST, FOLDS
from headstart.logits import apply_temperature, full_logits
from headstart.pictures import Codes, Pictures
from headstart.schema.scores import Ahead, Enough, Target
from headstart.threads import single_threaded_blas

PARTS = ((8, 1), (4, 1), (2, 2))
"""Into how many parts the pictures are divided, each learnt from and judged on the others, and how often."""
LEAST = 2
"""Pictures per class, on average, below which a part is too small to learn from."""
DEAREST, DEAREST_ALONE = 2**21, 2**20
"""Numbers in the features above which it would take more than two seconds, and is left out; the second where no
cross-validation has been made that the last point of the curve can be taken from."""


class Subsets(NamedTuple):
    """Mean pictures learnt from (s,), and the share of wrong answers (s, n) to each picture; NaN where none judged."""

    sizes: NDArray[np.float64]
    wrong: NDArray[np.float64]


def settled(head: Head) -> Head | None:
    """The head, not fitted, with what it chose; None where a fit is too dear to repeat."""
    if head.DEAR or not (chosen := head.report_.get("choice", {}).get("chosen")):
        return None
    kinds = {"k": int, "root": bool, "normalise": bool}
    params = head.get_params() | {name: kinds.get(name, float)(value) for name, value in chosen.items()}
    return type(head)(**params)


def least_to_divide(classes: int) -> int:
    """Pictures below which even a half of them is too small to learn from."""
    return PARTS[-1][0] * max(LEAST * classes, 5)


def learnt_from(pictures: Pictures, classes: int) -> Iterator[tuple[int, Codes, Codes]]:
    """(how many parts, learnt from, judged on) of every part that is large enough, from the smallest parts on."""
    n, names = len(pictures.y), pictures.marks or contents(pictures.X)
    for parts, times in PARTS:
        if n / parts < max(LEAST * classes, 5):
            continue
        for again in range(times):
            part = numbers(pictures.y, parts, names, pictures.groups, again)
            for one in range(parts):
                learnt = np.flatnonzero(part == one)
                if len(np.unique(pictures.y[learnt])) > 1:
                    yield parts, learnt, np.flatnonzero(part != one)


@single_threaded_blas()
def out_of_fold(again: Head, pictures: Pictures, classes: int, fold: Codes) -> NDArray[np.float64]:
    """Logits (n, k) of each picture by a settled head that was fitted on the other folds (n,)."""
    logits = np.zeros((len(pictures.y), classes))
    for part in np.unique(fold):
        learnt, judged = np.flatnonzero(fold != part), np.flatnonzero(fold == part)
        known = np.unique(pictures.y[learnt])
        if len(known) < 2:
            logits[judged[:, None], known] = 1e3
            continue
        again.fit(pictures.X[learnt], pictures.y[learnt], folds=NONE)
        logits[judged] = full_logits(again, pictures.X[judged], classes)
    return logits


@single_threaded_blas()
def subsets(head: Head, pictures: Pictures, classes: int, wrong: NDArray[np.bool_], fold: Codes) -> Subsets | None:
    """Wrong answers by size of a fitted head; `wrong` (n,) by cross-validation in folds (n,) are the last.

    None where that would be too dear.
    """
    again = settled(head)
    if again is None or pictures.X.size > DEAREST or pictures.stacked is not None:
        return None
    n = len(pictures.y)
    found: dict[int, tuple[list[int], NDArray[np.float64], NDArray[np.float64]]] = {}
    for parts, learnt, judged in learnt_from(pictures, classes):
        again.fit(pictures.X[learnt], pictures.y[learnt], folds=NONE)
        named = full_logits(again, pictures.X[judged], classes).argmax(axis=1)
        sizes, errors, answers = found.setdefault(parts, ([], np.zeros(n), np.zeros(n)))
        sizes.append(len(learnt))
        errors[judged] += named != pictures.y[judged]
        answers[judged] += 1
    rows = [np.divide(e, a, out=np.full(n, np.nan), where=a > 0) for _, e, a in found.values()]
    means = [float(np.mean(each)) for each, _, _ in found.values()]
    return Subsets(np.array([*means, n * (1 - 1 / len(np.unique(fold)))]), np.stack([*rows, wrong.astype(np.float64)]))


def enough(
    head: Head,
    pictures: Pictures,
    classes: int,
    answers: NDArray[np.float64] | None = None,
    fold: Codes | None = None,
    random: NDArray[np.bool_] | None = None,
) -> Forecast | None:
    """What more labels would bring, from a fitted head and its cross-validation; None where that is too dear to tell.

    `answers` (n, classes) are probabilities by fits without a picture's fold (n,); without them there are ten folds
    with the settings that the head chose on all. `random` (n,) are those that are like other pictures, where the
    others were chosen for being hard: only these are judged.
    """
    if answers is None or fold is None:
        again = settled(head)
        if again is None or pictures.X.size > DEAREST_ALONE:
            return None
        names = pictures.marks or contents(pictures.X)
        fold = numbers(pictures.y, min(FOLDS, len(pictures.y)), names, pictures.groups)
        answers = _scaled(out_of_fold(again, pictures, classes, fold), pictures.y)
    found = subsets(head, pictures, classes, answers.argmax(axis=1) != pictures.y, fold)
    if found is None:
        return None
    shares = np.bincount(pictures.y, minlength=classes) / len(pictures.y)
    judged = slice(None) if random is None else random
    unsure = 1 - answers.max(axis=1)
    return forecast(found.sizes, found.wrong[:, judged], 1 - float(shares.max()), len(pictures.y), unsure[judged])


def _scaled(logits: NDArray[np.float64], y: Codes) -> NDArray[np.float64]:
    """Probabilities (n, k), with the temperature that fits these very logits where they are enough for one."""
    return apply_temperature(logits, temperature_of(logits, y) if len(y) >= FEWEST else 1.0)


def described(found: Forecast, target: float | None = None) -> Enough:
    """A forecast as scores.json has it, with what a target accuracy takes.

    Where a target takes more labels, the likeliest accuracies are of the curves that this number is of.
    """
    curve = tuple(zip(found.sizes, found.accuracy, strict=True))
    if found.odd:
        return Enough(n=found.n, curve=curve, odd=found.odd)
    ahead = tuple(Ahead(times * found.n, *found.at(times * found.n)) for times in TIMES)
    if target is None:
        return Enough(n=found.n, curve=curve, ahead=ahead)
    asking = found.for_target(target)
    takes = Target(target, *(round(labels) if np.isfinite(labels) else None for labels in asking.needed))
    if takes.labels is not None and target > min(found.accuracy[-1], ahead[0].accuracy):
        ahead = tuple(_for_target(asking, each) for each in ahead)
    return Enough(n=found.n, curve=curve, ahead=ahead, target=takes)


def _for_target(asking: TargetForecast, each: Ahead) -> Ahead:
    """With the likeliest accuracy of who asks for the target; the interval is what the labels alone allow."""
    likely = asking.accuracy(each.labels)
    return Ahead(each.labels, likely, min(each.low, likely), max(each.high, likely))
