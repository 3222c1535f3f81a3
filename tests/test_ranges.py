"""What is white is said by the type of a pixel, or by what fit saw; never by the pictures beside it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart import FeatureExtractor, TransferClassifier, fit
from headstart.errors import DataError, Refused
from headstart.images import decode, from_arrays, load
from headstart.images.decode import Limits
from headstart.images.ranges import White
from headstart.images.sources.arrays import to_uint8
from headstart.preprocess import Preprocess

RNG = np.random.default_rng(0)
BRIGHT = RNG.integers(0, 256, (12, 8, 8))
BRIGHT[:, 0, 0] = 255
LABELS = np.arange(12) % 2
KINDS = {
    "uint8": BRIGHT.astype(np.uint8),
    "uint16": (BRIGHT * 257).astype(np.uint16),
    "big-endian uint16": (BRIGHT * 257).astype(">u2"),
    "int64 to 255": BRIGHT,
    "int32 to 65535": (BRIGHT * 257).astype(np.int32),
    "float32 to 1": (BRIGHT / 255).astype(np.float32),
    "float64 to 255": BRIGHT.astype(np.float64),
    "float32 to 65535": (BRIGHT * 257).astype(np.float32),
}


def tiff(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "TIFF")
    return stream.getvalue()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:No pixel is above 1")
@pytest.mark.filterwarnings("ignore:No value of these pictures is above 255")
def test_a_dark_picture_has_the_same_features_alone_and_beside_a_bright_one(kind: str) -> None:
    X = KINDS[kind]
    dark = (X[:4] / 300).astype(X.dtype)
    extractor = FeatureExtractor(method="pixels", cache=False).fit(X)
    beside = extractor.transform(np.concatenate([X[4:6], dark]))[2:]
    for i, picture in enumerate(dark):
        np.testing.assert_array_equal(extractor.transform(picture[None])[0], beside[i])
        np.testing.assert_array_equal(extractor.transform([picture])[0], beside[i])


@pytest.mark.parametrize("kind", KINDS)
def test_every_type_shows_the_same_picture(kind: str) -> None:
    X = KINDS[kind]
    np.testing.assert_array_equal(from_arrays(X).items, KINDS["uint8"])
    np.testing.assert_array_equal(from_arrays(list(X)).read(3)[..., 0], KINDS["uint8"][3])


def test_sixteen_bits_are_dim_when_every_pixel_is_dim() -> None:
    assert to_uint8(np.full((1, 2, 2), 218, np.uint16)).max() == 1
    assert to_uint8(np.full((1, 2, 2), True)).min() == 255


def test_parts_of_an_archive_are_read_each_by_its_type(tmp_path: Path) -> None:
    """Joining uint8 and floats in 0..1 used to make the test part black."""
    x, y = KINDS["uint8"], LABELS
    np.savez(tmp_path / "d.npz", x_train=x, y_train=y, x_test=KINDS["float32 to 1"], y_test=y)
    images = load(tmp_path / "d.npz")
    np.testing.assert_array_equal(images.items[12:], images.items[:12])


def test_a_bundle_keeps_the_range_that_fit_saw(tmp_path: Path) -> None:
    from headstart import bundle, load_classifier
    from headstart.inference import evaluate

    X = KINDS["float64 to 255"]
    fitted = TransferClassifier(method="pixels", head="prototype", cache=False).fit(X, LABELS)
    bundle.save(fitted.classifier_, tmp_path / "bundle")
    loaded = load_classifier(tmp_path / "bundle")
    with pytest.warns(UserWarning, match=r"No pixel is above 1, and fit saw 0\.\.255.*scale them to 0\.\.255"):
        dark = from_arrays(X[:1] / 256, white=loaded.source.preprocess.white)
    assert dark.read(0).max() == 1
    np.savez(tmp_path / "dark.npz", x_train=X / 256, y_train=LABELS, x_test=X / 256, y_test=LABELS)
    told = evaluate(tmp_path / "bundle", str(tmp_path / "dark.npz"))
    black = loaded.predict_proba(from_arrays(np.rint(X / 256).astype(np.uint8)))[0]
    assert told["accuracy"] == pytest.approx((black.argmax(1) == LABELS).mean())


def test_values_over_the_range_of_fit_name_it() -> None:
    extractor = FeatureExtractor(method="pixels", cache=False).fit(KINDS["float32 to 1"])
    with pytest.raises(DataError, match=r"float64 are 0\.\.1 here, as in fit; got 0\.\.255"):
        extractor.transform(KINDS["float64 to 255"][:5] * 0 + np.linspace(0, 255, 8))


def test_what_fit_never_saw_is_read_picture_by_picture() -> None:
    """Fitted on bytes: floats in 0..1 and in 0..255 are both understood, and no picture changes another."""
    extractor = FeatureExtractor(method="pixels", cache=False).fit(KINDS["uint8"])
    both = np.concatenate([KINDS["float32 to 1"][:2], KINDS["float64 to 255"][2:4]])
    np.testing.assert_array_equal(extractor.transform(both), extractor.transform(KINDS["uint8"][:4]))


def test_a_float_tiff_is_read_by_the_range_of_all_that_fit_saw(tmp_path: Path) -> None:
    """A dark page of a set in 0..255 is not taken for one in 0..1."""
    (tmp_path / "damaged.tiff").write_bytes(tiff(np.full((8, 8), 1e9, np.float32)))
    for i, values in enumerate([BRIGHT[0], BRIGHT[1] / 300]):
        (tmp_path / f"{i}.tiff").write_bytes(tiff(values.astype(np.float32)))
    paths = [tmp_path / "0.tiff", tmp_path / "1.tiff"]
    extractor = FeatureExtractor(method="pixels", cache=False).fit([*paths, tmp_path / "damaged.tiff"])
    assert extractor.source_.preprocess.white == (255, 0)
    assert extractor.transform([paths[1]]).max() == pytest.approx(1 / 255)
    assert extractor.transform([paths[0]]).max() == 1
    with pytest.raises(Refused, match=r"fitted on 0\.\.1"):
        decode(tiff(BRIGHT[0].astype(np.float32)), Limits(white=White(floats=1)))
    with pytest.raises(Refused, match=r"with values -1 to 254$"):  # fitted on no floats
        decode(tiff(BRIGHT[0].astype(np.float32) - 1), Limits(white=White(integers=255)))


def test_who_fits_on_values_out_of_range_is_told_them_and_what_to_do(tmp_path: Path) -> None:
    for i in range(4):
        (tmp_path / "data" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        values = np.linspace(-50, 4000, 64, dtype=np.float32).reshape(8, 8)
        (tmp_path / "data" / "ab"[i % 2] / f"{i}.tiff").write_bytes(tiff(values))
    told = r"4 pictures have values out of range, such as -50 to 4000: scale them to 0\.\.1, .* all pictures alike"
    with pytest.raises(DataError, match=told):
        fit(tmp_path / "data", method="pixels", out=tmp_path / "run", store=False)


def test_a_preprocessing_without_a_range_is_written_as_before() -> None:
    """So that features stored by earlier versions are found, and a range changes their space."""
    plain = Preprocess(8, 8)
    assert "white" not in plain.to_dict()
    ranged = Preprocess(8, 8, white=(255, 0))
    assert Preprocess.from_dict(ranged.to_dict()) == ranged and ranged.fingerprint() != plain.fingerprint()
