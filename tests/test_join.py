"""A separate test set: other pictures, matched by the names of their classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart import Recipe, execute
from headstart.errors import UnknownName
from headstart.images import from_arrays, with_test
from headstart.report import write_report
from reading import Page


def arrays(labels: list[str], level: int = 0) -> object:
    pixels = np.full((len(labels), 8, 8), level, np.uint8)
    return from_arrays(pixels, labels)


def folder(at: Path, classes: dict[str, int], count: int) -> Path:
    """Flat pictures: the class is the grey level."""
    rng = np.random.default_rng(len(classes))
    for name, level in classes.items():
        (at / name).mkdir(parents=True)
        for i in range(count):
            pixels = (level + rng.integers(0, 20, (10, 10))).astype(np.uint8)
            Image.fromarray(pixels).save(at / name / f"{i}.png")
    return at


def test_classes_are_matched_by_name_whatever_their_order() -> None:
    joined = with_test(arrays(["a", "b", "c"]), arrays(["c", "b", "c"]))
    test = joined.take(joined.parts == "test")
    assert [joined.classes[k] for k in test.labels] == ["c", "b", "c"]
    assert len(joined) == 6


def test_a_class_that_is_never_learnt_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownName, match="cats"):
        with_test(arrays(["cats", "dogs"]), arrays(["cat", "dogs"]))


def test_a_run_learns_from_one_folder_and_is_judged_on_all_of_the_other(tmp_path: Path) -> None:
    learn = folder(tmp_path / "learn", {"dark": 10, "light": 200}, 20)
    judge = folder(tmp_path / "judge", {"light": 200, "dark": 10}, 7)
    recipe = Recipe.from_dict({"data": {"source": str(learn), "test": str(judge)}, "method": "pixels"})
    run = execute(recipe, tmp_path / "run")
    assert run.scores["counts"]["test"] == 14
    assert run.scores["counts"]["train"] + run.scores["counts"]["val"] + run.scores["counts"]["calibration"] == 40
    assert run.scores["after"]["test"]["accuracy"] == 1.0


def test_a_test_part_of_the_data_gives_way_and_a_note_says_so(tmp_path: Path) -> None:
    learn = folder(tmp_path / "learn" / "train", {"dark": 10, "light": 200}, 10).parent
    folder(learn / "test", {"dark": 10, "light": 200}, 3)
    judge = folder(tmp_path / "judge", {"light": 200, "dark": 10}, 7)
    recipe = Recipe.from_dict({"data": {"source": str(learn), "test": str(judge)}, "method": "pixels"})
    scores = execute(recipe, tmp_path / "run").scores
    assert scores["counts"]["test"] == 14
    assert "The test set is judge." in scores["notes"]
    assert "The test part of learn itself, 6 pictures, is not used." in scores["notes"]


def test_of_a_test_set_with_parts_the_notes_and_the_report_name_the_part_that_was_used(tmp_path: Path) -> None:
    """Its training pictures serve nothing, and a class that it lacks is not put down to too few pictures."""
    levels = {"dark": 10, "light": 200, "mid": 100}
    learn = folder(tmp_path / "learn", levels, 20)
    judge = folder(tmp_path / "judge" / "train", levels, 8).parent
    folder(judge / "test", {"dark": 10, "light": 200}, 4)
    data = {"source": str(learn), "test": str(judge), "train_per_class": 15}
    run = execute(Recipe.from_dict({"data": data, "method": "pixels"}), tmp_path / "run")
    assert run.scores["counts"]["test"] == 8
    notes = run.scores["notes"]
    assert "The test set is the test part of judge; its other parts are not used (24 pictures)." in notes
    assert "The test part has no picture of 'mid'." in notes
    text = Page(write_report(run.folder)).text
    assert f"from {learn}, those of the test from {judge}." in text


def test_of_a_test_set_only_the_named_classes_are_taken(tmp_path: Path) -> None:
    """A class that is left out may be in either set alone."""
    learn = folder(tmp_path / "learn", {"dark": 10, "light": 200, "mid": 100}, 20)
    judge = folder(tmp_path / "judge", {"dark": 10, "light": 200, "grey": 120}, 7)
    data = {"source": str(learn), "test": str(judge), "classes": ["dark", "light"]}
    run = execute(Recipe.from_dict({"data": data, "method": "pixels"}), tmp_path / "run")
    assert run.scores["counts"]["test"] == 14 and run.classifier.classes == ("dark", "light")
