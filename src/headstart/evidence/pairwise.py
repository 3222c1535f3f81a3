"""Two arms of a study compared; the arms' curves; recall by class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from headstart.evidence import curves, words
from headstart.evidence.answers import Answers
from headstart.evidence.bootstrap import Bootstrap
from headstart.evidence.verdict import MARGIN, judge
from headstart.schema.verdicts import (
    Asymptotes,
    ByArm,
    ClassRecall,
    Comparison,
    Equivalence,
    Estimate,
    Reached,
    Verdict,
)
from headstart.statistics import mcnemar, wilson

Floats = NDArray[np.float64]
DRAWS_BY_CLASS = 2_000


def compare(
    study: Answers | Bootstrap,
    first: str,
    second: str,
    *,
    margin: float = MARGIN,
    names: tuple[str, str] | None = None,
    transfer: bool = True,
) -> Comparison:
    """Compare two arms of a study; pass one `Bootstrap` for all comparisons of a study, so that they share its draws.

    names: how sentences call the arms; transfer: whether `first` is a transfer arm and `second` a source-free one, so
    that "transfer helped" can be said. The verdict over all sizes is on the mean difference over log n (the area).
    Raises UserError for a margin outside 0..1 or fewer than two test pictures.
    """
    boot = Bootstrap.of(study) if isinstance(study, Answers) else study
    two = _Two(boot, boot.answers.arms.index(first), boot.answers.arms.index(second))
    found = two.compared(margin)
    counts = (boot.answers.n_test, boot.answers.repeats)
    if not transfer:
        by_size = tuple(verdict.without_transfer() for verdict in found.by_size)
        found = replace(found, verdict=found.verdict.without_transfer(), by_size=by_size)
    setting = words.Setting(names or (first, second), transfer, two.sizes, two.accuracies, *counts)
    return replace(found, sentence=words.sentence(found, setting), details=tuple(words.details(found, setting)))


@dataclass(frozen=True)
class _Two:
    """Two arms, by number, of a bootstrapped study."""

    boot: Bootstrap
    one: int
    other: int

    @property
    def sizes(self) -> Floats:
        return self.boot.answers.sizes

    @property
    def accuracies(self) -> Floats:
        """(2, s) mean over repeats."""
        return self.boot.accuracy[[self.one, self.other]]

    def compared(self, margin: float) -> Comparison:
        """All but the sentences."""
        area, arms = curves.area_weights(self.sizes), self.boot.answers.arms
        steps = np.eye(len(self.sizes))
        lost = [self.boot.answers.lost(arm) for arm in (self.one, self.other)]
        by_size = [
            self.judged(step, margin).at(float(n)).unless(bool(first), bool(second))
            for step, n, first, second in zip(steps, self.sizes, *lost, strict=True)
        ]
        return Comparison(
            first=arms[self.one],
            second=arms[self.other],
            margin=margin,
            verdict=self.judged(area, margin).unless(bool(lost[0].all()), bool(lost[1].all())),
            by_size=tuple(by_size),
            slope=self.pair(curves.slope_weights(self.sizes)) if len(self.sizes) > 1 else None,
            x90=Reached(*(curves.x90(self.sizes, accuracy) for accuracy in self.accuracies)),
            asymptote=self.asymptotes(),
            area=self.means(area),
            ratio=self.ratio(area),
            equivalence=self.equivalence(area),
            p=self.exact(),
        )

    def coefficients(self, weights: Floats, first: float = 1.0, second: float = -1.0) -> Floats:
        """(a, s) coefficients: weights (s,) times `first` and `second` for the two arms, 0 for the others."""
        found = np.zeros((len(self.boot.answers.arms), len(self.sizes)))
        found[self.one] += first * weights
        found[self.other] += second * weights
        return found

    def judged(self, weights: Floats, margin: float) -> Verdict:
        """The verdict on the difference with these weights of the sizes; discordance is over the sizes weighted."""
        right, used = self.boot.answers.right, np.flatnonzero(weights)
        discordance = float(np.mean(right[self.one, used] != right[self.other, used]))
        return judge(self.boot.spread(self.coefficients(weights)).within(-1.0, 1.0), discordance, margin)

    def pair(self, weights: Floats) -> ByArm:
        """A linear figure of both arms."""
        signs = ((1.0, 0.0), (0.0, 1.0), (1.0, -1.0))
        return ByArm(*(self.boot.estimate(self.coefficients(weights, *sign)) for sign in signs))

    def means(self, weights: Floats) -> ByArm:
        """Mean accuracies, which lie within 0..1."""
        found = self.pair(weights)
        return ByArm(found.first.within(0.0, 1.0), found.second.within(0.0, 1.0), found.difference.within(-1.0, 1.0))

    def ratio(self, area: Floats) -> Estimate | None:
        """The transfer ratio; None where the second arm is never right."""
        first, second = self.accuracies @ area
        if second == 0:
            return None
        joint = self.boot.joint(self.coefficients(area, 1 / first if first else 0.0, -1 / second))
        draws = (joint[:, self.one] @ area) / np.maximum(joint[:, self.other] @ area, 1e-9)
        return Estimate(float(first / second), *_bounds(draws))

    def asymptotes(self) -> Asymptotes:
        """Where both arms' curves end, by the fitted power law; with intervals from five subsets on."""
        if len(self.sizes) < curves.FEWEST_SIZES:
            return Asymptotes()
        first, second = (self.ends((1.0, 0.0)), self.ends((0.0, 1.0)))
        return Asymptotes(first, second, self.ends((1.0, -1.0)) if first and second else None)

    def ends(self, sign: tuple[float, float]) -> Estimate | None:
        """Signed sum of the arms' asymptotes; None where one of them cannot be told.

        A draw whose asymptote cannot be told counts as 1: it may be that high.
        """
        used = [arm for arm, factor in zip((self.one, self.other), sign, strict=True) if factor]
        factors = np.array([factor for factor in sign if factor])
        value = float(curves.asymptote(self.sizes, self.boot.accuracy[used]) @ factors)
        if np.isnan(value):
            return None
        if self.boot.answers.repeats < curves.FEWEST_SUBSETS:
            return Estimate(value)
        joint = self.boot.joint(self.coefficients(np.eye(len(self.sizes))[-1], *sign))[:, used]
        return Estimate(value, *_bounds(np.nan_to_num(curves.asymptote(self.sizes, joint), nan=1.0) @ factors))

    def equivalence(self, area: Floats) -> tuple[Equivalence, ...]:
        """For each size, how many pictures of a class the second arm needs to do as well as the first."""
        joint = self.boot.joint(self.coefficients(area))
        values = curves.equivalent(self.sizes, self.accuracies[1][None].repeat(len(self.sizes), 0), self.accuracies[0])
        draws = [curves.equivalent(self.sizes, joint[:, self.other], goal) for goal in joint[:, self.one].T]
        return tuple(self.need(*each) for each in zip(self.sizes.tolist(), values.tolist(), draws, strict=True))

    def need(self, n: float, value: float, draws: Floats) -> Equivalence:
        """One entry: 0 stands for below the second arm's curve, infinity for beyond it."""
        smallest, largest = float(self.sizes[0]), float(self.sizes[-1])
        low, high = np.quantile(draws, [0.025, 0.975], method="inverted_cdf").tolist()
        reached = 0 < value < np.inf
        return Equivalence(
            n=n,
            value=value if reached else None,
            low=None if low == 0 else min(low, largest),
            high=None if high == np.inf else max(high, smallest),
            beyond=largest if value == np.inf else None,
            multiple=value / n if reached else None,
        )

    def exact(self) -> float | None:
        """McNemar's exact p value, for one repeat and one size; else None."""
        right = self.boot.answers.right[:, 0, 0]
        if self.boot.answers.repeats > 1 or len(self.sizes) > 1:
            return None
        first, second = right[self.one], right[self.other]
        return mcnemar(int((first & ~second).sum()), int((second & ~first).sum()))


def _bounds(draws: Floats) -> tuple[float, float]:
    low, high = np.quantile(draws, [0.025, 0.975]).tolist()
    return low, high


def curves_of(study: Answers | Bootstrap) -> list[list[Estimate]]:
    """Each arm's accuracy at each size with its 95% interval; Wilson's (1927) where all or no answers are right."""
    boot = Bootstrap.of(study) if isinstance(study, Answers) else study
    return [
        [_point(boot, arm, size) for size in range(len(boot.answers.sizes))] for arm in range(len(boot.answers.arms))
    ]


def _point(boot: Bootstrap, arm: int, size: int) -> Estimate:
    """The accuracy of one arm at one size."""
    coefficients, m = np.zeros(boot.accuracy.shape), boot.answers.n_test
    coefficients[arm, size] = 1.0
    found = boot.estimate(coefficients)
    if found.value in (0.0, 1.0):
        return Estimate(found.value, *wilson(round(found.value * m), m))
    return found.within(0.0, 1.0)


def per_class(
    answers: Answers, labels: NDArray[np.int64], classes: Sequence[str], first: str, second: str, size_index: int = -1
) -> list[ClassRecall]:
    """The recall of both arms, and its difference, of each class that is among `labels` (m,), indices into `classes`.

    Recall is the mean over repeats at one size. A class with one test picture has no interval (None).
    """
    arms = (first, second)
    right = answers.right[[answers.arms.index(arm) for arm in arms]][:, [size_index]]
    rows = []
    for label in np.unique(labels):
        own = Answers(arms, answers.sizes[[size_index]], right[..., labels == label])
        one, other = own.accuracy.mean(axis=2)[:, 0].tolist()
        gap = _difference(own)
        rows.append(ClassRecall(classes[label], own.n_test, one, other, gap.value, gap.low, gap.high))
    return rows


def _difference(own: Answers) -> Estimate:
    """Difference of two arms at one size."""
    signs = np.array([[1.0], [-1.0]])
    if own.n_test > 1:
        return Bootstrap.of(own, DRAWS_BY_CLASS).estimate(signs)
    return Estimate(float((own.accuracy.mean(axis=2) * signs).sum()))
