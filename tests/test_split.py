"""Parts: drawn once, stratified, the same for the same seed, written and read back by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.errors import DataError, UnknownName
from headstart.images import ImageSet, Shares, apply_split, from_arrays, load, split, write_split

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


def test_shares_are_twenty_then_ten_and_ten_percent() -> None:
    """1,000 pictures: 200 test; of the 800 others 80 val and 80 calibration; 640 remain for training."""
    parted = split(images_of(["ant", "bee"] * 500), seed=0)
    assert counts(parted) == {"test": 200, "val": 80, "calibration": 80, "train": 640}
    assert parted.notes == ()
    for part in ("test", "val", "calibration", "train"):
        labels = parted.labels[parted.parts == part]
        assert (labels == 0).sum() == (labels == 1).sum()


def test_large_sets_give_bounded_parts() -> None:
    """Validation stops at 5,000 and calibration at 2,000 pictures."""
    parts = ["train"] * 60_000 + ["test"] * 10
    parted = split(images_of(["ant"] * 60_010, parts), seed=0)
    assert counts(parted) == {"test": 10, "val": 5000, "calibration": 2000, "train": 53_000}


@settings(max_examples=60, deadline=None)
@given(sets, st.integers(0, 5), st.randoms())
def test_the_same_seed_gives_the_same_split_in_any_listing_order(labels: list[str], seed: int, random: object) -> None:
    """Every picture has one part, each class a training picture, parts are in proportion, order does not matter."""
    images = images_of(labels)
    parted = split(images, seed=seed)
    assert set(parted.parts.tolist()) <= {"train", "val", "calibration", "test"}
    assert set(parted.labels[parted.parts == "train"].tolist()) == set(images.labels.tolist())
    for part, share in (("test", 0.2), ("val", 0.08), ("calibration", 0.08)):
        for k in range(len(images.classes)):
            n = int((images.labels == k).sum())
            assert abs(int(((parted.parts == part) & (images.labels == k)).sum()) - share * n) < 2.5
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
    """A given test and val part stay; calibration is half of val, class by class."""
    parts = ["train"] * 40 + ["val"] * 20 + ["test"] * 10
    images = images_of(["ant", "bee"] * 35, parts)
    parted = split(images, seed=0)
    assert counts(parted) == {"train": 40, "val": 10, "calibration": 10, "test": 10}
    assert (parted.parts[:40] == "train").all() and (parted.parts[60:] == "test").all()
    assert np.bincount(parted.labels[parted.parts == "calibration"]).tolist() == [5, 5]


def test_a_given_val_part_that_is_too_small_to_halve_stays_whole() -> None:
    """With one val picture of a class calibration stays empty, and a note says so."""
    parts = ["train"] * 10 + ["val"] * 3
    parted = split(images_of(["ant", "bee"] * 6 + ["ant"], parts), seed=0)
    assert counts(parted)["val"] == 3 and "calibration" not in counts(parted)
    assert any("calibration part is empty" in note for note in parted.notes)


def test_a_given_calibration_part_is_kept() -> None:
    """Nothing is drawn for calibration when the data bring it."""
    parts = ["train"] * 80 + ["calibration"] * 4 + ["test"] * 4
    parted = split(images_of(["ant", "bee"] * 44, parts), seed=0)
    assert counts(parted) == {"train": 72, "val": 8, "calibration": 4, "test": 4}


def test_undecided_pictures_beside_parts_are_training_pictures() -> None:
    """An empty cell of a table's split column means train."""
    parted = split(images_of(["ant"] * 30, ["train"] * 10 + [""] * 10 + ["test"] * 10), seed=0)
    assert counts(parted)["test"] == 10 and "" not in counts(parted)


@pytest.mark.parametrize("labels", [["ant"], ["ant", "bee"], ["ant", "bee", "bee"]])
def test_tiny_sets_keep_their_training_pictures_and_say_what_is_empty(labels: list[str]) -> None:
    """With a picture or two everything is training, and the notes name the empty parts."""
    parted = split(images_of(labels), seed=0)
    assert {part for part, n in counts(parted).items() if n} <= {"train", "test"}
    assert sum("part is empty" in note for note in parted.notes) >= 2


def test_a_class_that_a_part_lacks_is_named() -> None:
    """A class with one picture is trained on and noted as absent from test."""
    parted = split(images_of(["ant"] * 50 + ["bee"]), seed=0)
    assert any("test part has no picture of 'bee'" in note for note in parted.notes)


def test_shares_can_be_chosen() -> None:
    """Half for test, nothing for the others; what was not asked for is not noted as empty."""
    parted = split(images_of(["ant", "bee"] * 20), seed=0, shares=Shares(test=0.5, val=0, calibration=0))
    assert counts(parted) == {"test": 20, "train": 20} and parted.notes == ()


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (images_of(["ant", "bee"], ["test", "test"]), "no training pictures"),
        (images_of(["ant", "bee"], ["train", "test"]), "'bee' has pictures in test but none in train"),
        (from_arrays(np.zeros((2, 1, 1), np.uint8), ["ant", None]), "1 pictures have no label"),
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
    with pytest.raises(DataError, match=r"1 pictures are not in it \(first 'new'\)"):
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
    ],
)
def test_a_damaged_split_file_is_explained(tmp_path: Path, text: str, said: str) -> None:
    """Each fault of the file has its sentence."""
    (tmp_path / "split.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=said):
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
    assert counts(images) == {"calibration": 200, "test": 2000, "train": 1600, "val": 200}
    write_split(images, tmp_path / "split.csv")
    assert by_name(apply_split(load(data_dir / "cats_vs_dogs"), tmp_path / "split.csv")) == by_name(images)
