"""Pictures of one group, by the column `group` of a table, stay on one side of every split, subset and fold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import headstart
from headstart.audit.execute import AuditRequest, audit, listed
from headstart.division import pictures
from headstart.errors import DataError, UnknownName
from headstart.features.extract import Settings, extract
from headstart.features.source import FeatureSource
from headstart.images import ImageSet, load, split, with_test
from headstart.images.groups import numbered
from headstart.images.options import Reading
from headstart.preprocess import Preprocess
from headstart.recipe import DataRecipe
from headstart.report.headline import headline
from headstart.statistics import share_interval, wilson, worth

Made = Callable[..., Path]


@pytest.fixture
def table(tmp_path: Path) -> Made:
    """A table of n random pictures in two classes, `group` a function of their number."""

    def made(
        group: Callable[[int], str], n: int = 120, name: str = "t", extra: Callable[[int], str] | None = None
    ) -> Path:
        rng = np.random.default_rng(len(name))
        lines = ["image,label,group" + (",split" if extra else "")]
        for i in range(n):
            pixels = rng.integers(0, 255, (8, 8, 3), dtype=np.uint8) // 2 + 127 * (i % 2)
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / f"{name}{i:03d}.png")
            lines.append(f"{name}{i:03d}.png,{'ab'[i % 2]},{group(i)}" + (f",{extra(i)}" if extra else ""))
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
        return tmp_path / f"{name}.csv"

    return made


def sides(images: ImageSet) -> dict[str, set[str]]:
    """The parts that each named group is in."""
    assert images.groups is not None
    return {str(g): set(images.parts[images.groups == g].tolist()) for g in np.unique(images.groups) if g}


def test_a_group_is_on_one_side_of_a_split_that_is_drawn(table: Made) -> None:
    """Thirty patients of four pictures each, whatever the seed; the test keeps about its size."""
    images = load(table(lambda i: f"patient {i // 4}"))
    for seed in range(5):
        parted = split(images, seed=seed)
        assert all(len(found) == 1 for found in sides(parted).values())
        assert 20 <= (parted.parts == "test").sum() <= 28


def test_pictures_without_a_group_are_alone_and_a_table_without_names_has_none(table: Made) -> None:
    images = load(table(lambda i: "" if i % 3 else f"g{i % 9}"))
    assert images.groups is not None
    counts = np.bincount(numbered(images.groups))
    assert (counts == 1).sum() == 80 and sorted(counts[counts > 1]) == [13, 13, 14]
    assert load(table(lambda i: "", name="none")).groups is None


def test_what_belongs_together_and_what_is_a_copy_is_joined_by_the_extraction(table: Made) -> None:
    """Folds, clusters of test pictures and the division of a run all go by `copies.together`."""
    images = load(table(lambda i: f"g{i // 10}"))
    found = extract(images, FeatureSource(Preprocess(8, 8)))
    assert len(np.unique(found.copies.together)) == 12 and len(np.unique(found.copies.near)) == 120


@pytest.mark.parametrize("evaluate", ["cv", "holdout"])
def test_a_run_judges_no_picture_by_its_own_group(table: Made, tmp_path: Path, evaluate: str) -> None:
    """A hold-out has whole groups; the light and the dark class are told apart all the same."""
    run = headstart.fit(table(lambda i: f"g{i // 12}"), method="pixels", head="ridge", evaluate=evaluate,
                        out=tmp_path / evaluate)  # fmt: skip
    if evaluate == "holdout":
        parts: dict[str, set[Any]] = {}
        for line in (run.folder / "split.csv").read_text().splitlines()[1:]:
            name, _, part = line.split(",")
            parts.setdefault(f"g{int(name[1:4]) // 12}", set()).add(part)
        assert all(len(found) == 1 for found in parts.values()) and {"train"} in parts.values()
    judged = run.content.after["cv" if evaluate == "cv" else "test"]
    assert judged.accuracy > 0.9


def test_a_brought_split_that_tears_groups_is_told(table: Made, tmp_path: Path) -> None:
    """It stays as the data bring it; the note says how many, and the score without them."""
    data = table(lambda i: f"g{i // 4}", extra=lambda i: "test" if i % 4 == 0 or i >= 100 else "train")
    run = headstart.fit(data, method="pixels", head="ridge", out=tmp_path / "run")
    (note,) = [note for note in run.content.notes if "a group that was trained on" in note]
    assert note.startswith("25 of the test pictures belong to a group that was trained on, or are copies of training")
    assert "without them accuracy there is" in note


def test_a_test_of_groups_that_were_trained_on_is_not_said_to_be_of_copies(table: Made, tmp_path: Path) -> None:
    """None of these pictures is a copy of another; what they share is their group."""
    data = table(lambda i: f"g{i // 4}", extra=lambda i: "test" if i % 4 == 0 else "train")
    run = headstart.fit(data, method="pixels", head="ridge", out=tmp_path / "run")
    assert headline(run.content).endswith(
        "and each is of a group that was trained on, or a copy of a training picture."
    )
    some = table(lambda i: f"g{i // 4}", extra=lambda i: "test" if i % 4 == 0 or i >= 100 else "train", name="ttt")
    leak = headstart.fit(some, method="pixels", head="ridge", out=tmp_path / "some").content.leaks["test"]  # type: ignore[index]
    off = replace(leak, without={**leak.without, "accuracy": 0.5})  # type: ignore[dict-item]
    told = headline(replace(run.content, leaks={"test": replace(off, copies=25)}))
    assert "that are of no group that was trained on and copy no training picture named correctly" in told


def test_pictures_kept_in_one_fold_are_said_to_be_of_groups(table: Made, tmp_path: Path) -> None:
    run = headstart.fit(table(lambda i: f"g{i // 4}"), method="pixels", head="ridge", out=tmp_path / "run")
    note = "Copies, near copies and groups (120 pictures) were always judged together, in one fold."
    assert note in run.content.notes


def test_a_group_of_most_pictures_is_refused_in_one_sentence(table: Made) -> None:
    with pytest.raises(DataError, match=r"90 of 120 pictures are in the group 'x'.*half of them at most"):
        load(table(lambda i: "x" if i < 90 else ""))


def test_groups_of_two_tables_are_the_same_by_name(table: Made) -> None:
    """A separate test set: a patient in both is one group."""
    both = with_test(load(table(lambda i: f"g{i % 6}")), load(table(lambda i: f"g{i % 8}", n=16, name="other")))
    assert both.groups is not None and len(np.unique(numbered(both.groups))) == 8


def test_a_class_keeps_its_training_pictures_where_one_group_holds_them_all(table: Made) -> None:
    """Class b is one patient: it cannot be tested, which a note says, and no group is torn."""
    images = load(table(lambda i: "b's" if i % 2 and i < 80 else f"g{i // 6}", n=80))
    parted = split(replace(images, labels=(images.groups == "b's").astype(np.int64)))
    assert set(parted.parts[parted.labels == 1].tolist()) == {"train"}
    assert all(len(found) == 1 for found in sides(parted).values())
    assert any("The test part has no picture of 'b'" in note for note in parted.notes)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_split_and_group_are_known_in_any_case_as_image_and_label_are(table: Made, kind: str) -> None:
    """Passed over, a test part would be trained on and a patient would be on both sides, without a word."""
    path = table(lambda i: f"patient {i // 4}", extra=lambda i: "test" if i % 12 < 4 else "train")
    head, rows = path.read_text().split("\n", 1)
    path.write_text(f"Image,LABEL,Group,Split\n{rows}")
    images = load(path if kind == "csv" else as_parquet(path))
    assert head == "image,label,group,split"
    assert (images.parts == "test").sum() == 40 and all(len(found) == 1 for found in sides(images).values())
    assert images.notes == ()


def test_two_columns_that_both_say_the_split_are_refused(table: Made) -> None:
    path = table(lambda i: "", extra=lambda i: "")
    path.write_text(path.read_text().replace("label,group,split", "label,Split,SPLIT"))
    with pytest.raises(DataError, match="has the columns 'Split' and 'SPLIT'; rename all but one"):
        load(path)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_columns_that_may_be_meant_as_split_or_group_are_told(table: Made, kind: str) -> None:
    path = table(lambda i: f"patient {i // 4}", extra=lambda i: "test" if i % 12 < 4 else "train")
    path.write_text(path.read_text().replace("label,group,split", "label,patient_id,is_valid"))
    notes = load(path if kind == "csv" else as_parquet(path)).notes
    assert len(notes) == 2
    assert notes[0].startswith("The column 'is_valid' is not read: a column named 'split' says which part")
    assert notes[1].endswith(
        "is not read: a column named 'group' says which pictures belong together. If 'patient_id' says so here, add "
        "group_column=patient_id."
    )
    assert load(path, labelled=False).notes == ()
    assert len(load(path, label_column="is_valid", image_column="image").notes) == 1  # a label is read


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_columns_of_split_and_group_may_have_any_name(table: Made, kind: str) -> None:
    path = table(lambda i: f"patient {i // 4}", extra=lambda i: "test" if i % 12 < 4 else "train")
    named = load(path)
    path.write_text(path.read_text().replace("label,group,split", "label,patient_id,fold"))
    path = path if kind == "csv" else as_parquet(path)
    images = load(path, split_column="fold", group_column="patient_id")
    assert images.notes == () and images.groups is not None and named.groups is not None
    assert images.parts.tolist() == named.parts.tolist() and images.groups.tolist() == named.groups.tolist()
    with pytest.raises(UnknownName, match=r"did you mean patient_id.*group_column"):
        load(path, group_column="patient")


def test_a_separate_test_table_needs_no_column_of_the_split(table: Made, tmp_path: Path) -> None:
    """Its groups are still read, and a folder has no columns at all."""
    source = table(lambda i: f"patient {i // 4}", extra=lambda i: "train")
    source.write_text(source.read_text().replace("label,group,split", "label,patient_id,fold"))
    other = table(lambda i: f"visitor {i // 4}", n=20, name="other")
    other.write_text(other.read_text().replace("label,group", "label,patient_id"))
    data = DataRecipe(source=str(source), test=str(other), split_column="fold", group_column="patient_id")
    images = pictures(data, 0)
    assert (images.parts == "test").sum() == 20 and images.groups is not None
    assert set(images.groups[images.parts == "test"].tolist()) == {f"visitor {i}" for i in range(5)}
    for k, name in enumerate("ab"):
        (tmp_path / "folder" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8), (k, 9, 9)).save(tmp_path / "folder" / name / "1.png")
    assert (pictures(data.model_copy(update={"test": str(tmp_path / "folder")}), 0).parts == "test").sum() == 2
    request = AuditRequest(
        str(source), str(tmp_path / "folder"), reading=Reading(split_column="fold", group_column="patient_id")
    )
    assert (listed(request)[0].parts == "test").sum() == 2


def test_a_run_reads_a_table_by_the_columns_that_it_was_told(table: Made, tmp_path: Path) -> None:
    """Where the table has them: other names may still be given, and a table of the usual names is read by these."""
    path = table(lambda i: f"patient {i // 4}", extra=lambda i: "test" if i % 12 < 4 else "train")
    (tmp_path / "usual.csv").write_text(path.read_text())
    path.write_text(path.read_text().replace("image,label,group,split", "file,dx,patient_id,fold"))
    run = headstart.fit(
        path, method="pixels", head="prototype", store=False, out=tmp_path / "run",
        image_column="file", label_column="dx", group_column="patient_id", split_column="fold",
    )  # fmt: skip
    said = headstart.evaluate(run.folder, path)
    assert said["n"] == 40 and said["accuracy"] == run.scores["after"]["test"]["accuracy"]
    assert said["accuracy_low"] == run.scores["after"]["test"]["accuracy_low"]  # of groups
    assert headstart.evaluate(run.folder, tmp_path / "usual.csv")["n"] == 40
    assert headstart.evaluate(run.folder / "bundle", path)["n"] == 40
    assert len(headstart.predict(run.folder, path).names) == 120
    with pytest.raises(UnknownName, match="label_column"):
        headstart.evaluate(run.folder, path, label_column="label")
    (tmp_path / "run" / "recipe.toml").unlink()
    with pytest.raises(DataError, match="has no column 'image'"):
        headstart.predict(run.folder, path)


def test_the_audit_tells_groups_that_are_in_two_parts(table: Made, tmp_path: Path) -> None:
    """Every picture of the second part whose patient is in the first; the clean table leaves those of the first out."""
    data = table(lambda i: f"g{i // 4}", n=40, extra=lambda i: "test" if i % 4 == 0 and i < 20 else "train")
    found = audit(AuditRequest(str(data), backbone="sprout"), Settings()).findings["leak"]
    assert [each.name for each in found] == [f"t{i:03d}.png" for i in range(0, 20, 4)]
    assert found[1].detail == "of the group 'g1', which is in train too" and len(found[1].drops) == 3


def as_parquet(table: Path) -> Path:
    """The same table of text as Parquet."""
    from pyarrow import csv, parquet

    parquet.write_table(csv.read_csv(table), table.with_suffix(".parquet"))
    return table.with_suffix(".parquet")


def test_an_interval_counts_patients_where_their_pictures_go_right_or_wrong_together() -> None:
    """Thirty patients of eight pictures each, all alike: as wide as of thirty pictures, and more."""
    patients = np.repeat(np.arange(30), 8)
    right = patients < 20
    low, high = share_interval(right, patients)
    assert low < wilson(20, 30)[0] and high > wilson(20, 30)[1]
    assert share_interval(right, None) == share_interval(right, np.arange(240)) == wilson(160, 240)
    assert share_interval(right, np.zeros(240, np.int64)) == wilson(2 / 3, 1)
    assert worth(np.ones(240, np.bool_), patients) < 30  # all right: so many patients
    assert worth(right, np.arange(240) // 2 * 2) < 240 and worth(np.zeros(0, np.bool_), np.zeros(0, np.int64)) == 0


@pytest.mark.slow
@pytest.mark.parametrize(("groups", "size"), [(30, 8), (100, 3), (100, 10)])
@pytest.mark.parametrize("alike", [0.0, 0.3, 0.7])
def test_such_an_interval_holds_the_truth(groups: int, size: int, alike: float) -> None:
    """In 1,500 draws with nine of ten right, pictures of a group as like each other as a hidden normal number says."""
    rng, number = np.random.default_rng(0), np.repeat(np.arange(groups), size)
    held = 0
    for _ in range(1500):
        hidden = np.sqrt(alike) * rng.standard_normal(groups)[number]
        hidden += np.sqrt(1 - alike) * rng.standard_normal(len(number))
        low, high = share_interval(hidden < 1.2815515655446004, number)
        held += low <= 0.9 <= high
    assert 0.92 <= held / 1500 <= 0.985


def test_a_run_and_evaluate_say_the_interval_of_patients(table: Made, tmp_path: Path) -> None:
    """Half of the pictures show the other class, a patient at a time; the test part is ten patients of twelve."""
    path = table(lambda i: f"patient {i // 12}", n=240, extra=lambda i: "test" if i >= 120 else "train")
    lines = path.read_text().splitlines()
    flipped = [line.replace(",a,", ",x,").replace(",b,", ",a,").replace(",x,", ",b,") for line in lines]
    mixed = [lines[0], *(flipped[1 + i] if i >= 120 and i // 12 % 3 == 0 else lines[1 + i] for i in range(240))]
    path.write_text("\n".join(mixed) + "\n")
    run = headstart.fit(path, method="pixels", head="prototype", store=False, out=tmp_path / "run")
    test = run.scores["after"]["test"]
    low, high = wilson(test["correct"], test["n"])
    assert 0.5 < test["accuracy"] < 0.8 and test["accuracy_low"] < low - 0.1 and test["accuracy_high"] > high + 0.1
    assert any(note.startswith("The 120 pictures judged are of 10 groups.") for note in run.scores["notes"])
    again = headstart.evaluate(run.folder, path)
    assert (again["accuracy_low"], again["accuracy_high"]) == (test["accuracy_low"], test["accuracy_high"])
