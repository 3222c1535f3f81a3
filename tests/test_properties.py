"""Truths that hold for any input: splits, folds, classes, recipes, preprocessing, metrics."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from PIL import Image

from headstart import metrics
from headstart.classifier import match_classes
from headstart.heads.folds import folds_for, numbers
from headstart.images import from_arrays, split
from headstart.preprocess import Preprocess
from headstart.recipe import Recipe

FEW = settings(max_examples=40, deadline=None)
LABELS = st.lists(st.integers(0, 4), min_size=4, max_size=60).filter(lambda y: min(map(y.count, set(y))) >= 2)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


def codes(labels: list[int]) -> np.ndarray:
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


# --- splits


@FEW
@given(LABELS, st.integers(0, 9), st.randoms(use_true_random=False))
def test_a_split_has_every_picture_once_and_goes_by_names_alone(labels: list[int], seed: int, chance: Any) -> None:
    names = [f"{i}.png" for i in range(len(labels))]
    order = list(range(len(labels)))
    chance.shuffle(order)
    one = split(from_arrays(names, labels), seed=seed)
    other = split(from_arrays([names[i] for i in order], [labels[i] for i in order]), seed=seed)
    parts = dict(zip(one.names, one.parts.tolist(), strict=True))
    assert set(parts.values()) <= {"train", "test"} and len(parts) == len(labels)
    assert parts == dict(zip(other.names, other.parts.tolist(), strict=True))
    assert set(one.labels[one.parts == "train"].tolist()) == set(range(len(one.classes)))


@FEW
@given(LABELS, st.integers(0, 9))
def test_a_test_part_is_a_fifth_of_every_class_but_for_rounding(labels: list[int], seed: int) -> None:
    done = split(from_arrays([f"{i}.png" for i in range(len(labels))], labels), seed=seed)
    test = done.labels[done.parts == "test"]
    for k in range(len(done.classes)):
        assert abs(int((test == k).sum()) - 0.2 * int((done.labels == k).sum())) < 1 + 1e-9
    assert abs(len(test) - 0.2 * len(labels)) <= 0.5 + 1e-9


# --- folds


@FEW
@given(LABELS, st.integers(2, 6), st.integers(0, 3))
def test_folds_spread_every_class_evenly(labels: list[int], k: int, again: int) -> None:
    y = codes(labels)
    fold = numbers(y, k, [str(i).encode() for i in range(len(y))], None, again)
    assert fold.min() >= 0 and fold.max() < k
    for kind in set(y.tolist()):
        counts = np.bincount(fold[y == kind], minlength=k)
        assert counts.max() - counts.min() <= 1


@FEW
@given(LABELS, st.data())
def test_a_row_is_never_judged_by_what_was_fitted_on_it_or_on_its_group(labels: list[int], data: Any) -> None:
    y = codes(labels)
    groups = np.array(data.draw(st.lists(st.integers(0, 20), min_size=len(y), max_size=len(y))))
    marks = [str(i).encode() for i in range(len(y))]
    for fitted, judged in folds_for(np.zeros((len(y), 1), np.float32), y, groups, marks):
        assert not set(groups[fitted].tolist()) & set(groups[judged].tolist())
        assert set(y[judged].tolist()) <= set(y[fitted].tolist())


@FEW
@given(LABELS, st.randoms(use_true_random=False))
def test_folds_do_not_depend_on_the_order_of_the_rows(labels: list[int], chance: Any) -> None:
    y, order = codes(labels), list(range(len(labels)))
    chance.shuffle(order)
    marks = [str(i).encode() for i in order]
    mixed = numbers(y[order], 3, marks)
    assert mixed.tolist() == numbers(y, 3, [str(i).encode() for i in range(len(y))])[order].tolist()


# --- classes


@FEW
@given(st.lists(TEXT, unique=True, max_size=12), st.lists(TEXT, unique=True, max_size=12))
def test_classes_are_matched_by_name_whatever_their_places(theirs: list[str], ours: list[str]) -> None:
    for name, place in zip(theirs, match_classes(theirs, ours).tolist(), strict=True):
        assert (place < 0) == (name not in ours and not _form_in(name, ours))
        assert place < 0 or ours[place] == name or _form_in(name, ours)


def _form_in(name: str, names: list[str]) -> bool:
    from headstart.images.names import nfc

    def plain(text: str) -> str:
        return nfc(text).partition(".")[0] if re.fullmatch(r"-?[0-9]+\.0+", nfc(text)) else nfc(text)

    return plain(name) in set(map(plain, names))


@FEW
@given(st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=30))
def test_every_label_finds_its_class_again(labels: list[int]) -> None:
    images = from_arrays([f"{i}.png" for i in range(len(labels))], labels)
    assert [int(images.classes[k]) for k in images.labels] == labels


# --- recipes

RECIPES = st.fixed_dictionaries(
    {
        "data": st.fixed_dictionaries(
            {"source": TEXT},
            optional={
                "classes": st.lists(TEXT, max_size=4),
                "limit": st.integers(1, 10**9),
                "follow_links": st.booleans(),
                "image_column": TEXT,
                "label_column": TEXT,
                "evaluate": st.sampled_from(["auto", "cv", "holdout"]),
            },
        )
    },
    optional={
        "seed": st.integers(0, 2**63 - 1),
        "method": st.sampled_from(["features", "pixels", "finetune", "scratch"]),
        "training": st.fixed_dictionaries({}, optional={"learning_rate": st.floats(1e-12, 1e6), "unfreeze": TEXT}),
        "head": st.fixed_dictionaries({"options": st.dictionaries(TEXT, st.integers(-9, 9) | TEXT, max_size=3)}),
    },
)


@FEW
@given(RECIPES)
def test_a_recipe_is_read_as_it_was_written(values: dict[str, Any]) -> None:
    recipe = Recipe.from_dict(values)
    assert Recipe.from_toml(recipe.to_toml()) == recipe


# --- preprocessing


@FEW
@given(
    arrays_of.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3))),
    st.integers(1, 24),
    st.integers(1, 24),
    st.sampled_from([0.5, 0.875, 1.0]),
)
def test_any_picture_becomes_the_size_that_was_asked_for(pixels: Any, height: int, width: int, crop: float) -> None:
    found = Preprocess(height, width, crop_pct=crop).apply(Image.fromarray(pixels))
    assert found.shape == (height, width, 3) and found.dtype == np.uint8
    for channel in range(3):  # bicubic may overshoot, but a channel of one value stays that
        if len(np.unique(pixels[..., channel])) == 1:
            assert set(found[..., channel].ravel().tolist()) == {int(pixels[0, 0, channel])}


def test_a_picture_gives_the_same_row_alone_and_among_others() -> None:
    from headstart import FeatureExtractor

    X = np.random.default_rng(0).integers(0, 256, (9, 20, 20, 3), dtype=np.uint8)
    extractor = FeatureExtractor(method="pixels", image_size=16, cache=False).fit(X)
    together = extractor.transform(X)
    assert together.min() >= 0 and together.max() <= 1
    for i in range(len(X)):
        np.testing.assert_array_equal(extractor.transform(X[i : i + 1]), together[i : i + 1])


# --- metrics


@st.composite
def judged(draw: Any) -> tuple[np.ndarray, np.ndarray]:
    """Labels (n,) and probabilities (n, k) as scikit-learn wants them."""
    n, k = draw(st.integers(2, 40)), draw(st.integers(2, 5))
    raw = draw(arrays_of.arrays(np.float64, (n, k), elements=st.floats(0.01, 1)))
    y = draw(arrays_of.arrays(np.int64, n, elements=st.integers(0, k - 1)))
    return y, raw / raw.sum(axis=1, keepdims=True)


@FEW
@given(judged())
def test_metrics_agree_with_scikit_learn(case: tuple[np.ndarray, np.ndarray]) -> None:
    from sklearn import metrics as theirs

    y, proba = case
    k, best = proba.shape[1], proba.argmax(axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert metrics.accuracy(y, proba) == pytest.approx(theirs.accuracy_score(y, best))
        assert metrics.log_loss(y, proba) == pytest.approx(theirs.log_loss(y, proba, labels=list(range(k))))
        assert np.array_equal(metrics.confusion(y, best, k), theirs.confusion_matrix(y, best, labels=range(k)))
        assert metrics.macro_f1(y, proba) == pytest.approx(theirs.f1_score(y, best, average="macro"))
        if k == 2 and len(set(y.tolist())) == 2:
            assert metrics.roc_auc(y, proba) == pytest.approx(theirs.roc_auc_score(y, proba[:, 1]))
