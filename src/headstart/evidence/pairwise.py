"""Two arms of a study compared; the arms' curves; recall by class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from headstart.evidence import curves, words
from headstart.evidence.answers import Answers
from headstart.evidence.bootstrap import Bootstrap
from headstart.evidence.multiple import ALPHA, LEFT, errors, together
from headstart.evidence.variance import column_covariance
from headstart.evidence.verdict import MARGIN, judge
from headstart.schema.verdicts import (
    OPEN,
    Asymptotes,
    ByArm,
    ClassRecall,
    Comparison,
    Equivalence,
    Estimate,
    Parts,
    Reached,
    Verdict,
)
from headstart.statistics import mcnemar, wilson

Floats = NDArray[np.float64]
Study = Answers | Bootstrap
FEWEST = 2  # repeats: fewer show no spread
SIGNS = ((1.0, 0.0), (0.0, 1.0), (1.0, -1.0))  # the first arm, the second, their difference


@dataclass(frozen=True)
class Pair:
    """Two arms to be compared, by their names; how sentences call them; whether `first` alone is a transfer arm."""

    first: str
    second: str
    names: tuple[str, str] | None = None
    transfer: bool = True


def compare(
    study: Answers | Bootstrap,
    first: str,
    second: str,
    *,
    margin: float = MARGIN,
    names: tuple[str, str] | None = None,
    transfer: bool = True,
) -> Comparison:
    """Compare two arms of a study; several pairs of one study are compared by `compare_all`.

    names: how sentences call the arms; transfer: whether `first` is a transfer arm and `second` a source-free one, so
    that "transfer helped" can be said. The verdict over all sizes is on the mean difference over log n (the area).
    Raises UserError for a margin outside 0..1 or fewer than two test pictures.
    """
    return compare_all(study, [Pair(first, second, names, transfer)], 1, margin)[0]


def compare_all(
    studies: Study | Sequence[Study], pairs: Sequence[Pair], primary: int = 0, margin: float = MARGIN
) -> list[Comparison]:
    """Compare several pairs of arms, so that all that is said of all of them errs in 5% of studies.

    studies: one for all pairs, or one for each, where pairs have other sizes in common. The first `primary` pairs are
    the claim that was named beforehand; the others are judged more strictly where it does not come out
    (`evidence.multiple`). Raises UserError as `compare` does.
    """
    given = [studies] * len(pairs) if isinstance(studies, Answers | Bootstrap) else studies
    boots = {id(each): Bootstrap.of(each) if isinstance(each, Answers) else each for each in given}
    twos = [_Two.of(boots[id(study)], pair) for study, pair in zip(given, pairs, strict=True)]
    alphas = errors([two.p for two in twos], primary).tolist()
    return [_told(two, pair, margin, alpha) for two, pair, alpha in zip(twos, pairs, alphas, strict=True)]


def _told(two: _Two, pair: Pair, margin: float, alpha: float) -> Comparison:
    """One comparison with its sentences."""
    found, answers = two.compared(margin, alpha), two.boot.answers
    if not pair.transfer:
        by_size = tuple(verdict.without_transfer() for verdict in found.by_size)
        found = replace(found, verdict=found.verdict.without_transfer(), by_size=by_size)
    setting = words.Setting(
        names=pair.names or (pair.first, pair.second),
        transfer=pair.transfer,
        sizes=answers.sizes,
        accuracy=two.boot.accuracy[[two.one, two.other]],
        n_test=answers.n_test,
        repeats=answers.repeats,
        drawn=tuple(answers.drawn.tolist()),
    )
    return replace(found, sentence=words.sentence(found, setting), details=tuple(words.details(found, setting)))


@dataclass(frozen=True)
class _Two:
    """Two arms, by number, of a bootstrapped study."""

    boot: Bootstrap
    one: int
    other: int

    @classmethod
    def of(cls, boot: Bootstrap, pair: Pair) -> _Two:
        return cls(boot, boot.answers.arms.index(pair.first), boot.answers.arms.index(pair.second))

    @property
    def used(self) -> NDArray[np.int64]:
        """The sizes, by number, that figures over all sizes are about."""
        return self.boot.answers.drawn

    @property
    def sizes(self) -> Floats:
        """(u,) of them."""
        return self.boot.answers.sizes[self.used]

    @property
    def accuracies(self) -> Floats:
        """(2, u) mean over repeats."""
        return self.boot.accuracy[[self.one, self.other]][:, self.used]

    @property
    def area(self) -> Floats:
        """(s,) weights of the mean over log n."""
        return self.over(curves.area_weights(self.sizes))

    def over(self, weights: Floats) -> Floats:
        """(u,) weights of the sizes that are used -> (s,), 0 for the others."""
        found = np.zeros(len(self.boot.answers.sizes))
        found[self.used] = weights
        return found

    @property
    def one_set(self) -> bool:
        """Whether there is one set of labelled pictures."""
        return bool(self.boot.answers.once.all())

    @property
    def p(self) -> float:
        """The p value of the difference over all sizes; 1 where nothing can be concluded."""
        lost = [self.boot.answers.lost(arm)[self.used].all() for arm in (self.one, self.other)]
        found = [self.boot.spread(self.coefficients(self.area))]
        without = self.without_failed(self.used)
        if without is not None:
            found.append(without.boot.spread(self.coefficients(self.area)))
        if lost[int(found[0].value > 0)] or found[0].value * found[-1].value <= 0:
            return 1.0
        exact = self.exact() if self.one_set else None
        return max(each.p for each in found) if exact is None else exact

    def compared(self, margin: float, alpha: float) -> Comparison:
        """All but the sentences."""
        arms, exact = self.boot.answers.arms, self.exact()
        whole = self.judged(self.area, margin, alpha, self.used)
        if exact is not None and exact > alpha and whole.sign:
            whole = replace(whole, word=OPEN, more_repeats=True)
        without = self.without_failed(self.used)
        by_size = self.by_size(whole, margin, alpha)
        if self.one_set:
            whole, by_size = whole.of_one_set(), [each.of_one_set() for each in by_size]
        several = len(self.used) > 1
        return Comparison(
            first=arms[self.one],
            second=arms[self.other],
            margin=margin,
            verdict=whole,
            by_size=tuple(by_size),
            slope=self.pair(self.over(curves.slope_weights(self.sizes))) if several else None,
            x90=Reached(*(curves.x90(self.sizes, accuracy) for accuracy in self.accuracies)),
            asymptote=self.asymptotes(),
            area=self.means(self.area),
            ratio=self.ratio(),
            equivalence=self.equivalence(),
            p=exact,
            one_set=self.one_set or None,
            without_failed=without.plain(self.area, margin, alpha) if without else None,
            parts=self.parts(),
        )

    def parts(self) -> Parts:
        """Where the variance of the difference over all sizes comes from."""
        found = self.boot.spread(self.coefficients(self.area))
        return Parts(**asdict(found.variances), n=found.pictures)

    def by_size(self, whole: Verdict, margin: float, alpha: float) -> list[Verdict]:
        """The verdict of each size, with intervals that hold all together.

        One that does not agree with the verdict over all sizes must be surer: all of those together err in a fifth of
        alpha. Where the verdict over all sizes is about one, it is that one's.
        """
        sizes = self.boot.answers.sizes
        steps = list(np.eye(len(sizes)))
        usual, found = self.together(steps, alpha) if len(sizes) > 1 else alpha, []
        for i, step in enumerate(steps):
            here = np.array([i])
            if list(self.used) == [i]:
                found.append(whole.at(float(sizes[i])))
                continue
            verdict = self.judged(step, margin, usual, here)
            if verdict.sign and verdict.sign != whole.sign:
                verdict = self.judged(step, margin, self.together(steps, LEFT * alpha), here)
            found.append(verdict.at(float(sizes[i])))
        return found

    def together(self, steps: list[Floats], alpha: float) -> float:
        """The error of each size: by what pictures have them share; subsets are taken to bear on each by itself."""
        each = [self.coefficients(step) for step in steps]
        covariance = column_covariance(self.boot.answers, each)
        total = [self.boot.spread(coefficients).variances.total for coefficients in each]
        np.fill_diagonal(covariance, np.maximum(total, np.diag(covariance)))
        return together(covariance, alpha)

    def coefficients(self, weights: Floats, first: float = 1.0, second: float = -1.0) -> Floats:
        """(a, s) coefficients: weights (s,) times `first` and `second` for the two arms, 0 for the others."""
        found = np.zeros((len(self.boot.answers.arms), len(weights)))
        found[self.one] += first * weights
        found[self.other] += second * weights
        return found

    def without_failed(self, sizes: NDArray[np.int64]) -> _Two | None:
        """The two arms without the repeats in which a fit at these sizes failed; None where none did."""
        sound = self.boot.answers.sound([self.one, self.other], sizes)
        if sound.all() or sound.sum() < FEWEST:
            return None
        return replace(self, boot=replace(self.boot, answers=self.boot.answers.taking(sound)))

    def judged(self, weights: Floats, margin: float, alpha: float, sizes: NDArray[np.int64]) -> Verdict:
        """The verdict on the difference with these weights of the sizes.

        Nothing is concluded where the arm behind did not learn, or where fits that failed decide.
        """
        lost = [bool(self.boot.answers.lost(arm)[sizes].all()) for arm in (self.one, self.other)]
        found = self.plain(weights, margin, alpha).unless(*lost)
        return found if not found.sign or self.stands(found, weights, margin, alpha, sizes) else found.if_none_failed()

    def stands(self, found: Verdict, weights: Floats, margin: float, alpha: float, sizes: NDArray[np.int64]) -> bool:
        """Whether a claim is the same without the fits that failed, and if the arm ahead failed as often as it may."""
        bounds = found.difference
        if not self.boot.answers.sound([self.one, self.other], sizes).all():
            without = self.without_failed(sizes)
            told = without.plain(weights, margin, alpha) if without else None
            if told is None or told.sign != found.sign:
                return False
            bounds = told.difference
        low, high = bounds.low or 0.0, bounds.high or 0.0
        return max(low, -high) > self.cost(self.one if found.sign > 0 else self.other, weights)

    def cost(self, arm: int, weights: Floats) -> float:
        """What failing costs an arm on average, at the upper end of how often it may: nothing where none failed."""
        lost, fits = self.boot.answers.failures(arm)
        return wilson(lost, fits)[1] * float(self.boot.answers.fall(arm) @ weights) if lost else 0.0

    def plain(self, weights: Floats, margin: float, alpha: float) -> Verdict:
        """The same whatever learnt or failed; discordance is over the sizes weighted."""
        right, used = self.boot.answers.right, np.flatnonzero(weights)
        discordance = float(np.mean(right[self.one, used] != right[self.other, used]))
        return judge(self.boot.spread(self.coefficients(weights)), discordance, margin, alpha)

    def pair(self, weights: Floats) -> ByArm:
        """A linear figure of both arms."""
        return ByArm(*(self.boot.spread(self.coefficients(weights, *sign)).estimate() for sign in SIGNS))

    def means(self, weights: Floats) -> ByArm:
        """Mean accuracies, which lie within 0..1."""
        first, second, gap = (self.boot.spread(self.coefficients(weights, *sign)) for sign in SIGNS)
        return ByArm(first.share(), second.share(), gap.estimate().within(-1.0, 1.0))

    def joint(self, coefficients: Floats) -> Floats:
        """(draws, a, u) accuracies."""
        return self.boot.joint(coefficients)[:, :, self.used]

    def ratio(self) -> Estimate | None:
        """The transfer ratio, its interval by that of its logarithm; None where the second arm is never right."""
        first, second = self.accuracies @ curves.area_weights(self.sizes)
        if first * second == 0:
            return Estimate(0.0) if second else None
        found = self.boot.spread(self.coefficients(self.area, 1 / first, -1 / second)).estimate()
        ratio = float(first / second)
        if found.low is None or found.high is None or found.high > MANIFOLD:
            return Estimate(ratio)
        return Estimate(ratio, ratio * math.exp(found.low), ratio * math.exp(found.high))

    def asymptotes(self) -> Asymptotes:
        """Where both arms' curves end, by the fitted power law: from four sizes and five subsets on."""
        if len(self.used) < curves.FEWEST_SIZES or self.boot.answers.repeats < curves.FEWEST_SUBSETS:
            return Asymptotes()
        first, second = (self.ends((1.0, 0.0)), self.ends((0.0, 1.0)))
        return Asymptotes(first, second, self.ends((1.0, -1.0)) if first and second else None)

    def ends(self, sign: tuple[float, float]) -> Estimate | None:
        """Signed sum of the arms' asymptotes; None where one of them cannot be told, or not in a draw of forty."""
        used = [arm for arm, factor in zip((self.one, self.other), sign, strict=True) if factor]
        factors = np.array([factor for factor in sign if factor])
        value = float(curves.asymptote(self.sizes, self.boot.accuracy[used][:, self.used]) @ factors)
        if np.isnan(value):
            return None
        last = self.over(np.eye(len(self.used))[-1])
        found = curves.asymptote(self.sizes, self.joint(self.coefficients(last, *sign))[:, used])
        if np.isnan(found).any(axis=1).mean() > curves.UNTOLD:
            return None
        return Estimate(value, *_bounds(np.nan_to_num(found, nan=1.0) @ factors))

    def equivalence(self) -> tuple[Equivalence, ...]:
        """For each size, how many pictures of a class the second arm needs to do as well as the first."""
        joint = self.joint(self.coefficients(self.area))
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
        if not self.one_set or len(self.boot.answers.sizes) > 1:
            return None
        first, second = right[self.one], right[self.other]
        return mcnemar(int((first & ~second).sum()), int((second & ~first).sum()))


MANIFOLD = math.log(100)
"""A ratio that may be a hundred times as large is given no interval."""


def _bounds(draws: Floats) -> tuple[float, float]:
    low, high = np.quantile(draws, [0.025, 0.975]).tolist()
    return low, high


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
