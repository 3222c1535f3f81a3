"""Choosing fewer pictures: by class name, by a stratified limit, by training pictures a class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.api.checks import names
from headstart.errors import DataError, UnknownName, UserError
from headstart.images import ImageSet, from_arrays, load, select
from headstart.images.order import allocate

CLASSES = ("ant", "bee", "cat", "dog")
sets = st.lists(
    st.tuples(st.sampled_from(CLASSES), st.sampled_from(["", "train", "val", "test"])), min_size=1, max_size=120
)


def images_of(rows: list[tuple[str, str]]) -> ImageSet:
    """A set with these (class, part) rows and names in the order of rows."""
    return from_arrays(
        np.zeros((len(rows), 1, 1), np.uint8), [label for label, _ in rows], parts=[part for _, part in rows]
    )


def counted(images: ImageSet) -> dict[tuple[str, str], int]:
    """(class, 'train' or a later part) -> how many; undecided counts as train."""
    counts: dict[tuple[str, str], int] = {}
    for k, part in zip(images.labels, images.parts.tolist(), strict=True):
        key = (images.classes[k], part or "train")
        counts[key] = counts.get(key, 0) + 1
    return counts


def test_classes_are_chosen_by_name() -> None:
    """The order of naming does not matter, labels are renumbered, everything else goes."""
    images = images_of([(c, "") for c in ["ant", "dog", "bee", "cat", "dog"]])
    chosen = select(images, classes=["dog", "ant"])
    assert chosen.classes == ("ant", "dog")
    assert [chosen.classes[k] for k in chosen.labels] == ["ant", "dog", "dog"]
    assert chosen.names == tuple(images.names[i] for i in (0, 1, 4))


def test_unlabelled_pictures_belong_to_no_class() -> None:
    """Choosing classes drops what has no label, also when the last class is chosen."""
    images = from_arrays(np.zeros((3, 1, 1), np.uint8), ["a", None, "b"])
    assert len(select(images, classes=["b"])) == 1


def test_a_class_whose_name_has_a_comma_is_written_in_quotes() -> None:
    """As in a table; without them the message says so, as it does not where no name has a comma."""
    images = from_arrays(np.zeros((4, 8, 8), np.uint8), ["ants, red", "bees", 'a "b"', "bees"])
    chosen = names("classes", '"ants, red", a "b"')
    assert chosen is not None and select(images, classes=chosen).classes == ('a "b"', "ants, red")
    asked = names("classes", "ants, red")
    with pytest.raises(UnknownName, match="a name with a comma is in quotes"):
        select(images, classes=asked)
    with pytest.raises(UnknownName) as plain:
        select(images_of([("dog", "")]), classes=["dogs"])
    assert "quotes" not in str(plain.value)


def test_a_class_that_does_not_exist_shows_the_nearest() -> None:
    """'dogs' shows 'dog'."""
    with pytest.raises(UnknownName, match="did you mean dog"):
        select(images_of([("dog", ""), ("cat", "")]), classes=["dogs"])
    with pytest.raises(UserError, match="No class"):
        select(images_of([("dog", "")]), classes=[])


@settings(max_examples=60, deadline=None)
@given(sets, st.integers(1, 140), st.integers(0, 3))
def test_a_limit_is_met_exactly_in_proportion(rows: list[tuple[str, str]], limit: int, seed: int) -> None:
    """Exactly `limit` pictures when there are as many; each part and class within one of its share, or one at least."""
    images = images_of(rows)
    before = counted(images)
    trained = {label for label, part in before if part == "train"}
    if limit < min(len(rows), len(trained)):
        with pytest.raises(DataError, match=f"limit of {limit}"):
            select(images, limit=limit, seed=seed)
        return
    chosen = select(images, limit=limit, seed=seed)
    assert len(chosen) == min(limit, len(rows))
    after = counted(chosen)
    assert {label for label, part in after if part == "train"} == trained
    if limit >= 4 * len(rows) / min(before.values()):  # no class needs more than its share
        assert all(abs(after.get(key, 0) - n * len(chosen) / len(rows)) < 1 for key, n in before.items())


def test_a_small_limit_takes_no_class_out_of_training() -> None:
    """With two pictures for two classes each keeps one, although most pictures belong to the validation of one."""
    images = images_of([("ant", ""), ("ant", "val"), ("ant", "val"), ("bee", "")])
    assert counted(select(images, limit=2)) == {("ant", "train"): 1, ("bee", "train"): 1}


@settings(max_examples=40, deadline=None)
@given(sets, st.integers(4, 60), st.integers(0, 3), st.randoms())
def test_the_choice_does_not_depend_on_the_listing_order(
    rows: list[tuple[str, str]], limit: int, seed: int, random: object
) -> None:
    """The same pictures are chosen from any order of the same set, by limit and by class size."""
    images = images_of(rows)
    order = list(range(len(rows)))
    random.shuffle(order)  # type: ignore[attr-defined]
    mixed = images.take(order)
    assert set(select(images, limit=limit, seed=seed).names) == set(select(mixed, limit=limit, seed=seed).names)


def test_seeds_choose_differently_and_smaller_choices_are_subsets() -> None:
    """Two seeds give two choices; 5 a class is a subset of 20 a class."""
    images = images_of([(c, "train") for c in CLASSES for _ in range(100)])
    choices = [set(select(images, train_per_class=20, seed=seed).names) for seed in (0, 1)]
    assert choices[0] != choices[1]
    assert set(select(images, train_per_class=5, seed=0).names) < choices[0]


def test_train_per_class_thins_training_alone() -> None:
    """Exactly n training pictures of each class; validation and test stay whole."""
    images = images_of([(c, p) for c in CLASSES for p, n in (("train", 9), ("val", 3), ("test", 4)) for _ in range(n)])
    chosen = counted(select(images, train_per_class=2))
    assert chosen == {(c, p): n for c in CLASSES for p, n in (("train", 2), ("val", 3), ("test", 4))}


def test_a_class_with_too_few_keeps_all_and_a_note_says_so() -> None:
    """Classes are not dropped or refused for being small."""
    chosen = select(images_of([("ant", "train")] * 2 + [("bee", "train")] * 8), train_per_class=5)
    assert counted(chosen) == {("ant", "train"): 2, ("bee", "train"): 5}
    assert chosen.notes == ("Fewer than 5 training pictures: 'ant' 2.",)
    assert select(images_of([("ant", "train")] * 5), train_per_class=5).notes == ()


@pytest.mark.parametrize("setting", [{"limit": 0}, {"limit": -3}, {"train_per_class": 0}])
def test_numbers_below_one_are_refused(setting: dict[str, int]) -> None:
    """A limit of nothing is a mistake."""
    with pytest.raises(UserError, match="at least 1"):
        select(images_of([("ant", "")]), **setting)  # type: ignore[arg-type]


@given(
    st.lists(st.integers(0, 1000), min_size=1, max_size=12).filter(any),
    st.integers(0, 3000),
    st.integers(0, 5),
)
def test_shares_add_up_and_stay_in_proportion(counts: list[int], total: int, kept: int) -> None:
    """Largest remainder: the shares add up exactly, none exceeds its bound, and without bounds each is within one."""
    have = np.array(counts, np.int64)
    most = np.maximum(have - kept, 0)
    share = allocate(have, total, most)
    assert share.sum() == min(total, most.sum()) and (share >= 0).all() and (share <= most).all()
    if kept == 0 and total <= have.sum():
        assert (np.abs(share - total * have / have.sum()) < 1).all()


@pytest.mark.data
def test_mnist_seven_or_eight_is_limited_in_proportion(data_dir: Path) -> None:
    """8,000 sevens and eights in the official proportion of train and test."""
    images = select(load(data_dir / "mnist"), classes=["7", "8"], limit=8000)
    assert len(images) == 8000 and images.classes == ("7", "8")
    counts = counted(images)
    whole = {("7", "train"): 6265, ("8", "train"): 5851, ("7", "test"): 1028, ("8", "test"): 974}
    assert all(abs(counts[key] - 8000 * n / 14118) < 1 for key, n in whole.items())


def test_a_limit_shares_its_last_pictures_out_by_chance_and_not_by_name() -> None:
    images = images_of([(f"c{k:02d}", "") for k in range(40) for _ in range(3)])
    more = {
        label
        for label, n in zip(*np.unique(select(images, limit=60).labels, return_counts=True), strict=True)
        if n == 2
    }
    assert len(more) == 20 and more != set(range(20))
