"""Parts: drawn once, stratified, the same for the same seed, written and read back by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.errors import DataError, UnknownName
from headstart.images import ImageSet, apply_split, from_arrays, load, split, write_split

CLASSES = ("ant", "bee", "cat")
sets = st.lists(st.sampled_from(CLASSES), min_size=1, max_size=200)


def images_of(labels: list[str], parts: list[str] | str = "") -> ImageSet:
    """A set with these labels and parts, named by position alone."""
    images = from_arrays(np.zeros((len(labels), 1, 1), np.uint8), labels, parts=parts)
    return replace(images, names=tuple(f"{i:04d}" for i in range(len(labels))))


def counts(images: ImageSet) -> dict[str, int]:
    """part -> how many."""
    return {part: int((images.parts == part).sum()) for part in np.unique(images.parts).tolist()}


def by_name(images: ImageSet) -> dict[str, str]:
    """name -> part."""
    return dict(zip(images.names, images.parts.tolist(), strict=True))


def test_a_fifth_is_kept_for_the_test_and_the_rest_is_learnt_from() -> None:
    """1,000 pictures: 200 test and 800 train, the classes alike; nothing is drawn for validation or calibration."""
    parted = split(images_of(["ant", "bee"] * 500), seed=0)
    assert counts(parted) == {"test": 200, "train": 800}
    assert parted.notes == ()
    for part in ("test", "train"):
        labels = parted.labels[parted.parts == part]
        assert (labels == 0).sum() == (labels == 1).sum()


def test_of_a_large_set_with_a_test_part_everything_else_is_learnt_from() -> None:
    """However many there are, no training picture is taken away for another part."""
    parts = ["train"] * 60_000 + ["test"] * 10
    parted = split(images_of(["ant"] * 60_010, parts), seed=0)
    assert counts(parted) == {"test": 10, "train": 60_000}


@settings(max_examples=60, deadline=None)
@given(sets, st.integers(0, 5), st.randoms())
def test_the_same_seed_gives_the_same_split_in_any_listing_order(labels: list[str], seed: int, random: object) -> None:
    """Every picture has one part, each class a training picture, parts are in proportion, order does not matter."""
    images = images_of(labels)
    parted = split(images, seed=seed)
    assert set(parted.parts.tolist()) <= {"train", "test"}
    assert set(parted.labels[parted.parts == "train"].tolist()) == set(images.labels.tolist())
    for k in range(len(images.classes)):
        n = int((images.labels == k).sum())
        assert abs(int(((parted.parts == "test") & (images.labels == k)).sum()) - 0.2 * n) < 2.5
    order = list(range(len(labels)))
    random.shuffle(order)  # type: ignore[attr-defined]
    assert by_name(split(images.take(order), seed=seed)) == by_name(parted)


def test_another_seed_gives_another_split() -> None:
    """The seed matters."""
    images = images_of(["ant", "bee"] * 50)
    assert by_name(split(images, seed=0)) != by_name(split(images, seed=1))


def test_adding_pictures_moves_few_others() -> None:
    """The order of drawing belongs to the names: one more picture changes the part of a handful at most."""
    images = images_of(["ant", "bee"] * 500 + ["ant"])
    fewer = by_name(split(images.take(np.arange(1000)), seed=0))
    more = by_name(split(images, seed=0))
    assert sum(fewer[name] != more[name] for name in fewer) <= 6


def test_parts_that_the_data_bring_are_kept() -> None:
    """A given test and val part stay as they are."""
    parts = ["train"] * 40 + ["val"] * 20 + ["test"] * 10
    images = images_of(["ant", "bee"] * 35, parts)
    parted = split(images, seed=0)
    assert counts(parted) == {"train": 40, "val": 20, "test": 10}
    assert parted.parts.tolist() == parts


def test_a_given_val_part_stays_whole_beside_a_test_part_that_is_drawn() -> None:
    """The test part is drawn from the training pictures alone, and nothing is noted of parts that nobody asked for."""
    parts = ["train"] * 10 + ["val"] * 3
    parted = split(images_of(["ant", "bee"] * 6 + ["ant"], parts), seed=0)
    assert counts(parted) == {"train": 8, "val": 3, "test": 2} and parted.parts.tolist()[10:] == ["val"] * 3
    assert not any("calibration" in note for note in parted.notes)


def test_a_given_calibration_part_is_kept() -> None:
    """It stays, and nothing is drawn beside it."""
    parts = ["train"] * 80 + ["calibration"] * 4 + ["test"] * 4
    parted = split(images_of(["ant", "bee"] * 44, parts), seed=0)
    assert counts(parted) == {"train": 80, "calibration": 4, "test": 4} and parted.parts.tolist() == parts


def test_undecided_pictures_beside_parts_are_training_pictures() -> None:
    """An empty cell of a table's split column means train."""
    parted = split(images_of(["ant"] * 30, ["train"] * 10 + [""] * 10 + ["test"] * 10), seed=0)
    assert counts(parted)["test"] == 10 and "" not in counts(parted)


@pytest.mark.parametrize("labels", [["ant"], ["ant", "bee"], ["ant", "bee", "bee"]])
def test_tiny_sets_keep_their_training_pictures_and_say_what_is_empty(labels: list[str]) -> None:
    """With a picture or two everything is training, and a note names the empty test part; so does none if not asked."""
    parted = split(images_of(labels), seed=0)
    assert {part for part, n in counts(parted).items() if n} <= {"train", "test"}
    empty = "test" not in counts(parted)
    assert sum("test part is empty" in note for note in parted.notes) == int(empty)
    assert empty or len(labels) > 2
    assert split(images_of(labels), seed=0, test=0.0).notes == ()


def test_a_class_that_a_part_lacks_is_named() -> None:
    """A class with one picture is trained on and noted as absent from test."""
    parted = split(images_of(["ant"] * 50 + ["bee"]), seed=0)
    assert any("test part has no picture of 'bee'" in note for note in parted.notes)


def test_the_share_of_the_test_part_can_be_chosen() -> None:
    """Half, or none at all; what was not asked for is not noted as empty."""
    images = images_of(["ant", "bee"] * 20)
    half, none = split(images, seed=0, test=0.5), split(images, seed=0, test=0.0)
    assert counts(half) == {"test": 20, "train": 20} and half.notes == ()
    assert counts(none) == {"train": 40} and none.notes == ()


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (images_of(["ant", "bee"], ["test", "test"]), "no training pictures"),
        (images_of(["ant", "bee"], ["train", "test"]), "'bee' has pictures in test but none in train"),
        (from_arrays(np.zeros((2, 1, 1), np.uint8), ["ant", None]), "1 picture has no label"),
        (images_of(["ant"]).take([]), "holds no picture"),
    ],
)
def test_sets_that_cannot_be_split_are_explained(images: ImageSet, said: str) -> None:
    """Nothing to train on, or nothing to learn, is an error and not an empty part."""
    with pytest.raises(DataError, match=said):
        split(images, seed=0)


names = st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"])), min_size=1, max_size=30, unique=True)


@given(names, st.data())
def test_a_split_file_comes_back_by_name(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], data: object
) -> None:
    """Any names survive the file; a set listed in another order gets the same parts."""
    labels = [data.draw(st.sampled_from(["ant", 'b"e,e', "c\u00e9"])) for _ in texts]  # type: ignore[attr-defined]
    images = split(replace(images_of(labels), names=tuple(texts)), seed=0)
    path = tmp_path_factory.mktemp("split") / "split.csv"
    write_split(images, path)
    again = replace(images, parts=np.full(len(texts), "")).take(np.arange(len(texts))[::-1])
    assert by_name(apply_split(again, path)) == by_name(images)
    assert [p.name for p in path.parent.iterdir()] == ["split.csv"]


def test_the_file_is_the_same_for_any_listing_order(tmp_path: Path) -> None:
    """Byte for byte, so that two runs can be compared."""
    images = split(images_of(["ant", "bee"] * 20), seed=0)
    write_split(images, tmp_path / "a.csv")
    write_split(images.take(np.arange(40)[::-1]), tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert (tmp_path / "a.csv").read_text().startswith("name,label,split\n0000,ant,")


def test_a_split_of_other_pictures_is_refused(tmp_path: Path) -> None:
    """Missing and new pictures are counted and shown; a changed label is shown with both labels."""
    images = split(images_of(["ant", "bee"] * 5), seed=0)
    write_split(images, tmp_path / "split.csv")
    with pytest.raises(DataError, match=r"2 of its pictures are not there \(first '0008'\)"):
        apply_split(images.take(np.arange(8)), tmp_path / "split.csv")
    with pytest.raises(DataError, match=r"1 picture is not in it \(first 'new'\)"):
        apply_split(replace(images, names=(*images.names[:-1], "new")), tmp_path / "split.csv")
    with pytest.raises(DataError, match=r"'0000' the label 'ant'.*gives it 'bee'"):
        apply_split(replace(images, labels=1 - images.labels), tmp_path / "split.csv")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must start with the line"),
        ("name,split\n0000,train\n", "must start with the line"),
        ("name,label,split\n0000,ant\n", "row 2 does not have three columns"),
        ("name,label,split\n0000,ant,train\n0000,ant,test\n", "row 3 names '0000' again"),
        ("\xff", "cannot be read"),
        (f"name,label,split\n{'0' * 200_000},ant,train\n", "cannot be read: line 2"),
    ],
)
def test_a_damaged_split_file_is_explained(tmp_path: Path, text: str, said: str) -> None:
    """Each fault of the file has its sentence."""
    (tmp_path / "split.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=said):
        apply_split(images_of(["ant"]), tmp_path / "split.csv")


def test_a_damaged_table_of_refused_pictures_beside_a_split_is_named(tmp_path: Path) -> None:
    (tmp_path / "split.csv").write_text("name,label,split\n0000,ant,train\n0001,ant,train\n")
    (tmp_path / "refused.csv").write_text("name,reason,detail\n" + "0" * 200_000)
    with pytest.raises(DataError, match=r"refused\.csv cannot be read: line 2"):
        apply_split(images_of(["ant"]), tmp_path / "split.csv")


def test_a_missing_split_file_and_an_unknown_part_are_explained(tmp_path: Path) -> None:
    """No file: one sentence. An unknown part: the nearest ones and the row."""
    with pytest.raises(DataError, match="no split file"):
        apply_split(images_of(["ant"]), tmp_path / "split.csv")
    (tmp_path / "split.csv").write_text("name,label,split\n0000,ant,tset\n")
    with pytest.raises(UnknownName, match=r"test.*row 2"):
        apply_split(images_of(["ant"]), tmp_path / "split.csv")


@pytest.mark.data
def test_real_photos_are_split_and_read_back(data_dir: Path, tmp_path: Path) -> None:
    """cats_vs_dogs keeps its 2,000 test pictures, and split.csv gives the same parts to a fresh listing."""
    images = split(load(data_dir / "cats_vs_dogs"), seed=3)
    assert counts(images) == {"test": 2000, "train": 2000}
    write_split(images, tmp_path / "split.csv")
    assert by_name(apply_split(load(data_dir / "cats_vs_dogs"), tmp_path / "split.csv")) == by_name(images)


def test_classes_that_find_no_place_in_the_test_part_are_drawn_and_not_the_last_by_name() -> None:
    """100 classes of two pictures: 40 of them are tested, another 40 with another seed, and the others are named."""
    labels = [f"class {k:03d}" for k in range(100) for _ in range(2)]
    for seed in (0, 1):
        parted = split(images_of(labels), seed=seed)
        tested = np.unique(parted.labels[parted.parts == "test"])
        assert len(tested) == 40 and 35 < tested.mean() < 65
        assert (tested >= 50).sum() > 10
        (note,) = parted.notes
        lacking = [k for k in range(100) if k not in tested]
        assert f"no picture of 'class {lacking[0]:03d}'" in note and note.endswith("and 40 more: too few pictures.")
    assert set(tested) != set(np.unique((first := split(images_of(labels), seed=0)).labels[first.parts == "test"]))


def test_a_split_file_whose_test_part_lacks_a_class_says_so(tmp_path: Path) -> None:
    write_split(split(images_of(["ant"] * 50 + ["bee"]), seed=0), tmp_path / "split.csv")
    again = apply_split(images_of(["ant"] * 50 + ["bee"]), tmp_path / "split.csv")
    assert again.notes == ("The test part has no picture of 'bee'.",)
