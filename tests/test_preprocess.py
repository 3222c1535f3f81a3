"""Preprocess: the same pixels as torchvision's evaluation transform, settings that travel, and the size rule."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from headstart.errors import UnknownName, UserError
from headstart.preprocess import Preprocess, crop_box


@dataclass
class Size:
    height: int
    width: int


def picture(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """A smooth picture with some noise: edges and gradients."""
    rng = np.random.default_rng(width * 1000 + height)
    y, x = np.mgrid[0:height, 0:width]
    waves = [
        127 + 90 * np.sin(x / (7 + k)) * np.cos(y / (5 + k)) + rng.normal(0, 12, (height, width)) for k in range(3)
    ]
    image = Image.fromarray(np.clip(np.stack(waves, -1), 0, 255).astype(np.uint8))
    return image.convert(mode)


def torchvision_pixels(image: Image.Image, preprocess: Preprocess, resized: int) -> np.ndarray:
    """Resize and CenterCrop of torchvision on a PIL picture."""
    transforms = pytest.importorskip("torchvision.transforms")
    mode = transforms.InterpolationMode(preprocess.interpolation)
    size = (preprocess.height, preprocess.width)
    chain = transforms.Compose([transforms.Resize(resized, interpolation=mode), transforms.CenterCrop(size)])
    return np.asarray(chain(image))


def assert_within_a_level(image: Image.Image, preprocess: Preprocess, resized: int, most: int = 1) -> None:
    """At most one grey level of difference.

    Where the ratio of sizes is a short fraction, many values are exact halves, which Pillow's single-precision box may
    round either way in both directions: `most=2` allows two levels for one value in a thousand.
    """
    expected = torchvision_pixels(image, preprocess, resized).astype(int)
    difference = np.abs(preprocess.apply(image) - expected)
    assert difference.max() <= most and (difference > 1).mean() < 1e-3


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("size", [(258, 233), (233, 258), (500, 375), (375, 500), (64, 64), (1024, 90), (224, 224)])
@pytest.mark.parametrize(("side", "crop_pct", "resized"), [(224, 0.875, 256), (96, 1.0, 96), (299, 0.875, 341)])
def test_pixels_equal_torchvisions(
    interpolation: str, size: tuple[int, int], side: int, crop_pct: float, resized: int
) -> None:
    """Computing the crop alone gives what Resize then CenterCrop give, for every interpolation."""
    preprocess = Preprocess(side, side, crop_pct, interpolation)  # type: ignore[arg-type]
    image = picture(*size)
    assert_within_a_level(image, preprocess, resized, most=2)


@settings(max_examples=60, deadline=None)
@given(st.integers(20, 700), st.integers(20, 700), st.sampled_from([64, 160, 224]))
def test_pixels_equal_torchvisions_at_any_size(width: int, height: int, side: int) -> None:
    """The rounding of sides and corners is torchvision's for any picture size."""
    preprocess = Preprocess(side, side)
    image = picture(width, height)
    assert_within_a_level(image, preprocess, int(side / 0.875), most=2)


@pytest.mark.data
def test_real_photos_equal_torchvisions(data_dir: Path) -> None:
    """On real JPEG photos no value differs by more than one level."""
    preprocess = Preprocess(224, 224)
    for path in sorted((data_dir / "cats_vs_dogs" / "test" / "cat").iterdir())[:40]:
        with Image.open(path) as image:
            image = image.convert("RGB")
        assert_within_a_level(image, preprocess, 256)


def test_nearest_takes_pixels_of_the_picture() -> None:
    """With 'nearest' every value of the result is a value of the picture."""
    image = Image.fromarray(np.arange(100, dtype=np.uint8).reshape(10, 10) * 2)
    result = Preprocess(32, 32, 1.0, "nearest").apply(image)
    assert set(np.unique(result)) <= set(range(0, 200, 2))


def test_the_result_is_uint8_of_the_stated_shape() -> None:
    """(height, width, 3) for RGB, (height, width, 1) for L; non-square inputs too."""
    for mode in ("RGB", "L"):
        result = Preprocess(48, 80).apply(picture(100, 90, mode))
        assert result.shape == (48, 80, 3) and result.dtype == np.uint8
        grey = Preprocess(48, 80, mean=(0.5,), std=(0.5,), color="L").apply(picture(100, 90, mode))
        assert grey.shape == (48, 80, 1) and grey.dtype == np.uint8


def test_grey_is_repeated() -> None:
    """A grey picture gives three equal channels, the same as if it had been RGB from the start."""
    grey = picture(70, 50, "L")
    result = Preprocess(32, 32).apply(grey)
    assert (result == result[:, :, :1]).all()
    assert np.array_equal(result, Preprocess(32, 32).apply(grey.convert("RGB")))


def test_a_picture_of_the_input_size_is_untouched() -> None:
    """crop_pct 1 at the picture's own size changes no pixel."""
    image = picture(40, 30)
    assert np.array_equal(Preprocess(30, 40, 1.0).apply(image), np.asarray(image))


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 600), st.floats(0.2, 1.0))
def test_the_crop_lies_inside_the_picture_and_is_centred(width: int, height: int, side: int, crop_pct: float) -> None:
    """The box never leaves the picture, has an area, and its centre is within a pixel of rounding."""
    left, top, right, bottom = crop_box((width, height), (side, side), crop_pct)
    assert 0 <= left < right <= width and 0 <= top < bottom <= height
    tolerance = max(width, height) / side
    assert abs((left + right) / 2 - width / 2) <= tolerance
    assert abs((top + bottom) / 2 - height / 2) <= tolerance


def test_extreme_shapes_are_no_problem() -> None:
    """A strip of 1 x 5,000 pixels gives an input like any other."""
    for size in ((1, 5000), (5000, 1), (1, 1)):
        assert Preprocess(64, 64).apply(picture(*size)).shape == (64, 64, 3)


@pytest.mark.data
def test_sidecars_of_real_weights_are_read(weights_dir: Path) -> None:
    """Every JSON sidecar's `preprocess` block is understood, and comes back from to_dict unchanged."""
    for path in sorted(weights_dir.glob("*.json")):
        block = json.loads(path.read_text(encoding="utf-8"))["preprocess"]
        preprocess = Preprocess.from_dict(block)
        assert (preprocess.height, preprocess.width) == tuple(block["size"])
        assert block.items() <= preprocess.to_dict().items()


def test_settings_survive_json() -> None:
    """from_dict(to_dict()) is the same value with the same fingerprint, through JSON text too."""
    original = Preprocess(160, 192, 0.9, "bicubic", (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    again = Preprocess.from_dict(json.loads(json.dumps(original.to_dict())))
    assert again == original and again.fingerprint() == original.fingerprint()


def test_a_range_of_255_is_brought_to_1() -> None:
    """mean and std that are given for 0..255 mean the same as those for 0..1."""
    block = Preprocess(32, 32, mean=(0.5,) * 3, std=(0.25,) * 3).to_dict()
    wide = {**block, "mean": [127.5] * 3, "std": [63.75] * 3, "range": "0..255"}
    assert Preprocess.from_dict(wide) == Preprocess.from_dict(block)


def test_every_setting_changes_the_fingerprint() -> None:
    """Size, crop, interpolation, mean, std and colour each change it; nothing else does."""
    base = Preprocess(32, 32)
    changes: list[dict[str, Any]] = [
        {"height": 33},
        {"width": 33},
        {"crop_pct": 0.9},
        {"interpolation": "bicubic"},
        {"mean": (0.5, 0.5, 0.5)},
        {"std": (0.5, 0.5, 0.5)},
        {"color": "L", "mean": (0.5,), "std": (0.5,)},
    ]
    prints = {replace(base, **change).fingerprint() for change in changes} | {base.fingerprint()}
    assert len(prints) == len(changes) + 1
    assert Preprocess(32, 32).fingerprint() == base.fingerprint()


def test_the_fingerprint_is_the_same_in_another_process() -> None:
    """It does not depend on hash randomisation."""
    code = "from headstart.preprocess import Preprocess; print(Preprocess(32, 40).fingerprint())"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "7"}
    )
    assert done.stdout.strip() == Preprocess(32, 40).fingerprint()


@pytest.mark.parametrize(
    ("probe", "expected"),
    [(Size(28, 28), (128, 1.0)), (Size(95, 96), (128, 1.0)), (Size(96, 96), (224, 0.875)), (Size(300, 20), (128, 1.0))],
)
def test_small_pictures_get_a_small_input(probe: Size, expected: tuple[int, float]) -> None:
    """Below an area of 96x96 the input is 128 and the whole picture is used; otherwise nothing changes."""
    preprocess = Preprocess(224, 224).for_images(probe)
    assert (preprocess.height, preprocess.crop_pct) == expected


def test_the_size_rule_never_enlarges_an_input() -> None:
    """A network made for 32x32 keeps 32x32."""
    assert Preprocess(32, 32).for_images(Size(8, 8)).height == 32


def test_resized_changes_the_size_alone() -> None:
    """One number or (height, width)."""
    assert Preprocess(224, 224).resized(96) == Preprocess(96, 96)
    assert Preprocess(224, 224).resized((64, 32)) == Preprocess(64, 32)


@pytest.mark.parametrize(
    "change",
    [
        {"size": 0},
        {"size": "large"},
        {"size": [1, 2, 3]},
        {"size": [224.5, 224]},
        {"crop_pct": 0},
        {"crop_pct": 1.5},
        {"crop_pct": "most"},
        {"mean": [0.5]},
        {"std": [1, 1, 0]},
        {"std": [1, 1, float("nan")]},
        {"mean": None},
        {"interpolation": "bilinaer"},
        {"color": "BGR"},
        {"range": "-1..1"},
        {"grey": "luma"},
        {"crop": 0.5},
    ],
)
def test_values_that_make_no_sense_are_refused_in_a_sentence(change: dict[str, Any]) -> None:
    """Each bad setting raises a UserError that ends like a sentence."""
    with pytest.raises(UserError) as error:
        Preprocess.from_dict({**Preprocess(224, 224).to_dict(), **change})
    assert str(error.value)[-1] in ".?"


def test_a_misspelt_setting_shows_the_nearest() -> None:
    """An unknown interpolation names the one that was meant; a missing key is named."""
    with pytest.raises(UnknownName, match="bilinear"):
        Preprocess.from_dict({**Preprocess(224, 224).to_dict(), "interpolation": "bilinaer"})
    with pytest.raises(UserError, match="std"):
        Preprocess.from_dict({"size": 224, "mean": [0, 0, 0]})


def test_decoding_fast_is_another_preprocessing_that_travels() -> None:
    exact = Preprocess(224, 224)
    fast = replace(exact, decode="fast")
    assert (exact.least_side, fast.least_side) == (None, 512)
    assert "decode" not in exact.to_dict(), "what was stored before there was a choice is found again"
    assert Preprocess.from_dict(fast.to_dict()) == fast and fast.fingerprint() != exact.fingerprint()
    with pytest.raises(UnknownName, match="fast"):
        replace(exact, decode="quick")  # type: ignore[arg-type]
