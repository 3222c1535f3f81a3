"""Views drawn for a whole batch at once: what they are, and that each is a function of (seed, row, epoch) alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from headstart.augment import AUGMENTS, Augment
from headstart.features import varied
from headstart.features.varied import Varied, border, can_vary, vary


def pictures(n: int = 7, height: int = 9, width: int = 12, channels: int = 3) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (n, height, width, channels), dtype=np.uint8)


def drawn(X: NDArray[np.uint8], *transforms: dict[str, Any], value: float = 0.5) -> NDArray[np.uint8]:
    """The pictures varied where every random number is `value`."""
    steps = Augment.of("own", transforms, "a test").steps
    found = vary(torch.from_numpy(X).permute(0, 3, 1, 2).float(), steps, lambda: torch.full((len(X),), value))
    kept: NDArray[np.uint8] = found.permute(0, 2, 3, 1).round().byte().numpy()
    return kept


def rows(X: NDArray[np.uint8], name: str = "digits", seed: int = 0) -> Varied:
    return Varied(X.reshape(len(X), -1), X.shape[1:], AUGMENTS[name], seed)


@pytest.mark.parametrize(
    "transform",
    [
        {"name": "RandomAffine", "degrees": 12, "translate": [0.1, 0.1], "scale": [0.8, 1.2], "shear": 10},
        {"name": "RandomRotation", "degrees": 30},
        {"name": "RandomPerspective", "distortion_scale": 0.5, "p": 0.4},
        {"name": "RandomResizedCrop", "scale": [1.0, 1.0], "ratio": [1.0, 1.0]},
        {"name": "RandomHorizontalFlip", "p": 0.4},
        {"name": "RandomVerticalFlip", "p": 0.4},
        {"name": "ColorJitter", "brightness": 0.2, "contrast": 0.2, "saturation": 0.2},
    ],
    ids=lambda transform: transform["name"],
)
def test_in_the_middle_of_its_range_a_transform_changes_nothing(transform: dict[str, Any]) -> None:
    X = pictures(height=10, width=10)
    assert np.abs(drawn(X, transform).astype(int) - X).max() <= 1


def test_pictures_are_mirrored_turned_and_moved_as_named() -> None:
    X = pictures()
    assert np.array_equal(drawn(X, {"name": "RandomHorizontalFlip", "p": 1}), X[:, :, ::-1])
    assert np.array_equal(drawn(X, {"name": "RandomVerticalFlip", "p": 1}), X[:, ::-1])
    square = pictures(height=10, width=10)
    turned = drawn(square, {"name": "RandomRotation", "degrees": [90, 90]})
    assert np.array_equal(turned, np.rot90(square, 1, axes=(1, 2))) or np.array_equal(
        turned, np.rot90(square, -1, axes=(1, 2))
    )
    moved = drawn(square, {"name": "RandomAffine", "degrees": 0, "translate": [0.2, 0.0]}, value=1.0)
    assert np.array_equal(moved[:, :, 2:], square[:, :, :-2])


def test_what_a_transform_uncovers_has_the_colour_of_the_border() -> None:
    X = np.full((2, 10, 10, 1), 200, np.uint8)
    X[:, 3:7, 3:7] = 10
    moved = drawn(X, {"name": "RandomAffine", "degrees": 0, "translate": [0.4, 0.4]}, value=1.0)
    assert (moved[:, :4, :4] == 200).all()
    assert border(torch.from_numpy(X).permute(0, 3, 1, 2).float()).flatten().tolist() == [200, 200]


@pytest.mark.parametrize("n", [3, 700])
def test_a_view_depends_on_seed_row_and_epoch_and_on_nothing_else(n: int) -> None:
    """Few pictures are drawn several epochs ahead, many batch by batch: what was asked before does not matter."""
    X = pictures(n)
    first, second = rows(X), rows(X)
    second.take(np.arange(2), 9)
    all_at_once = first.take(np.arange(n), 4)
    assert np.array_equal(second.take(np.array([1, 0]), 4), all_at_once[[1, 0]])
    assert not np.array_equal(first.take(np.arange(n), 5), all_at_once)
    assert not np.array_equal(rows(X, seed=1).take(np.arange(n), 4), all_at_once)


def test_epoch_0_and_about_half_of_the_others_show_pictures_as_they_are() -> None:
    X = pictures(1_000, 6, 6)
    given = rows(X)
    plain = X.reshape(1_000, -1)
    assert np.array_equal(given.take(np.arange(1_000), 0), plain)
    same = (given.take(np.arange(1_000), 1) == plain).all(axis=1).mean()
    assert same == pytest.approx(varied.PLAIN, abs=0.06)


def test_digits_are_never_mirrored() -> None:
    """A picture that is dark at the left stays dark at the left in every view."""
    X = np.zeros((200, 16, 16, 1), np.uint8)
    X[:, :, 8:] = 200
    views = rows(X).take(np.arange(200), 1).reshape(200, 16, 16)
    assert (views[:, 6:10, :4].mean((1, 2)) < views[:, 6:10, -4:].mean((1, 2))).all()


def test_what_cannot_be_drawn_for_a_batch_is_known() -> None:
    assert can_vary(AUGMENTS["digits"]) and can_vary(AUGMENTS["light"])
    assert not can_vary(AUGMENTS["strong"]) and not can_vary(AUGMENTS["none"])
    hue = Augment.of("own", [{"name": "ColorJitter", "hue": 0.1}], "a test")
    assert not can_vary(hue)
