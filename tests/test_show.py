"""What a user sees of a training: live text with the bars, three lines at the end, and a page with every setting."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from headstart.cli import progress, show
from headstart.recipe import TrainingRecipe
from headstart.report import settings, write_report
from headstart.schema.files import from_json
from headstart.schema.scores import RunScores
from headstart.training.plan import Plan
from test_report import TRAINING, write_run


def told(**changes: Any) -> dict[str, Any]:
    """What `run_facts` reads of scores.json, of a network that was fine-tuned."""
    plain = {"accuracy": 0.9825, "accuracy_low": 0.97, "accuracy_high": 0.99, "n": 2000}
    return {
        "run": {"n_features": 1280},
        "after": {"test": plain | {"accuracy": 0.9855}},
        "counts": {"images": 4000, "computed": 4000, "reused": 0, "repeated": 0, "decoded": 4000, "refused": 0},
        "timings": {
            "images_per_s": 100.0, "extract_s": 42.0, "open_s": 2.0, "fit_s": 9.0, "total_s": 60.0,
        },
        "memory": {"peak_mb": 900.0},
        "training": {**TRAINING, "frozen": {"test": plain}, **changes},
        "notes": ["A note."],
    }  # fmt: skip


def test_the_sentence_of_the_report_comes_first_and_fitted_parts_last(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The terminal says what the page says; `val 1.0` of a refitted head stands under words that forbid a mistake."""
    scores = write_run(tmp_path / "r")
    headline = re.search("<h1>(.*)</h1>", write_report(tmp_path / "r").read_text())
    show.run_result(from_json(RunScores, scores))
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert headline and lines[0] == headline[1] and lines[1] == ""
    firsts = [line.split()[0] if not line.endswith(":") else line for line in lines[2:]]
    assert firsts == [
        "part", "test", "used for choices:", "calibration", "seen in fitting:", "val", "train",
    ]  # fmt: skip
    assert max(map(len, lines[2:])) <= 80


def test_a_rate_is_told_where_something_was_computed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Else it is how fast the store is read, where a reader looks for the speed of the network."""
    show.run_facts(from_json(RunScores, told()))
    assert "4,000 decoded, 0 refused; 100 images/s.\n" in capsys.readouterr().out
    read = told() | {"counts": told()["counts"] | {"computed": 0, "reused": 4000, "decoded": 0}}
    show.run_facts(from_json(RunScores, read))
    assert "0 computed, 4,000 reused, 0 decoded, 0 refused.\n" in capsys.readouterr().out
    scores = write_run(tmp_path / "r")
    scores["timings"]["images_per_s"] = 100.0
    for computed in (scores["counts"]["images"], 0):
        scores["counts"]["computed"] = computed
        (tmp_path / "r" / "scores.json").write_text(json.dumps(scores))
        assert ("Pictures per second" in write_report(tmp_path / "r").read_text()) == bool(computed)


def test_a_training_is_told_in_three_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """What was trained and what it gained, what storing saved, and the numbers that were chosen."""
    show.run_facts(from_json(RunScores, told()))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6 and lines[0].startswith("4,000 images, rows for the network's trained part: 4,000 computed")
    assert lines[2] == (
        "The last 3 blocks, from blocks.5.2 on, and a new head were trained: 1,208,642 parameters (the network with "
        "its own head has 3,504,872). Test accuracy 0.9825 frozen, 0.9855 trained: +0.3 points."
    )
    assert lines[3] == (
        "The frozen part ran once for each picture, 10 ms with decoding (12.5 MB stored). Without stored activations "
        "it would have run another 600 times, about 6.0 s."
    )
    assert lines[4] == (
        "Settings: by rule batch_size 32, learning_rate 0.0003, head_first yes; as asked epochs 10; epoch 2 kept."
    )


def test_fresh_views_are_not_said_to_have_been_stored(capsys: pytest.CaptureFixture[str]) -> None:
    """With other views every epoch only the validation pictures' rows were of use."""
    scores = told(trunk_runs_saved=200)
    scores["augment"] = {"name": "light", "views": 0, "tta": 1, "computed": 0, "reused": 0, "seconds": 0.0, "steps": []}
    show.run_facts(from_json(RunScores, scores))
    out = capsys.readouterr().out
    assert "For fresh views of training pictures it ran in every epoch. Without stored activations of the others" in out
    assert "it would have run another 200 times" in out


def test_a_run_on_frozen_features_says_nothing_of_a_training(capsys: pytest.CaptureFixture[str]) -> None:
    """Its rows are features, and no block was trained."""
    scores = told()
    del scores["training"]
    show.run_facts(from_json(RunScores, scores))
    out = capsys.readouterr().out
    assert "4,000 images, 1,280 features: 4,000 computed" in out and "trained" not in out


def test_live_text_is_shown_with_the_bar_of_its_stage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stage that says something new at every step has one bar; the next stage clears what it said last."""
    for name, value in (("FORCE_COLOR", "1"), ("COLUMNS", "80"), ("TERM", "xterm")):
        monkeypatch.setenv(name, value)
    with progress.progress_bar() as advance:
        for done in (1, 2, 3):
            advance(f"train|epoch {done} of 3, loss 0.{done}000", done, 3)
        drawn, until = "", time.monotonic() + 20
        while "3/3" not in drawn and time.monotonic() < until:  # it draws ten times a second
            time.sleep(0.05)
            drawn += capsys.readouterr().err
        advance("features", 5, 5)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn + capsys.readouterr().err)
    assert "\nepoch 3 of 3, loss 0.3000" in shown.replace("\r", "")
    last = shown.rsplit("Training", 1)[1]
    assert "3/3" in last and "Trained" in last and "5/5" in last and "epoch" not in last


def test_every_stage_of_a_training_has_a_name_and_a_rate() -> None:
    """Names fit their column; pictures and steps are counted by the second."""
    for stage, unit in (("frozen features", "images/s"), ("features", "images/s"), ("train", "steps/s")):
        assert len(progress.STAGES[stage]) <= 9 and progress.RATES[stage] == unit
    assert len(set(progress.STAGES.values())) == len(progress.STAGES) - 1, (
        "a head's training and a network's share a name"
    )


def test_the_page_on_training_has_every_setting_with_its_default() -> None:
    """docs/training.md has a row for each key of the recipe's `[training]`, and the default of those that have one."""
    page = (Path(__file__).parents[1] / "docs" / "training.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", page, re.MULTILINE))
    assert list(rows) and rows.keys() == TrainingRecipe.model_fields.keys()
    for name, field in TrainingRecipe.model_fields.items():
        if field.default is not None:
            assert rows[name] == str(field.default).lower(), name


def test_every_setting_has_words_in_the_report() -> None:
    """What a plan holds and what rules choose is never shown by its key alone."""
    known = {*Plan.__dataclass_fields__, *TrainingRecipe.model_fields} - {"unfreeze", "find_rate", "disk_gb"}
    assert known <= settings.WORDS.keys()
