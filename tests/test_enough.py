"""What more labels would bring: curves that are gone on from, and those that are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from headstart import fit
from headstart.cli import _main
from headstart.enough import described, enough, learnt_from, settled
from headstart.errors import UserError
from headstart.evidence.forecast import Forecast, forecast
from headstart.learner import Learner
from headstart.pictures import Pictures
from headstart.report.enough import enough_words
from headstart.schema import scores
from headstart.schema.files import from_json, to_json

DIGITS = load_digits()
X, Y = DIGITS.data.astype(np.float32), DIGITS.target.astype(np.int64)


def curve(n: int, error: float, power: float, seed: int, floor: float = 0.0, confident: bool = False) -> Forecast:
    """From answers of pictures that are the harder, the more often they are named wrongly, at four sizes.

    Where it is `confident`, with the confidences of a calibrated classifier: mostly near 1, less for hard pictures.
    """
    rng = np.random.default_rng(seed)
    sizes, hard = n * np.array([0.125, 0.25, 0.5, 0.9]), rng.random(n)
    rates = error * (floor + (1 - floor) * (sizes / n) ** -power)
    unsure = rng.beta(1, 1 / rates[-1] - 1, n) if confident else None
    found = forecast(sizes, (hard < rates[:, None]).astype(float), 0.9, n, unsure)
    assert found is not None
    return found


@pytest.mark.parametrize(("n", "error", "power"), [(60, 0.2, 0.4), (200, 0.1, 0.5), (1000, 0.05, 0.6)])
def test_the_interval_holds_what_four_times_the_labels_bring(n: int, error: float, power: float) -> None:
    truth, held, widths = 1 - error * 4**-power, 0, []
    for seed in range(40):
        value, low, high = curve(n, error, power, seed).at(4 * n)
        assert 0 <= low <= value <= high <= 1
        held += low <= truth <= high
        widths.append(high - low)
    assert held >= 34 and np.mean(widths) < 2 * error


def test_more_labels_and_steadier_curves_make_the_interval_narrower() -> None:
    few, many = (np.diff(curve(n, 0.1, 0.5, 1).at(4 * n)[1:])[0] for n in (60, 1000))
    assert many < 0.6 * few


def test_the_confidence_of_few_mistakes_makes_the_interval_narrower_and_that_of_many_hardly() -> None:
    for n, least, most in ((60, 0.5, 0.85), (1000, 0.8, 1.05)):
        widths = [
            np.mean([np.diff(curve(n, 0.08, 0.5, seed, confident=told).at(4 * n)[1:])[0] for seed in range(20)])
            for told in (False, True)
        ]
        assert least < widths[1] / widths[0] < most


@pytest.mark.parametrize(("error", "power"), [(0.2, 0.3), (0.1, 0.5), (0.05, 0.8)])
def test_with_many_mistakes_the_labels_that_are_said_are_near_the_truth(error: float, power: float) -> None:
    """Of targets that twice and three times 4,000 labels reach; their intervals hold the truth."""
    near, held = [], []
    for seed in range(10):
        found = curve(4000, error, power, seed)
        for times in (2, 3):
            best, low, high = found.for_target(1 - error * times**-power).needed
            near.append(1 / 1.5 <= best / (times * 4000) <= 1.5)
            held.append(low <= times * 4000 <= high)
    assert np.mean(near) >= 0.8 and np.mean(held) >= 0.8


def test_with_few_mistakes_the_labels_that_are_said_are_those_of_targets_as_people_ask_for_them() -> None:
    """A handful of mistakes cannot tell: the number stays between now and four times that, the interval is wide."""
    for seed in range(10):
        best, low, high = curve(60, 0.08, 0.4, seed).for_target(1 - 0.08 * 2**-0.4).needed
        assert 40 <= best <= 240 and high > 4 * low and low <= best <= high


def test_what_was_passed_long_ago_is_reached_whatever_people_ask_for() -> None:
    assert max(curve(200, 0.05, 0.4, 0).for_target(0.6).needed) < 200


def test_a_target_takes_more_labels_the_higher_it_is_and_may_be_out_of_reach() -> None:
    found = curve(1000, 0.1, 0.5, 0)
    middle, low, high = found.for_target(0.95).needed
    assert 2000 < middle < 8000 and low < middle < high
    assert found.for_target(0.8).needed[0] < 1000 < found.for_target(0.93).needed[0] < found.for_target(0.95).needed[0]
    assert found.for_target(0.9999).needed[0] == np.inf


@pytest.mark.parametrize(("n", "error", "power"), [(60, 0.2, 0.2), (60, 0.08, 0.8), (200, 0.05, 0.4), (1000, 0.1, 0.5)])
def test_what_a_target_takes_and_the_forecast_lie_on_one_curve(n: int, error: float, power: float) -> None:
    """The number is past all labels whose forecast is below the target, and within those whose forecast is above."""
    for seed in range(4):
        found = curve(n, error, power, seed, confident=True)
        now = found.accuracy[-1]
        for target in 1 - np.geomspace(0.0005, 2 * error, 12):
            told = described(found, target)
            assert told.target is not None
            takes = told.target.labels or np.inf
            assert takes >= n or now > target
            for each in told.ahead:
                assert each.low <= each.accuracy <= each.high
                if each.accuracy != target:
                    assert takes >= each.labels - 1 if each.accuracy < target else takes <= each.labels + 1


def test_a_target_within_reach_moves_likely_accuracies_alone_and_any_other_nothing() -> None:
    found = curve(200, 0.05, 0.4, 0)
    alone = described(found).ahead
    for target in (0.7, 0.9999):
        assert described(found, target).ahead == alone
    for each, other in zip(described(found, 0.98).ahead, alone, strict=True):
        assert each.accuracy > other.accuracy and (each.low, each.high) == (other.low, other.high)


def test_curves_that_do_not_behave_are_said_to_be_so() -> None:
    sizes, rng = np.array([25.0, 50, 100, 180]), np.random.default_rng(0)
    for rates, words in (
        ((0.5, 0.5, 0.5, 0.5), "the labelled pictures do not show that it is better than guessing"),
        ((0.3, 0.2, 0.1, 0.3), "did not help"),
        ((0.45, 0.05, 0.4, 0.1), "up and down"),
    ):
        wrong = (rng.random(200) < np.array(rates)[:, None]).astype(float)
        found = forecast(sizes, wrong, 0.5, 200)
        assert found is not None and words in found.odd
        told = described(found, 0.9)
        assert told.ahead == () and words in enough_words(scores.RunScores(enough=told))


def test_one_size_tells_nothing() -> None:
    assert forecast(np.array([9.0]), np.zeros((1, 10)), 0.5, 10) is None


@pytest.mark.parametrize("head", ["logistic", "ridge", "knn", "prototype"])
def test_every_head_that_is_quick_to_fit_has_a_forecast_and_is_settled_on_what_it_chose(head: str) -> None:
    pictures = Pictures(X[:200], Y[:200])
    fitted = Learner(head).fit(pictures).head
    again = settled(fitted)
    assert again is not None and fitted.report_["choice"]["chosen"].items() <= again.get_params().items()
    found = enough(fitted, pictures, 10)
    assert found is not None and found.n == 200 and not found.odd
    assert found.accuracy[0] < found.accuracy[-1] < found.at(800)[0] + 0.02


def test_a_network_head_is_too_dear_to_tell() -> None:
    assert enough(Learner("mlp").head(), Pictures(X[:40], Y[:40] % 2), 2) is None


def test_copies_are_never_judged_by_a_part_that_learnt_from_one() -> None:
    rows = np.concatenate([np.arange(60), np.arange(30)])
    pictures = Pictures(X[rows], Y[rows] % 2, groups=rows)
    for _, learnt, judged in learnt_from(pictures, 2):
        assert not set(rows[learnt]) & set(rows[judged])


def test_a_fit_says_what_more_labels_would_bring_and_what_a_target_takes(tmp_path: Path) -> None:
    run = fit("digits", method="pixels", head="ridge", limit=300, target=0.97, store=False, out=tmp_path / "run")
    found = run.content.enough
    assert found is not None and found.n == 300 and [each.labels for each in found.ahead] == [600, 1200]
    assert found.target is not None and (found.target.labels or 1) > 1
    words = enough_words(run.content)
    assert words.startswith("With twice the labelled pictures likely 9") and "97% takes " in words
    assert words.split(" (")[0] in (run.folder / "report.html").read_text()
    assert scores.read(run.folder).enough == found
    assert from_json(scores.RunScores, to_json(run.content)) == run.content


@pytest.mark.parametrize(
    ("ends", "told"),
    [
        ((450, 900), "95% takes about 60 pictures per class (90% interval 45 to 90); now there are 30."),
        ((200, 4000), "95% takes 20 to 400 pictures per class (90% interval), most likely about 60; now there are 30."),
        ((450, None), "95% takes at least 45 pictures per class (95% sure), most likely about 60; now there are 30."),
        ((50, 200), "95% is most likely reached already."),
    ],
)
def test_a_wide_interval_is_said_as_a_range_and_a_narrow_one_after_its_number(
    ends: tuple[int, int | None], told: str
) -> None:
    found = scores.Enough(
        n=300,
        curve=((270.0, 0.9),),
        ahead=(scores.Ahead(600, 0.92, 0.9, 0.94), scores.Ahead(1200, 0.93, 0.9, 0.95)),
        target=scores.Target(0.95, 600, *ends),
    )
    run = scores.RunScores(enough=found, run=scores.AboutRun(classes=tuple("abcdefghij")))
    assert enough_words(run).endswith(told)


@pytest.mark.parametrize(("highest", "harder"), [(0.85, True), (0.93, False), (None, False)])
def test_where_the_test_pictures_are_harder_it_is_said_what_the_forecast_is_of(
    highest: float | None, harder: bool
) -> None:
    """Their whole interval lies below what cross-validation gives the labelled ones."""
    found = scores.Enough(
        n=300,
        curve=((150.0, 0.85), (270.0, 0.9)),
        ahead=(scores.Ahead(600, 0.92, 0.9, 0.94), scores.Ahead(1200, 0.93, 0.9, 0.95)),
    )
    judged = scores.PartScores(n=200, accuracy=0.8, accuracy_low=0.75, accuracy_high=highest)
    told = enough_words(scores.RunScores(enough=found, after={"test": judged}))
    of_which = "This is of pictures like the labelled ones, 90.0% of which are named correctly now"
    assert told.endswith(f"{of_which}; the test pictures are harder (80.0%).") == harder
    assert ("harder" in told) == harder
    assert told.startswith("With twice the labelled pictures likely 92.0%")


@pytest.mark.parametrize(
    ("share", "low", "told"),
    [
        (0.95, 0.76, "of the test pictures 95.0% are, which may be luck."),
        (0.95, 0.91, "are easier (95.0%)."),
        (0.92, 0.8, ""),
    ],
)
def test_where_a_forecast_is_below_the_score_of_the_test_pictures_it_is_said_what_it_is_of(
    share: float, low: float, told: str
) -> None:
    """95% today and 92% with twice the pictures would contradict each other."""
    found = scores.Enough(
        n=300,
        curve=((150.0, 0.85), (270.0, 0.9)),
        ahead=(scores.Ahead(600, 0.92, 0.9, 0.94), scores.Ahead(1200, 0.93, 0.9, 0.95)),
    )
    judged = scores.PartScores(n=20, accuracy=share, accuracy_low=low, accuracy_high=0.99)
    said = enough_words(scores.RunScores(enough=found, after={"test": judged}))
    of_which = "This is of pictures like the labelled ones, 90.0% of which are named correctly now"
    assert (of_which in said) == bool(told) and said.endswith(told)
    leaks = {"test": scores.Leak(copies=20, same=20)}
    assert of_which not in enough_words(scores.RunScores(enough=found, after={"test": judged}, leaks=leaks))


def test_a_target_that_cross_validation_reaches_is_said_to_be_reached() -> None:
    found = scores.Enough(
        n=300,
        curve=((150.0, 0.9), (270.0, 0.955)),
        ahead=(scores.Ahead(600, 0.96, 0.93, 0.98), scores.Ahead(1200, 0.97, 0.94, 0.99)),
        target=scores.Target(0.95, 360, 20, 800),
    )
    run = scores.RunScores(enough=found, run=scores.AboutRun(classes=("a", "b")))
    reached = "95% seems to be reached already: cross-validation says 95.5%; it takes at most 400 pictures per class"
    assert enough_words(run).endswith(f"{reached} (95% sure).")


def test_a_target_that_cross_validation_reaches_by_luck_is_not_said_to_be_reached() -> None:
    """Twice as many are expected to do worse than that, and it takes more than twice as many."""
    found = scores.Enough(
        n=40,
        curve=((20.0, 0.9), (36.0, 0.99)),
        ahead=(scores.Ahead(80, 0.97, 0.93, 0.99), scores.Ahead(160, 0.98, 0.94, 0.99)),
        target=scores.Target(0.98, 120, 30, 800),
    )
    told = enough_words(scores.RunScores(enough=found, run=scores.AboutRun(classes=("a", "b"))))
    assert told.endswith(
        "98% takes 15 to 400 pictures per class (90% interval), most likely about 60; now there are 20."
    )


def test_a_forecast_below_todays_score_says_why() -> None:
    """40 of 40 were right, and of the next 40 likely not all."""
    found = scores.Enough(
        n=40,
        curve=((20.0, 0.9), (36.0, 0.99)),
        ahead=(scores.Ahead(80, 0.97, 0.93, 0.99), scores.Ahead(160, 0.98, 0.94, 0.99)),
    )
    told = enough_words(scores.RunScores(enough=found, after={"cv": scores.PartScores(n=40, accuracy=1.0)}))
    assert told.endswith("The first is below today's 100%, since so few mistakes are partly luck: on other pictures "
                         "there would be more.")  # fmt: skip
    same = enough_words(scores.RunScores(enough=found, after={"cv": scores.PartScores(n=40, accuracy=0.97)}))
    assert "luck" not in same


@pytest.mark.parametrize(
    ("choices", "cause"),
    [({"method": "scratch"}, "method=scratch"), ({"method": "pixels", "augment": "digits"}, "augment=digits")],
)
def test_a_target_where_none_is_ever_forecast_is_refused_before_any_work(
    choices: dict[str, str], cause: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=rf"target=0.95 needs .*; leave it out with {cause}\."):
        fit("digits", **choices, target=0.95, out=tmp_path / "run")  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()


def test_who_asks_what_a_target_takes_of_a_head_that_is_dear_is_told_why_there_is_no_answer(tmp_path: Path) -> None:
    options = {"epochs": 1}
    run = fit("digits", method="pixels", head="mlp", head_options=options, limit=60, target=0.9, store=False,
              out=tmp_path / "run")  # fmt: skip
    assert (
        "There is no forecast for more labelled pictures: with so many pictures and features, or with this head"
        in enough_words(run.content)
    )


def test_who_asks_what_a_target_takes_with_a_handful_of_pictures_is_told_that_they_are_too_few(tmp_path: Path) -> None:
    for few, told in ((9, True), (10, False)):
        run = fit("digits", method="pixels", classes=["0", "1"], limit=few, target=0.9, store=False,
                  out=tmp_path / str(few))  # fmt: skip
        words = enough_words(run.content)
        assert ("too few to fit again on parts of them, which takes 10 of 2 classes" in words) == told
        assert "too long" not in words


def test_a_target_that_is_no_accuracy_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="target=95 is not an accuracy"):
        fit("digits", method="pixels", limit=60, target=95, store=False, out=tmp_path / "run")
    assert _main(["fit", "digits", "--method", "pixels", "--target", "95", "--out", str(tmp_path / "run")]) == 2
    assert "--target 95" in capsys.readouterr().err
