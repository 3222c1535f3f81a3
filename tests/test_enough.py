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
from headstart.learner import Learner, Pictures
from headstart.report.enough import enough_words
from headstart.schema import scores
from headstart.schema.files import from_json, to_json

DIGITS = load_digits()
X, Y = DIGITS.data.astype(np.float32), DIGITS.target.astype(np.int64)


def curve(n: int, error: float, power: float, seed: int, floor: float = 0.0) -> Forecast:
    """From answers of pictures that are the harder, the more often they are named wrongly, at four sizes."""
    rng = np.random.default_rng(seed)
    sizes, hard = n * np.array([0.125, 0.25, 0.5, 0.9]), rng.random(n)
    rates = error * (floor + (1 - floor) * (sizes / n) ** -power)
    found = forecast(sizes, (hard < rates[:, None]).astype(float), 0.9, n)
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


def test_a_target_takes_more_labels_the_higher_it_is_and_may_be_out_of_reach() -> None:
    found = curve(1000, 0.1, 0.5, 0)
    middle, low, high = found.needed(0.95)
    assert 2000 < middle < 8000 and low < middle < high
    assert found.needed(0.8)[0] < 1000 < found.needed(0.93)[0] < found.needed(0.95)[0]
    assert found.needed(0.9999)[0] == np.inf


def test_curves_that_do_not_behave_are_said_to_be_so() -> None:
    sizes, rng = np.array([25.0, 50, 100, 180]), np.random.default_rng(0)
    for rates, words in (
        ((0.5, 0.5, 0.5, 0.5), "guessing"),
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
    assert words.startswith("With twice the labelled pictures likely 9") and "97% takes about" in words
    assert words.split(" (")[0] in (run.folder / "report.html").read_text()
    assert scores.read(run.folder).enough == found
    assert from_json(scores.RunScores, to_json(run.content)) == run.content


def test_a_target_that_is_no_accuracy_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="target=95 is no accuracy"):
        fit("digits", method="pixels", limit=60, target=95, store=False, out=tmp_path / "run")
    assert _main(["fit", "digits", "--method", "pixels", "--target", "95", "--out", str(tmp_path / "run")]) == 2
    assert "--target 95" in capsys.readouterr().err
