"""A separate test set: other pictures, matched by the names of their classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart import Recipe, execute
from headstart.errors import UnknownName
from headstart.images import from_arrays, with_test


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
    assert any("own test part of 6 pictures" in note for note in scores["notes"])
