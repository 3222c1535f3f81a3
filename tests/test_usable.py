"""Pictures that cannot be used are named with their class, and listed where the run is."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart import Recipe, evaluate, execute
from headstart.errors import DataError, UserError
from headstart.ranking.rank import rank
from headstart.ranking.request import RankingRequest
from headstart.report import write_report
from headstart.study.execute import compare
from headstart.study.recipe import StudyRecipe

CLASSES = ("bars", "dots", "waves")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Twelve pictures of noise in each of three classes; those of `dots` are no pictures."""
    rng = np.random.default_rng(0)
    for name in CLASSES:
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(12):
            path = tmp_path / "data" / name / f"{i}.png"
            pixels = rng.integers(0, 256, (8, 8), dtype=np.uint8)
            if name == "dots":
                path.write_bytes(b"none")
            else:
                Image.fromarray(pixels).save(path)
    return tmp_path / "data"


def asked(folder: Path, **sections: object) -> Recipe:
    values = {"source": str(folder), "evaluate": "holdout", **sections.pop("data", {})}
    return Recipe.from_dict({"method": "pixels", "data": values, **sections})


def listed(folder: Path) -> list[str]:
    with (folder / "refused.csv").open(newline="", encoding="utf-8") as file:
        return [row["name"] for row in csv.DictReader(file)]


TOLD = "of class 'dots' were refused .* not-an-image.*'(bars|waves)' is the only class left"


@pytest.mark.parametrize("method", ["pixels", "scratch"])
def test_a_lost_class_of_two_is_named_with_the_reason_and_its_pictures_are_listed(
    pictures: Path, tmp_path: Path, method: str
) -> None:
    recipe = asked(pictures, method=method, data={"classes": ["bars", "dots"]}, backbone={"name": "small_cnn"})
    for _ in range(2):  # the list does not keep the same command from being tried again
        with pytest.raises(DataError, match=TOLD) as told:
            execute(recipe, tmp_path / "run")
    assert str(tmp_path / "run" / "refused.csv") in str(told.value)
    assert len(listed(tmp_path / "run")) == 12 and all(name.startswith("dots/") for name in listed(tmp_path / "run"))


def test_a_lost_class_of_three_is_said_in_the_scores_and_in_the_report(pictures: Path, tmp_path: Path) -> None:
    done = execute(asked(pictures), tmp_path / "run")
    notes = [note for note in done.scores["notes"] if "'dots'" in note and "refused" in note and "not learnt" in note]
    assert len(notes) == 1
    assert "of class &#39;dots&#39;" in write_report(done.folder).read_text() and len(listed(done.folder)) == 12


def test_a_study_and_a_ranking_name_a_lost_class_too(pictures: Path, tmp_path: Path) -> None:
    values = {"arms": ["pixels"], "sizes": [2], "repeats": 2, "data": {"source": str(pictures)}}
    study = compare(StudyRecipe.from_dict(values), tmp_path / "study", store=False)
    assert any("'dots'" in note and "refused" in note for note in study.verdicts["notes"])
    values["data"]["classes"] = ["bars", "dots"]
    with pytest.raises(DataError, match=TOLD):
        compare(StudyRecipe.from_dict(values), tmp_path / "two", store=False)
    (pictures / "waves").rename(tmp_path / "waves")
    with pytest.raises(DataError, match=TOLD):
        rank(RankingRequest(str(pictures), ({"name": "sprout", "weights": "pretrained", "layer": "pooled"},)))


def test_a_class_folder_without_pictures_stops_a_classifier_and_nothing_else(pictures: Path, tmp_path: Path) -> None:
    for path in (pictures / "dots").iterdir():
        path.unlink()
    told = "Class folders that hold no picture are left out: 'dots'."
    with pytest.raises(DataError, match=r"no picture in the class folder 'dots'.*allow_empty_classes=True"):
        execute(asked(pictures), tmp_path / "run")
    done = execute(asked(pictures, data={"allow_empty_classes": True}), tmp_path / "run")
    assert told in done.scores["notes"] and told in evaluate(done.folder, pictures)["notes"]
    values = {"arms": ["pixels"], "sizes": [2], "repeats": 2, "data": {"source": str(pictures)}}
    assert told in compare(StudyRecipe.from_dict(values), tmp_path / "study", store=False).verdicts["notes"]
    backbone = {"name": "sprout", "weights": "pretrained", "layer": "pooled"}
    assert told in rank(RankingRequest(str(pictures), (backbone,), folds=2)).notes


def test_where_no_picture_is_left_each_is_listed(pictures: Path, tmp_path: Path) -> None:
    for name in CLASSES:
        for path in (pictures / name).iterdir():
            path.write_bytes(b"none")
    with pytest.raises(DataError, match=r"refused\.csv lists the refused"):
        execute(asked(pictures), tmp_path / "run")
    assert len(listed(tmp_path / "run")) == 36


def test_a_batch_of_one_picture_is_refused_beforehand_and_leaves_nothing_to_resume(
    pictures: Path, tmp_path: Path
) -> None:
    network = {"backbone": {"name": "small_cnn"}, "training": {"batch_size": 1, "epochs": 1, "threads": 1}}
    recipe = asked(pictures, method="scratch", data={"classes": ["bars", "waves"]}, **network)
    with pytest.raises(UserError, match=r"batch_size=1.*give 2 or more"):
        execute(recipe, tmp_path / "run", store=False)
    assert not (tmp_path / "run" / "training").exists()
