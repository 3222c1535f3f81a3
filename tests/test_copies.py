"""Copies and near copies of a picture are found, other pictures are not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from headstart.features import copies
from headstart.features.copies import groups

Rows = NDArray[np.float32]


def digits(n: int = 400) -> Rows:
    return load_digits().data[:n].astype(np.float32)


def test_distinct_pictures_are_no_copies() -> None:
    assert len(np.unique(groups(digits(1_797)))) == 1_797


def test_a_picture_with_a_little_noise_is_a_near_copy() -> None:
    X = digits()
    near = X[:60] + np.random.default_rng(0).normal(size=(60, 64)).astype(np.float32) * 0.05
    found = groups(np.concatenate([X, near]))
    assert (found[400:] == found[:60]).all()
    assert len(np.unique(found)) == 400


def test_a_brighter_picture_is_a_near_copy() -> None:
    X = digits()
    found = groups(np.concatenate([X, 1.3 * X[:20]]))
    assert (found[400:] == found[:20]).all()


def test_copies_of_copies_share_a_group() -> None:
    found = groups(digits(50), [(30, 10), (40, 30), (7, 3)])
    assert found[40] == found[30] == found[10] != found[7] == found[3]
    assert len(np.unique(found)) == 47


def test_a_copy_of_the_same_content_and_a_near_copy_of_it_share_a_group() -> None:
    X = digits(50)
    rows = np.concatenate([X, X[:1], X[:1] + 0.01])
    found = groups(rows, [(50, 0)])
    assert found[0] == found[50] == found[51]
    assert len(np.unique(found)) == 50


def test_groups_do_not_depend_on_the_blocks_nor_on_the_order() -> None:
    X = digits(1_500)
    rows = np.concatenate([X, X[:30] + 0.01])  # in three blocks
    order = np.random.default_rng(0).permutation(len(rows))
    found, mixed = groups(rows), groups(rows[order])
    assert len(np.unique(found)) == len(np.unique(mixed)) == 1_500
    assert (mixed[np.argsort(order)][1_500:] == mixed[np.argsort(order)][:30]).all()


def test_few_rows_zeros_and_too_many_rows_are_left_alone(monkeypatch: object) -> None:
    assert groups(digits(0)).tolist() == []
    assert len(np.unique(groups(digits(2)))) == 2
    assert len(np.unique(groups(np.zeros((9, 4), np.float32)))) == 9
    assert len(np.unique(groups(digits(5), [(1, 0), (2, 0), (3, 0), (4, 0)]))) == 1


def test_above_a_number_of_products_only_copies_of_the_same_content_are_found(monkeypatch: object) -> None:
    X = np.concatenate([digits(50), digits(50)])
    limit = copies.MOST
    try:
        copies.MOST = 1.0
        assert len(np.unique(groups(X, [(99, 49)]))) == 99
    finally:
        copies.MOST = limit
