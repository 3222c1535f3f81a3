"""Copies and near copies of a picture are found, other pictures are not."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from sklearn.datasets import load_digits

from headstart.features import copies
from headstart.features.copies import Copies, find, led, numbered, repeated
from headstart.images import Raw, decode, digest
from headstart.images.groups import torn
from headstart.images.sketch import Sketches, make_sketch


def scene(seed: int, side: int = 96) -> Image.Image:
    """A picture of soft patches in RGB, of its own for every seed."""
    cells = np.random.default_rng(seed).integers(0, 256, (7, 7, 3), dtype=np.uint8)
    return Image.fromarray(cells).resize((side, side * 3 // 4), Image.Resampling.BICUBIC)


def saved(image: Image.Image, quality: int = 90) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def found_in(raws: list[Raw]) -> Copies:
    contents = np.stack([np.frombuffer(digest(raw), np.uint8) for raw in raws])
    return find(contents, Sketches(np.stack([make_sketch(raw, decode(raw)) for raw in raws])))


SCENES = [saved(scene(seed)) for seed in range(80)]
CHANGES: dict[str, Callable[[Image.Image], bytes]] = {
    "saved again at half quality": lambda im: saved(im, 50),
    "cropped by 5%": lambda im: saved(im.crop((3, 2, im.width - 2, im.height - 2))),
    "mirrored": lambda im: saved(im.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
    "resized": lambda im: saved(im.resize((58, 43))),
    "brighter": lambda im: saved(ImageEnhance.Brightness(im).enhance(1.2)),
    "a frame later": lambda im: saved(im.rotate(2, Image.Resampling.BICUBIC).crop((4, 3, im.width, im.height))),
}


def test_deviations_by_products_are_those_of_numpy() -> None:
    """Dark, bright, plain and noisy thumbnails, in colour and in grey."""
    rng = np.random.default_rng(0)
    for shape in ((50, 24, 24, 3), (50, 24, 24, 1)):
        low, wide = rng.integers(0, 200, 50), rng.integers(1, 56, 50)
        pixels = (low[:, None, None, None] + rng.random(shape) * wide[:, None, None, None]).astype(np.uint8)
        expected = pixels.std(axis=(1, 2), dtype=np.float64)
        np.testing.assert_allclose(copies._deviation(pixels.astype(np.float32)), expected, atol=1e-9)


def test_distinct_scenes_are_no_copies() -> None:
    assert len(np.unique(found_in(SCENES).near)) == 80


def test_distinct_digits_are_seldom_taken_for_near_copies() -> None:
    """They lie close together, and what counts is how close to what is usual among them."""
    pixels = (load_digits().images[:400] * 15).astype(np.uint8)
    assert repeated(found_in(list(pixels)).near).sum() <= 4


@pytest.mark.parametrize("change", CHANGES)
def test_a_picture_is_known_again_however_it_was_changed(change: str) -> None:
    changed = [CHANGES[change](scene(seed)) for seed in range(20)]
    found = found_in(SCENES + changed)
    assert (found.near[80:] == found.near[:20]).all()
    assert len(np.unique(found.near)) == 80 and len(np.unique(found.same)) == 100
    assert {tuple(pair) for pair in found.pairs.tolist()} == {(i, 80 + i) for i in range(20)}


def test_near_copies_are_found_where_every_picture_has_one() -> None:
    """And where each has three: what is usual is not measured by the nearest."""
    for times in (1, 3):
        again = [saved(scene(seed).crop((k, k, 96, 72)), 60 + 5 * k) for k in range(times) for seed in range(80)]
        found = found_in(SCENES + again).near
        assert (found.reshape(1 + times, 80) == found[:80]).all() and len(np.unique(found)) == 80


def test_the_same_pixels_in_another_format_are_the_same() -> None:
    png = io.BytesIO()
    decode(SCENES[3]).save(png, "PNG")
    found = found_in([*SCENES, png.getvalue(), SCENES[5]])
    assert found.same[80] == found.same[3] and found.same[81] == found.same[5] and not len(found.pairs)


def test_pictures_that_show_nothing_are_no_near_copies() -> None:
    """Shades of one colour have nothing to be compared by; those of the same pixels are the same."""
    flat: list[Raw] = [np.full((20, 20, 3), 10 * k, np.uint8) for k in range(12)]
    assert len(np.unique(found_in(flat).near)) == 12
    assert len(np.unique(found_in([*flat, flat[0]]).near)) == 12


def test_shapes_that_differ_in_colour_alone_are_no_near_copies() -> None:
    """A red light and a green one are two classes."""
    pixels = np.zeros((20, 24, 24, 3), np.uint8)
    for i in range(20):
        pixels[i, 8:16, 8:16, i % 2] = 200 + i
    found = found_in(list(pixels)).near
    assert not torn(found, np.arange(20) % 2).any()


def test_a_group_of_most_pictures_is_none() -> None:
    """Frames of one film, each like the next, leave nothing to judge by: such pictures are alike, not copies."""
    wide = scene(1, 240)
    frames = [saved(wide.crop((k, 0, k + 96, 72))) for k in range(0, 120, 2)]
    assert np.bincount(found_in(frames).near).max() <= copies.NEIGHBOUR


def test_who_copies_whom_does_not_depend_on_the_order_nor_on_the_blocks() -> None:
    raws = SCENES + [saved(scene(seed), 50) for seed in range(30)]
    order = np.random.default_rng(0).permutation(len(raws))
    straight, mixed = found_in(raws), found_in([raws[i] for i in order])
    for a, b in ((straight.near, mixed.near), (straight.reordered(order).near, mixed.near)):
        assert len(np.unique(a)) == len(np.unique(b)) == 80
    assert (straight.reordered(order).near[:, None] == straight.near[order]).any(axis=0).all()
    assert {frozenset(p) for p in order[mixed.pairs].tolist()} == {frozenset(p) for p in straight.pairs.tolist()}


def test_without_sketches_only_the_same_content_is_found() -> None:
    contents = np.stack([np.frombuffer(digest(raw), np.uint8) for raw in [*SCENES[:5], SCENES[0]]])
    found = find(contents, None)
    assert found.near.tolist() == found.same.tolist() and found.same[5] == found.same[0]
    assert len(np.unique(found.same)) == 5


def test_a_torn_group_is_one_with_two_values() -> None:
    group = np.array([0, 0, 1, 1, 2])
    assert torn(group, np.array(["a", "b", "a", "a", "b"])).tolist() == [True, True, False, False, False]
    assert repeated(group).tolist() == [True, True, True, True, False]
    assert led(group).tolist() == [[1, 0], [3, 2]]


def test_few_pictures_or_none_are_left_alone() -> None:
    none: NDArray[np.uint8] = np.zeros((0, 16), np.uint8)
    assert find(none, None).near.tolist() == [] and numbered(none).tolist() == []
    assert len(np.unique(found_in(SCENES[:2]).near)) == 2


def test_of_some_pictures_the_groups_are_numbered_without_gaps_and_pairs_point_at_them() -> None:
    """What is left of a pair has no pair any more."""
    found = Copies(
        same=np.array([0, 1, 2, 1]), near=np.array([0, 1, 0, 1]), pairs=np.array([[0, 2]]), distances=np.array([0.1]),
        together=np.array([0, 1, 0, 1]),
    )  # fmt: skip
    rest = found.reordered(np.array([3, 2, 0]))
    assert rest.same.tolist() == [1, 2, 0] and rest.near.tolist() == [1, 0, 0] and rest.pairs.tolist() == [[2, 1]]
    alone = found.reordered(np.array([1, 3, 2]))
    assert alone.together.tolist() == [1, 1, 0] and not len(alone.pairs) and not len(alone.distances)
