"""`look_at` refuses what cannot be decoded, and measures what the pictures look like."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.errors import DataError, Refused
from headstart.images import decode, load
from headstart.images.looks import constant_share, is_grey, look_at
from headstart.images.sources.arrays import from_arrays


def noise(height: int, width: int, *channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, *channels), dtype=np.uint8)


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """Pictures of two classes, some of which cannot be used."""
    for i in range(6):
        folder = tmp_path / f"class{i % 2}"
        folder.mkdir(exist_ok=True)
        Image.fromarray(noise(20, 30 + i, 3)).save(folder / f"{i}.jpg")
    whole = (tmp_path / "class0" / "0.jpg").read_bytes()
    (tmp_path / "class0" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "class1" / "page.jpg").write_text("<html>404</html>")
    (tmp_path / "class1" / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 50)
    return tmp_path


def test_it_refuses_exactly_what_decode_refuses_in_the_order_of_the_pictures(broken: Path) -> None:
    images = load(broken)
    expected = []
    for i in range(len(images)):
        try:
            decode(images.raw(i), images.limits)
        except Refused as refused:
            expected.append((i, images.names[i], refused.reason))
    looks = look_at(images)
    found = [(i, r.name, r.reason) for i, r in zip(looks.refused_at, looks.refused, strict=True)]
    assert len(expected) == 3
    assert found == expected
    assert looks.measured == len(images) - 3


def test_sizes_are_medians_of_upright_pictures_and_all_is_json(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    (tmp_path / "a").mkdir()
    for i, width in enumerate((10, 20, 40)):
        Image.fromarray(noise(16, width, 3)).save(tmp_path / "a" / f"{i}.png", exif=exif)
    looks = look_at(load(tmp_path, labelled=False))
    assert (looks.height, looks.width, looks.side) == (20, 16, 16)
    assert json.loads(json.dumps(looks.to_dict()))["side"] == 16


def test_a_grey_picture_stored_in_colour_is_grey_and_a_coloured_spot_is_colour() -> None:
    grey = np.repeat(noise(50, 50)[:, :, None], 3, axis=2)
    assert is_grey(grey)
    assert is_grey((grey // 2 + np.array([0, 1, 2])).astype(np.uint8))
    assert not is_grey((grey // 2 + np.array([0, 1, 3])).astype(np.uint8))
    spot = grey.copy()
    spot[20:22, 20:22] = (200, 30, 30)
    assert not is_grey(spot)


@pytest.mark.parametrize("channels", [(), (3,)])
def test_the_constant_share_is_that_of_the_border_colour_wherever_it_lies(channels: tuple[int, ...]) -> None:
    picture = np.full((50, 60, *channels), 100, np.uint8)
    assert constant_share(picture) == 1.0
    picture[10:30, 10:40] = 180  # 600 of 3,000 pixels
    picture[15:20, 15:25] = 103  # 50 enclosed ones of nearly the border's colour
    assert constant_share(picture) == pytest.approx(1 - 550 / 3000)
    assert constant_share(noise(200, 300, *channels)) < 0.05


def test_progress_ends_at_the_number_of_pictures_and_the_sample_is_no_larger_than_asked() -> None:
    seen: list[tuple[str, int, int]] = []
    looks = look_at(from_arrays(np.zeros((130, 8, 8), np.uint8)), 10, lambda *step: seen.append(step))
    assert seen[-1] == ("look", 130, 130)
    assert (looks.images, looks.measured, looks.grey_share, looks.constant_share) == (130, 10, 1.0, 1.0)


def test_a_set_without_one_usable_picture_is_an_error_that_names_the_first(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    with pytest.raises(DataError, match=r"none of the 1 pictures looked at can be used.*a/x\.jpg"):
        look_at(load(tmp_path, labelled=False))


@pytest.mark.data
def test_mnist_is_grey_and_four_fifths_background(data_dir: Path) -> None:
    """Of MNIST's pixels 80.9% are 0 (its well-known mean of 0.1307 goes with that)."""
    looks = look_at(load(data_dir / "mnist"))
    assert (looks.grey_share, looks.side, looks.refused) == (1.0, 28, ())
    assert 0.75 < looks.constant_share < 0.85


@pytest.mark.data
def test_photographs_have_colour_and_little_plain_background(data_dir: Path) -> None:
    looks = look_at(load(data_dir / "cats_vs_dogs").take(np.arange(0, 4000, 20)))
    assert looks.grey_share < 0.05
    assert looks.constant_share < 0.1
